package lab

import (
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

const threeWays = matrix + `
[dht]
nodes = 20
routers = 2
[[system]]
name = "tracker"
kind = "swarm"
[[system]]
name = "DHT"
kind = "swarm"
tracker = false
dht = true
[[system]]
name = "web seed, DHT and peers"
kind = "hybrid"
tracker = false
dht = true
pex = true
`

// TestEachSystemHasItsWayOfFindingPeers runs three that differ in nothing else.
func TestEachSystemHasItsWayOfFindingPeers(t *testing.T) {
	run := mustRun(t, parse(t, small+threeWays), Options{Workers: 2})
	found := make([]result.Discovery, len(run.Systems))
	for i := range run.Systems {
		system := &run.Systems[i]
		if !system.Completed {
			t.Errorf("%s ended at %v because %s", system.Name, system.End, system.Reason)
		}
		for j := range system.Peers {
			p := &system.Peers[j]
			found[i].FromTracker += p.Discovery.FromTracker
			found[i].FromDHT += p.Discovery.FromDHT
			found[i].FromPEX += p.Discovery.FromPEX
			found[i].DHTUp += p.Discovery.DHTUp
			if !p.Server && p.Discovery.FirstPeer <= p.Join {
				t.Errorf("%s: peer %d found its first peer at %v", system.Name, j, p.Discovery.FirstPeer)
			}
		}
	}
	for i, want := range []struct{ tracker, dht, pex bool }{{tracker: true}, {dht: true}, {dht: true, pex: true}} {
		f := found[i]
		if f.FromTracker > 0 != want.tracker || f.FromDHT > 0 != want.dht || f.DHTUp > 0 != want.dht || f.FromPEX > 0 != want.pex {
			t.Errorf("%s: found by %+v", run.Systems[i].Name, f)
		}
	}
}
