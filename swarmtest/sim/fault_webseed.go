package sim

import "time"

// busyHeadLen is the length in bytes of an answer that says only that the server is busy.
const busyHeadLen = 250

// fault is the fault of a kind that the server has now, or nil. It never changes what it is for a time, so peers may
// ask it, wherever they are simulated.
func (s *webServer) fault(kind FaultKind, now time.Duration) *Fault {
	for _, f := range s.faults {
		if f.Kind == kind && f.lasts(now) {
			return f
		}
	}
	return nil
}

// addFault gives the server a fault.
func (s *webServer) addFault(f *Fault) {
	s.faults = append(s.faults, f)
	if f.Kind == WebSeedDown {
		s.kernel.At(f.At, Event{To: s.id, Kind: eventCrash})
	}
}

// refuse answers a dial as a machine does on which no server runs.
func (s *webServer) refuse(now time.Duration, ev Event) {
	dialler := ev.from()
	s.kernel.At(now+s.swarm.latency(s.id, dialler), Event{To: dialler, Kind: eventDialFailed, Flow: ev.A})
}

// closeAll ends all connections, in the middle of what was being sent.
func (s *webServer) closeAll(now time.Duration) {
	for _, f := range s.flows {
		if f != nil {
			s.kernel.At(now+f.latency, Event{To: f.dst, Kind: eventClosed, Flow: f.remote})
			s.kernel.closeFlow(&s.host, f)
		}
	}
}

// sayBusy answers a request with 503 and Retry-After.
func (s *webServer) sayBusy(f *flow, busy *Fault) {
	s.kernel.sendMessage(&s.host, f, message{len: busyHeadLen, a: uint32(busy.RetryAfter / time.Second)})
}

// webSeedBannedBy counts the peers that ask a web seed no more.
func (w *swarm) webSeedBannedBy(s *webServer) (n int) {
	for _, p := range w.peers {
		for _, use := range p.webSeeds {
			if use.server == s && use.banned {
				n++
			}
		}
	}
	return n
}
