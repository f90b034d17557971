package piecestore

import (
	"os"
	"sync"
)

// DefaultOpenFiles is how many files are kept open if nothing else is said:
// enough for the torrents at work at one time, and a small part of the 1,024
// descriptors that many systems give to a process, most of which its
// connections need. Other clients were seen to keep 5,194 files open.
const DefaultOpenFiles = 128

// Handles keeps files open that are in use or were used last, for all the
// stores that share it. While more files are in use at one instant than it may
// keep, there is one descriptor for each of them: the bound is then the number
// of callers.
type Handles struct {
	limit int

	mu   sync.Mutex
	open map[handleKey]*handle
	lru  handle // the root of the ring: next is the one used last
}

type handleKey struct {
	store     *Files
	fileIndex int
}

// handle is one open file. Its fields belong to Handles.mu, but for file and
// err, which once sets.
type handle struct {
	key        handleKey
	write      bool
	users      int
	detached   bool // no longer in Handles: the last user closes it
	prev, next *handle

	once sync.Once
	file *os.File
	err  error

	// writing lets one worker write at a time. The kernel would do so too, but
	// by having the others spin for the lock of the inode.
	writing sync.Mutex
}

// NewHandles returns a set of handles that keeps at most limit files open
// (zero: DefaultOpenFiles).
func NewHandles(limit int) *Handles {
	if limit <= 0 {
		limit = DefaultOpenFiles
	}
	hs := &Handles{limit: limit, open: make(map[handleKey]*handle)}
	hs.lru.prev, hs.lru.next = &hs.lru, &hs.lru
	return hs
}

// acquire returns the open file of key, for writing too if write. The caller
// must release it. The file is opened outside of the lock, once for all that
// wait for it.
func (hs *Handles) acquire(key handleKey, write bool) (*handle, error) {
	h, idle := hs.use(key, write)
	closeAll(idle)
	h.once.Do(func() { h.file, h.err = key.store.open(key.fileIndex, write) })
	if h.err != nil {
		hs.discard(h)
		return nil, h.err
	}
	return h, nil
}

// use finds or makes the handle of key and counts the caller as a user. It
// returns the handles that fell out for it, which the caller closes.
func (hs *Handles) use(key handleKey, write bool) (h *handle, idle []*handle) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h = hs.open[key]
	if h != nil && write && !h.write {
		if hs.detach(h); h.users == 0 {
			idle = append(idle, h)
		}
		h = nil
	}
	if h == nil {
		h = &handle{key: key, write: write}
		hs.open[key] = h
	} else {
		h.unlink()
	}
	h.users++
	h.link(&hs.lru)
	return h, hs.evict(idle)
}

// evict takes out the handles longest unused until the limit holds.
func (hs *Handles) evict(idle []*handle) []*handle {
	for h := hs.lru.prev; h != &hs.lru && len(hs.open) > hs.limit; {
		prev := h.prev
		if h.users == 0 {
			hs.detach(h)
			idle = append(idle, h)
		}
		h = prev
	}
	return idle
}

// release ends a use.
func (hs *Handles) release(h *handle) {
	hs.mu.Lock()
	h.users--
	last := h.users == 0 && h.detached
	hs.mu.Unlock()
	if last {
		h.close()
	}
}

// discard ends the use of a handle that could not be opened, so that the next
// caller tries again.
func (hs *Handles) discard(h *handle) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.users--
	hs.detach(h)
}

// closeStore closes all files of a store; those in use, when their use ends.
func (hs *Handles) closeStore(store *Files) {
	var idle []*handle
	hs.mu.Lock()
	for key, h := range hs.open {
		if key.store == store {
			if hs.detach(h); h.users == 0 {
				idle = append(idle, h)
			}
		}
	}
	hs.mu.Unlock()
	closeAll(idle)
}

// detach takes h out, if it is in.
func (hs *Handles) detach(h *handle) {
	if !h.detached {
		h.detached = true
		delete(hs.open, h.key)
		h.unlink()
	}
}

func (h *handle) link(root *handle) {
	h.prev, h.next = root, root.next
	h.prev.next, h.next.prev = h, h
}

func (h *handle) unlink() {
	h.prev.next, h.next.prev = h.next, h.prev
	h.prev, h.next = nil, nil
}

func closeAll(hs []*handle) {
	for _, h := range hs {
		h.close()
	}
}

// close closes the file. An error of it is of no use to anybody: what was
// written is only known to be safe after Sync.
func (h *handle) close() {
	if h.file != nil {
		h.file.Close()
	}
}
