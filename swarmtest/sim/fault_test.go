package sim

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

// pair is a seed of 64 KiB/s and a downloader that needs 32 s.
func pair(t testing.TB) Swarm {
	return Swarm{
		Seed: 1, Geometry: geometry(t, 2*MiB, 128*KiB), Latency: time.Millisecond,
		Peers: []Peer{{Seed: true, Link: Link{Up: 64 * KiB}}, {}},
	}
}

// connsAt runs s and returns how many connections a peer has at a time.
func connsAt(t *testing.T, s Swarm, peer int, at time.Duration) int {
	t.Helper()
	s.KeepRunning, s.Limit, s.Patience = true, at, at
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	return w.peers[peer].engine.Stats(at).Conns
}

func TestACrashIsNoticedByTimeOut(t *testing.T) {
	s := pair(t)
	s.Faults = []Fault{{Kind: Crash, At: 5 * time.Second, Peers: []int{0}}}
	if n := connsAt(t, s, 1, 3*time.Minute); n != 1 {
		t.Errorf("%d connections three minutes after the other crashed, want 1", n)
	}
	if n := connsAt(t, s, 1, 5*time.Minute); n != 0 {
		t.Errorf("%d connections five minutes after the other crashed, want 0", n)
	}
	r := run(t, s)
	if r.Completed || !strings.Contains(r.Reason, "no progress") || r.Peers[0].Leave != 5*time.Second {
		t.Errorf("ended because %q; the seed left at %v", r.Reason, r.Peers[0].Leave)
	}
}

func TestACrashedPeerComesBackWithItsPieces(t *testing.T) {
	for crashed := range 2 {
		s := pair(t)
		alone := mustComplete(t, s).LastCompletion()
		s.Faults = []Fault{{Kind: Crash, At: 20 * time.Second, For: time.Minute, Peers: []int{crashed}}}
		r := mustComplete(t, s)
		if late := r.LastCompletion() - alone; late < time.Minute || late > 80*time.Second {
			t.Errorf("peer %d away for a minute: %v late", crashed, late)
		}
		// At most the pieces that were under way come twice.
		if p := r.Peers[1]; p.Down < 2*MiB || p.Down > 2*MiB+MiB/2 {
			t.Errorf("peer %d crashed: %d bytes down", crashed, p.Down)
		}
	}
}

func TestWhoLeavesWhileAwayDoesNotComeBack(t *testing.T) {
	s := pair(t)
	s.Peers[1].Leave = 20 * time.Second
	s.Faults = []Fault{{Kind: Crash, At: 10 * time.Second, For: time.Minute, Peers: []int{1}}}
	s.KeepRunning, s.Limit = true, 2*time.Minute
	if p := run(t, s).Peers[1]; p.Leave != 20*time.Second || p.Complete != 0 {
		t.Errorf("left at %v, completed at %v", p.Leave, p.Complete)
	}
}

func TestASeedLeavesAfterThreeCopies(t *testing.T) {
	s := crowd(t, 10, 4*MiB)
	for i := range s.Peers {
		s.Peers[i].SeedFor = 0
	}
	s.Peers[0].LeaveAfter = 12 * MiB
	r := mustComplete(t, s)
	if p := r.Peers[0]; p.Leave == 0 || p.Up < 12*MiB || p.Up > 12*MiB+16*KiB {
		t.Errorf("the seed left at %v after %d bytes", p.Leave, p.Up)
	}
}

func TestAnnouncesAreTriedAgain(t *testing.T) {
	s := pair(t)
	s.Peers[1].Join = 10 * time.Second
	s.Faults = []Fault{{Kind: TrackerDown, For: time.Minute}}
	r := mustComplete(t, s)
	// From the 10th second on: tried again 5, 15, 35 and 75 s later.
	if first := r.Peers[1].FirstPiece; first < 85*time.Second || first > 90*time.Second {
		t.Errorf("the first piece came at %v", first)
	}
	s.Faults[0].For = 0
	if r := run(t, s); r.Completed {
		t.Error("peers found each other without a tracker")
	}
	s.Peers[1].Join = 0
	s.Faults[0].At = time.Second
	mustComplete(t, s) // who has peers needs no tracker
}

func TestWhatTheTrackerMissedIsSaidLater(t *testing.T) {
	s := pair(t)
	s.Faults = []Fault{{Kind: TrackerDown, At: 10 * time.Second, For: 5 * time.Minute}}
	s.AnnounceInterval = 2 * time.Minute
	s.KeepRunning, s.Limit = true, 20*time.Minute
	s.setDefaults()
	w, err := newSwarm(s)
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	if counts, _ := w.tracker.core.Scrape(w.infoHash(0)); counts.Complete != 2 || counts.Downloaded != 1 {
		t.Errorf("the tracker counts %+v", counts)
	}
}

// parted is a seed and four downloaders of which the last two are cut off for a time.
func parted(t testing.TB, at, lasts time.Duration) Swarm {
	s := Swarm{Seed: 1, Geometry: geometry(t, 4*MiB, 128*KiB), Peers: Repeat(5, Peer{Link: Link{Up: 64 * KiB, Down: MiB}})}
	s.Peers[0].Seed = true
	s.Faults = []Fault{{Kind: Partition, At: at, For: lasts, Peers: []int{3, 4}}}
	return s
}

