package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

// trackerless is a crowd that has nothing but a DHT.
func trackerless(t testing.TB, n int) Swarm {
	s := crowd(t, n, MiB)
	s.NoTracker, s.DHT = true, &DHT{Nodes: 30, Routers: 2}
	return s
}

func TestASwarmWithoutATracker(t *testing.T) {
	r := mustComplete(t, trackerless(t, 30))
	up, down := int64(0), int64(0)
	for i, p := range r.Peers {
		if p.Found[engine.SourceTracker] != 0 || p.Found[engine.SourcePEX] != 0 || p.Found[engine.SourceDHT]+p.Found[engine.SourceIncoming] == 0 {
			t.Errorf("peer %d found %v by the sources", i, p.Found)
		}
		if p.FirstPeer <= p.Join || p.DHTUp == 0 || p.DHTDown == 0 || p.DHTUp >= p.MessagesUp || p.DHTDown >= p.MessagesDown {
			t.Errorf("peer %d: first peer at %v, %d and %d bytes in the DHT of %d and %d", i, p.FirstPeer, p.DHTUp, p.DHTDown, p.MessagesUp, p.MessagesDown)
		}
		up, down = up+p.DHTUp, down+p.DHTDown
	}
	t.Logf("completed at %v; %d bytes of the DHT for each peer", r.End, (up+down)/int64(len(r.Peers)))
}

func TestPeersTellOfPeersTheyGotFromTheDHT(t *testing.T) {
	s := trackerless(t, 30)
	s.Configure = func(_ int, cfg *engine.Config) { cfg.NoPEX = false }
	fromPEX := int32(0)
	for _, p := range mustComplete(t, s).Peers {
		fromPEX += p.Found[engine.SourcePEX]
	}
	if fromPEX == 0 {
		t.Error("peer exchange told nobody of anybody")
	}
}

func TestADHTOutlivesTheTracker(t *testing.T) {
	s := crowd(t, 20, MiB)
	s.Faults = []Fault{{Kind: TrackerDown, At: 5 * time.Second}}
	s.Patience = 20 * time.Minute
	if without := run(t, s); without.Completed {
		t.Error("everybody found a tracker that is down, or did not need it")
	}
	s.DHT = &DHT{Nodes: 20, Routers: 2}
	fromDHT := int32(0)
	for _, p := range mustComplete(t, s).Peers {
		fromDHT += p.Found[engine.SourceDHT]
	}
	if fromDHT == 0 {
		t.Error("the DHT told nobody of anybody")
	}
}

// TestRoundsGoOn has a seed that was announced long ago: nodes would have forgotten it.
func TestRoundsGoOn(t *testing.T) {
	s := pair(t)
	s.NoTracker, s.DHT = true, &DHT{Nodes: 10, Routers: 2}
	s.Peers[1].Join = 50 * time.Minute
	s.Patience = 2 * time.Hour
	if p := mustComplete(t, s).Peers[1]; p.FirstPeer-p.Join > 3*time.Second {
		t.Errorf("the first peer was there after %v", p.FirstPeer-p.Join)
	}
}

// TestTwoWhoComeAtOnce miss each other at first, and look again a minute later.
func TestTwoWhoComeAtOnce(t *testing.T) {
	s := pair(t)
	s.NoTracker, s.DHT = true, &DHT{Nodes: 10, Routers: 2}
	for i := range s.Peers {
		s.Peers[i].Join = time.Second
	}
	if p := mustComplete(t, s).Peers[1]; p.FirstPeer > 2*time.Minute {
		t.Errorf("the first peer was there at %v", p.FirstPeer)
	}
}

// TestPacketsOfTheDHTTakeTimeOnTheLink: a query has 100 bytes and more.
func TestPacketsOfTheDHTTakeTimeOnTheLink(t *testing.T) {
	wait := func(up int) time.Duration {
		s := pair(t)
		s.NoTracker, s.DHT = true, &DHT{Nodes: 10, Routers: 2}
		s.Peers[1].Join, s.Peers[1].Link.Up = time.Minute, up
		p := mustComplete(t, s).Peers[1]
		return p.FirstPeer - p.Join
	}
	if fast, slow := wait(0), wait(500); slow < fast+200*time.Millisecond {
		t.Errorf("the first peer came after %v with a fast uplink, after %v with a slow one", fast, slow)
	}
}

