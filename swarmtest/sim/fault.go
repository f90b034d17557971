package sim

import (
	"errors"
	"fmt"
	"time"
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
)

// Fault is something that goes wrong for a time.
type Fault struct {
	Kind FaultKind
	// At is when it begins, For how long it lasts, 0 for ever.
	At, For time.Duration
	// Peers are positions in Swarm.Peers.
	Peers []int
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
		if err := s.Faults[i].validate(len(s.Peers)); err != nil {
			return fmt.Errorf("swarm: fault %d: %w", i, err)
		}
	}
	return nil
}

func (f *Fault) validate(numPeers int) error {
	switch {
	case f.Kind < Crash || f.Kind > Partition:
		return fmt.Errorf("there is no kind %d", f.Kind)
	case f.At < 0 || f.For < 0 || f.At > never-f.For:
		return errors.New("it begins before the run, or ends before it begins")
	case (f.Kind == TrackerDown) != (len(f.Peers) == 0):
		return errors.New("a crash and a partition need peers, and a tracker has none")
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
