package swarm

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// model is the swarms as a child would write them: a map that is searched.
type model struct {
	seen map[modelKey]time.Duration
	left map[modelKey]int64
}

type modelKey struct {
	torrent metainfo.InfoHash
	addr    netip.AddrPort
}

func (m *model) announce(now time.Duration, req *tracker.Request) {
	k := modelKey{req.InfoHash, req.Addr}
	if req.Event == tracker.Stopped {
		delete(m.seen, k)
		delete(m.left, k)
	} else if req.Addr.Port() != 0 {
		m.seen[k], m.left[k] = now, req.Left
	}
}

func (m *model) expire(now, timeout time.Duration) {
	for k, seen := range m.seen {
		if now-seen > timeout {
			delete(m.seen, k)
			delete(m.left, k)
		}
	}
}

func (m *model) scrape(h metainfo.InfoHash) (st tracker.ScrapeStats) {
	for k, left := range m.left {
		switch {
		case k.torrent != h:
		case left == 0:
			st.Complete++
		default:
			st.Incomplete++
		}
	}
	return st
}

func randomRequest(r *rand.Rand) *tracker.Request {
	ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(90))})
	if r.IntN(3) == 0 {
		ip = netip.AddrFrom16([16]byte{0: 0x20, 15: byte(r.IntN(60))})
	}
	return &tracker.Request{
		InfoHash: metainfo.InfoHash{byte(r.IntN(3))},
		Addr:     netip.AddrPortFrom(ip, uint16(r.IntN(5))),
		Left:     int64(r.IntN(2)),
		Event:    tracker.Event(r.IntN(2) * 3 * r.IntN(2)), // one in four stops
		NumWant:  r.IntN(80) - 1,
	}
}

// TestAgainstModel compares thousands of random announces with the model, and
// looks at what must hold of every list and every reply.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newSwarms(t, Config{Timeout: time.Hour, KeepPeerIDs: seed%2 == 0})
		m := &model{map[modelKey]time.Duration{}, map[modelKey]int64{}}
		now := time.Duration(0)
		for step := range 2000 {
			req := randomRequest(r)
			var peers Peers
			rep := s.Announce(now, req, &peers)
			m.announce(now, req)
			wantStats := m.scrape(req.InfoHash)
			if rep.Complete != wantStats.Complete || rep.Incomplete != wantStats.Incomplete {
				t.Fatalf("seed %d step %d: reply %+v, want %+v", seed, step, rep, wantStats)
			}
			checkPeers(t, m, req, &peers)
			if r.IntN(200) == 0 {
				now += time.Duration(r.IntN(100)) * time.Minute
				s.Expire(now)
				s.Expire(now + s.cfg.Timeout/sweepsPerTimeout) // a whole round
				now += s.cfg.Timeout / sweepsPerTimeout
				m.expire(now, time.Hour)
				checkTotals(t, s, m)
			}
		}
		checkLists(t, s)
	}
}

func checkPeers(t *testing.T, m *model, req *tracker.Request, peers *Peers) {
	t.Helper()
	seen := map[netip.AddrPort]bool{}
	for _, a := range peers.AppendTo(nil) {
		left, ok := m.left[modelKey{req.InfoHash, a}]
		if !ok || a == req.Addr || seen[a] || left == 0 && leechersOnly(req) {
			t.Fatalf("%+v got %s: in swarm %v, left %d, twice %v", req, a, ok, left, seen[a])
		}
		seen[a] = true
	}
	others := m.scrape(req.InfoHash).Incomplete
	if !leechersOnly(req) {
		others += m.scrape(req.InfoHash).Complete
		if req.Addr.Port() != 0 {
			others--
		}
	}
	wantLen := min(others, req.NumWant)
	if req.NumWant < 0 {
		wantLen = min(others, DefaultNumWant)
	}
	if req.Event == tracker.Stopped {
		wantLen = 0
	}
	if peers.Len() != wantLen {
		t.Fatalf("%+v got %d peers, want %d", req, peers.Len(), wantLen)
	}
}

