package account

import (
	"context"

	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// Authenticate returns the user whose key it is. A key for a single torrent is
// refused: it stands in a file that gets about, and lets its holder announce,
// nothing else.
func (s *Service) Authenticate(key string) (User, error) {
	entry, err := s.entryOf(s.tables.Load(), key)
	switch {
	case err != nil:
		return User{}, err
	case entry.torrent != ledger.AnyTorrent:
		return User{}, ErrKey
	case entry.user.State != Active:
		return User{}, ErrDisabled
	}
	return *entry.user, nil
}

// UserByID returns a user, without asking the Store.
func (s *Service) UserByID(id ledger.UserID) (User, bool) {
	u := s.tables.Load().users[id]
	if u == nil {
		return User{}, false
	}
	return *u, true
}

// TorrentByID returns a torrent, without asking the Store.
func (s *Service) TorrentByID(id ledger.TorrentID) (Torrent, bool) {
	t := s.tables.Load().byID[id]
	if t == nil {
		return Torrent{}, false
	}
	return *t, true
}

// SitePromotion returns the promotion of all torrents.
func (s *Service) SitePromotion() ledger.Promotion { return s.tables.Load().site }

// AddKey adds a key for a single torrent, see Store. It is good at once, without reading
// the tables again: people may download many files in a row.
func (s *Service) AddKey(ctx context.Context, key StoredKey, by KeyHash) error {
	s.writing.Lock() // so that no tables are read between the two
	defer s.writing.Unlock()
	if err := s.cfg.Store.AddKey(ctx, key, by); err != nil {
		return err
	}
	s.added.Store(key.Hash, key)
	return nil
}

// entryOf finds a key in the tables, or among those that were added since they
// were read.
func (s *Service) entryOf(t *tables, key string) (keyEntry, error) {
	entry, err := t.byKey(key)
	if err == nil {
		return entry, nil
	}
	k, parseErr := ParseKey(key)
	if parseErr != nil {
		return keyEntry{}, err
	}
	if added, ok := s.added.Load(k.Hash()); ok {
		key := added.(StoredKey)
		if user := t.users[key.User]; user != nil {
			return keyEntry{user, key.Torrent}, nil
		}
	}
	return keyEntry{}, err
}
