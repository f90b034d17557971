package sim

import "time"

// cut is a partition of the network, for a time.
type cut struct {
	from, to time.Duration
	inside   []bool // by host, up to the last that is
}

func (c *cut) has(id ID) bool { return int(id) < len(c.inside) && c.inside[id] }

// addCut adds a partition. It is called before the kernels run.
func (w *world) addCut(f *Fault, peers []*peer) {
	c := cut{from: f.At, to: f.until(), inside: make([]bool, len(w.hosts))}
	for _, peer := range f.Peers {
		c.inside[peers[peer].id] = true
	}
	w.cuts = append(w.cuts, c)
}

// whole is when what goes from one host to another can pass, from now on: now, unless a
// partition lies between them; never, if it stays.
func (w *world) whole(a, b ID, now time.Duration) time.Duration {
	at := now
	for again := true; again; {
		again = false
		for i := range w.cuts {
			if c := &w.cuts[i]; c.from <= at && at < c.to && c.has(a) != c.has(b) {
				at, again = c.to, c.to < never
			}
		}
	}
	return at
}

// held keeps what cannot pass until it can, and reports whether it did. It is asked where something
// leaves the network: before the downlink of the receiver.
func (k *Kernel) held(h *host, ev *Event) bool {
	if len(k.cuts) == 0 || ev.Kind != kindArrive && ev.Kind != KindMessage && ev.Kind != kindAck {
		return false
	}
	f := h.flow(ev.Flow)
	if f == nil {
		return false
	}
	at := k.whole(f.dst, h.id, k.now)
	if at == k.now {
		return false
	}
	if ev.Kind == KindMessage {
		k.hearFrom(h, f) // broadcasts that come behind it are held as well
	}
	switch {
	case at < never:
		k.push(h, at, *ev, k.payloadOf(ev))
	case ev.Kind == kindArrive:
		ev.Kind = KindLost
		h.entity.Handle(k.now, *ev)
	}
	return true
}
