package account

import "github.com/shoal-bt/shoal/tracker/account/ledger"

// Authenticate returns the user whose key it is. A key for a single torrent is
// refused: it stands in a file that gets about, and lets its holder announce,
// nothing else.
func (s *Service) Authenticate(key string) (User, error) {
	entry, err := s.tables.Load().byKey(key)
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
