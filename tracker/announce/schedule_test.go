package announce

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

var rewrite = flag.Bool("rewrite", false, "write what the schedules do into testdata/*.txt")

// TestTranscripts plays testdata/*.txt. A line is
//
//	tiers a b | c        the trackers; "seed N", the source of randomness, and
//	                     "complete" (nothing is missing at the start) may come before
//	TIME advance         the clock stands at TIME after the first line
//	TIME completed | need-peers | stop
//	TIME ok URL [interval=D] [min=D]
//	TIME fail URL [retry=D|never]
//
// and the lines after it that begin with ">" are what the schedule does then.
func TestTranscripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no transcripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := play(want)
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what happens; see the difference after -rewrite. Now:\n%s", file, got)
	}
}

// play returns script with the schedule's own lines.
func play(script []byte) ([]byte, error) {
	p := &player{cfg: Config{Rand: rand.New(rand.NewPCG(1, 0))}, open: map[string]Announce{}}
	for sc := bufio.NewScanner(bytes.NewReader(script)); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&p.transcript, line)
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.line(words); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	return p.transcript.Bytes(), nil
}

type player struct {
	cfg        Config
	s          *Schedule
	open       map[string]Announce // by URL
	transcript bytes.Buffer
}

func (p *player) line(words []string) error {
	switch words[0] {
	case "seed":
		n, err := strconv.ParseUint(words[1], 10, 64)
		p.cfg.Rand = rand.New(rand.NewPCG(n, 0))
		return err
	case "complete":
		p.cfg.Complete = true
		return nil
	case "tiers":
		for _, tier := range strings.Split(strings.Join(words[1:], " "), "|") {
			p.cfg.Tiers = append(p.cfg.Tiers, strings.Fields(tier))
		}
		var err error
		p.s, err = New(0, p.cfg)
		return err
	}
	now, err := time.ParseDuration(words[0])
	if err != nil {
		return err
	}
	if err := p.do(now, words[1], words[2:]); err != nil {
		return err
	}
	p.drain()
	return nil
}

func (p *player) do(now time.Duration, verb string, args []string) error {
	switch verb {
	case "advance":
		p.s.Advance(now)
	case "completed":
		p.s.Completed(now)
	case "need-peers":
		p.s.NeedPeers(now)
	case "stop":
		p.s.Stop()
	case "ok", "fail":
		return p.outcome(now, verb, args)
	default:
		return errors.New("unknown verb")
	}
	return nil
}

func (p *player) outcome(now time.Duration, verb string, args []string) error {
	a, ok := p.open[args[0]]
	if !ok {
		return errors.New("no announce to it is under way")
	}
	delete(p.open, args[0])
	d := map[string]time.Duration{}
	never := false
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		never = never || key == "never"
		d[key], _ = time.ParseDuration(value)
	}
	if verb == "ok" {
		p.s.Succeeded(now, a, Result{Interval: d["interval"], MinInterval: d["min"]})
	} else {
		p.s.Failed(now, a, Failure{RetryIn: d["retry"], Never: never})
	}
	return nil
}

func (p *player) drain() {
	for a, ok := p.s.Next(); ok; a, ok = p.s.Next() {
		p.open[a.URL] = a
		fmt.Fprintln(&p.transcript, strings.TrimSpace(fmt.Sprintf("> announce to tier %d %s %s", a.Tier, a.URL, a.Event)))
	}
	if at, ok := p.s.NextTimeout(); ok {
		fmt.Fprintln(&p.transcript, "> next at", at.Round(100*time.Millisecond))
	}
	if p.s.Stopped() {
		fmt.Fprintln(&p.transcript, "> stopped")
	}
}

// drive runs a schedule for a while against trackers that answer as respond
// says, and returns its announces.
func drive(s *Schedule, until time.Duration, respond func(now time.Duration, a Announce) *Failure, r Result) (log []Announce, times []time.Duration) {
	now := time.Duration(0)
	for range 100_000 {
		for a, ok := s.Next(); ok; a, ok = s.Next() {
			log, times = append(log, a), append(times, now)
			if f := respond(now, a); f != nil {
				s.Failed(now, a, *f)
			} else {
				s.Succeeded(now, a, r)
			}
		}
		at, ok := s.NextTimeout()
		if !ok || at > until {
			break
		}
		now = max(now, at)
		s.Advance(now)
	}
	return log, times
}

