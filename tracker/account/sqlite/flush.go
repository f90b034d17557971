package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// keepRuns is how long the last batch of a run is remembered that flushes no
// more.
const keepRuns = 30 * 24 * time.Hour

// plus is SQL for a sum that saturates: SQLite would go on in floating point.
func plus(column, by string) string {
	return fmt.Sprintf("%[1]s = CASE WHEN %[1]s > 9223372036854775807 - %[2]s THEN 9223372036854775807 ELSE %[1]s + %[2]s END", column, by)
}

var (
	addToPair = `INSERT INTO pair (user, torrent, uploaded, downloaded, raw_uploaded, raw_downloaded, seed_time, seeded_until, completed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ` +
		plus("uploaded", "excluded.uploaded") + "," + plus("downloaded", "excluded.downloaded") + "," +
		plus("raw_uploaded", "excluded.raw_uploaded") + "," + plus("raw_downloaded", "excluded.raw_downloaded") + "," +
		plus("seed_time", "excluded.seed_time") + `,
		seeded_until = max(seeded_until, excluded.seeded_until),
		completed_at = CASE completed_at WHEN 0 THEN excluded.completed_at ELSE completed_at END`
	addToUser = "UPDATE user SET " + plus("uploaded", "?1") + "," + plus("downloaded", "?2") + "," +
		plus("raw_uploaded", "?3") + "," + plus("raw_downloaded", "?4") + "," + plus("seed_time", "?5") + ", snatches = snatches + ?6 WHERE id = ?7"
	addToTorrent = "UPDATE torrent SET " + plus("uploaded", "?1") + "," + plus("downloaded", "?2") + "," +
		plus("seed_time", "?3") + ", snatches = snatches + ?4 WHERE id = ?5"
	setSession = `INSERT INTO session (user, torrent, peer_id, uploaded, downloaded, remaining, at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET uploaded = excluded.uploaded, downloaded = excluded.downloaded, remaining = excluded.remaining, at = excluded.at`
	addFinding = `INSERT INTO finding (user, torrent, kind, first, last, count, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (user, torrent, kind) WHERE reviewed_at = 0 DO UPDATE SET last = excluded.last, count = count + excluded.count, ` +
		plus("bytes", "excluded.bytes")
)

// Flush stores a batch. See account.Store.
func (st *Store) Flush(ctx context.Context, run account.RunID, b *ledger.Batch) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		isNew, err := beginBatch(ctx, tx, run, b)
		if err != nil || !isNew {
			return err
		}
		f := &flush{ctx: ctx, tx: tx, users: map[ledger.UserID]*sums{}, torrents: map[ledger.TorrentID]*sums{}}
		f.storeAll(b)
		if f.err != nil {
			return fmt.Errorf("database: batch %d: %w", b.Seq, f.err)
		}
		return nil
	})
}

