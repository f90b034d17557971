package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// fakeTrackers answer by URL and write down what they heard.
type fakeTrackers struct {
	begin  time.Time
	answer map[string]func(ctx context.Context, req *tracker.Request) (*tracker.Response, error)

	mu  sync.Mutex
	log []string
}

func (f *fakeTrackers) Announce(ctx context.Context, url string, req *tracker.Request) (*tracker.Response, error) {
	f.mu.Lock()
	at := time.Since(f.begin).Truncate(time.Second)
	f.log = append(f.log, strings.TrimSpace(fmt.Sprintf("%v %s up=%d left=%d id=%s %s", at, url, req.Uploaded, req.Left, req.TrackerID, req.Event)))
	f.mu.Unlock()
	return f.answer[url](ctx, req)
}

func (f *fakeTrackers) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

type fakeTorrent struct {
	mu             sync.Mutex
	uploaded, left int64
	found          []netip.AddrPort
}

func (f *fakeTorrent) Snapshot() (uploaded, downloaded, left int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uploaded, 0, f.left
}

func (f *fakeTorrent) Found(peers []netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, peers...)
}

func (f *fakeTorrent) set(uploaded, left int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded, f.left = uploaded, left
}

// minute answers with an interval of a minute, which its jitter makes 60 to
// 66 seconds.
func minute(context.Context, *tracker.Request) (*tracker.Response, error) {
	return &tracker.Response{Interval: time.Minute, MinInterval: time.Minute, Complete: 3, Incomplete: 4,
		Peers: addrs("10.0.0.1:1"), TrackerID: "T"}, nil
}

func down(context.Context, *tracker.Request) (*tracker.Response, error) {
	return nil, errors.New("tracker http://a: connection refused; is it running?")
}

func hang(ctx context.Context, _ *tracker.Request) (*tracker.Response, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// start runs an Announcer in fake time, from now on.
func start(t *testing.T, f *fakeTrackers, torrent *fakeTorrent, tiers ...[]string) (a *Announcer, stop func() time.Duration) {
	t.Helper()
	f.begin = time.Now()
	return startAnnouncer(t, AnnouncerConfig{Client: f, Torrent: torrent, Tiers: tiers, Port: 6881})
}

// startAnnouncer runs an Announcer; stop ends it and returns how long that took.
func startAnnouncer(t *testing.T, cfg AnnouncerConfig) (a *Announcer, stop func() time.Duration) {
	t.Helper()
	cfg.Rand = rand.New(rand.NewPCG(1, 0))
	a, err := NewAnnouncer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	return a, func() time.Duration {
		cancelled := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return time.Since(cancelled)
	}
}

func wantHeard(t *testing.T, f *fakeTrackers, want ...string) {
	t.Helper()
	if got := f.heard(); !slices.Equal(got, want) {
		t.Errorf("the trackers heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnnouncerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTrackers{answer: map[string]func(context.Context, *tracker.Request) (*tracker.Response, error){"a": minute}}
		torrent := &fakeTorrent{left: 100}
		a, stop := start(t, f, torrent, []string{"a"})
		time.Sleep(70 * time.Second)
		torrent.set(10, 0)
		a.Completed()
		time.Sleep(5 * time.Second)
		a.NeedPeers()
		a.NeedPeers()
		time.Sleep(60 * time.Second)
		torrent.set(20, 0)
		if took := stop(); took != 0 {
			t.Errorf("stopping took %v", took)
		}
		wantHeard(t, f,
			"0s a up=0 left=100 id= started",
			"1m0s a up=0 left=100 id=T",
			"1m10s a up=10 left=0 id=T completed",
			"2m10s a up=10 left=0 id=T",
			"2m15s a up=20 left=0 id=T stopped")
		if n := len(torrent.found); n != 4 {
			t.Errorf("%d peers were found, want those of four announces", n)
		}
	})
}

// TestAnnouncerTellsWhatHappenedLast completes and leaves at one moment: the
// tracker counts the download all the same. It is repeated, because Go chooses
// at random which of the two Run hears first.
func TestAnnouncerTellsWhatHappenedLast(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeTrackers{answer: map[string]func(context.Context, *tracker.Request) (*tracker.Response, error){"a": minute}}
			torrent := &fakeTorrent{left: 100}
			a, stop := start(t, f, torrent, []string{"a"})
			synctest.Wait()
			torrent.set(0, 0)
			a.Completed()
			stop()
			wantHeard(t, f,
				"0s a up=0 left=100 id= started",
				"0s a up=0 left=0 id=T completed",
				"0s a up=0 left=0 id=T stopped")
		})
	}
}

func TestAnnouncerStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTrackers{answer: map[string]func(context.Context, *tracker.Request) (*tracker.Response, error){
			"http://a/secret": down, "http://b/secret": minute}}
		a, stop := start(t, f, &fakeTorrent{left: 1}, []string{"http://a/secret"}, []string{"http://b/secret"}, []string{"udp://c"})
		defer stop()
		synctest.Wait()
		s := a.Status()
		if in := time.Until(s.Next); in < time.Minute || in > 66*time.Second {
			t.Errorf("next announce in %v", in)
		}
		var lines []string
		for _, tr := range s.Trackers {
			lines = append(lines, fmt.Sprint(tr.Tier, " ", tr, " ", tr.Seeds, " ", tr.Leechers))
		}
		want := []string{
			"0 tracker http://a: connection refused; is it running? -1 -1",
			"1 http://b: 1 peers 3 4",
			"2 udp://c: not asked yet -1 -1",
		}
		if !slices.Equal(lines, want) {
			t.Errorf("status %q, want %q", lines, want)
		}
	})
}

// A URL that cannot work is tried once, a tracker that asks for time gets it.
func TestAnnouncerHeedsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTrackers{answer: map[string]func(context.Context, *tracker.Request) (*tracker.Response, error){
			"udp": func(context.Context, *tracker.Request) (*tracker.Response, error) {
				return nil, &UnusableURLError{"udp", "not supported yet"}
			},
			"busy": func(context.Context, *tracker.Request) (*tracker.Response, error) {
				return nil, fmt.Errorf("tracker busy: %w", &tracker.FailureError{RetryIn: time.Hour})
			},
		}}
		_, stop := start(t, f, &fakeTorrent{left: 1}, []string{"udp"}, []string{"busy"})
		time.Sleep(61 * time.Minute)
		stop()
		wantHeard(t, f,
			"0s udp up=0 left=1 id= started",
			"0s busy up=0 left=1 id= started",
			"1h0m0s busy up=0 left=1 id= started")
	})
}

// Stopping waits for a dead tracker no longer than StopTimeout, whether it
// hangs in the started or in the stopped.
func TestStoppingIsBounded(t *testing.T) {
	for _, hangsAt := range []tracker.Event{tracker.Started, tracker.Stopped} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeTrackers{answer: map[string]func(context.Context, *tracker.Request) (*tracker.Response, error){
				"a": func(ctx context.Context, req *tracker.Request) (*tracker.Response, error) {
					if req.Event == hangsAt {
						return hang(ctx, req)
					}
					return minute(ctx, req)
				}}}
			_, stop := start(t, f, &fakeTorrent{left: 1}, []string{"a"})
			time.Sleep(time.Second)
			if took := stop(); took != StopTimeout {
				t.Errorf("hanging in %s: stopping took %v, want %v", hangsAt, took, StopTimeout)
			}
		})
	}
}

func TestAnnouncerWithoutTrackersStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, stop := start(t, &fakeTrackers{}, &fakeTorrent{})
		time.Sleep(time.Hour)
		if took := stop(); took != 0 {
			t.Errorf("stopping took %v", took)
		}
	})
}

func TestAnnouncerConfigIsValidated(t *testing.T) {
	if _, err := NewAnnouncer(AnnouncerConfig{}); err == nil {
		t.Error("an empty config was accepted")
	}
}