func TestNothingPassesAPartition(t *testing.T) {
	s := parted(t, 0, 10*time.Minute)
	r := mustComplete(t, s)
	for i, p := range r.Peers {
		if inside := i >= 3; !p.Seed && inside != (p.FirstPiece > 10*time.Minute) {
			t.Errorf("peer %d has its first piece at %v", i, p.FirstPiece)
		}
	}
	s.Faults[0].For = 0
	if r := run(t, s); r.Completed || r.Peers[3].Down > 0 || r.Peers[1].Complete == 0 {
		t.Errorf("a partition for ever: %q, %+v", r.Reason, r.Peers)
	}
}

func TestConnectionsOutliveAShortPartition(t *testing.T) {
	down := func(at time.Duration) int64 {
		s := parted(t, 20*time.Second, 30*time.Second)
		s.Faults[0].Peers = []int{4}
		s.KeepRunning, s.Limit = true, at
		return run(t, s).Peers[4].Down
	}
	// What the downlink had at the beginning comes through.
	if before, during := down(20*time.Second), down(50*time.Second-1); before == 0 || during-before > 4*16*KiB {
		t.Errorf("%d bytes before the partition, %d until its end", before, during)
	}
	if after := down(52 * time.Second); after-down(50*time.Second-1) < 4*16*KiB {
		t.Errorf("%d bytes two seconds later", after)
	}
	s := parted(t, 20*time.Second, 10*time.Minute)
	s.Geometry = geometry(t, 128*MiB, 128*KiB)
	for at, want := range map[time.Duration]int{time.Minute: 4, 6 * time.Minute: 2} {
		if n := connsAt(t, s, 0, at); n != want {
			t.Errorf("the seed has %d connections at %v, want %d", n, at, want)
		}
	}
}

func TestCorruptPeersAreBanned(t *testing.T) {
	s := crowd(t, 20, 4*MiB)
	for i := range s.Peers {
		s.Peers[i].SeedFor = 0
	}
	for _, i := range []int{4, 9} {
		s.Peers[i].Corrupt = true
		s.Peers[i].Link.Up *= 4
	}
	r := mustComplete(t, s)
	wasted := int64(0)
	for i, p := range r.Peers {
		wasted += p.Wasted
		switch {
		case s.Peers[i].Corrupt && p.BannedBy == 0:
			t.Errorf("nobody bans peer %d, which sent %d false bytes", i, p.Up)
		case p.Bans > 2:
			t.Errorf("peer %d bans %d others; two lied", i, p.Bans)
		case p.HashFails > 0 && p.Wasted < 256*KiB:
			t.Errorf("peer %d: %d pieces failed, %d bytes wasted", i, p.HashFails, p.Wasted)
		}
	}
	t.Logf("%d bytes wasted; banned by %d and %d", wasted, r.Peers[4].BannedBy, r.Peers[9].BannedBy)
	if wasted == 0 {
		t.Error("nothing was wasted")
	}
}

func TestACorruptSeedAlone(t *testing.T) {
	s := pair(t)
	s.HashDelay = time.Millisecond
	s.Peers[0].Corrupt = true
	s.Patience = 10 * time.Minute
	r := run(t, s)
	if p := r.Peers[1]; r.Completed || p.FirstPiece != 0 || p.HashFails == 0 || p.Bans != 1 || r.Peers[0].BannedBy != 1 {
		t.Errorf("the downloader: %+v; the seed is banned by %d", p, r.Peers[0].BannedBy)
	}
}

func TestLossCapsAConnection(t *testing.T) {
	// RFC 5348 without its term for time-outs is 1.22 s / (R sqrt(p)), as Mathis et al. have it.
	if got, want := lossRate(1e-6, 25*time.Millisecond), 1460/0.05*math.Sqrt(1.5)/1e-3; math.Abs(got/want-1) > 0.01 {
		t.Errorf("%.0f bytes/s, want %.0f", got, want)
	}
	if lossRate(0, time.Second) != 0 {
		t.Error("a limit without losses")
	}
	for _, slowStart := range []bool{false, true} {
		s := Swarm{Seed: 1, Geometry: geometry(t, 4*MiB, 128*KiB), Peers: []Peer{{Seed: true}, {}}, SlowStart: slowStart}
		s.Loss, s.Peers[1].Loss = 0.01, 0.01
		rate := lossRate(1-0.99*0.99, DefaultLatency)
		took := mustComplete(t, s).LastCompletion().Seconds()
		if ratio := took / (4 * MiB / rate); ratio < 1 || ratio > 1.05 {
			t.Errorf("4 MiB at %.0f bytes/s took %.1f s: %.3f of that", rate, took, ratio)
		}
	}
}

