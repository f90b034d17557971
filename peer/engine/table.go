package engine

// table finds a connection by its id. Every input does, so it is a plain open
// addressing table: the ids of live connections are mostly consecutive, and one
// look is mostly enough.
type table struct {
	slots []*conn // a power of two of them, at most half of them used
	used  int
}

// minTable is the smallest number of slots.
const minTable = 16

// home is where an id belongs.
func (t *table) home(id ConnID) int { return int(id) & (len(t.slots) - 1) }

// get returns the connection, or nil.
func (t *table) get(id ConnID) *conn {
	if t.used == 0 {
		return nil
	}
	for i := t.home(id); ; i = (i + 1) & (len(t.slots) - 1) {
		if c := t.slots[i]; c == nil || c.id == id {
			return c
		}
	}
}

// put takes a connection in; its id must be new.
func (t *table) put(c *conn) {
	if 2*(t.used+1) > len(t.slots) {
		t.grow()
	}
	t.insert(c)
	t.used++
}

func (t *table) insert(c *conn) {
	i := t.home(c.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = c
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]*conn, max(minTable, 2*len(old)))
	for _, c := range old {
		if c != nil {
			t.insert(c)
		}
	}
}

// remove takes a connection out. Those behind it that were pushed on by it
// move up, so that no search ends too early.
func (t *table) remove(id ConnID) {
	mask := len(t.slots) - 1
	i := t.home(id)
	for t.slots[i].id != id {
		i = (i + 1) & mask
	}
	t.used--
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		// The one at j may move to i unless its home lies between them.
		if (j-t.home(t.slots[j].id))&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
}
