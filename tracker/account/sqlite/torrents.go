package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// AddTorrent adds a torrent and its file. See account.Store.
func (st *Store) AddTorrent(ctx context.Context, t account.Torrent, file []byte) (account.Torrent, error) {
	what := "torrent " + t.InfoHash.String()
	err := st.change(ctx, func(tx *sql.Tx) error {
		args := append([]any{t.InfoHash[:], t.Name, t.Len, int64(t.AddedBy), unixNano(t.AddedAt)}, promotionValues(t.Promotion)...)
		result, err := tx.ExecContext(ctx, "INSERT INTO torrent (info_hash, name, length, added_by, added_at, "+promotionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", args...)
		if err != nil {
			return explain(err, what)
		}
		id, err := result.LastInsertId()
		if err != nil {
			return explain(err, what)
		}
		t.ID = ledger.TorrentID(id)
		if _, err := tx.ExecContext(ctx, "INSERT INTO torrent_file (torrent, file) VALUES (?, ?)", id, file); err != nil {
			return explain(err, what)
		}
		return explain(touch(ctx, tx), what)
	})
	return t, err
}

// RemoveTorrent removes a torrent. See account.Store.
func (st *Store) RemoveTorrent(ctx context.Context, h metainfo.InfoHash) error {
	return st.alter(ctx, "torrent "+h.String(), "DELETE FROM torrent WHERE info_hash = ?", h[:])
}

// Torrents returns all torrents by name. See account.Store.
func (st *Store) Torrents(ctx context.Context) ([]account.TorrentReport, error) {
	return st.torrents(ctx, " ORDER BY name, id")
}

// TorrentsAfter returns a part of the torrents. See account.Store.
func (st *Store) TorrentsAfter(ctx context.Context, after ledger.TorrentID, limit int) ([]account.TorrentReport, error) {
	return st.torrents(ctx, " WHERE id > ? ORDER BY id LIMIT ?", int64(after), limit)
}

// torrents returns those that the rest of a query selects.
func (st *Store) torrents(ctx context.Context, which string, args ...any) (torrents []account.TorrentReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		t, err := scanTorrent(rows.Scan)
		torrents = append(torrents, t)
		return err
	}, torrentReports+which, args...)
	return torrents, explain(err, "torrents")
}

// torrentReports begins a query whose rows scanTorrent reads.
const torrentReports = "SELECT " + torrentColumns + ", uploaded, downloaded, seed_time, snatches FROM torrent"

func scanTorrent(scan func(...any) error) (t account.TorrentReport, err error) {
	err = scan(append(torrentFields(&t.Torrent), &t.Uploaded, &t.Downloaded, &t.SeedTime, &t.Snatches)...)
	return t, err
}

// Torrent returns one torrent. See account.Store.
func (st *Store) Torrent(ctx context.Context, h metainfo.InfoHash) (account.TorrentReport, error) {
	t, err := scanTorrent(st.read.QueryRowContext(ctx, torrentReports+" WHERE info_hash = ?", h[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("torrent %s: %w", h, account.ErrNotFound)
	}
	return t, explain(err, "torrent "+h.String())
}

// TorrentFile returns the file of a torrent. See account.Store.
func (st *Store) TorrentFile(ctx context.Context, h metainfo.InfoHash) (file []byte, err error) {
	err = st.read.QueryRowContext(ctx, "SELECT file FROM torrent_file JOIN torrent ON id = torrent WHERE info_hash = ?", h[:]).Scan(&file)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("torrent %s: %w", h, account.ErrNotFound)
	}
	return file, explain(err, "torrent "+h.String())
}

// PromoteTorrent sets a torrent's promotion. See account.Store.
func (st *Store) PromoteTorrent(ctx context.Context, h metainfo.InfoHash, p ledger.Promotion) error {
	return st.alter(ctx, "torrent "+h.String(),
		"UPDATE torrent SET up_percent = ?, down_percent = ?, promoted_from = ?, promoted_until = ? WHERE info_hash = ?", append(promotionValues(p), h[:])...)
}

// PromoteSite sets the promotion of all torrents. See account.Store.
func (st *Store) PromoteSite(ctx context.Context, p ledger.Promotion) error {
	return st.alter(ctx, "promotion", "UPDATE site SET up_percent = ?, down_percent = ?, promoted_from = ?, promoted_until = ?", promotionValues(p)...)
}

// Settings returns the settings. See account.Store.
func (st *Store) Settings(ctx context.Context) (s account.Settings, err error) {
	err = st.read.QueryRowContext(ctx, "SELECT url, source FROM site").Scan(&s.URL, &s.Source)
	return s, explain(err, "settings")
}

// SetSettings changes the settings. See account.Store.
func (st *Store) SetSettings(ctx context.Context, s account.Settings) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE site SET url = ?, source = ?", s.URL, s.Source)
		return explain(err, "settings")
	})
}

// Findings returns the review list. See account.Store.
func (st *Store) Findings(ctx context.Context, all bool) ([]account.FindingReport, error) {
	return st.findings(ctx, " ORDER BY last DESC, id DESC", all)
}

// FindingsBefore returns a part of the review list. See account.Store.
func (st *Store) FindingsBefore(ctx context.Context, before int64, limit int, all bool) ([]account.FindingReport, error) {
	return st.findings(ctx, " AND id < ? ORDER BY id DESC LIMIT ?", all, before, limit)
}

// findings returns those that the rest of a query selects, the open ones or
// all.
func (st *Store) findings(ctx context.Context, which string, all bool, args ...any) (findings []account.FindingReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var f account.FindingReport
		err := rows.Scan(&f.ID, &f.User, &f.Torrent, &f.Kind, &f.First, &f.Last, &f.Count, &f.Bytes, (*unixTime)(&f.ReviewedAt), &f.Verdict)
		findings = append(findings, f)
		return err
	}, `SELECT id, user, torrent, kind, first, last, count, bytes, reviewed_at, verdict FROM finding
		WHERE (reviewed_at = 0 OR ?)`+which, append([]any{all}, args...)...)
	return findings, explain(err, "findings")
}

// Sums adds up everything. See account.Store.
func (st *Store) Sums(ctx context.Context) (s account.Sums, err error) {
	// total() is a float, which does not overflow as sum() does; min keeps it
	// in an int64.
	const total = "CAST(min(total(%s), 9.2e18) AS INTEGER)"
	query := "SELECT count(*), count(*) FILTER (WHERE state <> 0)"
	for _, column := range []string{"raw_uploaded", "raw_downloaded", "seed_time", "snatches"} {
		query += ", " + fmt.Sprintf(total, column)
	}
	query += ", (SELECT count(*) FROM torrent), (SELECT count(*) FROM finding WHERE reviewed_at = 0) FROM user"
	err = st.read.QueryRowContext(ctx, query).Scan(&s.Users, &s.Disabled, &s.Uploaded, &s.Downloaded, &s.SeedTime, &s.Snatches, &s.Torrents, &s.Findings)
	return s, explain(err, "sums")
}

// Review closes an entry of the review list. See account.Store.
func (st *Store) Review(ctx context.Context, id int64, verdict string, now time.Time) error {
	what := fmt.Sprintf("finding %d", id)
	return st.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE finding SET reviewed_at = ?, verdict = ? WHERE id = ? AND reviewed_at = 0", unixNano(now), verdict, id)
		if err != nil {
			return explain(err, what)
		}
		n, err := result.RowsAffected()
		return errors.Join(err, affected(n, what))
	})
}