// ran runs a swarm and leaves it as it is.
func ran(t *testing.T, s Swarm) (*swarm, *Result) {
	t.Helper()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	return w, w.run()
}

// TestNodesBehindANAT find the others, who do not find them.
func TestNodesBehindANAT(t *testing.T) {
	s := trackerless(t, 12)
	for i := 1; i < 7; i++ {
		s.Peers[i].Unreachable = true
	}
	for i := range s.Peers {
		s.Peers[i].SeedFor = 0
	}
	w, r := ran(t, s)
	if !r.Completed {
		t.Fatalf("ended at %v because %s", r.End, r.Reason)
	}
	inTables := map[int]int{}
	for _, p := range w.peers {
		known := p.dht.node.driver.Node().AppendNodes(nil)
		for _, n := range known {
			index, _ := indexAt(n.Addr)
			inTables[index]++
		}
		if len(known) < 8 {
			t.Errorf("peer %d knows %d nodes", p.index, len(known))
		}
	}
	for i := range s.Peers {
		if (inTables[i] > 0) == s.Peers[i].Unreachable {
			t.Errorf("peer %d (unreachable: %v) is in %d tables of peers", i, s.Peers[i].Unreachable, inTables[i])
		}
	}
}

// TestNodesMeetByThePortMessage cuts all peers off from the nodes that they join by.
func TestNodesMeetByThePortMessage(t *testing.T) {
	s := crowd(t, 8, MiB)
	s.DHT = &DHT{Nodes: 10, Routers: 2}
	everybody := make([]int, len(s.Peers))
	for i := range everybody {
		everybody[i], s.Peers[i].SeedFor = i, 0
	}
	s.Faults = []Fault{{Kind: Partition, Peers: everybody}}
	w, r := ran(t, s)
	if !r.Completed {
		t.Fatalf("ended at %v because %s", r.End, r.Reason)
	}
	for _, p := range w.peers {
		known := p.dht.node.driver.Node().AppendNodes(nil)
		beyond := slices.ContainsFunc(known, func(n krpc.Node) bool { index, _ := indexAt(n.Addr); return index >= len(w.peers) })
		if len(known) == 0 || beyond {
			t.Errorf("peer %d knows the nodes %v", p.index, known)
		}
	}
}

// TestTheNumberOfWorkersChangesNoDHT is for a swarm in which much goes wrong.
func TestTheNumberOfWorkersChangesNoDHT(t *testing.T) {
	s := trackerless(t, 24)
	s.NoTracker, s.Loss = false, 0.02
	s.Latency = 5 * time.Millisecond
	s.Between = func(a, b int) time.Duration { return time.Duration(5+(a+b)%7) * time.Millisecond }
	for i := 3; i < 9; i++ {
		s.Peers[i].Unreachable = true
	}
	s.Faults = []Fault{
		{Kind: TrackerDown, At: 2 * time.Second},
		{Kind: Crash, At: 6 * time.Second, For: 5 * time.Second, Peers: []int{4, 10, 11}},
		{Kind: Partition, At: 8 * time.Second, For: 10 * time.Second, Peers: []int{12, 13}},
	}
	s.Configure = func(_ int, cfg *engine.Config) { cfg.NoPEX = false }
	alone := mustComplete(t, s)
	for size := 1; size <= 3; size++ {
		workers := pool.New(size)
		s.Pool, s.Wire = workers, size == 2
		r := mustComplete(t, s)
		workers.Close()
		if r.Hash != alone.Hash || !slices.Equal(r.Peers, alone.Peers) {
			t.Errorf("%d workers: another run", size)
		}
	}
	s.Pool, s.Wire = nil, false
	s.Seed++
	if r := mustComplete(t, s); r.Hash == alone.Hash {
		t.Error("another seed, the same run")
	}
}

