package dhtnet

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

const peerPort = 6881

// hunt has an honest host announce each target, and then an honest host look
// for each. It returns the searches, and how many found the announcer.
func hunt(n *Network, targets []krpc.ID) (searches []*Search, found int) {
	announcers := make([]netip.AddrPort, len(targets))
	for i, target := range targets {
		n.At(n.kernel.Now()+time.Second*time.Duration(i)/4, func() {
			h := n.Any()
			announcers[i] = netip.AddrPortFrom(h.addr.Addr(), peerPort)
			h.Search(node.Request{Method: krpc.GetPeers, Target: target, Store: true, Port: peerPort}, nil)
		})
	}
	n.RunFor(time.Second*time.Duration(len(targets))/4 + 20*time.Second)
	for i, target := range targets {
		n.At(n.kernel.Now()+time.Second*time.Duration(i)/4, func() {
			searches = append(searches, n.Any().Search(node.Request{Method: krpc.GetPeers, Target: target}, nil))
		})
	}
	n.RunFor(time.Second*time.Duration(len(targets))/4 + 20*time.Second)
	for i, s := range searches {
		if slices.Contains(s.Peers, announcers[i]) {
			found++
		}
	}
	return searches, found
}

func randomTargets(n *Network, count int) (targets []krpc.ID) {
	for range count {
		targets = append(targets, n.RandomID())
	}
	return targets
}

// infiltrated returns a network of which one in five hosts is a sybil, and
// whose honest hosts enforce BEP 42 or not.
func infiltrated(t testing.TB, seed uint64, numNodes int, sybils *Sybils, enforce bool) *Network {
	t.Helper()
	n := New(sim.New(seed), Internet(seed))
	err := n.Grow(numNodes, 200*time.Second, func(i int) Spec {
		spec := Spec{Node: node.Config{EnforceIDs: enforce}}
		if i%5 == 4 {
			spec.Liar = sybils
		}
		return spec
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range n.hosts {
		if !h.Honest() {
			sybils.Recruit(h)
		}
	}
	n.Run(300 * time.Second)
	return n
}

// sybilRuns are the ways of a fifth of the network to lie, and the least share
// of searches that must find the peer.
var sybilRuns = []struct {
	name    string
	sybils  Sybils
	enforce bool
	least   float64
}{
	{"under their own ids", Sybils{}, true, 0.99},
	{"under their own ids, BEP 42 not enforced", Sybils{}, false, 0.99},
	{"next to the target", Sybils{Near: true}, true, 0.99},
	{"next to the target, BEP 42 not enforced", Sybils{Near: true}, false, 0.5},
	{"next to the target, with false peers", Sybils{Near: true, Peer: netip.MustParseAddrPort("66.6.6.6:666")}, true, 0.99},
	{"next to the target, with false peers, BEP 42 not enforced", Sybils{Near: true, Peer: netip.MustParseAddrPort("66.6.6.6:666")}, false, 0.5},
}

func testSybils(t testing.TB, numNodes, numTargets int) {
	for _, run := range sybilRuns {
		sybils := run.sybils
		n := infiltrated(t, 1, numNodes, &sybils, run.enforce)
		searches, found := hunt(n, randomTargets(n, numTargets))
		t.Logf("20 %% sybils %s: %.1f %% of searches found the peer; %v", run.name, 100*float64(found)/float64(numTargets), Summarize(searches))
		if float64(found) < run.least*float64(numTargets) {
			t.Errorf("20 %% sybils %s: %d of %d searches found the peer", run.name, found, numTargets)
		}
	}
}

func TestSybils(t *testing.T) { testSybils(t, 200, 40) }

func BenchmarkSybils(b *testing.B) {
	for b.Loop() {
		testSybils(b, 2000, 300)
	}
}

