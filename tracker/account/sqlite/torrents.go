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
func (st *Store) Torrents(ctx context.Context) (torrents []account.TorrentReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var t account.TorrentReport
		err := rows.Scan(append(torrentFields(&t.Torrent), &t.Uploaded, &t.Downloaded, &t.SeedTime, &t.Snatches)...)
		torrents = append(torrents, t)
		return err
	}, "SELECT "+torrentColumns+", uploaded, downloaded, seed_time, snatches FROM torrent ORDER BY name, id")
	return torrents, explain(err, "torrents")
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
func (st *Store) Findings(ctx context.Context, all bool) (findings []account.FindingReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var f account.FindingReport
		err := rows.Scan(&f.ID, &f.User, &f.Torrent, &f.Kind, &f.First, &f.Last, &f.Count, &f.Bytes, (*unixTime)(&f.ReviewedAt), &f.Verdict)
		findings = append(findings, f)
		return err
	}, `SELECT id, user, torrent, kind, first, last, count, bytes, reviewed_at, verdict FROM finding
		WHERE reviewed_at = 0 OR ? ORDER BY last DESC, id DESC`, all)
	return findings, explain(err, "findings")
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
