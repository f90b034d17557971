package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

// catalogue is a publisher of several contents of 1 MiB with an uplink of 400 KiB/s, and as many
// downloaders of each as clients says.
func catalogue(t testing.TB, clients ...int) Swarm {
	t.Helper()
	const up = 400 * KiB
	s := Swarm{
		Seed: 1, Geometry: geometry(t, 1*MiB, 64*KiB), Contents: len(clients),
		Peers: []Peer{{Class: "seed", Link: Link{Up: up}, Quota: quota.Config{Up: up}, Seed: true}},
	}
	for content, n := range clients {
		s.Peers = append(s.Peers, Repeat(n, Peer{
			Class: "leecher", Content: content, Link: Link{Up: 50 * KiB, Down: 1 * MiB},
		})...)
	}
	return s
}

// onlyTheSeedUploads makes downloaders free riders.
func onlyTheSeedUploads(peer int, cfg *engine.Config) {
	if peer > 0 {
		cfg.UploadSlots = -1
	}
}

// lastOf is when the last downloader of a content completed.
func lastOf(s *Swarm, r *Result, content int) (last time.Duration) {
	for i, p := range r.Peers {
		if !p.Seed && s.Peers[i].Content == content {
			last = max(last, p.Complete)
		}
	}
	return last
}

func TestEverybodyGetsTheirContent(t *testing.T) {
	s := catalogue(t, 12, 5, 1, 0)
	r := mustComplete(t, s)
	fromSeeds := int64(0)
	for i, p := range r.Peers[1:] {
		fromSeeds += p.FromSeeds
		if got := p.Down - p.Wasted; got != 1*MiB {
			t.Errorf("peer %d has %d bytes of its content", i+1, got)
		}
	}
	if up := r.Peers[0].Up; up < 3*MiB || up > 12*MiB || up < fromSeeds {
		t.Errorf("the publisher sent %d bytes, of which %d came", up, fromSeeds)
	}
	if least := 3 * time.Second * MiB / (400 * KiB); r.LastCompletion() < least {
		t.Errorf("three contents through one uplink in %v, which takes %v", r.LastCompletion(), least)
	}
}

// TestTorrentsShareAnUplinkEvenly: a torrent gets what another one does, whatever the numbers of their
// downloaders. Flows that took turns would give six times as much to the one with twelve.
func TestTorrentsShareAnUplinkEvenly(t *testing.T) {
	s := catalogue(t, 12, 2)
	s.Configure = func(peer int, cfg *engine.Config) {
		onlyTheSeedUploads(peer, cfg)
		if peer == 0 {
			cfg.UploadSlots = 12
		}
	}
	r := mustComplete(t, s)
	one := 1 * MiB * time.Second / (400 * KiB)
	if last := lastOf(&s, r, 1); last < 4*one || last > 4*one*11/10 {
		t.Errorf("those of the second content took %v, their half of the uplink needs %v", last, 4*one)
	}
	if last := lastOf(&s, r, 0); last < 14*one || last > 14*one*11/10 {
		t.Errorf("all took %v, the uplink needs %v", last, 14*one)
	}
}

// TestTorrentsShareSlots holds a process to its slots, which its torrents divide.
func TestTorrentsShareSlots(t *testing.T) {
	s := catalogue(t, 6, 6, 6)
	s.Geometry = geometry(t, 16*MiB, 64*KiB)
	s.Peers[0].Quota.Slots = 6
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	for until := 40 * time.Second; until < 60*time.Second; until += time.Second {
		for next, ok := w.shards.next(); ok && next <= until; next, ok = w.shards.next() {
			w.shards.run(next, until)
		}
		for _, p := range w.peers[0].torrents() {
			if n := p.engine.Stats(until).Unchoked; n != 2 {
				t.Errorf("at %v content %d has %d slots of 6", until, p.content, n)
			}
		}
	}
}

// TestAPublisherLeavesWithAllContents: what it sent of all of them counts.
func TestAPublisherLeavesWithAllContents(t *testing.T) {
	s := catalogue(t, 6, 3)
	s.Peers[0].LeaveAfter = 6 * MiB
	s.Configure = onlyTheSeedUploads
	s.Patience = time.Minute
	r := run(t, s)
	p := r.Peers[0]
	if r.Completed || p.Leave == 0 || p.Up < 6*MiB || p.Up > 6*MiB+MiB/16 {
		t.Errorf("it sent %d bytes and left at %v; the run ended because %s", p.Up, p.Leave, r.Reason)
	}
}

