package quota

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// grants is engine.Grants, which this package must not import.
type grants interface {
	Upload(now time.Duration, want int) (granted int, again time.Duration)
	Download(now time.Duration, want int) (granted int, again time.Duration)
	Slots(now time.Duration, want int) int
	Connect(now time.Duration) bool
	Disconnect(now time.Duration)
	Dial(now time.Duration) bool
	DialDone(now time.Duration)
	Buffer(now time.Duration, want int) bool
	Unbuffer(now time.Duration, n int)
}

var _ grants = (*Share)(nil)

const blockLen = 16 << 10

// sender is a torrent that asks for blocks: as fast as it may, or one each
// period.
type sender struct {
	share  *Share
	period time.Duration // 0: always wants more
	late   time.Duration // how late it comes to its turns, at most
	at     time.Duration // when it asks next
	from   time.Duration // when it begins to want the next block
	sent   int
	times  []time.Duration
	asked  int
}

// run lets the senders ask until end, each exactly when it was told to.
func run(senders []*sender, end time.Duration, r *rand.Rand) {
	for {
		next := senders[0]
		for _, s := range senders {
			if s.at < next.at {
				next = s
			}
		}
		now := next.at
		if now >= end {
			return
		}
		next.asked++
		granted, again := next.share.Upload(now, blockLen)
		switch {
		case granted == 0:
			next.at = again
			if next.late > 0 {
				next.at += time.Duration(r.Int64N(int64(next.late)))
			}
			if again <= now {
				panic("refused without a later time")
			}
		default:
			next.sent += granted
			next.times = append(next.times, now)
			next.from += next.period
			next.at = max(now, next.from)
		}
	}
}

func near(got, want, tolerance float64) bool {
	return got >= want*(1-tolerance) && got <= want*(1+tolerance)
}

func TestRateIsExactOverAnySecondAndInTheLong(t *testing.T) {
	const rate = 4 << 20
	s := &sender{share: New(Config{Up: rate}).Join(Limits{})}
	const seconds = 100
	run([]*sender{s}, seconds*time.Second, nil)
	if got := float64(s.sent); !near(got, rate*seconds, 0.0002) {
		t.Errorf("sent %v bytes in %d s, want %v", got, seconds, rate*seconds)
	}
	for first, end := 0, 0; end < len(s.times); first++ {
		for end < len(s.times) && s.times[end] < s.times[first]+time.Second {
			end++
		}
		if got := float64((end - first) * blockLen); end < len(s.times) && !near(got, rate, 0.01) {
			t.Fatalf("%v bytes in the second from %v", got, s.times[first])
		}
	}
	if s.asked > 2*len(s.times)+1 {
		t.Errorf("asked %d times for %d blocks", s.asked, len(s.times))
	}
}

func TestRateDoesNotDrift(t *testing.T) {
	// A block takes a whole number of nanoseconds and nearly one more.
	const rate = 999_983
	s := &sender{share: New(Config{Up: rate}).Join(Limits{})}
	const blocks = 200_000
	for s.sent < blocks*blockLen {
		granted, again := s.share.Upload(s.at, blockLen)
		s.sent += granted
		if granted == 0 {
			s.at = again
		}
	}
	const want = (blocks - 1) * blockLen // the last one is paid for afterwards
	if got := int64(s.at/time.Microsecond) * rate / 1_000_000; got < want-2 || got > want+2 {
		t.Errorf("%d bytes are paid for at %v, want %d", got, s.at, want)
	}
}

func TestEvenPartsOfWhatTheModestLeave(t *testing.T) {
	q := New(Config{Up: 300_000})
	modest := &sender{share: q.Join(Limits{}), period: blockLen * time.Second / 50_000}
	limited := &sender{share: q.Join(Limits{Up: 70_000})}
	greedy := &sender{share: q.Join(Limits{})}
	greedy2 := &sender{share: q.Join(Limits{})}
	const seconds = 200
	run([]*sender{greedy, modest, limited, greedy2}, seconds*time.Second, nil)
	for i, c := range []struct {
		s    *sender
		want float64
	}{{modest, 50_000}, {limited, 70_000}, {greedy, 90_000}, {greedy2, 90_000}} {
		if got := float64(c.s.sent) / seconds; !near(got, c.want, 0.02) {
			t.Errorf("sender %d got %.0f bytes/s, want %.0f", i, got, c.want)
		}
	}
}

