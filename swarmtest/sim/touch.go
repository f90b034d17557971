package sim

// The state of a large swarm does not fit into the processor's caches: the
// first look at a host, at its engine and at a flow is a wait for memory each,
// and these waits are most of what an event costs. But waits for what does not
// depend on each other run at the same time. So the kernel looks at the hosts
// of the next few events, then at what these point to, before it handles the
// first of them.

// touchAhead is the number of events that are looked at together: about as many
// waits as a processor core can have at a time.
const touchAhead = 16

// touchDepth is how many times an entity is asked to look: at what it holds
// itself, at what that points to, and at what this points to.
const touchDepth = 3

// toucher is an entity that can look at what an event will need. f is the flow
// that the event has to do with, nil for none. It returns something of what it saw,
// so that the look is not in vain for the compiler.
type toucher interface {
	touch(ev *Event, f *flow, depth int) uint64
}

// touchEvents looks at what the next events will need.
func (k *Kernel) touchEvents(events []Event) {
	var hosts [touchAhead]*host
	var flows [touchAhead]*flow
	for i := range events {
		if ev := &events[i]; ev.Kind != kindCast { // they have touchListeners
			hosts[i] = k.hosts[ev.To]
		}
	}
	for _, h := range hosts {
		if h != nil {
			k.touched += uint64(h.digest) + uint64(h.up.lane) + uint64(len(h.flows))
		}
	}
	for i, h := range hosts {
		if h != nil {
			flows[i] = h.flow(events[i].Flow)
		}
	}
	for depth := range touchDepth {
		for i, h := range hosts {
			if h != nil {
				k.touch(h, &events[i], flows[i], depth)
			}
		}
	}
}

// touchListeners looks at what the receivers of a broadcast will need.
func (k *Kernel) touchListeners(all []listener, cast *Event) {
	for depth := range touchDepth {
		for i := range all {
			if l := &all[i]; l.host != nil {
				k.touch(l.host, cast, l.flow, depth)
			}
		}
	}
}

func (k *Kernel) touch(h *host, ev *Event, f *flow, depth int) {
	if depth == 0 {
		k.touched += uint64(h.digest) + uint64(h.down.free)
		if f != nil {
			k.touched += uint64(f.state)
		}
	}
	if t, ok := h.entity.(toucher); ok {
		k.touched += t.touch(ev, f, depth)
	}
}
