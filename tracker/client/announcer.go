package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/announce"
)

// StopTimeout is how long Run goes on after its context has ended, to tell
// the trackers that we leave. People who press Ctrl-C do not wait longer.
const StopTimeout = 5 * time.Second

// DefaultNumWant is how many peers an Announcer asks for: what trackers give
// if not asked.
const DefaultNumWant = 50

// Torrent is what an Announcer needs of the torrent it announces. Its methods
// are called one at a time, from Run, and must not block.
type Torrent interface {
	// Snapshot returns the payload bytes sent and received since the start,
	// and the bytes still missing (negative: not known yet).
	Snapshot() (uploaded, downloaded, left int64)
	// Found takes the addresses of peers that a tracker named, never none.
	Found(peers []netip.AddrPort)
}

// Requester makes an announce; a *Client does.
type Requester interface {
	Announce(ctx context.Context, announceURL string, req *tracker.Request) (*tracker.Response, error)
}

// AnnouncerConfig says what an Announcer announces.
type AnnouncerConfig struct {
	Client   Requester  // required
	Torrent  Torrent    // required
	Tiers    [][]string // of announce URLs (BEP 12)
	InfoHash metainfo.InfoHash
	PeerID   metainfo.PeerID
	Port     uint16 // where we accept peers; 0 for nowhere
	// Rand is for the schedule, and for the key that BEP 7 wants. It is
	// required, and used by the Announcer alone from then on.
	Rand *rand.Rand
	// NumWant is how many peers to ask for; 0 means DefaultNumWant.
	NumWant int
	// Logger gets a line for each failure, without keys; nil means silent.
	Logger *slog.Logger
}

// Announcer keeps one torrent announced. Make it with NewAnnouncer, then call
// Run once.
type Announcer struct {
	cfg        AnnouncerConfig
	key        uint32
	schedule   *announce.Schedule
	begin      time.Time
	outcomes   chan outcome // unbuffered: Run takes one for each request
	open       int          // requests whose outcome is awaited
	trackerIDs map[string]string
	wake       chan struct{} // one slot: a wish is in wishes

	mu     sync.Mutex
	wishes struct{ completed, needPeers bool }
	status Status
}

type outcome struct {
	announce announce.Announce
	resp     *tracker.Response
	err      error
}

// NewAnnouncer returns an Announcer. Whether the torrent is complete at the
// start, which BEP 3 makes a difference of, is asked of cfg.Torrent here.
func NewAnnouncer(cfg AnnouncerConfig) (*Announcer, error) {
	if cfg.Client == nil || cfg.Torrent == nil || cfg.Rand == nil {
		return nil, errors.New("announcer: Client, Torrent or Rand is nil")
	}
	if cfg.NumWant == 0 {
		cfg.NumWant = DefaultNumWant
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	_, _, left := cfg.Torrent.Snapshot()
	schedule, err := announce.New(0, announce.Config{Tiers: cfg.Tiers, Rand: cfg.Rand, Complete: left == 0})
	if err != nil {
		return nil, err
	}
	return &Announcer{
		cfg:        cfg,
		key:        cfg.Rand.Uint32() | 1, // 0 would be none
		schedule:   schedule,
		outcomes:   make(chan outcome),
		trackerIDs: make(map[string]string),
		wake:       make(chan struct{}, 1),
		status:     newStatus(cfg.Tiers),
	}, nil
}

// Completed says that the download has come to its end: the trackers are to
// know.
func (a *Announcer) Completed() { a.wish(func() { a.wishes.completed = true }) }

// NeedPeers asks for an announce as soon as the tracker allows.
func (a *Announcer) NeedPeers() { a.wish(func() { a.wishes.needPeers = true }) }

func (a *Announcer) wish(set func()) {
	a.mu.Lock()
	set()
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // Run has not looked at the wish before yet
	}
}

// Run announces until ctx ends, then says good-bye to the trackers that know
// us, for at most StopTimeout, and returns nil. Failing trackers are no error:
// see Status.
func (a *Announcer) Run(ctx context.Context) error {
	a.begin = time.Now()
	// Requests outlive ctx: a started that is under way decides whether
	// there is anybody to say stopped to.
	reqCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	for !a.schedule.Stopped() || a.open > 0 {
		a.send(reqCtx)
		a.setTimer(timer)
		select {
		case <-done:
			done = nil
			a.lastWishes(reqCtx)
			a.schedule.Stop()
			defer time.AfterFunc(StopTimeout, cancel).Stop()
		case <-timer.C:
			a.schedule.Advance(a.now())
		case <-a.wake:
			a.grant()
		case o := <-a.outcomes:
			a.open--
			a.record(o)
		}
	}
	return nil
}

func (a *Announcer) now() time.Duration { return time.Since(a.begin) }

// setTimer arms the timer for the schedule's deadline, and shows it to people.
func (a *Announcer) setTimer(timer *time.Timer) {
	at, ok := a.schedule.NextTimeout()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ok {
		timer.Stop()
		a.status.Next = time.Time{}
		return
	}
	timer.Reset(at - a.now())
	a.status.Next = a.begin.Add(at)
}

