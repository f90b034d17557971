package announcelog

import (
	"errors"
	"io"
	"time"

	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// drainEvery is how many announces make a batch: a fraction of what the ledger
// puts into one at most.
const drainEvery = 1000

// ReplayConfig says where the announces of a log go.
type ReplayConfig struct {
	// Ledger counts them: a fresh one, or one with the sessions of a database.
	Ledger *ledger.Ledger
	// After is the time, since the Unix epoch, up to which entries are
	// skipped.
	After time.Duration
	// Store gets each batch, if not nil.
	Store func(*ledger.Batch) error
}

// Replay gives the entries of logs to a ledger again, and adds up what that
// makes of them.
type Replay struct {
	cfg   ReplayConfig
	stats ReplayStats
	users map[ledger.UserID]*Sums
	pairs map[pair]bool // that completed
}

type pair struct {
	user    ledger.UserID
	torrent ledger.TorrentID
}

// ReplayStats is what was read.
type ReplayStats struct {
	Replayed, Skipped, Damaged int           // entries
	First, Last                time.Duration // of those replayed, since the Unix epoch
}

// Sums is what a log adds for one user. RawUploaded and RawDownloaded are
// without multipliers.
type Sums struct {
	ledger.Totals
	RawUploaded, RawDownloaded int64
	SeedTime                   time.Duration
	Snatches                   int64 // downloads completed
}

// NewReplay returns a Replay that has read nothing.
func NewReplay(cfg ReplayConfig) *Replay {
	return &Replay{cfg: cfg, users: map[ledger.UserID]*Sums{}, pairs: map[pair]bool{}}
}

// Read replays one file. Those of one tracker come in the order in which they
// were written. Damaged entries and a torn end are left out, and counted. The
// error is that of Read, or of the config's Store.
func (r *Replay) Read(in io.Reader) error {
	numDamaged, err := Read(in, r.announce)
	r.stats.Damaged += numDamaged
	return errors.Join(err, r.drain())
}

// Stats returns what was read so far, Users what it adds up to.
func (r *Replay) Stats() ReplayStats { return r.stats }

// Users returns the sums by user. The map is the Replay's own.
func (r *Replay) Users() map[ledger.UserID]*Sums { return r.users }

func (r *Replay) announce(e *Entry) error {
	if e.At <= r.cfg.After {
		r.stats.Skipped++
		return nil
	}
	if r.stats.Replayed == 0 {
		r.stats.First = e.At
	}
	r.stats.Replayed++
	r.stats.Last = e.At
	r.cfg.Ledger.Announce(e.At, &e.Announce)
	if r.stats.Replayed%drainEvery == 0 {
		return r.drain()
	}
	return nil
}

// drain adds up, and stores, what waits in the ledger.
func (r *Replay) drain() error {
	for {
		batch := r.cfg.Ledger.Drain()
		if batch == nil {
			return nil
		}
		if r.cfg.Store != nil {
			if err := r.cfg.Store(batch); err != nil {
				return err
			}
		}
		r.cfg.Ledger.Ack()
		for i := range batch.Deltas {
			r.add(&batch.Deltas[i])
		}
	}
}

func (r *Replay) add(d *ledger.Delta) {
	sums := r.users[d.User]
	if sums == nil {
		sums = new(Sums)
		r.users[d.User] = sums
	}
	sums.Uploaded += d.Totals.Uploaded
	sums.Downloaded += d.Totals.Downloaded
	sums.RawUploaded += d.RawUploaded
	sums.RawDownloaded += d.RawDownloaded
	sums.SeedTime += d.SeedTime
	if key := (pair{d.User, d.Torrent}); d.CompletedAt != 0 && !r.pairs[key] {
		r.pairs[key] = true
		sums.Snatches++
	}
}
