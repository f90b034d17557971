package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

var userRoutes = []route{
	{method: "GET", path: "/api/users", role: account.Moderator, query: []string{"limit", "after"}, handle: listUsers},
	{method: "POST", path: "/api/users", role: account.Admin, status: http.StatusCreated, handle: addUser},
	{method: "GET", path: "/api/users/{name}", role: account.Moderator, handle: showUser},
	{method: "PATCH", path: "/api/users/{name}", role: account.Admin, handle: changeUser},
	{method: "POST", path: "/api/users/{name}/rotate-key", role: account.Admin, handle: rotateKey},
	{method: "GET", path: "/api/users/{name}/torrents", role: account.Moderator, query: []string{"limit", "after"}, handle: listRecords},
}

// ownRoutes are for everybody about himself.
var ownRoutes = []route{
	{method: "GET", path: "/api/me", forUsers: true, handle: showMe},
	{method: "GET", path: "/api/me/torrents", forUsers: true, query: []string{"limit", "after"}, handle: listMyRecords},
	{method: "POST", path: "/api/me/rotate-key", forUsers: true, handle: rotateMyKey},
}

// The JSON of users.
type (
	userJSON struct {
		Name        string         `json:"name"`
		Role        string         `json:"role"`
		State       string         `json:"state"`
		Slots       int            `json:"slots"`
		Promotion   *promotionJSON `json:"promotion"`
		InvitedBy   string         `json:"invited_by,omitempty"`
		Created     time.Time      `json:"created"`
		Uploaded    int64          `json:"uploaded"`
		Downloaded  int64          `json:"downloaded"`
		Ratio       *float64       `json:"ratio"`
		RawUploaded int64          `json:"raw_uploaded"`
		RawDown     int64          `json:"raw_downloaded"`
		SeedSec     int64          `json:"seed_seconds"`
		Snatches    int64          `json:"snatches"`
		LastRefusal *refusalJSON   `json:"last_refusal"`
	}
	refusalJSON struct {
		At       time.Time `json:"at"`
		InfoHash string    `json:"info_hash"`
		Reason   string    `json:"reason"`
	}
	usersJSON struct {
		Users []userJSON `json:"users"`
		Next  string     `json:"next,omitempty"`
	}
	// keyJSON tells a key, once.
	keyJSON struct {
		Name        string `json:"name"`
		Key         string `json:"key"`
		AnnounceURL string `json:"announce_url"`
	}
	recordJSON struct {
		InfoHash   string     `json:"info_hash,omitempty"` // empty if the torrent was removed
		Name       string     `json:"name,omitempty"`
		Uploaded   int64      `json:"uploaded"`
		Downloaded int64      `json:"downloaded"`
		RawUp      int64      `json:"raw_uploaded"`
		RawDown    int64      `json:"raw_downloaded"`
		SeedSec    int64      `json:"seed_seconds"`
		Completed  *time.Time `json:"completed"`
	}
	recordsJSON struct {
		Torrents []recordJSON `json:"torrents"`
		Next     string       `json:"next,omitempty"`
	}
	newUserJSON struct {
		Name  string `json:"name"`
		Role  string `json:"role"`
		Slots int    `json:"slots"`
	}
	userChangeJSON struct {
		Role  *string `json:"role"`
		State *string `json:"state"`
		Slots *int    `json:"slots"`
	}
)

// maxSlots bounds how many torrents a user may be allowed at once; arbitrary.
const maxSlots = 1 << 20

func checkSlots(n int) error {
	if n < -1 || n > maxSlots {
		return bad("slots is from 1 to %d, or 0 for what the tracker's rules say, or -1 for any number", maxSlots)
	}
	return nil
}

func listUsers(ctx context.Context, c *call) (any, error) {
	users, next, err := part(c, 0, func(after int64, limit int) ([]account.UserReport, error) {
		return c.cfg.Store.UsersAfter(ctx, ledger.UserID(after), limit)
	}, func(u account.UserReport) int64 { return int64(u.ID) }, c.userJSON)
	return usersJSON{users, next}, err
}

func (c *call) userJSON(u account.UserReport) userJSON {
	j := userJSON{
		Name: u.Name, Role: u.Role.String(), State: u.State.String(), Slots: u.Slots, Promotion: promotionOf(u.Promotion),
		Created: inUTC(u.CreatedAt), Uploaded: u.Uploaded, Downloaded: u.Downloaded,
		RawUploaded: u.RawUploaded, RawDown: u.RawDownloaded, SeedSec: int64(u.SeedTime / time.Second), Snatches: u.Snatches,
	}
	if by, ok := c.cfg.Accounts.UserByID(u.InvitedBy); ok {
		j.InvitedBy = by.Name
	}
	if u.Downloaded > 0 {
		ratio := float64(u.Uploaded) / float64(u.Downloaded)
		j.Ratio = &ratio
	}
	refusal := u.LastRefusal
	if last, ok := c.cfg.Accounts.LastRefusal(u.ID); ok { // which may not be stored yet
		refusal = &last
	}
	if refusal != nil {
		j.LastRefusal = &refusalJSON{sinceEpoch(refusal.At), refusal.InfoHash.String(), refusal.Reason}
	}
	return j
}

