package announce

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// MaxTrackers bounds the trackers of one torrent; the rest is ignored. Public
// lists that people paste into a torrent have about 100.
const MaxTrackers = 256

// The bounds of what a tracker may ask for. BEP 3 sets none; a tracker that
// says 0 must not make us hammer it, and one that says a billion seconds must
// not make us leave the swarm.
const (
	// ShortestInterval and LongestInterval bound the interval between
	// regular announces. Trackers give 30 to 60 minutes.
	ShortestInterval = 30 * time.Second
	LongestInterval  = 4 * time.Hour
	// DefaultInterval stands for an interval that is missing.
	DefaultInterval = 30 * time.Minute
	// DefaultMinInterval is the least time between two announces without an
	// event if the tracker gives none, and ShortestMinInterval if it gives
	// less. Neither is longer than the interval.
	DefaultMinInterval  = time.Minute
	ShortestMinInterval = 15 * time.Second
	// MaxRetryIn bounds the time that a tracker asks to be left alone
	// (BEP 31), short of for ever.
	MaxRetryIn = 24 * time.Hour
)

// The back-off of a tracker that fails: BackoffBase, doubled with each
// further failure up to BackoffMax. The base is short because the usual failure
// is a tracker that is just starting; the cap is the usual interval.
const (
	BackoffBase = 5 * time.Second
	BackoffMax  = 30 * time.Minute
)

// Config says what is announced where.
type Config struct {
	// Tiers are the trackers' URLs as the torrent has them (BEP 12); a
	// torrent that has only "announce" is one tier of one. Duplicates and
	// empty strings are ignored.
	Tiers [][]string
	// Rand shuffles the tiers and spreads announces in time. It is required.
	Rand *rand.Rand
	// Complete says that we had the whole torrent when we started. BEP 3:
	// "No completed is sent if the file was complete when started."
	Complete bool
}

// Announce is a request to be made now: to the tracker URL with Event. Report
// its outcome by Succeeded or Failed.
type Announce struct {
	Tier  int // 0 is the first
	URL   string
	Event tracker.Event
}

// Result is what a tracker answered; 0 is what it did not say.
type Result struct {
	Interval, MinInterval time.Duration
}

// Failure is how an announce failed. The zero Failure is one that may be
// tried again at our own discretion.
type Failure struct {
	RetryIn time.Duration // at the earliest, as the tracker asks (BEP 31)
	Never   bool          // no use to try again (BEP 31), or a URL that cannot work
}

// Schedule decides when one torrent announces to which tracker. Its user
// calls a method, drains Next, and waits until NextTimeout to call Advance, or
// until an outcome is there to be reported. It is not safe for concurrent use.
type Schedule struct {
	rand  *rand.Rand
	tiers [][]*endpoint

	next     time.Duration // when the next round begins, or never
	earliest time.Duration // when a round that merely wants peers may begin
	walking  bool          // a round waits for an outcome
	out      []Announce

	completed bool // nothing is missing any more, or was from the start
	stopping  bool
}

// endpoint is one tracker, or something else that is announced to.
type endpoint struct {
	url           string
	tier          int
	asked         bool // an announce waits for its outcome
	askedEvent    tracker.Event
	failures      int           // in a row
	notBefore     time.Duration // back-off, or never
	heardStarted  bool
	heardComplete bool
	tried         bool // in this round
}

// never is a deadline that does not come.
const never = time.Duration(1<<63 - 1)

// New returns a schedule whose first round begins at time now: it is due at
// the first call of Advance.
func New(now time.Duration, cfg Config) (*Schedule, error) {
	if cfg.Rand == nil {
		return nil, errors.New("announce: Config.Rand is nil")
	}
	s := &Schedule{rand: cfg.Rand, next: now, completed: cfg.Complete}
	known := map[string]bool{"": true}
	for tier, urls := range cfg.Tiers {
		s.addTier(tier, urls, known, cfg.Complete)
	}
	if len(s.tiers) == 0 {
		s.next = never
	}
	return s, nil
}

// addTier shuffles a tier. BEP 12: "URLs within each tier will be processed in
// a randomly chosen order; in other words, the list will be shuffled when
// first read, and then parsed in order."
func (s *Schedule) addTier(tier int, urls []string, known map[string]bool, complete bool) {
	var eps []*endpoint
	for _, url := range urls {
		if !known[url] && len(known) <= MaxTrackers {
			known[url] = true
			eps = append(eps, &endpoint{url: url, tier: tier, heardComplete: complete})
		}
	}
	s.rand.Shuffle(len(eps), func(i, j int) { eps[i], eps[j] = eps[j], eps[i] })
	if len(eps) > 0 {
		s.tiers = append(s.tiers, eps)
	}
}