// TestAPublisherThatCrashesComesBack with all of its torrents.
func TestAPublisherThatCrashesComesBack(t *testing.T) {
	s := catalogue(t, 6, 3, 1)
	undisturbed := mustComplete(t, s)
	s.Faults = []Fault{{Kind: Crash, At: time.Second, For: 5 * time.Minute, Peers: []int{0}}}
	r := mustComplete(t, s)
	for content := range s.Contents {
		if last := lastOf(&s, r, content); last < 5*time.Minute {
			t.Errorf("content %d was complete at %v, when nobody had it; without the crash at %v", content, last, lastOf(&s, undisturbed, content))
		}
	}
}

// TestContentsOnAnyNumberOfWorkers has all that can happen to several contents.
func TestContentsOnAnyNumberOfWorkers(t *testing.T) {
	s := catalogue(t, 10, 5, 3, 1)
	s.SlowStart = true
	s.HashDelay = time.Millisecond
	s.Peers[0].LeaveAfter = 8 * MiB
	second := s.Peers[0]
	second.LeaveAfter = 0
	s.Peers = append(s.Peers, second)
	s.Peers[2].Unreachable, s.Peers[12].Unreachable = true, true
	s.Between = func(a, b int) time.Duration { return time.Duration(3000+(a+b)%5*7000) * time.Microsecond }
	s.Configure = func(_ int, cfg *engine.Config) { cfg.NoPEX = false }
	s.Faults = []Fault{
		{Kind: Crash, At: 4 * time.Second, For: 3 * time.Second, Peers: []int{0, 1, 11}},
		{Kind: TrackerDown, At: 2 * time.Second, For: 10 * time.Second},
		{Kind: Partition, At: 9 * time.Second, For: 4 * time.Second, Peers: []int{len(s.Peers) - 1, 3, 4}},
	}
	alone, samples := sampled(t, s, time.Second)
	if !alone.Completed {
		t.Fatalf("ended at %v because %s", alone.End, alone.Reason)
	}
	for size := 2; size <= 5; size++ {
		workers := pool.New(size)
		s.Pool = workers
		r, others := sampled(t, s, time.Second)
		workers.Close()
		if r.Hash != alone.Hash || !slices.Equal(r.Peers, alone.Peers) || !slices.Equal(others, samples) {
			t.Errorf("%d workers: hash %x, want %x", size, r.Hash, alone.Hash)
		}
	}
}

// TestTheTrackerKnowsContentsApart: nobody hears of those who have something else.
func TestTheTrackerKnowsContentsApart(t *testing.T) {
	s := catalogue(t, 4, 2)
	s.KeepRunning, s.Limit = true, time.Minute
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	for content, want := range []uint32{5, 3} {
		if counts, _ := w.tracker.core.Scrape(w.infoHash(uint32(content))); uint32(counts.Complete) != want {
			t.Errorf("content %d has %+v, want %d seeds", content, counts, want)
		}
	}
	for _, torrent := range w.peers[0].torrents() {
		if n := torrent.engine.Stats(time.Hour).Known; n > []int{4, 2}[torrent.content] {
			t.Errorf("the publisher knows %d addresses for content %d", n, torrent.content)
		}
	}
}

func TestCopiesOfSeveralContents(t *testing.T) {
	var s Sample
	s.countCopies([]int32{1, 2, 0, 5}, []int{1, 3}) // two pieces each
	if s.MinCopies != 2 || s.MeanCopies != 4 {
		t.Errorf("%+v", s)
	}
	if got := entropy([]*peer{{content: 0}, {content: 1}}); got != -1 {
		t.Errorf("the entropy of two who want different contents is %v", got)
	}
}

func TestContentsAreChecked(t *testing.T) {
	for _, change := range []func(s *Swarm){
		func(s *Swarm) { s.Contents = -1 },
		func(s *Swarm) { s.Contents = maxContents + 1 },
		func(s *Swarm) { s.Peers[1].Content = 2 },
		func(s *Swarm) { s.Peers[1].Content = -1 },
		func(s *Swarm) { s.Contents = 0 },
	} {
		s := catalogue(t, 1, 1)
		change(&s)
		if _, err := s.Run(); err == nil {
			t.Errorf("taken: %d contents", s.Contents)
		}
	}
}