func TestLateDriverLosesNothing(t *testing.T) {
	const rate = 2 << 20
	s := &sender{share: New(Config{Up: rate}).Join(Limits{}), late: 60 * time.Millisecond}
	run([]*sender{s}, 20*time.Second, rand.New(rand.NewPCG(1, 2)))
	if got := float64(s.sent) / 20; !near(got, rate, 0.01) {
		t.Errorf("%.0f bytes/s with a late driver, want %d", got, rate)
	}
}

func TestTurnOfTheAbsentGoesToTheOthers(t *testing.T) {
	q := New(Config{Up: 1_000_000})
	present := &sender{share: q.Join(Limits{})}
	for at := time.Duration(0); at < 10*time.Second; at += 250 * time.Millisecond {
		run([]*sender{present}, at, nil)
		q.Join(Limits{}).Upload(at, blockLen) // and never comes for its turn
	}
	if got := float64(present.sent) / 10; !near(got, 1_000_000, 0.03) {
		t.Errorf("%.0f bytes/s beside torrents that do not take their turns", got)
	}
}

func TestWantBeyondTheBurstWaitsAfterwards(t *testing.T) {
	s := New(Config{Down: 1000}).Join(Limits{})
	if granted, _ := s.Download(0, blockLen); granted != blockLen {
		t.Fatalf("granted %d of a block at 1,000 bytes/s", granted)
	}
	granted, again := s.Download(0, blockLen)
	if want := blockLen * time.Millisecond; granted != 0 || again != want {
		t.Errorf("granted %d, again at %v, want 0 and %v", granted, again, want)
	}
	if granted, _ := s.Download(again-1, blockLen); granted != 0 {
		t.Error("granted before its time")
	}
	if granted, _ := s.Download(again, blockLen); granted != blockLen {
		t.Error("refused at its time")
	}
}

func TestNewRateCountsFromNow(t *testing.T) {
	q := New(Config{Up: 10})
	s := q.Join(Limits{})
	s.Upload(0, blockLen)
	s.Upload(0, blockLen) // waits half an hour
	q.SetLimits(time.Second, Config{Up: 1 << 20})
	if granted, _ := s.Upload(time.Second, blockLen); granted != blockLen {
		t.Error("the old limit's debt outlived it")
	}
	s.SetLimits(time.Second, Limits{Up: 1})
	s.Upload(2*time.Second, blockLen)
	if granted, _ := s.Upload(3*time.Second, blockLen); granted != 0 {
		t.Error("the torrent's own limit does not bind")
	}
}

// TestWindowsOfManyTorrents is the property behind the others: whoever asks
// for what and when, no window has more than its rate, a burst and a block.
func TestWindowsOfManyTorrents(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		rate := 10_000 + r.IntN(3<<20)
		q := New(Config{Up: rate})
		var all []*sender
		for range 1 + r.IntN(8) {
			s := &sender{share: q.Join(Limits{Up: r.IntN(3) * r.IntN(1<<20)})}
			if r.IntN(2) == 0 {
				s.period = time.Duration(r.Int64N(int64(time.Second)))
			}
			all = append(all, s)
		}
		run(all, 30*time.Second, r)
		checkWindows(t, seed, rate, all)
		for i, s := range all {
			if s.sent == 0 {
				t.Errorf("seed %d: torrent %d of %d starved", seed, i, len(all))
			}
		}
	}
}

func checkWindows(t *testing.T, seed uint64, rate int, senders []*sender) {
	t.Helper()
	var times []time.Duration
	for _, s := range senders {
		times = append(times, s.times...)
	}
	slices.Sort(times)
	for from := 0; from < len(times); from += 1 + len(times)/200 {
		for to := from; to < len(times); to++ {
			sent := float64((to - from + 1) * blockLen)
			window := (times[to] - times[from] + burst).Seconds()
			if most := float64(rate)*window + 2*blockLen; sent > most {
				t.Fatalf("seed %d: %.0f bytes between %v and %v, at most %.0f", seed, sent, times[from], times[to], most)
			}
		}
	}
}
