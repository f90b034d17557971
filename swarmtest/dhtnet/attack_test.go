package dhtnet

import (
	"encoding/binary"
	"hash/crc32"
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
// of searches that must find the peer. The last is what disjoint sets are for:
// with one set of start nodes, 18.5 % of searches found the peer among 1,200.
var sybilRuns = []struct {
	name    string
	near    bool
	enforce bool
	least   float64
}{
	{"under their own ids", false, true, 0.8},
	{"under their own ids, BEP 42 not enforced", false, false, 0.8},
	{"next to the target, with false peers", true, true, 0.99},
	{"next to the target, with false peers, BEP 42 not enforced", true, false, 0.8},
}

var falsePeer = netip.MustParseAddrPort("66.6.6.6:666")

func testSybils(t testing.TB, numNodes, numTargets int) {
	for _, run := range sybilRuns {
		sybils := Sybils{Near: run.near}
		if run.near {
			sybils.Peer = falsePeer
		}
		n := infiltrated(t, 1, numNodes, &sybils, run.enforce)
		searches, found := hunt(n, randomTargets(n, numTargets))
		t.Logf("20 %% sybils %s: %.1f %% of searches found the peer; %v", run.name, percent(found, numTargets), Summarize(searches))
		if float64(found) < run.least*float64(numTargets) {
			t.Errorf("20 %% sybils %s: %d of %d searches found the peer", run.name, found, numTargets)
		}
	}
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(whole) }

func TestSybils(t *testing.T) { testSybils(t, 120, 20) }

func BenchmarkSybils(b *testing.B) {
	for b.Loop() {
		testSybils(b, 1200, 200)
	}
}

// besiege adds attackers that want to own one target: each sits at an address of
// its own, and has the id closest to the target that its address allows if
// fitting is set, and else one next to the target. They join, and tell of nobody
// but themselves.
func besiege(t testing.TB, n *Network, target krpc.ID, numAttackers int, fitting bool) {
	t.Helper()
	sybils := new(Sybils)
	for i := range numAttackers {
		addr := n.freeAddr()
		id := idNear(target, addr.Addr())
		if !fitting {
			id = target
			id[19] ^= byte(i + 1)
			id[18] ^= byte((i + 1) >> 8)
		}
		h, err := n.Add(Spec{
			Join: n.kernel.Now() + time.Duration(i)*time.Minute/time.Duration(numAttackers), Addr: addr,
			Node: node.Config{ID: id, External: addr.Addr()}, Liar: sybils,
		})
		if err != nil {
			t.Fatal(err)
		}
		sybils.Recruit(h)
	}
	n.RunFor(4 * time.Minute)
}

// idNear returns the id that is closest to target of those that fit ip by BEP
// 42: one of eight prefixes of 21 bits, and then what one likes. The last three
// bits say which prefix it is.
func idNear(target krpc.ID, ip netip.Addr) (nearest krpc.ID) {
	for r := range byte(8) {
		b := ip.As4()
		for i, mask := range [...]byte{0x03, 0x0f, 0x3f, 0xff} {
			b[i] &= mask
		}
		b[0] |= r << 5
		prefix := crc32.Checksum(b[:], crc32.MakeTable(crc32.Castagnoli))
		id := target
		id[0], id[1], id[2] = byte(prefix>>24), byte(prefix>>16), byte(prefix>>8)&0xf8|target[2]&7
		id[19] = target[19]&^7 | r
		if r == 0 || closer(&target, &id, &nearest) {
			nearest = id
		}
	}
	return nearest
}

// testEclipse has attackers at one info-hash after the other, and then a peer
// announce itself there and others look for it.
func testEclipse(t testing.TB, numNodes, numAttackers, numTargets int, fitting, enforce bool, least float64) {
	t.Helper()
	found := 0
	n := New(sim.New(1), Internet(1))
	if err := n.Grow(numNodes, 200*time.Second, func(int) Spec { return Spec{Node: node.Config{EnforceIDs: enforce}} }); err != nil {
		t.Fatal(err)
	}
	n.Run(300 * time.Second)
	for range numTargets {
		target := n.RandomID()
		besiege(t, n, target, numAttackers, fitting)
		_, foundHere := hunt(n, slices.Repeat([]krpc.ID{target}, searchesEach))
		found += foundHere
	}
	t.Logf("%d nodes, %d attackers at an info-hash, ids that fit %v, BEP 42 enforced %v: %.1f %% of searches found the peer",
		numNodes, numAttackers, fitting, enforce, percent(found, numTargets*searchesEach))
	if float64(found) < least*float64(numTargets*searchesEach) {
		t.Errorf("%d of %d searches found the peer", found, numTargets*searchesEach)
	}
}

const searchesEach = 10

func TestEclipse(t *testing.T) {
	testEclipse(t, 120, 16, 1, true, true, 0.9)
	testEclipse(t, 120, 16, 1, false, true, 0.9)
	testEclipse(t, 120, 16, 1, false, false, 0.9)
}

func BenchmarkEclipse(b *testing.B) {
	for b.Loop() {
		for _, numAttackers := range []int{16, 64, 256} {
			testEclipse(b, 1200, numAttackers, 6, true, true, 0.9)
		}
		testEclipse(b, 1200, 64, 6, true, false, 0.9)
		testEclipse(b, 1200, 64, 6, false, true, 0.99)
		testEclipse(b, 1200, 64, 6, false, false, 0.9)
	}
}

// TestForgedReplies has somebody answer each search under the addresses of those
// who could be asked, without seeing the queries: the transaction must be
// guessed.
func TestForgedReplies(t *testing.T) {
	const forgedEach, numTargets = 2000, 20
	n := New(sim.New(1), Internet(1))
	if err := n.Grow(100, 50*time.Second, honest); err != nil {
		t.Fatal(err)
	}
	n.Run(100 * time.Second)
	forger, forged := n.hosts[99], 0
	for range numTargets {
		target, announcer, searcher := n.RandomID(), n.Any(), n.Any()
		announcer.Search(node.Request{Method: krpc.GetPeers, Target: target, Store: true, Port: peerPort}, nil)
		n.RunFor(20 * time.Second)
		s := searcher.Search(node.Request{Method: krpc.GetPeers, Target: target}, nil)
		for i := range forgedEach {
			from := n.hosts[i%len(n.hosts)]
			response := krpc.Message{Kind: krpc.Response, ID: from.Node().ID(), Token: []byte("forged"), Transaction: binary.BigEndian.AppendUint32(nil, n.rnd.Uint32())}
			response.Values = response.Values.Append(falsePeer)
			n.Forge(forger, from.addr, searcher.addr, response.Append(nil))
			forged++
		}
		n.RunFor(20 * time.Second)
		if !slices.Contains(s.Peers, netip.AddrPortFrom(announcer.addr.Addr(), peerPort)) || slices.Contains(s.Peers, falsePeer) {
			t.Errorf("found %v", s.Peers)
		}
	}
	t.Logf("%d forged replies: %d of %d searches found the peer, none a false one", forged, numTargets, numTargets)
}
