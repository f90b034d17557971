package lab

import (
	"time"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// faultKinds are those of swarms.
var faultKinds = map[string]sim.FaultKind{
	scenario.Crash: sim.Crash, scenario.TrackerDown: sim.TrackerDown, scenario.Partition: sim.Partition,
}

// swarmFaults are the faults of a swarm. Those that strike nobody are left out.
func (r *run) swarmFaults() (faults []sim.Fault) {
	for i := range r.s.Faults {
		f := &r.s.Faults[i]
		kind, ok := faultKinds[f.Kind]
		struck := r.struck(i)
		if ok && (kind == sim.TrackerDown || len(struck) > 0) {
			faults = append(faults, sim.Fault{Kind: kind, At: f.At, For: never(f.For), Peers: struck})
		}
	}
	return faults
}

// struck are the peers that a fault strikes: the origin's seeds come first, then the clients.
func (r *run) struck(fault int) (peers []int) {
	if kind := r.s.Faults[fault].Kind; kind != scenario.Crash && kind != scenario.Partition {
		return nil
	}
	if demand.StrikesOrigin(r.s, fault) {
		for i := range r.numSeeds {
			peers = append(peers, i)
		}
	}
	for _, client := range demand.Struck(r.s, r.seed, fault, r.clients) {
		peers = append(peers, r.numSeeds+client)
	}
	return peers
}

// longestFault is how long a swarm may have to wait for the end of a fault.
func (r *run) longestFault() (longest time.Duration) {
	for i := range r.s.Faults {
		f := &r.s.Faults[i]
		if _, ofSwarm := faultKinds[f.Kind]; ofSwarm && f.For != scenario.Forever {
			longest = max(longest, f.For)
		}
	}
	return longest
}
