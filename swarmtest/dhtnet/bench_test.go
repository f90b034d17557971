package dhtnet

import (
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// honest is a host as the client runs it: one that knows the routers alone, and
// its own address only once others have told it.
func honest(int) Spec { return Spec{Node: node.Config{EnforceIDs: true}} }

// grown returns a network that numNodes joined one after the other, after 500
// virtual seconds.
func grown(t testing.TB, seed uint64, numNodes int) *Network {
	t.Helper()
	n := New(sim.New(seed), Internet(seed))
	if err := n.Grow(numNodes, 300*time.Second, honest); err != nil {
		t.Fatal(err)
	}
	n.Run(500 * time.Second)
	return n
}

// announce has a peer for each of numTorrents announce itself, over a minute.
func announce(n *Network, numTorrents int) (hashes []krpc.ID, searches []*Search) {
	for i := range numTorrents {
		hash := n.RandomID()
		hashes = append(hashes, hash)
		n.At(n.kernel.Now()+time.Minute*time.Duration(i)/time.Duration(numTorrents), func() {
			searches = append(searches, n.Any().Search(node.Request{Method: krpc.GetPeers, Target: hash, Store: true, Port: 6881}, nil))
		})
	}
	n.RunFor(80 * time.Second)
	return hashes, searches
}

// search has random hosts look for the torrents, over a minute.
func search(n *Network, hashes []krpc.ID, numSearches int) (searches []*Search) {
	for i := range numSearches {
		n.At(n.kernel.Now()+time.Minute*time.Duration(i)/time.Duration(numSearches), func() {
			searches = append(searches, n.Any().Search(node.Request{Method: krpc.GetPeers, Target: hashes[i%len(hashes)]}, nil))
		})
	}
	n.RunFor(80 * time.Second)
	return searches
}

func measured(t testing.TB, seed uint64, numNodes, numSearches int) Summary {
	begin := time.Now()
	before := heapBytes()
	n := grown(t, seed, numNodes)
	t.Logf("seed %d, %d nodes: joined after %v of real time, %d events, %d bytes a node", seed, numNodes, time.Since(begin).Round(time.Millisecond), n.kernel.Events(), (heapBytes()-before)/int64(numNodes))
	entries, worst, depth := 0, 1<<30, 1<<30
	for _, h := range n.hosts {
		num4, _ := h.node.NumNodes()
		entries += num4
		worst = min(worst, num4)
		depth = min(depth, h.Depth())
	}
	t.Logf("%d entries a node, least %d, least depth %d", entries/numNodes, worst, depth)
	hashes, announces := announce(n, numSearches/5)
	t.Logf("announces: %v; stored %.2f", Summarize(announces), Summarize(announces).Stored)
	n.SilenceSome(0.2)
	s := Summarize(search(n, hashes, numSearches))
	t.Logf("searches: %v", s)
	t.Logf("%v of real time, %d events, hash %x", time.Since(begin).Round(time.Millisecond), n.kernel.Events(), n.kernel.Hash())
	return s
}

func heapBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found dead is swept now
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func BenchmarkLookups1000(b *testing.B)  { benchmarkLookups(b, 1000) }
func BenchmarkLookups10000(b *testing.B) { benchmarkLookups(b, 10_000) }
func BenchmarkLookups3000(b *testing.B)  { benchmarkLookups(b, 3000) }

func benchmarkLookups(b *testing.B, numNodes int) {
	for b.Loop() {
		measured(b, 1, numNodes, 1000)
	}
}
