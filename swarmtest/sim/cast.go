package sim

import (
	"slices"
	"time"
)

// A broadcast is one event for all its receivers that have one latency and are
// simulated by one kernel, not one for each: most events of a large swarm would
// be haves otherwise. Its messages leave the uplink together.

// class is a kind of receivers of a host's broadcasts, and how many there are.
type class struct {
	latency time.Duration
	shard   int
	count   int
}

// listener is a receiver of a host's broadcasts.
type listener struct {
	host    *host
	flow    *flow  // its end
	latency uint32 // in microseconds
	number  uint32 // of flow
}

func (k *Kernel) classOf(f *flow) class { return class{latency: f.latency, shard: k.shardOf(f.dst)} }

func (h *host) findClass(c class) int {
	return slices.IndexFunc(h.classes, func(d class) bool { return c.latency == d.latency && c.shard == d.shard })
}

func (h *host) addClass(c class) {
	i := h.findClass(c)
	if i < 0 {
		i = len(h.classes)
		h.classes = append(h.classes, c)
	}
	h.classes[i].count++
}

func (h *host) dropClass(c class) {
	i := h.findClass(c)
	if h.classes[i].count--; h.classes[i].count == 0 {
		h.classes = slices.Delete(h.classes, i, i+1)
	}
}

// broadcast sends a message on every flow of a host. Latencies must be whole
// microseconds and less than an hour.
func (k *Kernel) broadcast(h *host, m message) {
	if len(h.open) == 0 {
		return
	}
	through := k.charge(h, m.len*len(h.open))
	for _, c := range h.classes {
		ev := Event{To: h.id, Kind: kindCast, Sub: m.sub, size: uint16(m.len), A: m.a, B: uint32(c.latency / time.Microsecond)}
		k.stamp(h, through+c.latency, &ev)
		k.route(c.shard, ev, nil)
	}
}

// hearFrom is listen, if it was not called yet.
func (k *Kernel) hearFrom(h *host, f *flow) {
	if !f.heard && !f.quiet {
		f.heard = true
		k.listen(h, f)
	}
}

// listen makes h hear the broadcasts of the other end of f. It does from the other's
// first message on: what was broadcast before the other end came up is in that message.
func (k *Kernel) listen(h *host, f *flow) {
	for len(k.listeners) <= int(f.dst) {
		k.listeners = append(k.listeners, nil)
	}
	k.listeners[f.dst] = append(k.listeners[f.dst], listener{
		host: h, flow: f, latency: uint32(f.latency / time.Microsecond), number: f.number,
	})
}

func (k *Kernel) unlisten(f *flow) {
	all := k.listeners[f.dst]
	i := slices.IndexFunc(all, func(l listener) bool { return l.flow == f })
	if k.casting == f.dst {
		all[i].host = nil // deliverCast, which is on its way along the list, removes it
		return
	}
	k.listeners[f.dst] = slices.Delete(all, i, i+1)
}

// deliverCast hands a broadcast to its receivers, as a message. They may close
// flows while it goes round.
func (k *Kernel) deliverCast(cast *Event) {
	if int(cast.To) >= len(k.listeners) {
		return
	}
	k.casting = cast.To
	all, gone := k.listeners[cast.To], false
	for i := range all {
		l := &all[i]
		if i%touchAhead == 0 {
			k.touchListeners(all[i:min(i+touchAhead, len(all))], cast)
		}
		if l.host != nil && l.latency == cast.B {
			k.hear(l, cast)
		}
		gone = gone || l.host == nil
	}
	k.casting = nobody
	if gone {
		k.listeners[cast.To] = slices.DeleteFunc(all, func(l listener) bool { return l.host == nil })
	}
}

// hear hands a broadcast to one receiver.
func (k *Kernel) hear(l *listener, cast *Event) {
	h, f := l.host, l.flow
	ev := Event{
		at: cast.at, order: cast.order, To: h.id, Flow: l.number,
		Kind: KindMessage, Sub: cast.Sub, size: cast.size, A: cast.A,
	}
	k.begin(h, &ev)
	if !k.held(h, &ev) {
		k.handMessage(h, f, &ev)
	}
}
