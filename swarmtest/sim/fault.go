package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
)

// FaultKind says what goes wrong.
type FaultKind uint8

// The kinds of faults.
const (
	// Crash: the machines of Peers vanish without closing anything, so their neighbours
	// notice by their own time-outs. They come back with the pieces that they had verified; what
	// then still comes on the connections of before is answered by a reset.
	Crash FaultKind = iota + 1
	// TrackerDown: every announce fails, and is tried again by the rules of
	// tracker/announce.
	TrackerDown
	// Partition: nothing passes between Peers and all others. Dials fail. TCP sends again what it
	// had under way, so that arrives when the network is whole again, at those connections
	// that have not timed out. The tracker is reached by both sides.
	Partition
	// WebSeedDown: Servers run no more, and break off what they were sending. Dials are refused.
	WebSeedDown
	// WebSeedBusy: every request to Servers is answered with 503 and RetryAfter.
	WebSeedBusy
	// WebSeedLies: what arrives from Servers is false, and pieces with it do not match.
	WebSeedLies
)

// Fault is something that goes wrong for a time.
type Fault struct {
	Kind FaultKind
	// At is when it begins, For how long it lasts, 0 for ever.
	At, For time.Duration
	// Peers are positions in Swarm.Peers, Servers in Swarm.WebSeeds.
	Peers, Servers []int
	// RetryAfter is how long a busy web seed asks to be left alone, in whole seconds; 0 does not say.
	RetryAfter time.Duration
}

// maxFaults bounds Swarm.Faults: each partition is looked at for each message.
const maxFaults = 1000

// until is when the fault is over.
func (f *Fault) until() time.Duration {
	if f.For == 0 {
		return never
	}
	return f.At + f.For
}

// lasts reports whether the fault is there at a time.
func (f *Fault) lasts(now time.Duration) bool { return f.At <= now && now < f.until() }

func (s *Swarm) validateFaults() error {
	if len(s.Faults) > maxFaults {
		return fmt.Errorf("swarm: %d faults, at most %d are allowed", len(s.Faults), maxFaults)
	}
	for i := range s.Faults {
		if err := s.Faults[i].validate(len(s.Peers), len(s.WebSeeds)); err != nil {
			return fmt.Errorf("swarm: fault %d: %w", i, err)
		}
	}
	return nil
}

func (f *Fault) validate(numPeers, numServers int) error {
	switch {
	case f.Kind < Crash || f.Kind > WebSeedLies:
		return fmt.Errorf("there is no kind %d", f.Kind)
	case f.At < 0 || f.For < 0 || f.At > never-f.For:
		return errors.New("it begins before the run, or ends before it begins")
	case (f.Kind == Crash || f.Kind == Partition) != (len(f.Peers) > 0):
		return errors.New("a crash and a partition need peers, and others have none")
	case (f.Kind >= WebSeedDown) != (len(f.Servers) > 0):
		return errors.New("a fault of web seeds needs servers, and others have none")
	case f.RetryAfter < 0 || f.RetryAfter > engine.WebSeedRetryLast || f.RetryAfter > 0 && f.Kind != WebSeedBusy:
		return fmt.Errorf("busy web seeds can ask to be left alone for up to %v, and others cannot", engine.WebSeedRetryLast)
	}
	for _, server := range f.Servers {
		if server < 0 || server >= numServers {
			return fmt.Errorf("there is no web seed %d", server)
		}
	}
	for _, peer := range f.Peers {
		if peer < 0 || peer >= numPeers {
			return fmt.Errorf("there is no peer %d", peer)
		}
	}
	return nil
}

// addFaults puts the faults on the schedule. Partitions and the tracker's need no event: they are
// looked up by the time, which all kernels can do at once.
func (w *swarm) addFaults() {
	for i := range w.cfg.Faults {
		switch f := &w.cfg.Faults[i]; f.Kind {
		case Crash:
			for _, peer := range f.Peers {
				for _, p := range w.peers[peer].torrents() {
					p.at(f.At, Event{Kind: eventCrash, A: uint32(i)})
				}
			}
		case Partition:
			w.world().addCut(f, w.peers)
		case WebSeedDown, WebSeedBusy, WebSeedLies:
			for _, server := range f.Servers {
				w.servers[server].addFault(f)
			}
		}
	}
}

// trackerDown reports whether a fault has the tracker.
func (w *swarm) trackerDown(now time.Duration) bool {
	for i := range w.cfg.Faults {
		if f := &w.cfg.Faults[i]; f.Kind == TrackerDown && f.lasts(now) {
			return true
		}
	}
	return false
}
