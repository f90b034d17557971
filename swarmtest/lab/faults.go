package lab

import (
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// faultKinds are those of swarms.
var faultKinds = map[string]sim.FaultKind{
	scenario.Crash: sim.Crash, scenario.TrackerDown: sim.TrackerDown, scenario.Partition: sim.Partition,
	scenario.WebSeedDown: sim.WebSeedDown, scenario.WebSeedBusy: sim.WebSeedBusy, scenario.WebSeedLies: sim.WebSeedLies,
}

// swarmFaults are the faults of a swarm. Those that strike nobody, or a server that it has not, are left out.
func (r *run) swarmFaults(sys *scenario.System) (faults []sim.Fault) {
	for i := range r.s.Faults {
		kind, ok := faultKinds[r.s.Faults[i].Kind]
		f := r.swarmFault(sys, kind, i)
		if ok && (kind == sim.TrackerDown || len(f.Peers)+len(f.Servers) > 0) {
			faults = append(faults, f)
		}
	}
	return faults
}

// swarmFault is a fault as sim has it.
func (r *run) swarmFault(sys *scenario.System, kind sim.FaultKind, fault int) sim.Fault {
	f := &r.s.Faults[fault]
	out := sim.Fault{Kind: kind, At: f.At, For: never(f.For), Peers: r.struck(fault), RetryAfter: f.RetryAfter}
	if kind >= sim.WebSeedDown && f.Server < sys.NumWebSeeds() {
		out.Servers = []int{f.Server}
	}
	return out
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

// longestFault is how long a swarm may have to wait for the end of a fault, and until web seeds are asked again
// after it.
func (r *run) longestFault() (longest time.Duration) {
	for i := range r.s.Faults {
		f := &r.s.Faults[i]
		kind, ofSwarm := faultKinds[f.Kind]
		if !ofSwarm || f.For == scenario.Forever {
			continue
		}
		wait := f.For
		if kind >= sim.WebSeedDown {
			wait += 2 * engine.WebSeedRetryLast // more than any pause
		}
		longest = max(longest, wait)
	}
	return longest
}