// grant hands the wishes of other goroutines to the schedule.
func (a *Announcer) grant() {
	a.mu.Lock()
	wishes := a.wishes
	a.wishes.completed, a.wishes.needPeers = false, false
	a.mu.Unlock()
	if wishes.completed {
		a.schedule.Completed(a.now())
	}
	if wishes.needPeers {
		a.schedule.NeedPeers(a.now())
	}
}

// lastWishes grants what was wished before the end: a tracker is to count a
// download that was complete, though we leave at the same moment.
func (a *Announcer) lastWishes(ctx context.Context) {
	a.grant()
	a.schedule.Advance(a.now())
	a.send(ctx)
}

// send starts the requests that the schedule has decided on: one in a round,
// and one for each tracker that hears stopped (at most announce.MaxTrackers).
func (a *Announcer) send(ctx context.Context) {
	for ann, ok := a.schedule.Next(); ok; ann, ok = a.schedule.Next() {
		req := a.request(ann)
		a.open++
		go func() {
			resp, err := a.cfg.Client.Announce(ctx, ann.URL, req)
			a.outcomes <- outcome{ann, resp, err}
		}()
	}
}

func (a *Announcer) request(ann announce.Announce) *tracker.Request {
	req := &tracker.Request{
		InfoHash:  a.cfg.InfoHash,
		PeerID:    a.cfg.PeerID,
		Addr:      netip.AddrPortFrom(netip.Addr{}, a.cfg.Port),
		Event:     ann.Event,
		NumWant:   a.cfg.NumWant,
		Key:       a.key,
		TrackerID: a.trackerIDs[ann.URL],
		Compact:   true,
		NoPeerID:  true,
	}
	req.Uploaded, req.Downloaded, req.Left = a.cfg.Torrent.Snapshot()
	if ann.Event == tracker.Stopped {
		req.NumWant = 0
	}
	return req
}

// record passes an outcome on to the schedule, the torrent and the status.
func (a *Announcer) record(o outcome) {
	a.note(o)
	if o.err != nil {
		a.cfg.Logger.Info("announce failed", "torrent", a.cfg.InfoHash, "error", o.err)
		a.schedule.Failed(a.now(), o.announce, failure(o.err))
		return
	}
	if o.resp.TrackerID != "" {
		a.trackerIDs[o.announce.URL] = o.resp.TrackerID
	}
	a.schedule.Succeeded(a.now(), o.announce, announce.Result{
		Interval: o.resp.Interval, MinInterval: o.resp.MinInterval,
	})
	if len(o.resp.Peers) > 0 && o.announce.Event != tracker.Stopped {
		a.cfg.Torrent.Found(o.resp.Peers)
	}
}

// failure tells the schedule what an error means for later tries.
func failure(err error) announce.Failure {
	var refused *tracker.FailureError
	var unusable *UnusableURLError
	switch {
	case errors.As(err, &unusable):
		return announce.Failure{Never: true}
	case errors.As(err, &refused):
		return announce.Failure{RetryIn: refused.RetryIn, Never: refused.Never}
	}
	return announce.Failure{}
}

// Status is what people want to know of a torrent's trackers.
type Status struct {
	// Next is when the next announce is due; zero while one is under way,
	// or if there will be none.
	Next time.Time
	// Trackers are in the torrent's order, tier by tier.
	Trackers []TrackerStatus
}

// TrackerStatus is how one tracker answered its last announce.
type TrackerStatus struct {
	Tracker string // see Label
	Tier    int    // 0 is the first
	Asked   time.Time
	// Err is nil if the last announce succeeded, or there was none yet
	// (Asked is zero then).
	Err error
	// Seeds and Leechers are those that the tracker counts, -1 if it does
	// not; Peers is how many addresses it gave.
	Seeds, Leechers, Peers int
	Warning                string
	// ExternalIP is our address as the tracker sees it, or invalid (BEP 24).
	ExternalIP netip.Addr

	url string
}

func newStatus(tiers [][]string) (s Status) {
	for tier, urls := range tiers {
		for _, url := range urls {
			if len(s.Trackers) < announce.MaxTrackers {
				s.Trackers = append(s.Trackers, TrackerStatus{Tracker: Label(url), Tier: tier, Seeds: -1, Leechers: -1, url: url})
			}
		}
	}
	return s
}

// Status returns a snapshot. It is safe to call at any time.
func (a *Announcer) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.status
	s.Trackers = append([]TrackerStatus(nil), s.Trackers...)
	return s
}

func (a *Announcer) note(o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.status.Trackers {
		t := &a.status.Trackers[i]
		if t.url != o.announce.URL {
			continue
		}
		t.Asked, t.Err, t.Peers = time.Now(), o.err, 0
		if o.resp != nil && o.err == nil {
			t.Seeds, t.Leechers, t.Peers = o.resp.Complete, o.resp.Incomplete, len(o.resp.Peers)
			t.Warning, t.ExternalIP = o.resp.Warning, o.resp.ExternalIP
		}
	}
}

// String is the tracker's state in one line.
func (t TrackerStatus) String() string {
	switch {
	case t.Asked.IsZero():
		return t.Tracker + ": not asked yet"
	case t.Err != nil:
		return t.Err.Error()
	}
	return fmt.Sprintf("%s: %d peers", t.Tracker, t.Peers)
}
