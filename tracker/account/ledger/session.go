package ledger

import (
	"container/list"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// SessionKey names a session: one client of a user on one torrent.
type SessionKey struct {
	User    UserID
	Torrent TorrentID
	PeerID  metainfo.PeerID
}

func (k SessionKey) pair() pair { return pair{k.User, k.Torrent} }

// Session is what is stored of a session: the counters of an announce, and
// the time up to which all that they brought is in the sums. At is since the
// Unix epoch.
type Session struct {
	SessionKey
	Uploaded, Downloaded, Left int64
	At                         time.Duration
}

// session is a Session that goes on.
type session struct {
	Session
	of    *pairState
	seen  time.Duration // its last announce, which may be after At
	bySee *list.Element // its place in Ledger.bySeen
	// dirty says that it waits in its pair to be stored; mayBeStored that it
	// has been in a batch, so that its end must be stored, too.
	dirty, mayBeStored bool
}

// pair is a user on a torrent.
type pair struct {
	user    UserID
	torrent TorrentID
}

// pairState is a pair with a session, or with something to be stored.
type pairState struct {
	pair
	numSessions, numDownloading int
	seededUntil                 time.Duration // up to which seed time is in the sums
	delta                       Delta
	dirty                       []*session   // to be stored with delta
	ended                       []SessionKey // to be removed with it
	inQueue, inIdle             *list.Element
}

// torrentState counts the sessions of a torrent.
type torrentState struct {
	numSessions int
	company     time.Duration // when there were last two or more
}

// insert begins a session, last seen at its At.
func (l *Ledger) insert(of Session) *session {
	p := l.pairs[of.pair()]
	if p == nil {
		p = &pairState{pair: of.pair()}
		l.pairs[p.pair] = p
	}
	s := &session{Session: of, of: p, seen: of.At}
	s.bySee = l.bySeen.PushBack(s)
	l.sessions[s.SessionKey] = s
	p.numSessions++
	l.setIdle(p)
	t := l.torrents[s.Torrent]
	if t == nil {
		t = new(torrentState)
		l.torrents[s.Torrent] = t
	}
	t.numSessions++
	l.countDownloading(p, of.Left, +1)
	return s
}

// setLeft changes a session's Left, and with it who downloads.
func (l *Ledger) setLeft(s *session, left int64) {
	p := s.of
	l.countDownloading(p, left, +1)
	l.countDownloading(p, s.Left, -1)
	s.Left = left
}

// countDownloading adds a session with left bytes to the pair's downloads, or
// takes it away. A user's slot is taken by a torrent, however many of his
// clients download it.
func (l *Ledger) countDownloading(p *pairState, left int64, by int) {
	if left == 0 {
		return
	}
	was := p.numDownloading > 0
	p.numDownloading += by
	if is := p.numDownloading > 0; is != was {
		l.user(p.user).downloading += by
	}
}

// see notes that a session has announced.
func (l *Ledger) see(s *session, now time.Duration) {
	s.seen = now
	l.bySeen.MoveToBack(s.bySee)
}

// end ends a session. What it added stays in the pair's delta.
func (l *Ledger) end(s *session) {
	l.settleSeedTime(s, s.seen)
	p := s.of
	if s.dirty {
		i := slices.Index(p.dirty, s)
		p.dirty = slices.Delete(p.dirty, i, i+1)
	}
	// Past the bound the session stays in the database, where its age ends
	// it.
	if s.mayBeStored && len(p.ended) < maxClients {
		p.ended = append(p.ended, s.SessionKey)
	}
	l.bySeen.Remove(s.bySee)
	delete(l.sessions, s.SessionKey)
	l.leaveTorrent(s.Torrent)
	l.countDownloading(p, s.Left, -1)
	p.numSessions--
	if len(p.ended) > 0 || p.delta != (Delta{}) {
		l.enqueue(p)
	}
	l.setIdle(p)
}

func (l *Ledger) leaveTorrent(id TorrentID) {
	t := l.torrents[id]
	if t.numSessions > 1 {
		t.company = l.now
	}
	t.numSessions--
	if t.numSessions == 0 {
		delete(l.torrents, id)
	}
}

// alone reports whether nobody else was in the swarm since a session's last
// announce.
func (l *Ledger) alone(s *session) bool {
	t := l.torrents[s.Torrent]
	return t.numSessions == 1 && t.company < s.seen && s.seen-l.begin > l.cfg.Timeout
}

func (l *Ledger) isOver(now time.Duration, s *session) bool { return now-s.seen > l.cfg.Timeout }

// expire ends at most so many sessions that fell silent.
func (l *Ledger) expire(now time.Duration, most int) {
	if l.begin == 0 {
		l.begin = now
	}
	l.now = now
	for range most {
		oldest := l.bySeen.Front()
		if oldest == nil || !l.isOver(now, oldest.Value.(*session)) {
			return
		}
		l.end(oldest.Value.(*session))
	}
}