// faulty is a swarm in which everything goes wrong.
func faulty(t testing.TB) Swarm {
	s := crowd(t, 40, 2*MiB)
	s.SlowStart, s.Loss, s.HashDelay = true, 0.002, time.Millisecond
	s.Peers[3].Unreachable = true
	s.Peers[2].Seed = true // or the last copy of a piece could be that of the liar
	s.Peers[5].Corrupt = true
	s.Peers[6].Loss = 0.05
	for i := range s.Peers {
		s.Peers[i].SeedFor = 0
	}
	s.Peers[0].LeaveAfter = 12 * MiB
	s.Faults = []Fault{
		{Kind: Crash, At: 6 * time.Second, For: 20 * time.Second, Peers: []int{0, 7, 8}},
		{Kind: Crash, At: 30 * time.Second, Peers: []int{9}},
		{Kind: Crash, At: 10 * time.Second, For: 5 * time.Second, Peers: []int{7, 10}}, // 7 is away already
		{Kind: TrackerDown, At: 5 * time.Second, For: 15 * time.Second},
		{Kind: Partition, At: 12 * time.Second, For: 9 * time.Second, Peers: []int{11, 12, 13, 14, 15}},
		{Kind: Partition, At: 17 * time.Second, For: 9 * time.Second, Peers: []int{15, 16, 17}},
	}
	s.Between = func(a, b int) time.Duration { return time.Duration(3000+(a*b)%5*7000) * time.Microsecond }
	return s
}

func TestTheNumberOfWorkersChangesNoFault(t *testing.T) {
	s := faulty(t)
	alone, samples := sampled(t, s, time.Second)
	for size := 1; size <= 5; size++ {
		workers := pool.New(size)
		s.Pool = workers
		r, others := sampled(t, s, time.Second)
		if r.Hash != alone.Hash || !slices.Equal(r.Peers, alone.Peers) || r.End != alone.End {
			t.Errorf("%d workers: hash %x at %v, want %x at %v", size, r.Hash, r.End, alone.Hash, alone.End)
		}
		if !slices.Equal(others, samples) {
			t.Errorf("%d workers: other samples", size)
		}
		workers.Close()
	}
}

func TestWebSeedsAndFaults(t *testing.T) {
	s := hybrid(t, 10, 1<<40)
	s.Loss = 0.001
	s.Faults = []Fault{
		{Kind: Crash, At: 5 * time.Second, For: 10 * time.Second, Peers: []int{0, 1}},
		{Kind: Partition, For: 20 * time.Second, Peers: []int{2, 3}},
		{Kind: Partition, At: 8 * time.Second, For: 10 * time.Minute, Peers: []int{4, 5}},
	}
	r := mustRun(t, s)
	for i, p := range r.Peers {
		if late := i == 4 || i == 5; late != (p.Complete > 10*time.Minute) || p.FromWebSeeds == 0 {
			t.Errorf("peer %d completed at %v, with %d bytes from the web seed", i, p.Complete, p.FromWebSeeds)
		}
	}
	workers := pool.New(3)
	defer workers.Close()
	s.Pool = workers
	if again := mustRun(t, s); again.Hash != r.Hash {
		t.Error("a run on several processors differs")
	}
}

func TestAFaultAfterTheEndChangesNothing(t *testing.T) {
	s := crowd(t, 10, 2*MiB)
	alone := mustComplete(t, s)
	s.Faults = []Fault{
		{Kind: Crash, At: time.Hour, Peers: []int{1}}, {Kind: Partition, At: time.Hour, Peers: []int{1}}, {Kind: TrackerDown, At: time.Hour},
	}
	if r := mustComplete(t, s); r.Hash != alone.Hash {
		t.Error("another transcript with faults that are yet to come")
	}
}

func TestPeerExchangeOutlivesTheTracker(t *testing.T) {
	s := crowd(t, 12, 2*MiB)
	s.Faults = []Fault{{Kind: TrackerDown, At: time.Second}}
	s.Patience = 20 * time.Minute
	without := run(t, s)
	s.Configure = func(_ int, cfg *engine.Config) { cfg.NoPEX = false }
	if with := run(t, s); len(with.Durations()) < len(without.Durations()) {
		t.Errorf("%d completed with peer exchange, %d without", len(with.Durations()), len(without.Durations()))
	}
}

func TestMistakesInFaultsAreNamed(t *testing.T) {
	for _, c := range []struct {
		want  string
		fault Fault
	}{
		{"no kind", Fault{}},
		{"before the run", Fault{Kind: TrackerDown, At: -1}},
		{"ends before", Fault{Kind: TrackerDown, At: math.MaxInt64, For: 1}},
		{"need peers", Fault{Kind: Crash}},
		{"others have none", Fault{Kind: TrackerDown, Peers: []int{0}}},
		{"no peer 2", Fault{Kind: Partition, Peers: []int{2}}},
	} {
		s := pair(t)
		s.Faults = []Fault{c.fault}
		if _, err := s.Run(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	s := pair(t)
	s.Loss = 1
	if _, err := s.Run(); err == nil || !strings.Contains(err.Error(), "loss") {
		t.Errorf("error %v, want one about the loss", err)
	}
}