func newSchedule(t *testing.T, tiers ...[]string) *Schedule {
	t.Helper()
	s, err := New(0, Config{Tiers: tiers, Rand: rand.New(rand.NewPCG(1, 0))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever interval a tracker gives, we announce neither more often than the
// bounds nor less.
func TestIntervalsAreClamped(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0:                           DefaultInterval,
		-time.Hour:                  ShortestInterval,
		1:                           ShortestInterval,
		25 * time.Minute:            25 * time.Minute,
		1_000_000_000 * time.Second: LongestInterval,
	} {
		s := newSchedule(t, []string{"a"})
		_, times := drive(s, 24*time.Hour, func(time.Duration, Announce) *Failure { return nil }, Result{Interval: given})
		for i := range len(times) - 1 {
			if gap := times[i+1] - times[i]; gap < want || gap > want*11/10 {
				t.Errorf("interval %v: announces are %v apart, want %v to 10 %% more", given, gap, want)
				break
			}
		}
		if len(times) < 6 {
			t.Errorf("interval %v: %d announces in a day", given, len(times))
		}
	}
}

// A tracker that is down all day is asked at growing distances, up to the cap.
func TestBackoffGrowsToItsCap(t *testing.T) {
	s := newSchedule(t, []string{"a"})
	log, times := drive(s, 24*time.Hour, func(time.Duration, Announce) *Failure { return &Failure{} }, Result{})
	for i := range len(times) - 1 {
		gap, want := times[i+1]-times[i], min(BackoffBase<<min(i, 20), BackoffMax)
		if gap < want || gap > want*11/10 {
			t.Errorf("try %d comes %v after the one before, want %v to 10 %% more", i+1, gap, want)
		}
	}
	if n := len(log); n < 45 || n > 60 || log[n-1].Event != tracker.Started {
		t.Errorf("%d tries in a day, the last with event %v", n, log[n-1].Event)
	}
}

// Trackers that fail at random still hear started first, then completed, each
// once; and with all failing for good the schedule falls silent.
func TestEventsOfUnreliableTrackers(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := newSchedule(t, []string{"a", "b"}, []string{"c"})
		heard := map[string][]tracker.Event{}
		respond := func(now time.Duration, a Announce) *Failure {
			if now > 5*time.Hour {
				s.Completed(now)
			}
			if r.IntN(3) == 0 {
				return &Failure{}
			}
			if a.Event != tracker.None {
				heard[a.URL] = append(heard[a.URL], a.Event)
			}
			return nil
		}
		drive(s, 48*time.Hour, respond, Result{})
		s.Stop()
		drive(s, 48*time.Hour, func(_ time.Duration, a Announce) *Failure {
			heard[a.URL] = append(heard[a.URL], a.Event)
			return &Failure{}
		}, Result{})
		if !s.Stopped() {
			t.Fatalf("seed %d: not stopped", seed)
		}
		for url, events := range heard {
			if !slices.Equal(events, []tracker.Event{tracker.Started, tracker.Completed, tracker.Stopped}) {
				t.Fatalf("seed %d: %s heard %q", seed, url, events)
			}
		}
		if len(heard) != 3 {
			t.Fatalf("seed %d: only %d trackers were used", seed, len(heard))
		}
	}
}

func TestTiersAreShuffledOnceWithTheGivenRand(t *testing.T) {
	first := map[string]int{}
	for seed := range uint64(300) {
		cfg := Config{Tiers: [][]string{{"a", "b", "c"}, {"d"}}, Rand: rand.New(rand.NewPCG(seed, 0))}
		s, _ := New(0, cfg)
		var rounds []string
		s.Advance(0)
		for a, ok := s.Next(); ok; a, ok = s.Next() {
			rounds = append(rounds, a.URL)
			s.Failed(0, a, Failure{})
		}
		if len(rounds) != 4 || rounds[3] != "d" {
			t.Fatalf("seed %d: one round is %q", seed, rounds)
		}
		first[rounds[0]]++
	}
	for _, url := range []string{"a", "b", "c"} {
		if n := first[url]; n < 60 || n > 140 {
			t.Errorf("%s was first %d times of about 100", url, n)
		}
	}
}

func TestTrackersAreBoundedAndDeduplicated(t *testing.T) {
	tiers := [][]string{{"a", "a", ""}, {"a"}}
	for i := range 2 * MaxTrackers {
		tiers = append(tiers, []string{fmt.Sprint(i)})
	}
	s := newSchedule(t, tiers...)
	s.Advance(0)
	tried := 0
	for a, ok := s.Next(); ok; a, ok = s.Next() {
		tried++
		s.Failed(0, a, Failure{})
	}
	if tried != MaxTrackers {
		t.Errorf("%d trackers are tried, want %d", tried, MaxTrackers)
	}
}

func TestNoTrackersAndNoRand(t *testing.T) {
	s := newSchedule(t)
	s.NeedPeers(0)
	s.Advance(0)
	if _, ok := s.Next(); ok {
		t.Error("an announce without a tracker")
	}
	if _, ok := s.NextTimeout(); ok {
		t.Error("a deadline without a tracker")
	}
	if s.Stop(); !s.Stopped() {
		t.Error("does not stop")
	}
	if _, err := New(0, Config{}); err == nil {
		t.Error("a schedule without Rand was made")
	}
}

// An outcome that nobody waits for, reported twice or made up, is ignored.
func TestStrayOutcomesAreIgnored(t *testing.T) {
	s := newSchedule(t, []string{"a"})
	s.Advance(0)
	a, _ := s.Next()
	s.Succeeded(time.Second, a, Result{})
	s.Failed(time.Second, a, Failure{Never: true})
	s.Failed(time.Second, Announce{URL: "b"}, Failure{Never: true})
	if at, ok := s.NextTimeout(); !ok || at < DefaultInterval {
		t.Errorf("next at %v, %v", at, ok)
	}
}
