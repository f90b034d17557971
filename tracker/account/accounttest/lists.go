package accounttest

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// walk reads a list two entries at a time, and returns the entries' names.
func walk[E any](h *harness, part func(last *E) ([]E, error), name func(E) string) (names []string) {
	h.t.Helper()
	var last *E
	for {
		entries, err := part(last)
		h.must(err)
		if len(entries) > 2 {
			h.t.Fatalf("%d entries, asked for 2", len(entries))
		}
		for _, e := range entries {
			names = append(names, name(e))
		}
		if len(entries) < 2 {
			return names
		}
		last = &entries[1]
	}
}

// testLists reads each list in parts, and in the order of its IDs.
func testLists(t *testing.T, h *harness) {
	ctx := t.Context()
	users, torrents := make([]account.User, 5), make([]account.Torrent, 5)
	names := []string{"e", "d", "c", "b", "a"}
	for i, name := range names {
		users[i] = h.user(name, byte(i))
		torrents[i] = h.torrent(name, byte(i))
	}
	h.equal(walk(h, func(last *account.UserReport) ([]account.UserReport, error) {
		var after ledger.UserID
		if last != nil {
			after = last.ID
		}
		return h.UsersAfter(ctx, after, 2)
	}, func(u account.UserReport) string { return u.Name }), names)
	h.equal(walk(h, func(last *account.TorrentReport) ([]account.TorrentReport, error) {
		var after ledger.TorrentID
		if last != nil {
			after = last.ID
		}
		return h.TorrentsAfter(ctx, after, 2)
	}, func(torrent account.TorrentReport) string { return torrent.Name }), names)

	one, err := h.Torrent(ctx, infoHash(3))
	h.must(err)
	h.equal(one.Torrent, torrents[3])
	_, err = h.Torrent(ctx, infoHash(9))
	h.mustBe(err, account.ErrNotFound)

	var b ledger.Batch
	b.Seq = 1
	for _, torrent := range torrents {
		b.Deltas = append(b.Deltas, ledger.Delta{User: users[0].ID, Torrent: torrent.ID, RawUploaded: int64(torrent.ID)})
		b.Findings = append(b.Findings, ledger.Finding{User: users[0].ID, Torrent: torrent.ID, Kind: ledger.TooFast, First: epoch, Last: epoch, Count: 1})
	}
	h.flush(account.NewRunID(), &b)
	all, err := h.Pairs(ctx, users[0].ID)
	h.must(err)
	part, err := h.PairsAfter(ctx, users[0].ID, torrents[1].ID, 2)
	h.must(err)
	h.equal(part, all[2:4])

	findings, err := h.FindingsBefore(ctx, 1<<62, 2, false)
	h.must(err)
	h.equal([]ledger.TorrentID{findings[0].Torrent, findings[1].Torrent}, []ledger.TorrentID{torrents[4].ID, torrents[3].ID})
	h.must(h.Review(ctx, findings[1].ID, "seen", epochTime))
	open, err := h.FindingsBefore(ctx, findings[0].ID, 9, false)
	h.must(err)
	closed, err := h.FindingsBefore(ctx, findings[0].ID, 9, true)
	h.must(err)
	h.equal([]int{len(open), len(closed)}, []int{3, 4})
}

func testSums(t *testing.T, h *harness) {
	ctx := t.Context()
	anna, berta := h.user("anna", 1), h.user("berta", 2)
	torrent := h.torrent("one", 1)
	h.flush(account.NewRunID(), &ledger.Batch{
		Seq: 1,
		Deltas: []ledger.Delta{
			{User: anna.ID, Torrent: torrent.ID, RawUploaded: 5, SeedTime: time.Minute},
			{User: berta.ID, Torrent: torrent.ID, RawDownloaded: 7, CompletedAt: epoch},
		},
		Findings: []ledger.Finding{{User: anna.ID, Torrent: torrent.ID, Kind: ledger.TooFast, First: epoch, Last: epoch, Count: 1}},
	})
	berta.State = account.Disabled
	h.must(h.UpdateUser(ctx, berta))
	sums, err := h.Sums(ctx)
	h.must(err)
	h.equal(sums, account.Sums{
		Users: 2, Disabled: 1, Torrents: 1, Uploaded: 5, Downloaded: 7, SeedTime: time.Minute, Snatches: 1, Findings: 1,
	})
}

// testTorrentKeys lists keys for single torrents, and removes those of a user
// without touching others.
func testTorrentKeys(t *testing.T, h *harness) {
	ctx := t.Context()
	anna, berta := h.user("anna", 1), h.user("berta", 2)
	torrent, other := h.torrent("one", 1), h.torrent("other", 2)
	keys := []account.StoredKey{
		{Hash: hash(3), User: anna.ID, Torrent: torrent.ID},
		{Hash: hash(4), User: anna.ID, Torrent: torrent.ID},
		{Hash: hash(5), User: berta.ID, Torrent: torrent.ID},
	}
	for _, key := range append(slices.Clone(keys), account.StoredKey{Hash: hash(6), User: anna.ID, Torrent: other.ID}) {
		h.must(h.AddKey(ctx, key, account.KeyHash{}))
	}
	got, err := h.TorrentKeys(ctx, torrent.ID, 9)
	h.must(err)
	h.equal(got, keys)
	got, err = h.TorrentKeys(ctx, torrent.ID, 2)
	h.must(err)
	h.equal(got, keys[:2])

	before := h.load().Revision
	removed, err := h.RemoveTorrentKeys(ctx, torrent.ID, anna.ID)
	h.must(err)
	h.equal(removed, int64(2))
	if tables := h.load(); tables.Revision == before || len(tables.Keys) != 4 {
		t.Errorf("revision %d, then %d; %d keys are left", before, tables.Revision, len(tables.Keys))
	}
	removed, err = h.RemoveTorrentKeys(ctx, torrent.ID, anna.ID)
	h.must(err)
	h.equal(removed, int64(0))
}