// beginBatch notes the batch as stored, and reports whether it was not yet.
func beginBatch(ctx context.Context, tx *sql.Tx, run account.RunID, b *ledger.Batch) (isNew bool, err error) {
	result, err := tx.ExecContext(ctx, `INSERT INTO flush (run, seq, at) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET seq = excluded.seq, at = excluded.at WHERE excluded.seq > seq`, run[:], int64(b.Seq), int64(b.At))
	if err != nil {
		return false, fmt.Errorf("database: %w", err)
	}
	if b.Seq == 1 {
		if _, err := tx.ExecContext(ctx, "DELETE FROM flush WHERE at < ? AND at < (SELECT max(at) FROM flush) AND run <> ?",
			time.Now().Add(-keepRuns).UnixNano(), run[:]); err != nil {
			return false, fmt.Errorf("database: %w", err)
		}
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// LastFlush returns the time up to which all announces are stored, since the
// Unix epoch; 0 if none was.
func (st *Store) LastFlush(ctx context.Context) (at time.Duration, err error) {
	err = st.read.QueryRowContext(ctx, "SELECT coalesce(max(at), 0) FROM flush").Scan((*int64)(&at))
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	return at, nil
}

// flush is a batch on its way into the database. The first error ends it.
type flush struct {
	ctx      context.Context
	tx       *sql.Tx
	users    map[ledger.UserID]*sums
	torrents map[ledger.TorrentID]*sums
	err      error
}

// sums are what a batch adds to one user or torrent.
type sums struct {
	ledger.Totals
	rawUploaded, rawDownloaded int64
	seedTime                   time.Duration
	snatches                   int64
}

func (s *sums) add(d *ledger.Delta, snatches int64) {
	s.Uploaded = saturate(s.Uploaded, d.Totals.Uploaded)
	s.Downloaded = saturate(s.Downloaded, d.Totals.Downloaded)
	s.rawUploaded = saturate(s.rawUploaded, d.RawUploaded)
	s.rawDownloaded = saturate(s.rawDownloaded, d.RawDownloaded)
	s.seedTime = saturate(s.seedTime, d.SeedTime)
	s.snatches += snatches
}

func saturate[T ~int64](a, b T) T {
	const most = 1<<63 - 1
	if a > most-b {
		return most
	}
	return a + b
}

func (f *flush) storeAll(b *ledger.Batch) {
	f.storePairs(b.Deltas)
	f.storeUsers()
	f.storeTorrents()
	f.storeSessions(b)
	f.storeFindings(b.Findings)
	f.storeRefusals(b.Refusals)
}

// prepare returns a function that executes a statement, for many rows. After
// the batch's first error it does nothing.
func (f *flush) prepare(query string) (exec func(args ...any), closeIt func()) {
	if f.err != nil {
		return func(...any) {}, func() {}
	}
	stmt, err := f.tx.PrepareContext(f.ctx, query)
	if err != nil {
		f.err = err
		return func(...any) {}, func() {}
	}
	exec = func(args ...any) {
		if f.err == nil {
			_, f.err = stmt.ExecContext(f.ctx, args...)
		}
	}
	return exec, func() { stmt.Close() }
}

func (f *flush) storePairs(deltas []ledger.Delta) {
	exec, done := f.prepare(addToPair)
	defer done()
	for i := range deltas {
		d := &deltas[i]
		snatches := f.newSnatches(d)
		sumOf(f.users, d.User).add(d, snatches)
		if d.Torrent == ledger.AnyTorrent {
			continue
		}
		sumOf(f.torrents, d.Torrent).add(d, snatches)
		exec(int64(d.User), int64(d.Torrent), d.Totals.Uploaded, d.Totals.Downloaded, d.RawUploaded, d.RawDownloaded,
			int64(d.SeedTime), int64(d.SeededUntil), int64(d.CompletedAt))
	}
}

// newSnatches returns 1 if the pair completes for the first time.
func (f *flush) newSnatches(d *ledger.Delta) int64 {
	if d.CompletedAt == 0 || f.err != nil {
		return 0
	}
	var before int64
	err := f.tx.QueryRowContext(f.ctx, "SELECT count(*) FROM pair WHERE user = ? AND torrent = ? AND completed_at > 0", int64(d.User), int64(d.Torrent)).Scan(&before)
	if err != nil {
		f.err = err
	}
	return 1 - before
}

func sumOf[ID comparable](of map[ID]*sums, id ID) *sums {
	if of[id] == nil {
		of[id] = new(sums)
	}
	return of[id]
}

func (f *flush) storeUsers() {
	exec, done := f.prepare(addToUser)
	defer done()
	for id, s := range f.users {
		exec(s.Uploaded, s.Downloaded, s.rawUploaded, s.rawDownloaded, int64(s.seedTime), s.snatches, int64(id))
	}
}

// storeTorrents adds what clients announced: what counts for users differs by
// promotions.
func (f *flush) storeTorrents() {
	exec, done := f.prepare(addToTorrent)
	defer done()
	for id, s := range f.torrents {
		exec(s.rawUploaded, s.rawDownloaded, int64(s.seedTime), s.snatches, int64(id))
	}
}

func (f *flush) storeSessions(b *ledger.Batch) {
	set, done := f.prepare(setSession)
	defer done()
	for _, s := range b.Sessions {
		set(int64(s.User), int64(s.Torrent), s.PeerID[:], s.Uploaded, s.Downloaded, s.Left, int64(s.At))
	}
	remove, done := f.prepare("DELETE FROM session WHERE user = ? AND torrent = ? AND peer_id = ?")
	defer done()
	for _, key := range b.Ended {
		remove(int64(key.User), int64(key.Torrent), key.PeerID[:])
	}
}

func (f *flush) storeFindings(findings []ledger.Finding) {
	exec, done := f.prepare(addFinding)
	defer done()
	for _, found := range findings {
		exec(int64(found.User), int64(found.Torrent), int64(found.Kind), int64(found.First), int64(found.Last), found.Count, found.Bytes)
	}
}

func (f *flush) storeRefusals(refusals []ledger.Refusal) {
	exec, done := f.prepare("UPDATE user SET refused_at = ?, refused_torrent = ?, refused_because = ? WHERE id = ?")
	defer done()
	for _, r := range refusals {
		exec(int64(r.At), r.InfoHash[:], r.Reason, int64(r.User))
	}
}
