package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

const minute = time.Minute

// TestAWebSeedThatIsDownIsAskedAgain: nobody else has anything, so all wait for it, with pauses that double.
func TestAWebSeedThatIsDownIsAskedAgain(t *testing.T) {
	s := hybrid(t, 3, 0)
	s.Faults = []Fault{{Kind: WebSeedDown, At: 2 * time.Second, For: 2 * minute, Servers: []int{0}}}
	r := mustRun(t, s)
	for i, p := range r.Peers {
		// Failures at 2 s, and 5, 15, 35 and 75 s later, or a quarter more; the try after 155 s or more finds it.
		if p.Complete < 157*time.Second || p.Complete > 240*time.Second {
			t.Errorf("peer %d completed at %v", i, p.Complete)
		}
		if p.FromWebSeeds == 0 || p.Wasted > 2<<20 {
			t.Errorf("peer %d got %d bytes from the web seed; %d were wasted", i, p.FromWebSeeds, p.Wasted)
		}
	}
	if requests := r.WebSeeds[0].MessagesDown / requestHeadLen; requests > 3*60 {
		t.Errorf("%d requests", requests)
	}
}

// TestPeersCarryOnWhileTheirWebSeedIsDown: with a seed beside it, an outage costs little.
func TestPeersCarryOnWhileTheirWebSeedIsDown(t *testing.T) {
	s := hybrid(t, 10, 1<<40)
	s.Peers = append(s.Peers, Peer{Seed: true, Link: Link{Up: 1 << 20}})
	s.Faults = []Fault{{Kind: WebSeedDown, At: 3 * time.Second, Servers: []int{0}}}
	r := mustRun(t, s)
	if last := r.LastCompletion(); last > 3*minute {
		t.Errorf("without its web seed the swarm took %v", last)
	}
	if up := r.WebSeeds[0].Up; up == 0 || up > 4<<20 {
		t.Errorf("in three seconds the web seed sent %d bytes", up)
	}
}

// TestABusyWebSeedIsLeftAlone for as long as it says, and is not given up.
func TestABusyWebSeedIsLeftAlone(t *testing.T) {
	s := hybrid(t, 2, 0)
	s.Patience = 24 * time.Hour
	s.Faults = []Fault{{Kind: WebSeedBusy, At: 0, For: 10 * time.Hour, Servers: []int{0}, RetryAfter: 5 * minute}}
	r := mustRun(t, s)
	const tries = 5 + 2 + 10 // of 5 minutes, until the pause has doubled beyond them, and then up to an hour
	if last := r.LastCompletion(); last < 10*time.Hour || last > 11*time.Hour+30*minute {
		t.Errorf("a server that was busy for ten hours served all by %v", last)
	}
	if said := (r.WebSeeds[0].MessagesUp - r.WebSeeds[0].MessagesDown/requestHeadLen*responseHeadLen) / (busyHeadLen - responseHeadLen); said < 2*10 || said > 2*tries+4 {
		t.Errorf("it said %d times that it is busy", said)
	}
}

// TestALyingWebSeedIsBanned by all who got a piece from it alone, and nobody else is.
func TestALyingWebSeedIsBanned(t *testing.T) {
	s := hybrid(t, 10, 1<<40)
	s.Peers = append(s.Peers, Peer{Seed: true, Link: Link{Up: 1 << 20}})
	s.Faults = []Fault{{Kind: WebSeedLies, At: 0, For: time.Hour, Servers: []int{0}}}
	r := mustRun(t, s)
	fails, bans := 0, 0
	for _, p := range r.Peers {
		fails += p.HashFails
		bans += p.Bans
	}
	if by := r.WebSeeds[0].BannedBy; by != 10 || bans != by || fails < by {
		t.Errorf("%d peers have banned the web seed, %d bans in all, for %d pieces", by, bans, fails)
	}
	if up := r.WebSeeds[0].Up; up > 10<<20 {
		t.Errorf("it sent %d bytes all the same", up)
	}
}

// TestOnlyTheLiarIsBanned of two web seeds and many peers, whose blocks come together in pieces: it tells
// the truth first, and nobody pays for it who was honest.
func TestOnlyTheLiarIsBanned(t *testing.T) {
	for seed := range uint64(4) {
		s := hybrid(t, 12, 1<<40)
		s.Seed = seed
		s.WebSeeds = append(s.WebSeeds, s.WebSeeds[0])
		for i := range s.Peers {
			s.Peers[i].WebSeeds = []int{0, 1}
			s.Peers[i].Join = time.Duration(i) * time.Second
		}
		s.Faults = []Fault{{Kind: WebSeedLies, At: 8 * time.Second, Servers: []int{1}}}
		r := mustRun(t, s)
		bans := 0
		for _, p := range r.Peers {
			bans += p.Bans
		}
		if r.WebSeeds[0].BannedBy != 0 || r.WebSeeds[1].BannedBy == 0 || bans != r.WebSeeds[1].BannedBy {
			t.Errorf("seed %d: %d have banned the honest one, %d the liar; %d bans in all", seed, r.WebSeeds[0].BannedBy, r.WebSeeds[1].BannedBy, bans)
		}
	}
}

func TestWebSeedFaultsOnAnyNumberOfWorkers(t *testing.T) {
	s := hybrid(t, 12, 1<<40)
	s.WebSeeds = append(s.WebSeeds, s.WebSeeds[0], s.WebSeeds[0])
	for i := range s.Peers {
		s.Peers[i].WebSeeds = []int{i % 3, (i + 1) % 3}
		s.Peers[i].Join = time.Duration(i) * time.Second
	}
	s.Faults = []Fault{
		{Kind: WebSeedDown, At: 3 * time.Second, For: 20 * time.Second, Servers: []int{0, 1}},
		{Kind: WebSeedBusy, At: 8 * time.Second, For: 20 * time.Second, Servers: []int{0, 2}, RetryAfter: 7 * time.Second},
		{Kind: WebSeedLies, At: 4 * time.Second, For: 12 * time.Second, Servers: []int{2}},
		{Kind: Crash, At: 6 * time.Second, For: 9 * time.Second, Peers: []int{0, 4, 5}},
	}
	alone := mustRun(t, s)
	for size := 2; size <= 4; size++ {
		workers := pool.New(size)
		s.Pool = workers
		r := mustRun(t, s)
		workers.Close()
		if r.Hash != alone.Hash || !slices.Equal(r.Peers, alone.Peers) || !slices.Equal(r.WebSeeds, alone.WebSeeds) {
			t.Errorf("%d workers: other events", size)
		}
	}
}

func TestWebSeedFaultsAreChecked(t *testing.T) {
	for i, f := range []Fault{
		{Kind: WebSeedDown},
		{Kind: WebSeedDown, Servers: []int{1}},
		{Kind: WebSeedDown, Servers: []int{-1}},
		{Kind: WebSeedDown, Servers: []int{0}, Peers: []int{0}},
		{Kind: WebSeedDown, Servers: []int{0}, RetryAfter: time.Second},
		{Kind: WebSeedBusy, Servers: []int{0}, RetryAfter: 2 * engine.WebSeedRetryLast},
		{Kind: WebSeedBusy, Servers: []int{0}, RetryAfter: -time.Second},
		{Kind: Crash, Peers: []int{0}, Servers: []int{0}},
		{Kind: WebSeedLies + 1, Servers: []int{0}},
	} {
		s := hybrid(t, 1, 0)
		s.Faults = []Fault{f}
		if _, err := s.Run(); err == nil {
			t.Errorf("%d is taken", i)
		}
	}
}