func checkTotals(t *testing.T, s *Swarms, m *model) {
	t.Helper()
	if n := s.Stats().Seeds + s.Stats().Leechers; n != len(m.seen) {
		t.Fatalf("%d peers, want %d", n, len(m.seen))
	}
}

func checkLists(t *testing.T, s *Swarms) {
	t.Helper()
	for i := range s.torrents.num {
		if s.torrents.find(s.torrents.at(i).infoHash) != i {
			t.Fatalf("torrent %d is not found there", i)
		}
		checkList(t, &s.v4, i)
		checkList(t, &s.v6, i)
	}
}

func checkList[A addr4 | addr6](t *testing.T, f *family[A], torrent int) {
	t.Helper()
	l := f.listOf(uint32(torrent))
	p := f.peers(l)
	if len(p.members) != int(l.num) || f.keepIDs && len(p.ids) != int(l.num) {
		t.Fatalf("%d peers and %d ids, of %d", len(p.members), len(p.ids), l.num)
	}
	for pos, member := range p.members {
		if f.find(l, member.addr) != pos {
			t.Fatalf("%v is at %d, but found at %d", member.addr, pos, f.find(l, member.addr))
		}
	}
	switch {
	case l.place&isLarge != 0:
		if owner := f.larges[l.place&^isLarge].owner; int(owner) != torrent {
			t.Fatalf("the large list of torrent %d belongs to %d", torrent, owner)
		}
	case l.num > 0:
		if owner := f.slabs[l.num].owners[l.place]; int(owner) != torrent {
			t.Fatalf("the block of torrent %d belongs to %d", torrent, owner)
		}
	}
}

// TestDeterminism: same seed, same announces, same replies byte for byte.
func TestDeterminism(t *testing.T) {
	run := func(seed uint64) uint64 {
		r := rand.New(rand.NewPCG(7, 7))
		s := newSwarms(t, Config{Rand: rand.New(rand.NewPCG(seed, 1))})
		h := fnv.New64a()
		for i := range 3000 {
			var peers Peers
			rep := s.Announce(time.Duration(i)*time.Second, randomRequest(r), &peers)
			fmt.Fprintln(h, rep, peers, s.Expire(time.Duration(i)*time.Second))
		}
		return h.Sum64()
	}
	first, again, other := run(1), run(1), run(2)
	if first != again {
		t.Error("one seed gave two transcripts")
	}
	if first == other {
		t.Error("two seeds gave one transcript: the random source is not used")
	}
}

// BenchmarkAnnounce is the load of the bars: 10,000 torrents, 100,000 peers,
// 30 peers wanted.
func BenchmarkAnnounce(b *testing.B) {
	s := newSwarms(b, Config{})
	r := rand.New(rand.NewPCG(1, 1))
	var req tracker.Request
	var peers Peers
	next := func() {
		n := r.Uint32N(100_000)
		req = tracker.Request{Left: int64(n & 1), NumWant: 30,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881)}
		req.InfoHash = metainfo.InfoHash{byte(n % 10_000 >> 8), byte(n % 10_000)}
		peers.Reset()
		s.Announce(0, &req, &peers)
	}
	for range 1_000_000 {
		next()
	}
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
}

// BenchmarkMemory is the bytes that 1,000,000 IPv4 peers in 100,000 torrents
// take, each torrent with its own share.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := newSwarms(b, Config{})
		for i := range uint32(1_000_000) {
			req := tracker.Request{Left: int64(i % 3), NumWant: 0,
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)}
			t := i % 100_000
			req.InfoHash = metainfo.InfoHash{byte(t >> 16), byte(t >> 8), byte(t)}
			s.Announce(0, &req, &Peers{})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "B/peer")
		runtime.KeepAlive(s)
	}
}
