package sim

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

const (
	kB  = 1000
	KiB = 1 << 10
	MiB = 1 << 20
)

func geometry(t testing.TB, totalLen, pieceLen int64) metainfo.Geometry {
	t.Helper()
	g, err := metainfo.NewGeometry(totalLen, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t testing.TB, s Swarm) *Result {
	t.Helper()
	r, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustComplete(t testing.TB, s Swarm) *Result {
	t.Helper()
	r := run(t, s)
	if !r.Completed {
		t.Fatalf("seed %d: the run ended at %v because: %s", s.Seed, r.End, r.Reason)
	}
	return r
}

// barSwarm is one seed and twelve downloaders that could finish in 16 s.
func barSwarm(t testing.TB) Swarm {
	link := Link{Up: 4 * MiB}
	return Swarm{
		Seed:     1,
		Geometry: geometry(t, 64*MiB, 256*KiB),
		Latency:  time.Millisecond,
		Peers:    append([]Peer{{Class: "seed", Link: link, Seed: true}}, Repeat(12, Peer{Class: "leecher", Link: link})...),
	}
}

func TestTwelveDownloadersNearTheBound(t *testing.T) {
	r := mustComplete(t, barSwarm(t))
	ratio := r.LastCompletion().Seconds() / 16
	t.Logf("last completion %v: %.3f x the bound; %d events", r.LastCompletion(), ratio, r.Events)
	if ratio < 1 || ratio > 1.5 {
		t.Errorf("ratio to the bound %.3f, want 1 to 1.5", ratio)
	}
}

// crowd is n peers with the links of Bharambe et al. ("Analyzing and Improving
// a BitTorrent Network's Performance Mechanisms", 2006) and an origin, that
// join within ten seconds and leave when they are done.
func crowd(t testing.TB, n int, totalLen int64) Swarm {
	leecher := Peer{Class: "leecher", Link: Link{Up: 400 * kB / 8, Down: 1500 * kB / 8}, SeedFor: -1}
	peers := append([]Peer{{
		Class: "origin", Link: Link{Up: 6000 * kB / 8, Down: 6000 * kB / 8}, Seed: true,
	}}, Repeat(n, leecher)...)
	for i := range n {
		peers[1+i].Join = time.Duration(i) * 10 * time.Second / time.Duration(n)
	}
	return Swarm{Seed: 1, Geometry: geometry(t, totalLen, 256*KiB), Peers: peers}
}

func TestOneSeedOneTranscript(t *testing.T) {
	s := crowd(t, 100, 2*MiB)
	s.SlowStart = true
	s.HashDelay = time.Millisecond
	s.Between = func(a, b int) time.Duration { return time.Duration(10+(a+b)%3*20) * time.Millisecond }
	first := mustComplete(t, s)
	before := runtime.GOMAXPROCS(1)
	second := mustComplete(t, s)
	runtime.GOMAXPROCS(before)
	if first.Hash != second.Hash || !slices.Equal(first.Peers, second.Peers) {
		t.Errorf("two runs from one seed: %x and %x", first.Hash, second.Hash)
	}
	t.Logf("seed 1: %x", first.Hash) // the same under -race
	s.Seed = 2
	if other := mustComplete(t, s); other.Hash == first.Hash {
		t.Error("two seeds, one transcript")
	}
}

// TestTheNumberOfWorkersChangesNothing runs a swarm in which everything happens, with
// latencies that become known on the way.
func TestTheNumberOfWorkersChangesNothing(t *testing.T) {
	s := crowd(t, 40, 2*MiB)
	s.SlowStart = true
	s.Peers[3].Unreachable = true
	s.Peers[5].Leave = 20 * time.Second
	s.Peers[7].SeedFor = 0
	s.Between = func(a, b int) time.Duration { return time.Duration(3000+(a*b)%5*7000) * time.Microsecond }
	alone, samples := sampled(t, s, time.Second)
	for size := 1; size <= 8; size++ {
		workers := pool.New(size)
		s.Pool = workers
		r, others := sampled(t, s, time.Second)
		if r.Hash != alone.Hash || !slices.Equal(r.Peers, alone.Peers) || r.End != alone.End || r.Events != alone.Events {
			t.Errorf("%d workers: hash %x at %v, want %x at %v", size, r.Hash, r.End, alone.Hash, alone.End)
		}
		if !slices.Equal(others, samples) {
			t.Errorf("%d workers: other samples", size)
		}
		workers.Close()
	}
}

func TestOneMorePeerDoesNotShiftTheOthers(t *testing.T) {
	s := crowd(t, 20, 4*MiB)
	alone := mustComplete(t, s)
	late := s.Peers[1]
	late.Join = 10 * time.Hour
	s.Peers = append(slices.Clip(s.Peers), late)
	s.KeepRunning, s.Limit = true, 9*time.Hour
	s.Patience = s.Limit
	if with := run(t, s); !slices.Equal(completions(alone), completions(with)[:len(alone.Peers)]) {
		t.Error("a peer that is yet to come changes when the others complete")
	}
}

func completions(r *Result) (all []time.Duration) {
	for _, p := range r.Peers {
		all = append(all, p.Complete)
	}
	return all
}

func TestEveryByteIsAccountedFor(t *testing.T) {
	s := crowd(t, 30, 4*MiB)
	s.Peers[0].Link.Up /= 4
	r := mustComplete(t, s)
	var up, down int64
	for i, p := range r.Peers {
		up += p.Up
		down += p.Down
		if useful := p.Down - p.Wasted; !p.Seed && useful != 4*MiB {
			t.Errorf("peer %d completed with %d useful bytes, want %d", i, useful, 4*MiB)
		}
		if p.FirstPiece > p.Complete || !p.Seed && p.FirstPiece <= p.Join {
			t.Errorf("peer %d: joined %v, first piece %v, complete %v", i, p.Join, p.FirstPiece, p.Complete)
		}
		if !p.Seed && p.Leave != p.Complete && p.Complete != r.End {
			t.Errorf("peer %d completed at %v and left at %v", i, p.Complete, p.Leave)
		}
	}
	if lost := up - down; lost < 0 || lost > up/100 {
		t.Errorf("%d bytes up, %d down", up, down)
	}
}

// TestTheBoundIsNeverBeaten runs populations of all kinds that stay to the
// end, and the one that has no choice: an origin alone.
func TestTheBoundIsNeverBeaten(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := Swarm{Seed: seed, Geometry: geometry(t, 6*MiB, 128*KiB), Latency: time.Millisecond}
		origin := Link{Up: 100*kB + r.IntN(MiB)}
		s.Peers = []Peer{{Link: origin, Seed: true}}
		var population []theory.Peer
		for range 2 + r.IntN(20) {
			link := Link{Up: 1 + r.IntN(200*kB), Down: r.IntN(2) * (50*kB + r.IntN(MiB))}
			s.Peers = append(s.Peers, Peer{Link: link})
			population = append(population, theory.Peer{Up: float64(link.Up), Down: float64(link.Down)})
		}
		bound := theory.Swarm(6*MiB, float64(origin.Up), population)
		if last := mustComplete(t, s).LastCompletion().Seconds(); last < bound {
			t.Errorf("seed %d: %d peers completed in %.3f s, faster than the bound of %.3f s", seed, len(population), last, bound)
		}
	}
}

func TestAnOriginAloneTakesItsTime(t *testing.T) {
	s := Swarm{Seed: 1, Geometry: geometry(t, 4*MiB, 256*KiB), Latency: time.Millisecond}
	s.Peers = append([]Peer{{Link: Link{Up: MiB}, Seed: true}}, Repeat(20, Peer{Link: Link{Down: MiB}})...)
	s.Configure = func(peer int, cfg *engine.Config) {
		if peer > 0 {
			cfg.UploadSlots = -1
		}
	}
	r := mustComplete(t, s)
	if ratio := r.LastCompletion().Seconds() / (20 * 4); ratio < 1 || ratio > 1.01 {
		t.Errorf("20 copies from the origin took %.3f of their time, want 1 to 1.01", ratio)
	}
}

func TestARunThatGetsNowhereEndsAndSaysWhy(t *testing.T) {
	s := Swarm{Seed: 1, Geometry: geometry(t, MiB, 256*KiB), Patience: 10 * time.Minute}
	s.Peers = Repeat(3, Peer{Link: Link{Up: MiB}}) // nobody has anything
	r := run(t, s)
	if r.Completed || !strings.Contains(r.Reason, "no progress") || r.End > 11*time.Minute {
		t.Errorf("ended at %v because %q", r.End, r.Reason)
	}
}

func TestARunMayHaveNoLimit(t *testing.T) {
	s := barSwarm(t)
	s.Geometry = geometry(t, 4*MiB, 256*KiB)
	s.Limit, s.Patience = math.MaxInt64, math.MaxInt64
	mustComplete(t, s)
}

func TestAPeerThatLeavesEarlyIsNotWaitedFor(t *testing.T) {
	s := barSwarm(t)
	s.Peers[5].Leave = 2 * time.Second
	r := mustComplete(t, s)
	if p := r.Peers[5]; p.Complete != 0 || p.Leave != 2*time.Second || p.Up == 0 {
		t.Errorf("the peer that left: %+v", p)
	}
}

func TestAPeerGivesUpOnlyIfItHasNotCompleted(t *testing.T) {
	s := barSwarm(t)
	s.Peers[1].GiveUp = time.Second
	s.Peers[2].GiveUp = time.Hour
	s.KeepRunning, s.Limit = true, 2*time.Hour
	r := run(t, s)
	if p := r.Peers[1]; p.Complete != 0 || p.Leave != time.Second {
		t.Errorf("the impatient one completed at %v and left at %v", p.Complete, p.Leave)
	}
	if p := r.Peers[2]; p.Complete == 0 || p.Leave != 0 {
		t.Errorf("the patient one completed at %v and left at %v", p.Complete, p.Leave)
	}
}

func TestUnreachablePeersDial(t *testing.T) {
	s := Swarm{Seed: 1, Geometry: geometry(t, 2*MiB, 256*KiB)}
	s.Peers = append([]Peer{{Link: Link{Up: MiB}, Seed: true}}, Repeat(5, Peer{Link: Link{Up: MiB}, Unreachable: true})...)
	mustComplete(t, s)
	s.Peers[0].Unreachable = true
	s.Patience = 10 * time.Minute
	if r := run(t, s); r.Completed {
		t.Error("peers that nobody can dial found each other")
	}
}

func TestALimitOfTheProcessActsLikeALink(t *testing.T) {
	s := Swarm{Seed: 1, Geometry: geometry(t, 4*MiB, 256*KiB), Latency: time.Millisecond}
	s.Peers = []Peer{{Seed: true, Quota: quota.Config{Up: MiB / 2}}, {}}
	if took := mustComplete(t, s).LastCompletion().Seconds(); took < 7.9 || took > 8.5 {
		t.Errorf("4 MiB at 0.5 MiB/s took %.2f s, want 8", took)
	}
	s.Peers = []Peer{{Seed: true}, {Limits: quota.Limits{Down: MiB / 2}}}
	if took := mustComplete(t, s).LastCompletion().Seconds(); took < 7.5 || took > 8.5 {
		t.Errorf("4 MiB at a download limit of 0.5 MiB/s took %.2f s, want 8", took)
	}
}

func TestMistakesInADescriptionAreNamed(t *testing.T) {
	ok := barSwarm(t)
	for _, c := range []struct {
		want   string
		change func(*Swarm)
	}{
		{"geometry", func(s *Swarm) { s.Geometry = metainfo.Geometry{} }},
		{"0 peers", func(s *Swarm) { s.Peers = nil }},
		{"negative rate", func(s *Swarm) { s.Peers = []Peer{{Link: Link{Up: -1}}} }},
		{"before the beginning", func(s *Swarm) { s.Peers = []Peer{{Join: -1}} }},
		{"has 3 pieces", func(s *Swarm) { s.Peers = []Peer{{Have: bitfield.New(3)}} }},
		{"a limit", func(s *Swarm) { s.Limit = -1 }},
	} {
		s := ok
		c.change(&s)
		if _, err := s.Run(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestAHundredPeers(t *testing.T) {
	s := crowd(t, 100, 8*MiB)
	for i := range s.Peers {
		s.Peers[i].SeedFor = 0
	}
	r := mustComplete(t, s)
	bound := 100 * 8 * MiB / float64(6000*kB/8+100*400*kB/8)
	t.Logf("mean %.3f x the bound, last %.3f x, %.1f copies from the origin, %d events",
		r.MeanDuration().Seconds()/bound, r.LastCompletion().Seconds()/bound, float64(r.Peers[0].Up)/(8*MiB), r.Events)
	if ratio := r.MeanDuration().Seconds() / bound; ratio > 1.1 {
		t.Errorf("the mean peer took %.3f of the bound, want at most 1.1", ratio)
	}
}

// BenchmarkSwarm runs the crowd in full: 100 MiB each. The bars are 20 s for
// 1,000 peers and 5 minutes for 10,000, on two cores.
func BenchmarkSwarm(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		for workers := 1; workers <= runtime.GOMAXPROCS(0); workers *= 2 {
			b.Run(strconv.Itoa(n)+"/"+strconv.Itoa(workers), func(b *testing.B) {
				workers := pool.New(workers)
				defer workers.Close()
				var events uint64
				for b.Loop() {
					s := crowd(b, n, 100*MiB)
					s.Pool = workers
					r := mustComplete(b, s)
					events += r.Events
					b.Logf("hash %x, last %v", r.Hash[:4], r.LastCompletion())
				}
				b.ReportMetric(float64(events)/b.Elapsed().Seconds()/1e6, "Mevents/s")
			})
		}
	}
}
