package node

import (
	"math/rand/v2"
	"time"
)

const (
	// announceEvery is the time between rounds, give or take a tenth: nodes
	// forget a peer after 30 minutes or so. (BEP 5 does not say.)
	announceEvery = 15 * time.Minute
	// MinAnnounceEvery is the least time from the start of a round to that of
	// the next, and the first wait after a round that found no peers; that
	// doubles up to about 15 minutes.
	MinAnnounceEvery = time.Minute
)

// Rounds says when a driver looks for the peers of one torrent and announces
// it: about every 15 minutes, sooner after a round that found nobody or when
// somebody hurries, but never more often than MinAnnounceEvery. Each round is
// one lookup. The zero Rounds has a round due at once.
type Rounds struct {
	began    time.Duration
	interval time.Duration // from there to the next; 0 before the first
	retry    time.Duration // that after a round without peers; 0 after one with
	hurried  bool          // since the round began
}

// Begin says that a round begins at now.
func (r *Rounds) Begin(now time.Duration) { r.began, r.hurried = now, false }

// End says that the round is over, and how many peers it found. The next is
// at a random time, so that the torrents of a client do not stay in step.
func (r *Rounds) End(numFound int, rnd *rand.Rand) {
	if numFound > 0 {
		r.retry = 0
	} else {
		r.retry = min(max(2*r.retry, MinAnnounceEvery), announceEvery)
	}
	r.interval = r.retry
	if r.retry == 0 || r.retry == announceEvery {
		r.interval = announceEvery - announceEvery/10 + time.Duration(rnd.Int64N(int64(announceEvery/5)))
	}
}

// Hurry asks for a round soon: more peers are needed, or the nodes are to know
// of another seed.
func (r *Rounds) Hurry() { r.hurried = true }

// Due returns when the next round is to begin. It is for between two rounds.
func (r *Rounds) Due() time.Duration {
	if r.hurried {
		return r.began + min(r.interval, MinAnnounceEvery)
	}
	return r.began + r.interval
}
