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
// its own address only once others have told it. It does not enforce BEP 42.
func honest(int) Spec { return Spec{} }

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
			searches = append(searches, n.Any().Search(node.Request{Method: krpc.GetPeers, Target: hash, Store: true, Port: peerPort}, nil))
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

// tables are the figures of the routing tables of a network.
func tables(n *Network) (mean, least, leastDepth int) {
	least, leastDepth = 1<<30, 1<<30
	for _, h := range n.hosts {
		num4, _ := h.Node().NumNodes()
		mean += num4
		least, leastDepth = min(least, num4), min(leastDepth, h.Depth())
	}
	return mean / len(n.hosts), least, leastDepth
}

// measure is the run that the bars of lookups are about. Everybody joins through
// the routers; after 500 virtual seconds, peers announce themselves for a
// minute; then a fifth of all nodes fall silent at once, holders of those
// announces among them, before any table can notice; and in the minute after
// that others search.
func measure(t testing.TB, seed uint64, numNodes, numSearches int) Summary {
	before := heapBytes()
	n := grown(t, seed, numNodes)
	bytes := (heapBytes() - before) / int64(numNodes)
	entries, least, depth := tables(n)
	t.Logf("seed %d: %d nodes have %d entries, %d at least, depth %d at least; %d bytes a node with its place in the simulation", seed, numNodes, entries, least, depth, bytes)
	hashes, announces := announce(n, numSearches/5)
	t.Logf("announces: %v; stored on %.2f", Summarize(announces), Summarize(announces).Stored)
	n.SilenceSome(0.2)
	s := Summarize(search(n, hashes, numSearches))
	t.Logf("searches: %v", s)
	t.Logf("%d events, hash %x", n.kernel.Events(), n.kernel.Hash())
	return s
}

func heapBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found dead is swept now
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// bars are the figures that lookups must keep.
type bars struct {
	firstP50, firstP99, convergedP50 time.Duration
	learned, answered                float64
}

// issueBars are those of 10,000 nodes.
var issueBars = bars{120 * time.Millisecond, 250 * time.Millisecond, 550 * time.Millisecond, 0.999, 0.99}

func (want bars) check(t testing.TB, got Summary) {
	t.Helper()
	if got.FirstP50 > want.firstP50 || got.FirstP99 > want.firstP99 {
		t.Errorf("first peers after %v and %v, at most %v and %v wanted", got.FirstP50, got.FirstP99, want.firstP50, want.firstP99)
	}
	if got.ConvergedP50 > want.convergedP50 {
		t.Errorf("converged after %v, at most %v wanted", got.ConvergedP50, want.convergedP50)
	}
	if got.Learned < want.learned || got.Answered < want.answered {
		t.Errorf("of the closest eight %.2f %% learned and %.2f %% answered, %.2f and %.2f wanted",
			100*got.Learned, 100*got.Answered, 100*want.learned, 100*want.answered)
	}
}

// TestLookups is a small network; its bars are not those of a large one.
func TestLookups(t *testing.T) {
	s := measure(t, 1, 300, 200)
	bars{100 * time.Millisecond, 200 * time.Millisecond, 450 * time.Millisecond, 0.99, 0.985}.check(t, s)
	if s.Found != s.Searches {
		t.Errorf("%d of %d searches found the peer", s.Found, s.Searches)
	}
	if s.QueriesMost > 100 {
		t.Errorf("%d queries in one lookup", s.QueriesMost)
	}
}

// The same seed gives the same events, another seed others.
func TestSameSeedSameEvents(t *testing.T) {
	run := func(seed uint64) [32]byte {
		n := New(sim.New(seed), Internet(seed))
		if err := n.Grow(50, 20*time.Second, honest); err != nil {
			t.Fatal(err)
		}
		n.Run(40 * time.Second)
		hashes, _ := announce(n, 5)
		n.SilenceSome(0.2)
		search(n, hashes, 10)
		return n.kernel.Hash()
	}
	first := run(1)
	if first != run(1) {
		t.Error("two runs of one seed differ")
	}
	if first == run(2) {
		t.Error("the seed makes no difference")
	}
}

func BenchmarkLookups1000(b *testing.B)   { benchmarkLookups(b, 1000, issueBars, 1, 2, 3) }
func BenchmarkLookups10000(b *testing.B)  { benchmarkLookups(b, 10_000, issueBars, 1) }
func BenchmarkLookups100000(b *testing.B) { benchmarkLookups(b, 100_000, deepBars, 1) }

// BenchmarkLookups10000Seeds shows that one seed was not luck.
func BenchmarkLookups10000Seeds(b *testing.B) { benchmarkLookups(b, 10_000, issueBars, 2, 3) }

// deepBars are arbitrary: lookups among 100,000 take a hop more.
var deepBars = bars{200 * time.Millisecond, 400 * time.Millisecond, 700 * time.Millisecond, 0.99, 0.98}

func benchmarkLookups(b *testing.B, numNodes int, want bars, seeds ...uint64) {
	for b.Loop() {
		for _, seed := range seeds {
			s := measure(b, seed, numNodes, 1000)
			want.check(b, s)
			report(b, s)
		}
	}
}

// report gives the figures of the last seed to the benchmark.
func report(b *testing.B, s Summary) {
	b.ReportMetric(float64(s.FirstP50.Milliseconds()), "first-p50-ms")
	b.ReportMetric(float64(s.FirstP99.Milliseconds()), "first-p99-ms")
	b.ReportMetric(float64(s.ConvergedP50.Milliseconds()), "converged-p50-ms")
	b.ReportMetric(float64(s.ConvergedP99.Milliseconds()), "converged-p99-ms")
	b.ReportMetric(100*s.Learned, "%learned")
	b.ReportMetric(100*s.Answered, "%answered")
	b.ReportMetric(float64(s.QueriesP50), "queries-p50")
	b.ReportMetric(float64(s.QueriesP99), "queries-p99")
}

// testDepth is the bar of routing tables: how deep they go and how many nodes
// everybody knows after 500 virtual seconds.
func testDepth(t testing.TB, numNodes, leastNodes, leastDepth int) {
	n := grown(t, 1, numNodes)
	entries, least, depth := tables(n)
	t.Logf("%d nodes have %d entries, %d at least, depth %d at least", numNodes, entries, least, depth)
	if least < leastNodes || depth < leastDepth {
		t.Errorf("a node knows %d others, at least %d wanted; depth %d, at least %d wanted", least, leastNodes, depth, leastDepth)
	}
	idle(t, n)
}

// idle measures what nodes send while nobody asks for anything: the upkeep of
// their tables.
func idle(t testing.TB, n *Network) {
	const span = 15 * time.Minute
	n.RunFor(10 * time.Minute) // what was learned while joining is questionable by then
	before := sent(n)
	n.RunFor(span)
	perSecond := float64(sent(n)-before) / span.Seconds() / float64(len(n.hosts))
	t.Logf("idle: %.0f bytes/s sent by each node, headers included", perSecond)
	if perSecond > 500 {
		t.Errorf("an idle node sends %.0f bytes/s", perSecond)
	}
}

func sent(n *Network) (bytes int64) {
	for _, h := range n.hosts {
		bytes += n.kernel.Traffic(h.id).MessagesUp
	}
	return bytes
}

func TestDepth(t *testing.T) { testDepth(t, 150, 50, 5) }

func BenchmarkDepth3000(b *testing.B) {
	for b.Loop() {
		testDepth(b, 3000, 50, 8)
	}
}
