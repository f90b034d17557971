package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
)

var inviteRoutes = []route{
	{method: "GET", path: "/api/invites", role: account.Admin, query: []string{"limit", "after"}, handle: listInvites},
	{method: "POST", path: "/api/invites", role: account.Admin, status: http.StatusCreated, handle: addInvite},
	{method: "DELETE", path: "/api/invites/{id}", role: account.Admin, status: http.StatusNoContent, handle: removeInvite},
	{method: "POST", path: "/api/join", open: true, forUsers: true, status: http.StatusCreated, handle: join},
}

// maxInviteSec bounds how long an invitation is good: a year.
const maxInviteSec = 365 * 24 * 60 * 60

// The JSON of invitations. An ID is the hash of the code, and does not tell it.
type (
	inviteJSON struct {
		ID        string    `json:"id"`
		Role      string    `json:"role"`
		InvitedBy string    `json:"invited_by,omitempty"`
		Expires   time.Time `json:"expires"`
	}
	madeInviteJSON struct {
		inviteJSON
		Code string `json:"code"`
	}
	invitesJSON struct {
		Invites []inviteJSON `json:"invites"`
		Next    string       `json:"next,omitempty"`
	}
	newInviteJSON struct {
		Role       string `json:"role"`
		ExpiresSec int64  `json:"expires_seconds"`
	}
	joinJSON struct {
		Code string `json:"code"`
		Name string `json:"name"`
	}
)

func (c *call) inviteJSON(inv account.Invite) inviteJSON {
	j := inviteJSON{ID: hex.EncodeToString(inv.Hash[:]), Role: inv.Role.String(), Expires: inUTC(inv.ExpiresAt)}
	if by, ok := c.cfg.Accounts.UserByID(inv.By); ok {
		j.InvitedBy = by.Name
	}
	return j
}

func listInvites(ctx context.Context, c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	var after account.KeyHash
	if text := c.query.Get("after"); text != "" {
		if after, err = parseInviteID(text); err != nil {
			return nil, err
		}
	}
	invites, err := c.cfg.Store.Invites(ctx, after, limit+1)
	if err != nil {
		return nil, err
	}
	list := invitesJSON{Invites: make([]inviteJSON, min(limit, len(invites)))}
	for i := range list.Invites {
		list.Invites[i] = c.inviteJSON(invites[i])
	}
	if len(invites) > limit {
		list.Next = list.Invites[limit-1].ID
	}
	return list, nil
}

func parseInviteID(text string) (id account.KeyHash, err error) {
	if len(text) != hex.EncodedLen(len(id)) {
		return id, bad("the id of an invitation has %d hexadecimal digits", hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return id, bad("the id of an invitation has %d hexadecimal digits", hex.EncodedLen(len(id)))
	}
	return id, nil
}

func addInvite(ctx context.Context, c *call) (any, error) {
	in := newInviteJSON{Role: account.Member.String(), ExpiresSec: 7 * 24 * 60 * 60}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, err := account.ParseRole(in.Role)
	if err != nil {
		return nil, bad("%v", err)
	}
	if in.ExpiresSec < 1 || in.ExpiresSec > maxInviteSec {
		return nil, bad("expires_seconds is from 1 to %d, which is a year", maxInviteSec)
	}
	code := account.NewKey()
	inv := account.Invite{Hash: code.Hash(), By: c.user.ID, Role: role, ExpiresAt: c.cfg.Now().Add(time.Duration(in.ExpiresSec) * time.Second)}
	if err := c.cfg.Store.AddInvite(ctx, inv); err != nil {
		return nil, err
	}
	return madeInviteJSON{c.inviteJSON(inv), code.Reveal()}, nil
}

func removeInvite(ctx context.Context, c *call) (any, error) {
	id, err := parseInviteID(c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, c.cfg.Store.RemoveInvite(ctx, id)
}

// join makes a user of who has the code of an invitation. Codes are guessed no
// more often than keys.
func join(ctx context.Context, c *call) (any, error) {
	source := sourceOf(c.Request)
	if c.failed.exhausted(source) {
		return nil, problemf(http.StatusTooManyRequests, "too many attempts with a wrong code; wait for a minute")
	}
	var in joinJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	u := account.User{Name: in.Name, CreatedAt: c.cfg.Now()}
	if err := u.Validate(); err != nil {
		return nil, bad("%v", err)
	}
	code, err := account.ParseKey(in.Code)
	if err != nil {
		c.failed.fail(source)
		return nil, bad("the code of an invitation has %d hexadecimal digits", account.KeyTextLen)
	}
	result, err := c.tellKey(ctx, u.Name, func(key account.Key) error {
		_, err := c.cfg.Store.Redeem(ctx, code.Hash(), u, key.Hash())
		return err
	})
	if errors.Is(err, account.ErrNotFound) {
		c.failed.fail(source)
		return nil, problemf(http.StatusForbidden, "there is no such invitation, or it is used or too old; ask for another one")
	}
	return result, err
}
