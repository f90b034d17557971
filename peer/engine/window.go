package engine

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// window decides how many blocks to have asked of one peer at a time: enough
// to fill the path (twice bandwidth times delay, so that it can grow when the
// path does) and to bridge the half second in which some clients hand out
// their blocks, but not so many that a slow peer sits on the last ones.
//
// It opens by slow start: one more for each block that comes, which doubles it
// each round trip, until the rate stops following.
type window struct {
	size        int32 // blocks
	slowStart   bool
	stuckRounds int8
	minDelay    time.Duration // the shortest time from a request to its block

	// A round is the time until a block comes that was asked for after the
	// round began: one round trip. Slow start ends after three rounds that
	// brought less than a quarter more than the best.
	roundStart time.Duration
	roundBytes int32
	bestRate   float32 // bytes/s
}

// maxStuckRounds and roundGrowth are BBR's numbers for a filled pipe.
const (
	maxStuckRounds = 3
	roundGrowth    = 1.25
)

func newWindow() window { return window{size: firstWindow, slowStart: true} }

// arrived notes a block of n bytes that was asked for at askedAt. rate is the
// connection's measured rate in bytes/s, reqQ what the peer lets wait.
func (w *window) arrived(now, askedAt time.Duration, n, rate, reqQ int) {
	if delay := now - askedAt; w.minDelay == 0 || delay < w.minDelay {
		w.minDelay = max(delay, 1)
	}
	if w.slowStart {
		w.size++
		w.round(now, askedAt, n)
		// A slow path shows at once: rounds of seconds would fill its queue
		// before three of them are over.
		w.slowStart = w.slowStart && int(w.size) <= 2*w.target(rate)
	} else {
		w.size = int32(min(w.target(rate), maxWindow))
	}
	w.size = max(minWindow, min(w.size, int32(reqQ), maxWindow))
}

// round counts a block into the present round, and judges the round when it is
// over.
func (w *window) round(now, askedAt time.Duration, n int) {
	w.roundBytes += int32(n)
	if askedAt < w.roundStart || now == w.roundStart {
		return
	}
	rate := float32(float64(w.roundBytes) / (now - w.roundStart).Seconds())
	w.roundStart, w.roundBytes = now, 0
	if rate >= w.bestRate*roundGrowth {
		w.bestRate, w.stuckRounds = rate, 0
		return
	}
	if w.stuckRounds++; w.stuckRounds >= maxStuckRounds {
		w.slowStart = false
	}
}

// target is the window for a rate in bytes/s.
func (w *window) target(rate int) int {
	bytes := 2 * float64(rate) * w.minDelay.Seconds()
	bytes += min(float64(rate)*queueTime.Seconds(), maxQueueBytes)
	return int(bytes/metainfo.BlockLen) + minWindow
}

// restart begins again, after a choke: the path may have changed.
func (w *window) restart(now time.Duration) {
	*w = window{size: max(firstWindow, w.size/2), slowStart: true, minDelay: w.minDelay, roundStart: now}
}
