package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// Load returns the tables of one moment. See account.Store.
func (st *Store) Load(ctx context.Context) (*account.Tables, error) {
	tx, err := st.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	defer tx.Rollback() // it only reads
	t := new(account.Tables)
	err = errors.Join(readSite(ctx, tx, t), readUserTotals(ctx, tx, t), readKeys(ctx, tx, t), readTorrents(ctx, tx, t))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return t, nil
}

// Revision returns a number that changes with the tables. See account.Store.
func (st *Store) Revision(ctx context.Context) (revision int64, err error) {
	err = st.read.QueryRowContext(ctx, "SELECT revision FROM site").Scan(&revision)
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	return revision, nil
}

// querier is a database or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// eachRow calls visit for each row of a query.
func eachRow(ctx context.Context, q querier, visit func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// promotionColumns are scanned by promotionFields.
const promotionColumns = "up_percent, down_percent, promoted_from, promoted_until"

func promotionFields(p *ledger.Promotion) []any {
	return []any{&p.Rate.UpPercent, &p.Rate.DownPercent, &p.From, &p.Until}
}

func promotionValues(p ledger.Promotion) []any {
	return []any{p.Rate.UpPercent, p.Rate.DownPercent, int64(p.From), int64(p.Until)}
}

func readSite(ctx context.Context, tx *sql.Tx, t *account.Tables) error {
	fields := append([]any{&t.Revision}, promotionFields(&t.Site)...)
	return tx.QueryRowContext(ctx, "SELECT revision, "+promotionColumns+" FROM site").Scan(fields...)
}

// userColumns are scanned by userFields.
const userColumns = "id, name, role, state, slots, " + promotionColumns + ", invited_by, created_at"

func userFields(u *account.User) []any {
	fields := append([]any{&u.ID, &u.Name, &u.Role, &u.State, &u.Slots}, promotionFields(&u.Promotion)...)
	return append(fields, &u.InvitedBy, (*unixTime)(&u.CreatedAt))
}

func readUserTotals(ctx context.Context, tx *sql.Tx, t *account.Tables) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var u account.UserTotals
		err := rows.Scan(append(userFields(&u.User), &u.Totals.Uploaded, &u.Totals.Downloaded)...)
		t.Users = append(t.Users, u)
		return err
	}, "SELECT "+userColumns+", uploaded, downloaded FROM user ORDER BY id")
}

func readKeys(ctx context.Context, tx *sql.Tx, t *account.Tables) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var key account.StoredKey
		err := rows.Scan(array(key.Hash[:]), &key.User, &key.Torrent)
		t.Keys = append(t.Keys, key)
		return err
	}, "SELECT hash, user, coalesce(torrent, 0) FROM key ORDER BY hash")
}

// torrentColumns are scanned by torrentFields.
const torrentColumns = "id, info_hash, name, length, added_by, added_at, " + promotionColumns

func torrentFields(t *account.Torrent) []any {
	fields := []any{&t.ID, array(t.InfoHash[:]), &t.Name, &t.Len, &t.AddedBy, (*unixTime)(&t.AddedAt)}
	return append(fields, promotionFields(&t.Promotion)...)
}

func readTorrents(ctx context.Context, tx *sql.Tx, t *account.Tables) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var torrent account.Torrent
		err := rows.Scan(torrentFields(&torrent)...)
		t.Torrents = append(t.Torrents, torrent)
		return err
	}, "SELECT "+torrentColumns+" FROM torrent ORDER BY id")
}

// Sessions yields the sessions stored at since or later. See account.Store.
func (st *Store) Sessions(ctx context.Context, since time.Duration, yield func(ledger.Session, time.Duration) error) error {
	err := st.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM session WHERE at < ?", int64(since))
		return err
	})
	if err != nil {
		return fmt.Errorf("database: old sessions: %w", err)
	}
	return eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var s ledger.Session
		var seededUntil time.Duration
		if err := rows.Scan(&s.User, &s.Torrent, array(s.PeerID[:]), &s.Uploaded, &s.Downloaded, &s.Left, &s.At, &seededUntil); err != nil {
			return fmt.Errorf("database: %w", err)
		}
		return yield(s, seededUntil)
	}, `SELECT s.user, s.torrent, s.peer_id, s.uploaded, s.downloaded, s.remaining, s.at, coalesce(p.seeded_until, 0)
		FROM session s LEFT JOIN pair p ON p.user = s.user AND p.torrent = s.torrent ORDER BY s.at, s.user, s.torrent, s.peer_id`)
}

// HitAndRuns counts the torrents that violate the rule. See account.Store.
func (st *Store) HitAndRuns(ctx context.Context, now time.Duration, rule ledger.HitAndRun) (map[ledger.UserID]int, error) {
	counts := make(map[ledger.UserID]int)
	if rule.Within == 0 {
		return counts, nil
	}
	err := eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var user ledger.UserID
		var t ledger.PairTotals
		err := rows.Scan(&user, &t.CompletedAt, &t.SeedTime, &t.RawUploaded, &t.RawDownloaded)
		if rule.Violated(now, t) {
			counts[user]++
		}
		return err
	}, `SELECT user, completed_at, seed_time, raw_uploaded, raw_downloaded FROM pair
		WHERE completed_at > 0 AND completed_at <= ? AND seed_time < ?`, int64(now-rule.Within), int64(rule.SeedTime))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return counts, nil
}
