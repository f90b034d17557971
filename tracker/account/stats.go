package account

import (
	"errors"
	"time"

	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// refusals are the errors of Announce by the names of their kinds, which are
// fixed: names of metrics are made of them.
var refusals = [...]struct {
	kind string
	err  error
}{
	{"key", ErrKey},
	{"disabled", ErrDisabled},
	{"torrent", ErrTorrent},
	{"other-key", ErrOtherKey},
	{"clients", ErrClients},
	{"client", ledger.ErrClient},
	{"ratio", ledger.ErrRatio},
	{"hit-and-run", ledger.ErrHitAndRun},
	{"slots", ledger.ErrSlots},
}

// otherRefusal is the kind of what is not in refusals.
const otherRefusal = "other"

// kindOf returns the index of an error in refusals, or that behind the last.
func kindOf(err error) int {
	for i, r := range refusals {
		if errors.Is(err, r.err) {
			return i
		}
	}
	return len(refusals)
}

// DurationBounds are the upper bounds of Durations, without one for the rest.
// A flush of a few users takes 5 ms, one that waits for a lock up to 5 s.
var DurationBounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	2 * time.Second, 5 * time.Second, 30 * time.Second,
}

// Durations counts how long something took.
type Durations struct {
	Count uint64
	Sum   time.Duration
	// Within counts those up to each of DurationBounds, the shorter ones
	// included.
	Within [len(DurationBounds)]uint64
}

func (d *Durations) add(took time.Duration) {
	d.Count++
	d.Sum += took
	for i, bound := range DurationBounds {
		if took <= bound {
			d.Within[i]++
		}
	}
}

// Stats is a snapshot of a Service.
type Stats struct {
	Users, Keys, Torrents int
	Refused               uint64            // announces
	RefusedBy             map[string]uint64 // the same by kind, of which there is a fixed number
	Ledger                ledger.Stats
	LostLogEntries        uint64
	// Flushes are the batches that were stored; FlushErrors, LoadErrors and
	// LogErrors count what failed, each try anew.
	Flushes                            Durations
	FlushErrors, LoadErrors, LogErrors uint64
	// LastStoreAge is the time since the database last took and told all that
	// it should. Usually it is less than FlushEvery.
	LastStoreAge time.Duration
}

// Stats returns the counts of this moment.
func (s *Service) Stats() Stats {
	t := s.tables.Load()
	st := Stats{
		Users: len(t.users), Keys: len(t.keys), Torrents: len(t.torrents), RefusedBy: make(map[string]uint64),
		FlushErrors: s.flushError.count.Load(), LoadErrors: s.loadError.count.Load(), LogErrors: s.logError.count.Load(),
		LastStoreAge: s.now() - time.Duration(s.storedAt.Load()),
	}
	for i := range s.refused {
		kind, n := otherRefusal, s.refused[i].Load()
		if i < len(refusals) {
			kind = refusals[i].kind
		}
		st.RefusedBy[kind] = n
		st.Refused += n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Ledger, st.LostLogEntries, st.Flushes = s.ledger.Stats(), s.logLost, s.flushes
	return st
}
