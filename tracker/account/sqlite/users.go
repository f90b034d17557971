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

// touch says that announces must know of the change.
func touch(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "UPDATE site SET revision = revision + 1")
	return err
}

// alter changes what announces must know of, by one statement that must find
// something.
func (st *Store) alter(ctx context.Context, what, statement string, args ...any) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, statement, args...)
		if err == nil {
			err = touch(ctx, tx)
		}
		if err != nil {
			return explain(err, what)
		}
		n, err := result.RowsAffected()
		return errors.Join(err, affected(n, what))
	})
}

// CreateUser adds a user. See account.Store.
func (st *Store) CreateUser(ctx context.Context, u account.User, key account.KeyHash) (account.User, error) {
	if err := u.Validate(); err != nil {
		return u, err
	}
	err := st.change(ctx, func(tx *sql.Tx) error { return insertUser(ctx, tx, &u, key) })
	return u, err
}

func insertUser(ctx context.Context, tx *sql.Tx, u *account.User, key account.KeyHash) error {
	what := "user " + u.Name
	args := append([]any{u.Name, u.Role, u.State, u.Slots}, promotionValues(u.Promotion)...)
	args = append(args, int64(u.InvitedBy), unixNano(u.CreatedAt))
	result, err := tx.ExecContext(ctx, "INSERT INTO user (name, role, state, slots, "+promotionColumns+", invited_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", args...)
	if err != nil {
		return explain(err, what)
	}
	id, err := result.LastInsertId()
	if err != nil {
		return explain(err, what)
	}
	u.ID = ledger.UserID(id)
	if err := insertKey(ctx, tx, account.StoredKey{Hash: key, User: u.ID}); err != nil {
		return err
	}
	return explain(touch(ctx, tx), what)
}

func insertKey(ctx context.Context, tx *sql.Tx, key account.StoredKey) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO key (hash, user, torrent) VALUES (?, ?, nullif(?, 0))", key.Hash[:], int64(key.User), int64(key.Torrent))
	return explain(err, "key")
}

// reportColumns are scanned by scanReport.
const reportColumns = userColumns + ", uploaded, downloaded, raw_uploaded, raw_downloaded, seed_time, snatches, refused_at, refused_torrent, refused_because"

func scanReport(scan func(...any) error) (u account.UserReport, err error) {
	var refusal ledger.Refusal
	var torrent []byte
	fields := append(userFields(&u.User), &u.Uploaded, &u.Downloaded, &u.RawUploaded, &u.RawDownloaded, &u.SeedTime, &u.Snatches,
		&refusal.At, &torrent, &refusal.Reason)
	err = scan(fields...)
	if refusal.At != 0 {
		refusal.User = u.ID
		copy(refusal.InfoHash[:], torrent)
		u.LastRefusal = &refusal
	}
	return u, err
}

// User returns one user. See account.Store.
func (st *Store) User(ctx context.Context, name string) (account.UserReport, error) {
	u, err := scanReport(st.read.QueryRowContext(ctx, "SELECT "+reportColumns+" FROM user WHERE name = ?", name).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return u, fmt.Errorf("user %q: %w", name, account.ErrNotFound)
	case err != nil:
		return u, fmt.Errorf("database: %w", err)
	}
	return u, nil
}

// Users returns all users by name. See account.Store.
func (st *Store) Users(ctx context.Context) (users []account.UserReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		u, err := scanReport(rows.Scan)
		users = append(users, u)
		return err
	}, "SELECT "+reportColumns+" FROM user ORDER BY name")
	return users, explain(err, "users")
}

// UsersAfter returns a part of the users. See account.Store.
func (st *Store) UsersAfter(ctx context.Context, after ledger.UserID, limit int) (users []account.UserReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		u, err := scanReport(rows.Scan)
		users = append(users, u)
		return err
	}, "SELECT "+reportColumns+" FROM user WHERE id > ? ORDER BY id LIMIT ?", int64(after), limit)
	return users, explain(err, "users")
}

// UpdateUser changes a user. See account.Store.
func (st *Store) UpdateUser(ctx context.Context, u account.User) error {
	if err := u.Validate(); err != nil {
		return err
	}
	args := append([]any{u.Role, u.State, u.Slots}, promotionValues(u.Promotion)...)
	return st.alter(ctx, "user "+u.Name,
		"UPDATE user SET role = ?, state = ?, slots = ?, up_percent = ?, down_percent = ?, promoted_from = ?, promoted_until = ? WHERE id = ?", append(args, int64(u.ID))...)
}

// checkOwn fails if by, unless it is zero, is no key of the user for all
// torrents.
func checkOwn(ctx context.Context, tx *sql.Tx, id ledger.UserID, by account.KeyHash) error {
	if by == (account.KeyHash{}) {
		return nil
	}
	var n int64
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM key WHERE hash = ? AND user = ? AND torrent IS NULL", by[:], int64(id)).Scan(&n)
	if err != nil {
		return explain(err, "keys")
	}
	return affected(n, "key")
}

