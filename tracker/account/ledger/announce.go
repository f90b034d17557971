package ledger

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// UserID and TorrentID are numbers that the database gives, from 1 on.
type (
	UserID    int64
	TorrentID int64
)

// AnyTorrent stands for a torrent that is not known any more, in a delta that
// counts for its user alone.
const AnyTorrent TorrentID = 0

// Announce is what the ledger needs of an announce.
type Announce struct {
	User    UserID
	Torrent TorrentID
	PeerID  metainfo.PeerID
	// Uploaded, Downloaded and Left are as in tracker.Request. Negative counts
	// of the first two are taken as 0; a negative Left is not known.
	Uploaded, Downloaded, Left int64
	Event                      tracker.Event
	// Rate is what counts of the bytes, usually NormalRate.
	Rate Rate
}

// downloads reports whether the announcer is about to download.
func (a *Announce) downloads() bool { return a.Left != 0 && a.Event != tracker.Stopped }

func (a *Announce) pair() pair { return pair{a.User, a.Torrent} }

func (a *Announce) key() SessionKey { return SessionKey{a.User, a.Torrent, a.PeerID} }

// Outcome says what became of an announce.
type Outcome uint8

const (
	// Counted: what the counters rose by since the session's last announce
	// is in the user's delta.
	Counted Outcome = iota
	// Opened: the first announce of a session. What it claims was before the
	// tracker looked, so it counts nothing.
	Opened
	// Restarted: the client began again ("started", or lower counters). The
	// announce counts nothing.
	Restarted
	// Late: an announce with higher counters was here less than a minute
	// before. The announce changes nothing.
	Late
	// Absurd: the counters rose faster than any client can. The announce
	// counts nothing, and makes a finding.
	Absurd
	// Untracked: no session is kept, because there are too many, or because a
	// session ended that was not known.
	Untracked
	// TooManyClients: no session is kept, because the user has too many of
	// them on this torrent.
	TooManyClients
)

// Announce counts one announce. Sessions are told apart by user, torrent and
// peer id, and not by address: "together with the peer_id this allows trackers
// to uniquely identify clients for the purpose of statistics-keeping when they
// announce from multiple IP" (BEP 7). A client with IPv4 and IPv6 announces
// the same bytes twice.
func (l *Ledger) Announce(now time.Duration, a *Announce) Outcome {
	a.Uploaded, a.Downloaded, a.Left = max(a.Uploaded, 0), max(a.Downloaded, 0), max(a.Left, -1)
	l.expire(now, 1)
	s := l.sessions[a.key()]
	if s != nil && l.isOver(now, s) {
		l.end(s)
		s = nil
	}
	if s == nil {
		return l.open(now, a)
	}
	outcome := l.advance(now, s, a)
	if a.Event == tracker.Completed {
		l.complete(now, a)
	}
	if a.Event == tracker.Stopped {
		l.end(s)
	}
	return outcome
}

// open begins a session with the counters of its first announce.
func (l *Ledger) open(now time.Duration, a *Announce) Outcome {
	p := l.pairs[a.pair()]
	switch {
	case a.Event == tracker.Stopped:
		return Untracked
	case len(l.sessions) >= l.cfg.MaxSessions:
		l.stats.Untracked++
		return Untracked
	case p != nil && p.numSessions >= maxClients:
		return TooManyClients
	}
	l.touch(l.insert(Session{SessionKey: a.key(), Uploaded: a.Uploaded, Downloaded: a.Downloaded, Left: a.Left, At: now}))
	if a.Event == tracker.Completed {
		l.complete(now, a)
	}
	return Opened
}

// advance brings a session to an announce's counters.
func (l *Ledger) advance(now time.Duration, s *session, a *Announce) Outcome {
	up, down := a.Uploaded-s.Uploaded, a.Downloaded-s.Downloaded
	fell := up < 0 || down < 0
	switch {
	case fell && now-s.seen < lateWindow:
		return Late
	case fell || a.Event == tracker.Started:
		l.settleSeedTime(s, s.seen)
		s.At = now
		l.moveTo(now, s, a)
		return Restarted
	}
	outcome := l.count(now, s, a, up, down)
	if up == 0 && down == 0 && a.Left == s.Left && a.Event == tracker.None && now-s.At < settleEvery {
		l.see(s, now)
		return outcome
	}
	if s.Left == 0 && a.Left != 0 {
		l.settleSeedTime(s, s.seen)
	} else {
		l.settleSeedTime(s, now)
	}
	s.At = max(s.At, now)
	l.moveTo(now, s, a)
	return outcome
}

// count adds the bytes between two announces to the pair's delta, unless they
// are absurd.
func (l *Ledger) count(now time.Duration, s *session, a *Announce, up, down int64) Outcome {
	if l.absurd(now-s.seen, up) || l.absurd(now-s.seen, down) {
		l.find(now, TooFast, a, max(up, down))
		return Absurd
	}
	if up > suspectLen && l.alone(s) {
		l.find(now, NobodyToServe, a, up)
	}
	if s.Left > 0 && a.Left >= 0 && s.Left-a.Left-suspectLen > down {
		l.find(now, HiddenDownload, a, s.Left-a.Left-down)
	}
	if up == 0 && down == 0 {
		return Counted
	}
	p := s.of
	p.delta.RawUploaded = add(p.delta.RawUploaded, up)
	p.delta.RawDownloaded = add(p.delta.RawDownloaded, down)
	credit := Totals{scale(up, a.Rate.UpPercent), scale(down, a.Rate.DownPercent)}
	p.delta.Totals.add(credit)
	l.user(a.User).unstored.add(credit)
	return Counted
}

// absurd reports whether n bytes are more than MaxSpeed allows in a time.
func (l *Ledger) absurd(elapsed time.Duration, n int64) bool {
	return float64(n) > float64(l.cfg.MaxSpeed)*(max(elapsed, 0)+speedSlack).Seconds()
}

// complete notes that the user has the whole torrent. Whether it is the first
// time the database knows.
func (l *Ledger) complete(now time.Duration, a *Announce) {
	p := l.pairs[a.pair()]
	if p.delta.CompletedAt == 0 {
		p.delta.CompletedAt = now
	}
	l.enqueue(p)
}

// moveTo takes over the announce's counters, to be stored with what they
// added.
func (l *Ledger) moveTo(now time.Duration, s *session, a *Announce) {
	l.setLeft(s, a.Left)
	s.Uploaded, s.Downloaded = a.Uploaded, a.Downloaded
	l.see(s, now)
	l.touch(s)
}

// settleSeedTime adds the time for which a session has seeded until then, and
// for which no other session of the same user on the same torrent was counted:
// two clients do not seed for two hours in one. What a client tells of the time
// before another's last word is lost to him, at most an announce interval.
func (l *Ledger) settleSeedTime(s *session, until time.Duration) {
	if s.Left != 0 {
		return
	}
	p := s.of
	from := max(s.At, p.seededUntil)
	if until <= from {
		return
	}
	p.delta.SeedTime = add(p.delta.SeedTime, until-from)
	p.delta.SeededUntil, p.seededUntil = until, until
	s.At = until
}