func TestMistakesInDHTsAreNamed(t *testing.T) {
	for _, c := range []struct {
		want string
		dht  *DHT
	}{
		{"nobody could find anybody", nil},
		{"DHT of 0 nodes", &DHT{}},
		{"DHT of 100001 nodes", &DHT{Nodes: 100_001, Routers: 1}},
		{"0 of the 3 nodes", &DHT{Nodes: 3}},
		{"4 of the 3 nodes", &DHT{Nodes: 3, Routers: 4}},
	} {
		s := pair(t)
		s.NoTracker, s.DHT = true, c.dht
		if _, err := s.Run(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestWindowsOfNegativeTimes(t *testing.T) {
	for _, c := range [][2]time.Duration{{-20, -10}, {-19, -10}, {-11, -10}, {-10, 0}, {-1, 0}, {0, 10}, {9, 10}, {10, 20}} {
		if got := endOfWindow(c[0], 10); got != c[1] {
			t.Errorf("the window of %d ends at %d, want %d", c[0], got, c[1])
		}
	}
}

// TestTheDHTIsThereBeforeTheSwarm stops a run where the first peer joins.
func TestTheDHTIsThereBeforeTheSwarm(t *testing.T) {
	s := trackerless(t, 5)
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	for at, _ := w.shards.next(); at < 0; at, _ = w.shards.next() {
		if reason := w.runOn(); reason != "" {
			t.Fatal(reason)
		}
	}
	numNodes := 0
	for _, h := range w.world().hosts {
		if b, ok := h.entity.(*backgroundNode); ok {
			numNodes++
			if known, _ := b.driver.Node().NumNodes(); known < 20 {
				t.Errorf("a node of %d knows %d others", s.DHT.Nodes, known)
			}
		}
	}
	if numNodes != s.DHT.Nodes {
		t.Errorf("%d nodes, want %d", numNodes, s.DHT.Nodes)
	}
}

// TestPacketsOfTheDHTAreAsFastAsTheirPath: what is faster than Swarm.Latency does not wait.
func TestPacketsOfTheDHTAreAsFastAsTheirPath(t *testing.T) {
	s := pair(t)
	s.NoTracker, s.DHT = true, &DHT{Nodes: 10, Routers: 2}
	s.Latency, s.Between = time.Second, func(a, b int) time.Duration { return time.Millisecond }
	s.Peers[1].Join = time.Minute
	if p := mustComplete(t, s).Peers[1]; p.FirstPeer-p.Join > 500*time.Millisecond {
		t.Errorf("the first peer was there after %v", p.FirstPeer-p.Join)
	}
}

// TestSeveralContentsShareANode has a publisher with more torrents than it may have lookups. It is behind a NAT, so
// it has to find the others; and crashes while it looks for them.
func TestSeveralContentsShareANode(t *testing.T) {
	s := pair(t)
	s.Geometry, s.Contents = geometry(t, 128*KiB, 64*KiB), maxLookups+8
	s.NoTracker, s.DHT = true, &DHT{Nodes: 20, Routers: 2}
	s.Peers = []Peer{{Seed: true, Unreachable: true, Join: 30 * time.Second, Link: Link{Up: MiB}}}
	for content := range s.Contents {
		s.Peers = append(s.Peers, Peer{Content: content})
	}
	s.Faults = []Fault{{Kind: Crash, At: 30*time.Second + 200*time.Millisecond, For: 5 * time.Second, Peers: []int{0}}}
	w, r := ran(t, s)
	if !r.Completed || r.End > 2*time.Minute {
		t.Fatalf("ended at %v because %s", r.End, r.Reason)
	}
	first := r.End
	for i := range r.Peers[1:] {
		first = min(first, r.Peers[i+1].FirstPeer)
	}
	n := w.peers[0].dht.node
	if n.lives != 2 || len(n.finders) != s.Contents || r.Peers[0].DHTUp == 0 || first > 37*time.Second {
		t.Errorf("the publisher's node was started %d times, for %d torrents, sent %d bytes, and found the first peer at %v", n.lives, len(n.finders), r.Peers[0].DHTUp, first)
	}
	workers := pool.New(2)
	defer workers.Close()
	s.Pool = workers
	if again := mustComplete(t, s); again.Hash != r.Hash {
		t.Error("two workers: another run")
	}
}