// RotateKey replaces all keys of a user by one. See account.Store.
func (st *Store) RotateKey(ctx context.Context, id ledger.UserID, key, by account.KeyHash) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		if err := checkOwn(ctx, tx, id, by); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM key WHERE user = ?", int64(id)); err != nil {
			return explain(err, "keys")
		}
		if err := insertKey(ctx, tx, account.StoredKey{Hash: key, User: id}); err != nil {
			return err
		}
		return explain(touch(ctx, tx), "keys")
	})
}

// AddKey adds a key. See account.Store.
func (st *Store) AddKey(ctx context.Context, key account.StoredKey, by account.KeyHash) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		if err := checkOwn(ctx, tx, key.User, by); err != nil {
			return err
		}
		if err := insertKey(ctx, tx, key); err != nil {
			return err
		}
		return explain(touch(ctx, tx), "key")
	})
}

// TorrentKeys returns a torrent's keys. See account.Store.
func (st *Store) TorrentKeys(ctx context.Context, id ledger.TorrentID, limit int) (keys []account.StoredKey, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		key := account.StoredKey{Torrent: id}
		err := rows.Scan(array(key.Hash[:]), &key.User)
		keys = append(keys, key)
		return err
	}, "SELECT hash, user FROM key WHERE torrent = ? ORDER BY user, hash LIMIT ?", int64(id), limit)
	return keys, explain(err, "keys")
}

// RemoveTorrentKeys removes a user's keys for a torrent. See account.Store.
func (st *Store) RemoveTorrentKeys(ctx context.Context, id ledger.TorrentID, user ledger.UserID) (removed int64, err error) {
	err = st.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM key WHERE torrent = ? AND user = ?", int64(id), int64(user))
		if err != nil {
			return explain(err, "keys")
		}
		if removed, err = result.RowsAffected(); err != nil || removed == 0 {
			return err
		}
		return explain(touch(ctx, tx), "keys")
	})
	return removed, err
}

// Pairs returns a user's record on each torrent. See account.Store.
func (st *Store) Pairs(ctx context.Context, id ledger.UserID) ([]account.PairReport, error) {
	return st.PairsAfter(ctx, id, ledger.AnyTorrent, -1) // which is no limit
}

// PairsAfter returns a part of a user's records. See account.Store.
func (st *Store) PairsAfter(ctx context.Context, id ledger.UserID, after ledger.TorrentID, limit int) (pairs []account.PairReport, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var p account.PairReport
		err := rows.Scan(&p.Torrent, &p.Uploaded, &p.Downloaded, &p.RawUploaded, &p.RawDownloaded, &p.SeedTime, &p.CompletedAt)
		pairs = append(pairs, p)
		return err
	}, "SELECT torrent, uploaded, downloaded, raw_uploaded, raw_downloaded, seed_time, completed_at FROM pair WHERE user = ? AND torrent > ? ORDER BY torrent LIMIT ?",
		int64(id), int64(after), limit)
	return pairs, explain(err, "records")
}

// AddInvite adds an invitation. See account.Store.
func (st *Store) AddInvite(ctx context.Context, inv account.Invite) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO invite (hash, inviter, role, expires_at) VALUES (?, ?, ?, ?)",
			inv.Hash[:], int64(inv.By), inv.Role, unixNano(inv.ExpiresAt))
		return explain(err, "invitation")
	})
}

// Invites returns a part of the invitations. See account.Store.
func (st *Store) Invites(ctx context.Context, after account.KeyHash, limit int) (invites []account.Invite, err error) {
	err = eachRow(ctx, st.read, func(rows *sql.Rows) error {
		var inv account.Invite
		err := rows.Scan(array(inv.Hash[:]), &inv.By, &inv.Role, (*unixTime)(&inv.ExpiresAt))
		invites = append(invites, inv)
		return err
	}, "SELECT hash, inviter, role, expires_at FROM invite WHERE hash > ? ORDER BY hash LIMIT ?", after[:], limit)
	return invites, explain(err, "invitations")
}

// RemoveInvite takes an invitation back. See account.Store.
func (st *Store) RemoveInvite(ctx context.Context, code account.KeyHash) error {
	return st.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM invite WHERE hash = ?", code[:])
		if err != nil {
			return explain(err, "invitation")
		}
		n, err := result.RowsAffected()
		return errors.Join(err, affected(n, "invitation"))
	})
}

// Redeem makes a user of an invitation. See account.Store.
func (st *Store) Redeem(ctx context.Context, code account.KeyHash, u account.User, key account.KeyHash) (account.User, error) {
	err := st.change(ctx, func(tx *sql.Tx) error {
		var expiresAt time.Time
		err := tx.QueryRowContext(ctx, "DELETE FROM invite WHERE hash = ? RETURNING inviter, role, expires_at", code[:]).
			Scan(&u.InvitedBy, &u.Role, (*unixTime)(&expiresAt))
		if errors.Is(err, sql.ErrNoRows) || err == nil && !u.CreatedAt.Before(expiresAt) {
			return fmt.Errorf("invitation: %w, or it is used or too old", account.ErrNotFound)
		}
		if err != nil {
			return explain(err, "invitation")
		}
		if err := u.Validate(); err != nil {
			return err
		}
		return insertUser(ctx, tx, &u, key)
	})
	return u, err
}
