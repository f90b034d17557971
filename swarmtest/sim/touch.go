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

// toucher is an entity that can look at what an event will need that has to do
// with a flow, which may be nil. It returns something of it, so that the look
// is not in vain for the compiler.
type toucher interface{ touch(f *flow) uint64 }

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
	for i, h := range hosts {
		if h != nil {
			k.touch(h, flows[i])
		}
	}
}

// touchListeners looks at what the receivers of a broadcast will need.
func (k *Kernel) touchListeners(all []listener) {
	for i := range all {
		if l := &all[i]; l.host != nil {
			k.touched += uint64(l.host.digest) + uint64(l.flow.state)
		}
	}
	for i := range all {
		if l := &all[i]; l.host != nil {
			k.touch(l.host, l.flow)
		}
	}
}

func (k *Kernel) touch(h *host, f *flow) {
	if t, ok := h.entity.(toucher); ok {
		k.touched += t.touch(f)
	}
}
