package peer

import (
	"context"
	"crypto/sha1"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// webSeed is one URL of a torrent's web seeds (BEP 19), and how asking it went.
type webSeed struct {
	url     *url.URL
	id      metainfo.PeerID // its name for the engine
	taken   bool            // a worker has it
	backoff engine.WebSeedBackoff
	at      time.Time // when it may be asked again
}

// webSeeds are those of a torrent that were not given up.
type webSeeds struct {
	mu   sync.Mutex
	list []*webSeed
}

// startWebSeeds begins to use the web seeds of a torrent whose content is known. Each
// of a few goroutines has one web seed at a time.
func (t *Torrent) startWebSeeds(urls []string) {
	seeds := new(webSeeds)
	for _, s := range urls {
		u, err := parseWebSeed(s)
		if err != nil {
			t.log.Debug("web seed ignored", "err", err)
			continue
		}
		sum := sha1.Sum([]byte(u.String()))
		seeds.add(&webSeed{url: u, id: sum})
	}
	for range min(len(seeds.list), maxWebSeeds) {
		t.tasks.Go(func() { t.useWebSeeds(seeds) })
	}
}

// add takes a web seed in, unless it is there already.
func (s *webSeeds) add(w *webSeed) {
	for _, other := range s.list {
		if other.id == w.id {
			return
		}
	}
	s.list = append(s.list, w)
}

// take returns the web seed that may be asked first, nil if none is left.
func (s *webSeeds) take() (next *webSeed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.list {
		if !w.taken && (next == nil || w.at.Before(next.at)) {
			next = w
		}
	}
	if next != nil {
		next.taken = true
	}
	return next
}

// giveBack makes a web seed available again, after a pause.
func (s *webSeeds) giveBack(w *webSeed, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.taken, w.at = false, time.Now().Add(pause)
}

// useWebSeeds uses one web seed after the other, until the torrent ends or no web seed
// is left.
func (t *Torrent) useWebSeeds(seeds *webSeeds) {
	for w := seeds.take(); w != nil; w = seeds.take() {
		if !pauseFor(t.dialing, time.Until(w.at)) {
			return
		}
		err := newWebConn(t, w).run()
		if t.dialing.Err() != nil {
			return
		}
		pause, again := w.judge(err)
		t.noteFailure(w, err, again)
		if again {
			t.log.Debug("web seed failed", "url", w.url.Redacted(), "reason", err, "pause", pause)
			seeds.giveBack(w, pause)
		} else {
			t.log.Log(t.dialing, levelOf(err), "web seed given up", "url", w.url.Redacted(), "reason", err)
		}
	}
}

// judge says whether a web seed that failed may be asked again, and when.
func (w *webSeed) judge(err error) (pause time.Duration, again bool) {
	var failed *webSeedError
	switch {
	case !errors.As(err, &failed):
		return w.backoff.Failed(rand.Float64())
	case failed.useless:
		return 0, false
	}
	return w.backoff.Busy(failed.retryAfter, rand.Float64()), true
}

// levelOf is the level at which the end of a web seed is logged: a user should know
// of a server that is not what the torrent says.
func levelOf(err error) slog.Level {
	if errors.Is(err, errNotNeeded) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// pauseFor waits, and reports false if ctx ended first.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
