package cdn

import "time"

// sliceID names a slice of a content.
type sliceID uint64

func idOf(content, slice int32) sliceID { return sliceID(content)<<32 | sliceID(slice) }

func (id sliceID) content() int32 { return int32(id >> 32) }

// cache is a disk that the least recently used leaves first. What leaves
// together is a group: a slice, or all slices of a content that are there.
type cache struct {
	disk, used int64
	byObject   bool
	ttl        time.Duration

	slices map[sliceID]entry
	groups []group // a ring through groups[0], the most recently used behind it
	free   []int32
	object map[int32]int32 // the group of a content, with byObject

	evicted int64 // slices
}

type entry struct {
	group int32
	fresh time.Duration // until then
}

type group struct {
	next, previous int32
	len            int64
	first          sliceID
	others         []sliceID // with byObject
}

func newCache(c Cache) *cache {
	disk := c.Disk
	if disk == 0 {
		disk = 1 << 62
	}
	return &cache{
		disk: disk, byObject: c.ByObject, ttl: c.TTL,
		slices: map[sliceID]entry{}, object: map[int32]int32{}, groups: make([]group, 1),
	}
}

// get looks for a slice, and uses it if it is there.
func (c *cache) get(id sliceID) (fresh time.Duration, there bool) {
	e, there := c.slices[id]
	if there {
		c.unlink(e.group)
		c.link(e.group)
	}
	return e.fresh, there
}

// room says that a slice fits without another leaving.
func (c *cache) room(numBytes int64) bool { return numBytes <= c.disk-c.used }

// freshUntil is when what is good now is no longer fresh.
func (c *cache) freshUntil(now time.Duration) time.Duration {
	if c.ttl < 0 {
		return never
	}
	return now + c.ttl
}

// renew notes that a slice was good at a time.
func (c *cache) renew(id sliceID, now time.Duration) (there bool) {
	e, there := c.slices[id]
	if there {
		e.fresh = c.freshUntil(now)
		c.slices[id] = e
	}
	return there
}

// put keeps a slice that is not there yet, if it can.
func (c *cache) put(id sliceID, numBytes int64, now time.Duration) {
	at, there := c.object[id.content()]
	if !there {
		at = -1
	}
	if numBytes > c.disk || there && c.groups[at].len+numBytes > c.disk {
		return
	}
	if there {
		c.unlink(at)
		c.link(at)
		c.groups[at].others = append(c.groups[at].others, id)
	} else {
		at = c.newGroup(id)
	}
	for c.used+numBytes > c.disk {
		c.evict(c.groups[0].previous)
	}
	c.used += numBytes
	c.groups[at].len += numBytes
	c.slices[id] = entry{group: at, fresh: c.freshUntil(now)}
}

func (c *cache) newGroup(id sliceID) int32 {
	var at int32
	if n := len(c.free); n > 0 {
		at = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		at = int32(len(c.groups))
		c.groups = append(c.groups, group{})
	}
	c.groups[at].first = id
	c.link(at)
	if c.byObject {
		c.object[id.content()] = at
	}
	return at
}

func (c *cache) evict(at int32) {
	g := &c.groups[at]
	c.unlink(at)
	c.used -= g.len
	c.evicted += int64(1 + len(g.others))
	delete(c.slices, g.first)
	for _, id := range g.others {
		delete(c.slices, id)
	}
	if c.byObject {
		delete(c.object, g.first.content())
	}
	g.len, g.others = 0, g.others[:0]
	c.free = append(c.free, at)
}

func (c *cache) link(at int32) {
	first := c.groups[0].next
	c.groups[at].next, c.groups[at].previous = first, 0
	c.groups[first].previous = at
	c.groups[0].next = at
}

func (c *cache) unlink(at int32) {
	g := &c.groups[at]
	c.groups[g.previous].next = g.next
	c.groups[g.next].previous = g.previous
}