// inUTC is a time as the API tells it, in whole seconds.
func inUTC(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func sinceEpoch(d time.Duration) time.Time { return inUTC(time.Unix(0, int64(d))) }

func showUser(ctx context.Context, c *call) (any, error) {
	u, err := c.named(ctx)
	if err != nil {
		return nil, err
	}
	return c.userJSON(u), nil
}

func addUser(ctx context.Context, c *call) (any, error) {
	in := newUserJSON{Role: account.Member.String()}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, err := account.ParseRole(in.Role)
	if err != nil {
		return nil, bad("%v", err)
	}
	if err := checkSlots(in.Slots); err != nil {
		return nil, err
	}
	u := account.User{Name: in.Name, Role: role, Slots: in.Slots, InvitedBy: c.user.ID, CreatedAt: c.cfg.Now()}
	return c.tellKey(ctx, u.Name, func(key account.Key) error {
		if err := u.Validate(); err != nil {
			return bad("%v", err)
		}
		_, err := c.cfg.Store.CreateUser(ctx, u, key.Hash())
		return err
	})
}

// tellKey makes a key, has give give it to the user called name, and tells it.
func (c *call) tellKey(ctx context.Context, name string, give func(account.Key) error) (any, error) {
	base, err := c.base(ctx)
	if err != nil {
		return nil, err
	}
	key := account.NewKey()
	if err := c.changed(ctx, give(key)); err != nil {
		return nil, err
	}
	return keyJSON{name, key.Reveal(), account.AnnounceURL(base, key)}, nil
}

// changeUser sets what the body has. Nobody changes himself: an admin who has
// disabled or demoted himself by mistake could not take it back.
func changeUser(ctx context.Context, c *call) (any, error) {
	var in userChangeJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return c.change(ctx, func(u *account.User) error {
		if !c.operator && u.ID == c.user.ID {
			return problemf(http.StatusForbidden, "you may not change yourself; ask another admin")
		}
		return in.apply(u)
	})
}

func (in *userChangeJSON) apply(u *account.User) (err error) {
	if in.Role != nil {
		if u.Role, err = account.ParseRole(*in.Role); err != nil {
			return bad("%v", err)
		}
	}
	if in.State != nil {
		switch *in.State {
		case account.Active.String():
			u.State = account.Active
		case account.Disabled.String():
			u.State = account.Disabled
		default:
			return bad("state is %q or %q", account.Active, account.Disabled)
		}
	}
	if in.Slots != nil {
		u.Slots = *in.Slots
		return checkSlots(u.Slots)
	}
	return nil
}

// change changes the user in the path, and returns him as he is afterwards.
func (c *call) change(ctx context.Context, do func(*account.User) error) (any, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	u, err := c.named(ctx)
	if err != nil {
		return nil, err
	}
	if err := do(&u.User); err != nil {
		return nil, err
	}
	if err := c.changed(ctx, c.cfg.Store.UpdateUser(ctx, u.User)); err != nil {
		return nil, err
	}
	return c.userJSON(u), nil
}

func rotateKey(ctx context.Context, c *call) (any, error) {
	u, err := c.named(ctx)
	if err != nil {
		return nil, err
	}
	return c.rotate(ctx, u.User, account.KeyHash{})
}

func (c *call) rotate(ctx context.Context, u account.User, by account.KeyHash) (any, error) {
	return c.tellKey(ctx, u.Name, func(key account.Key) error { return c.cfg.Store.RotateKey(ctx, u.ID, key.Hash(), by) })
}

// keyIsGone makes of ErrNotFound what the caller of a moment ago would be told
// now, because his key was replaced meanwhile.
func keyIsGone(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return problemf(http.StatusUnauthorized, "this key was replaced just now; ask for the new one")
	}
	return err
}

func listRecords(ctx context.Context, c *call) (any, error) {
	u, err := c.named(ctx)
	if err != nil {
		return nil, err
	}
	return c.records(ctx, u.ID)
}

// records lists what a user moved of each torrent.
func (c *call) records(ctx context.Context, id ledger.UserID) (any, error) {
	records, next, err := part(c, 0, func(after int64, limit int) ([]account.PairReport, error) {
		return c.cfg.Store.PairsAfter(ctx, id, ledger.TorrentID(after), limit)
	}, func(p account.PairReport) int64 { return int64(p.Torrent) }, c.recordJSON)
	return recordsJSON{records, next}, err
}

func (c *call) recordJSON(p account.PairReport) recordJSON {
	j := recordJSON{
		Uploaded: p.Uploaded, Downloaded: p.Downloaded, RawUp: p.RawUploaded, RawDown: p.RawDownloaded, SeedSec: int64(p.SeedTime / time.Second),
	}
	if t, ok := c.cfg.Accounts.TorrentByID(p.Torrent); ok {
		j.InfoHash, j.Name = t.InfoHash.String(), t.Name
	}
	if p.CompletedAt > 0 {
		at := sinceEpoch(p.CompletedAt)
		j.Completed = &at
	}
	return j
}

// me is the user who calls. The operator is none.
func (c *call) me() (account.User, error) {
	if c.operator {
		return account.User{}, problemf(http.StatusForbidden, "the operator is no user; send a user's key")
	}
	return c.user, nil
}

func showMe(ctx context.Context, c *call) (any, error) {
	u, err := c.me()
	if err != nil {
		return nil, err
	}
	report, err := c.cfg.Store.User(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	return c.userJSON(report), nil
}

func listMyRecords(ctx context.Context, c *call) (any, error) {
	u, err := c.me()
	if err != nil {
		return nil, err
	}
	return c.records(ctx, u.ID)
}

func rotateMyKey(ctx context.Context, c *call) (any, error) {
	u, err := c.me()
	if err != nil {
		return nil, err
	}
	result, err := c.rotate(ctx, u, c.key.Hash())
	return result, keyIsGone(err)
}
