package ledger

import (
	"container/list"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// maxSweep bounds the sessions that one Expire ends, so that announces do not
// wait for long.
const maxSweep = 1000

// Ledger is the accounts in memory. The zero value is not usable.
type Ledger struct {
	cfg        Config
	begin, now time.Duration
	sessions   map[SessionKey]*session
	bySeen     *list.List // of *session, the longest silent first
	pairs      map[pair]*pairState
	torrents   map[TorrentID]*torrentState
	users      map[UserID]*userState
	queue      *list.List // of *pairState to be stored, oldest first
	idle       *list.List // those of them without a session
	refused    []UserID   // whose last refusal is to be stored
	findings   []Finding
	found      map[findingKey]int // index into findings
	seq        uint64
	drained    time.Duration // up to when all announces are in batches
	inFlight   *Batch
	stats      Stats
}

// userState is a user's sums: those that the database has told, and what it
// has not confirmed yet.
type userState struct {
	stored, unstored Totals
	hitAndRuns       int
	downloading      int // torrents
	refusal          Refusal
	refusalWaits     bool
}

// Stats counts what is in a Ledger, and what it could not keep.
type Stats struct {
	Sessions int // now
	Waiting  int // deltas that wait to be stored, those of a batch in flight not included
	Merged   uint64
	// Untracked counts announces that found no room for a session, and
	// LostFindings findings that found none.
	Untracked, LostFindings uint64
	// Findings counts what was found, each occurrence, by FindingKind.
	Findings [HiddenDownload + 1]uint64
}

// New returns an empty Ledger.
func New(cfg Config) (*Ledger, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Ledger{
		cfg:      cfg,
		sessions: make(map[SessionKey]*session),
		bySeen:   list.New(),
		pairs:    make(map[pair]*pairState),
		torrents: make(map[TorrentID]*torrentState),
		users:    make(map[UserID]*userState),
		queue:    list.New(),
		idle:     list.New(),
		found:    make(map[findingKey]int),
	}, nil
}

// Stats returns the counts of this moment.
func (l *Ledger) Stats() Stats {
	st := l.stats
	st.Sessions, st.Waiting = len(l.sessions), l.queue.Len()
	return st
}

// Expire ends sessions that fell silent, a thousand at most.
func (l *Ledger) Expire(now time.Duration) { l.expire(now, maxSweep) }

// Restore brings back a stored session after a restart, and the time up to
// which its user's seed time on the torrent is stored. Sessions come in the
// order of their At, before the first announce.
func (l *Ledger) Restore(now time.Duration, of Session, seededUntil time.Duration) {
	// A clock that was put back must not make the session last for longer.
	of.At, seededUntil = min(of.At, now), min(seededUntil, now)
	if l.sessions[of.SessionKey] != nil || len(l.sessions) >= l.cfg.MaxSessions {
		return
	}
	s := l.insert(of)
	s.mayBeStored = true
	p := l.pairs[s.pair()]
	p.seededUntil = max(p.seededUntil, seededUntil)
}

// SetStored says what the database has as a user's sums, and how many
// hit-and-runs. It must not be called while a batch is in flight.
func (l *Ledger) SetStored(id UserID, totals Totals, hitAndRuns int) {
	u := l.user(id)
	u.stored, u.hitAndRuns = totals, hitAndRuns
}

// Standing returns how a user stands who announces a torrent. The caller sets
// its Slots.
func (l *Ledger) Standing(id UserID, torrent TorrentID) Standing {
	u := l.user(id)
	totals := u.stored
	totals.add(u.unstored)
	p := l.pairs[pair{id, torrent}]
	return Standing{
		Totals: totals, HitAndRuns: u.hitAndRuns,
		Downloading: u.downloading, HasSlot: p != nil && p.numDownloading > 0,
	}
}

// Knows reports whether an announce belongs to a session. Its bytes count even
// if the rules refuse it, or who is refused would download for nothing from
// the peers that he knows.
func (l *Ledger) Knows(a *Announce) bool { return l.sessions[a.key()] != nil }

// Refusal is the last announce of a user that was refused, so that he can be
// told why.
type Refusal struct {
	User     UserID
	InfoHash metainfo.InfoHash
	At       time.Duration // since the Unix epoch
	Reason   string
}

// Refuse notes a refusal in the place of the user's one before.
func (l *Ledger) Refuse(r Refusal) {
	u := l.user(r.User)
	u.refusal = r
	if !u.refusalWaits {
		u.refusalWaits = true
		l.refused = append(l.refused, r.User)
	}
}

// LastRefusal returns the user's last refusal, if there was one.
func (l *Ledger) LastRefusal(id UserID) (Refusal, bool) {
	u := l.users[id]
	if u == nil || u.refusal.Reason == "" {
		return Refusal{}, false
	}
	return u.refusal, true
}

func (l *Ledger) user(id UserID) *userState {
	u := l.users[id]
	if u == nil {
		u = new(userState)
		l.users[id] = u
	}
	return u
}

// SetTimeout changes the Timeout of the Config; sessions stay.
func (l *Ledger) SetTimeout(timeout time.Duration) {
	l.cfg.Timeout = timeout
	l.cfg.setDefaults()
}
