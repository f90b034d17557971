package account

import (
	"errors"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// The refusals of a Service, besides those of ledger.Rules. Their texts are
// failure reasons, which clients show to the user: each says what to do.
var (
	ErrKey      = errors.New("your announce URL is not known here; download the torrent again, or ask for a new key")
	ErrDisabled = errors.New("your account is disabled; ask the staff")
	ErrTorrent  = errors.New("this torrent is not registered here; it may have been removed")
	ErrOtherKey = errors.New("your announce URL belongs to another torrent; download this one's file again")
	ErrClients  = errors.New("you announce this torrent from too many clients; stop some of them")
)

// Announce decides about an announce that came with a key, and counts it. The
// error's text is the failure reason for the client. It never waits for the
// database.
func (s *Service) Announce(key string, req *tracker.Request) error {
	t := s.tables.Load()
	entry, err := s.entryOf(t, key)
	if err == nil {
		err = s.announceAs(t, entry, req)
	}
	if err != nil {
		s.refused[kindOf(err)].Add(1)
	}
	return err
}

// Check refuses a request other than an announce, such as a scrape, that came
// with a key.
func (s *Service) Check(key string) error {
	entry, err := s.entryOf(s.tables.Load(), key)
	if err == nil && entry.user.State != Active {
		err = ErrDisabled
	}
	return err
}

func (t *tables) byKey(key string) (keyEntry, error) {
	k, err := ParseKey(key)
	if err != nil {
		return keyEntry{}, ErrKey
	}
	entry, ok := t.keys[k.Hash()]
	if !ok {
		return keyEntry{}, ErrKey
	}
	return entry, nil
}

// announceAs decides about an announce of a user who is known.
func (s *Service) announceAs(t *tables, entry keyEntry, req *tracker.Request) error {
	torrent := t.torrents[req.InfoHash]
	err := entry.check(torrent)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now() // in the ledger's order, which is that of its batches
	if err == nil {
		e := announcelog.Entry{At: now, Announce: ledger.Announce{
			User: entry.user.ID, Torrent: torrent.ID, PeerID: req.PeerID,
			Uploaded: req.Uploaded, Downloaded: req.Downloaded, Left: req.Left, Event: req.Event,
			Rate: ledger.RateAt(now, t.site, entry.user.Promotion, torrent.Promotion),
		}}
		err = s.count(entry.user, &e)
	}
	if err != nil {
		s.ledger.Refuse(ledger.Refusal{User: entry.user.ID, InfoHash: req.InfoHash, At: now, Reason: err.Error()})
	}
	return err
}

// check refuses what the rules need not be asked about. The torrent is nil if
// it is not registered.
func (e keyEntry) check(torrent *Torrent) error {
	switch {
	case e.user.State != Active:
		return ErrDisabled
	case torrent == nil:
		return ErrTorrent
	case e.torrent != ledger.AnyTorrent && e.torrent != torrent.ID:
		return ErrOtherKey
	}
	return nil
}

// count asks the rules, and gives the announce to the ledger.
func (s *Service) count(user *User, e *announcelog.Entry) error {
	standing := s.ledger.Standing(user.ID, e.Torrent)
	standing.Slots = user.Slots
	err := s.cfg.Rules.Check(standing, &e.Announce)
	if err != nil && !s.ledger.Knows(&e.Announce) {
		return err
	}
	s.noteInLog(e)
	if s.ledger.Announce(e.At, &e.Announce) == ledger.TooManyClients {
		return ErrClients
	}
	return err
}

// noteInLog keeps an entry for the announce log. If that cannot be written,
// the newest are given up.
func (s *Service) noteInLog(e *announcelog.Entry) {
	switch {
	case s.cfg.Log == nil:
	case len(s.logWaiting) >= maxLogWaiting:
		s.logLost++
	default:
		s.logWaiting = announcelog.AppendEntry(s.logWaiting, e)
	}
}