// Advance begins the round that is due at time now, if any.
func (s *Schedule) Advance(now time.Duration) {
	if s.stopping || s.walking || now < s.next {
		return
	}
	s.forEach(func(ep *endpoint) { ep.tried = false })
	s.walk(now)
}

// Completed says that the download has come to its end. The tracker hears it
// at once, and any other tracker when it is first used again, each one once.
func (s *Schedule) Completed(now time.Duration) {
	if s.completed || s.stopping {
		return
	}
	s.completed = true
	s.hasten(now)
}

// NeedPeers asks for a round before the regular one. BEP 3: "Note that
// downloaders may rerequest on nonscheduled times if an event happens or they
// need more peers"; it begins when the tracker's min interval has passed.
func (s *Schedule) NeedPeers(now time.Duration) {
	if !s.stopping {
		s.hasten(max(now, s.earliest))
	}
}

// Stop ends the schedule: every tracker that heard Started and is not banned
// hears Stopped, without a second try. An announce that is under way is
// waited for.
func (s *Schedule) Stop() {
	if s.stopping {
		return
	}
	for _, a := range s.out { // nobody has sent these yet
		s.outcome(a)
	}
	s.stopping, s.next, s.out = true, never, nil
	s.forEach(s.sayStopped)
}

// Stopped reports whether the schedule was stopped and no outcome is missing
// any more.
func (s *Schedule) Stopped() bool {
	waiting := false
	s.forEach(func(ep *endpoint) { waiting = waiting || ep.asked })
	return s.stopping && !waiting
}

// Succeeded reports that the tracker of a answered.
func (s *Schedule) Succeeded(now time.Duration, a Announce, r Result) {
	ep := s.outcome(a)
	if ep == nil {
		return
	}
	ep.failures, ep.notBefore = 0, 0
	ep.heard(a.Event)
	if s.stopping {
		s.sayStopped(ep)
		return
	}
	s.toFront(ep)
	interval := clamp(r.Interval, DefaultInterval, ShortestInterval, LongestInterval)
	minInterval := min(clamp(r.MinInterval, DefaultMinInterval, ShortestMinInterval, LongestInterval), interval)
	s.earliest = now + minInterval
	s.next = now + s.jitter(interval)
	s.walking = false
	if s.event(ep) != tracker.None { // owed since the announce was sent
		s.next = now
	}
}

// Failed reports that the tracker of a did not answer, or refused. The round
// goes on to the next tracker.
func (s *Schedule) Failed(now time.Duration, a Announce, f Failure) {
	ep := s.outcome(a)
	if ep == nil {
		return
	}
	ep.failures++
	switch {
	case f.Never:
		ep.notBefore = never
	case f.RetryIn > 0:
		ep.notBefore = now + max(min(f.RetryIn, MaxRetryIn), s.backoff(ep.failures))
	default:
		ep.notBefore = now + s.backoff(ep.failures)
	}
	switch {
	case s.stopping && a.Event != tracker.Stopped:
		s.sayStopped(ep)
	case !s.stopping:
		s.walk(now)
	}
}

// Next returns an announce to be made now, and false if there is none.
func (s *Schedule) Next() (Announce, bool) {
	if len(s.out) == 0 {
		return Announce{}, false
	}
	a := s.out[0]
	s.out = s.out[1:]
	return a, true
}

// NextTimeout returns when Advance is to be called, and false if only an
// outcome or another call can bring the schedule on.
func (s *Schedule) NextTimeout() (time.Duration, bool) {
	return s.next, s.next != never && !s.walking && !s.stopping
}

func clamp(d, missing, least, most time.Duration) time.Duration {
	if d == 0 {
		d = missing
	}
	return min(max(d, least), most)
}

// jitter lengthens an interval by up to a tenth, so that clients which
// started together (a tracker's restart, a popular release) drift apart. It
// never shortens it: that would ignore the tracker.
func (s *Schedule) jitter(d time.Duration) time.Duration {
	return d + time.Duration(s.rand.Int64N(int64(d/10)))
}

func (s *Schedule) backoff(failures int) time.Duration {
	doublings := min(failures-1, 16) // far past the cap, and no overflow
	return s.jitter(min(BackoffBase<<doublings, BackoffMax))
}
