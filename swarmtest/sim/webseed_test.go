package sim

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

// hybrid is a swarm whose only source is one web seed with an uplink like that of ten peers.
func hybrid(t testing.TB, peers int, below int) Swarm {
	t.Helper()
	link := Link{Up: 100 << 10, Down: 400 << 10}
	return Swarm{
		Seed: 1, Geometry: geometry(t, 8<<20, 128<<10),
		Peers:     Repeat(peers, Peer{Class: "leecher", Link: link, WebSeeds: []int{0}}),
		WebSeeds:  []WebSeed{{Class: "origin", Link: Link{Up: 1 << 20}}},
		Configure: func(_ int, cfg *engine.Config) { cfg.WebSeedBelow = below },
	}
}

func mustRun(t testing.TB, s Swarm) *Result {
	t.Helper()
	r, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	if !r.Completed {
		t.Fatalf("the run ended because %s", r.Reason)
	}
	return r
}

// TestWebSeedAlone: one peer gets all from the server, as fast as its link.
func TestWebSeedAlone(t *testing.T) {
	r := mustRun(t, hybrid(t, 1, 0))
	p, s := r.Peers[0], r.WebSeeds[0]
	if p.FromWebSeeds != 8<<20 || p.Down != 8<<20 || s.Up != 8<<20 || p.Wasted != 0 {
		t.Errorf("%d bytes from the web seed of %d, which sent %d; %d wasted", p.FromWebSeeds, p.Down, s.Up, p.Wasted)
	}
	least := time.Duration(float64(8<<20) / float64(400<<10) * float64(time.Second))
	if p.Complete < least || p.Complete > least*110/100 {
		t.Errorf("it took %v, the link needs %v", p.Complete, least)
	}
	if requests := s.MessagesDown / requestHeadLen; requests > 40 || requests < 8 || s.MessagesUp != requests*responseHeadLen {
		t.Errorf("%d requests for 64 pieces", requests)
	}
}

// TestHybridOffload: peers bring most, more if the web seed is spared, and faster than the
// server alone could.
func TestHybridOffload(t *testing.T) {
	const peers = 30
	alone := time.Duration(peers*8) * time.Second // at 1 MiB/s
	var copies [2]float64
	for i, below := range []int{1 << 40, -1} {
		r := mustRun(t, hybrid(t, peers, below))
		sum := int64(0)
		for _, p := range r.Peers {
			sum += p.FromWebSeeds
		}
		if sum > r.WebSeeds[0].Up || sum < r.WebSeeds[0].Up*9/10 {
			t.Errorf("peers got %d bytes from the web seed, which sent %d", sum, r.WebSeeds[0].Up)
		}
		copies[i] = float64(r.WebSeeds[0].Up) / (8 << 20)
		t.Logf("below %d: last after %v, the server sent %.1f copies", below, r.LastCompletion(), copies[i])
		if r.LastCompletion() > alone {
			t.Errorf("below %d: the last completed after %v; the server alone needs %v", below, r.LastCompletion(), alone)
		}
	}
	if copies[1] > peers/5 || copies[1] > copies[0]/2 {
		t.Errorf("the server sent %.1f copies to %d peers, %.1f if it is spared", copies[0], peers, copies[1])
	}
}

func TestHybridIsDeterministic(t *testing.T) {
	s := hybrid(t, 12, 0)
	first := mustRun(t, s)
	if again := mustRun(t, s); !reflect.DeepEqual(again, first) {
		t.Error("the second run of a seed differs")
	}
	workers := pool.New(3)
	defer workers.Close()
	s.Pool = workers
	if again := mustRun(t, s); !reflect.DeepEqual(again, first) {
		t.Error("a run on several processors differs")
	}
}

// TestWebSeedsOfARegion: each peer asks its own, and those who leave are forgotten.
func TestWebSeedsOfARegion(t *testing.T) {
	s := hybrid(t, 10, 1<<40)
	s.WebSeeds = append(s.WebSeeds, WebSeed{Class: "far", Link: Link{Up: 1 << 20}}, WebSeed{Class: "idle"})
	for i := range s.Peers {
		s.Peers[i].WebSeeds = []int{i % 2}
		s.Peers[i].SeedFor = -1
	}
	s.Peers[3].Leave = 5 * time.Second
	s.SlowStart = true
	s.Between = func(a, b int) time.Duration {
		if a == 11 || b == 11 {
			return 100 * time.Millisecond
		}
		return 10 * time.Millisecond
	}
	r := mustRun(t, s)
	if r.WebSeeds[0].Up == 0 || r.WebSeeds[1].Up == 0 || r.WebSeeds[2].Up != 0 {
		t.Errorf("the web seeds sent %+v", r.WebSeeds)
	}
	if r.Reason != allLeft && !r.Completed {
		t.Error(r.Reason)
	}
}

func TestWebSeedsOfSamples(t *testing.T) {
	s := hybrid(t, 5, 0)
	var last *Sample
	s.SampleEvery, s.OnSample = time.Second, func(sample *Sample) { last = sample }
	r := mustRun(t, s)
	sum := int64(0)
	for _, p := range r.Peers {
		sum += p.FromWebSeeds
	}
	if last.BytesFromWebSeeds != sum || last.BytesFromSeeds != 0 || last.BytesFromPeers == 0 {
		t.Errorf("the last sample is %+v, of %d bytes from web seeds", last, sum)
	}
}

func TestBadWebSeeds(t *testing.T) {
	s := hybrid(t, 2, 0)
	s.Peers[1].WebSeeds = []int{1}
	if _, err := s.Run(); err == nil || !strings.Contains(err.Error(), "peer 1: there is no web seed 1") {
		t.Error(err)
	}
	s = hybrid(t, 2, 0)
	s.WebSeeds[0].Link.Up = -1
	if _, err := s.Run(); err == nil {
		t.Error("a negative rate is taken")
	}
}
