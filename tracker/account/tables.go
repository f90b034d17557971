package account

import (
	"context"
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// tables are those of the Store, made for being asked. They never change; a
// change makes new ones.
type tables struct {
	revision int64
	site     ledger.Promotion
	users    map[ledger.UserID]*User
	keys     map[KeyHash]keyEntry
	torrents map[metainfo.InfoHash]*Torrent
	byID     map[ledger.TorrentID]*Torrent
}

type keyEntry struct {
	user    *User
	torrent ledger.TorrentID // or AnyTorrent
}

func newTables(of *Tables) *tables {
	t := &tables{
		revision: of.Revision,
		site:     of.Site,
		users:    make(map[ledger.UserID]*User, len(of.Users)),
		keys:     make(map[KeyHash]keyEntry, len(of.Keys)),
		torrents: make(map[metainfo.InfoHash]*Torrent, len(of.Torrents)),
		byID:     make(map[ledger.TorrentID]*Torrent, len(of.Torrents)),
	}
	for i := range of.Users {
		t.users[of.Users[i].ID] = &of.Users[i].User
	}
	for _, key := range of.Keys {
		if user := t.users[key.User]; user != nil {
			t.keys[key.Hash] = keyEntry{user, key.Torrent}
		}
	}
	for i := range of.Torrents {
		torrent := &of.Torrents[i]
		t.torrents[torrent.InfoHash], t.byID[torrent.ID] = torrent, torrent
	}
	return t
}

// Reload reads the tables from the Store. Run does it by itself soon after a
// change by anyone; who has just changed something calls it for the change to
// hold at once.
func (s *Service) Reload(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.reload(ctx)
}

func (s *Service) reloadIfChanged(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	revision, err := s.cfg.Store.Revision(ctx)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if revision == s.tables.Load().revision && s.now()-s.reloadedAt < reloadEvery {
		return nil
	}
	return s.reload(ctx)
}

func (s *Service) reload(ctx context.Context) error {
	now := s.now()
	loaded, err := s.cfg.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("account: tables: %w", err)
	}
	hitAndRuns, err := s.cfg.Store.HitAndRuns(ctx, now, s.cfg.Rules.HitAndRun)
	if err != nil {
		return fmt.Errorf("account: hit-and-runs: %w", err)
	}
	s.tables.Store(newTables(loaded))
	s.added.Clear() // they are in the tables
	s.setStored(loaded.Users, hitAndRuns)
	s.reloadedAt = now
	s.reloadTook = s.now() - now
	return nil
}

// setStored tells the ledger what the Store has as sums. While a batch's fate
// is unknown it is not known whether they include it; they stay as they are.
func (s *Service) setStored(users []UserTotals, hitAndRuns map[ledger.UserID]int) {
	const most = 1000 // so that announces do not wait for long
	for len(users) > 0 {
		n := min(len(users), most)
		s.mu.Lock()
		if !s.ledger.InFlight() {
			for _, u := range users[:n] {
				s.ledger.SetStored(u.ID, u.Totals, hitAndRuns[u.ID])
			}
		}
		s.mu.Unlock()
		users = users[n:]
	}
}
