package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

var promotionRoutes = []route{
	{method: "GET", path: "/api/promotion", forUsers: true, handle: showPromotion},
	{method: "PUT", path: "/api/promotion", role: account.Admin, handle: promoteSite},
	{method: "DELETE", path: "/api/promotion", role: account.Admin, status: http.StatusNoContent, handle: endSitePromotion},
	{method: "PUT", path: "/api/torrents/{hash}/promotion", role: account.Moderator, handle: promoteTorrent},
	{method: "DELETE", path: "/api/torrents/{hash}/promotion", role: account.Moderator, status: http.StatusNoContent, handle: endTorrentPromotion},
	{method: "PUT", path: "/api/users/{name}/promotion", role: account.Admin, handle: promoteUser},
	{method: "DELETE", path: "/api/users/{name}/promotion", role: account.Admin, status: http.StatusNoContent, handle: endUserPromotion},
}

// promotionJSON is what counts of uploaded and downloaded bytes, and when.
type promotionJSON struct {
	UpPercent   *uint32    `json:"up_percent"`
	DownPercent *uint32    `json:"down_percent"`
	From        *time.Time `json:"from"`
	Until       *time.Time `json:"until"` // null means for good
	Active      *bool      `json:"active,omitempty"`
}

// siteJSON is the promotion of all torrents, null if there is none.
type siteJSON struct {
	Promotion *promotionJSON `json:"promotion"`
}

// promotionOf is nil if there is no promotion.
func promotionOf(p ledger.Promotion) *promotionJSON {
	if p == (ledger.Promotion{}) {
		return nil
	}
	from := sinceEpoch(p.From)
	j := &promotionJSON{UpPercent: &p.Rate.UpPercent, DownPercent: &p.Rate.DownPercent, From: &from}
	if p.Until != 0 {
		until := sinceEpoch(p.Until)
		j.Until = &until
	}
	return j
}

// maxTime is the last that nanoseconds since 1970 reach, with room to spare.
var maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// decodePromotion reads a promotion. What is left out is as usual, and it
// begins now.
func (c *call) decodePromotion() (p ledger.Promotion, err error) {
	var in promotionJSON
	if err := c.decode(&in); err != nil {
		return p, err
	}
	p = ledger.Promotion{Rate: ledger.NormalRate, From: time.Duration(c.cfg.Now().UnixNano())}
	if in.UpPercent != nil {
		p.Rate.UpPercent = *in.UpPercent
	}
	if in.DownPercent != nil {
		p.Rate.DownPercent = *in.DownPercent
	}
	for _, at := range []struct {
		in *time.Time
		to *time.Duration
	}{{in.From, &p.From}, {in.Until, &p.Until}} {
		if at.in == nil {
			continue
		}
		if at.in.Unix() < 0 || at.in.After(maxTime) {
			return p, bad("a time is between the years 1970 and 2200")
		}
		*at.to = time.Duration(at.in.UnixNano())
	}
	return p, checkPromotion(p, in.Active != nil)
}

func checkPromotion(p ledger.Promotion, saysActive bool) error {
	switch {
	case saysActive:
		return bad("active follows from the times; leave it out")
	case p.Rate == ledger.NormalRate:
		return bad("say what counts: up_percent above 100, down_percent below, or both")
	case p.Rate.UpPercent < 100 || p.Rate.UpPercent > ledger.MaxPercent:
		return bad("up_percent is from 100 to %d", ledger.MaxPercent)
	case p.Rate.DownPercent > 100:
		return bad("down_percent is from 0, which is freeleech, to 100")
	case p.Until != 0 && p.Until <= p.From:
		return bad("until must be later than from, which is now if it is left out")
	}
	return nil
}

func showPromotion(_ context.Context, c *call) (any, error) {
	return siteJSON{c.withActive(c.cfg.Accounts.SitePromotion())}, nil
}

func (c *call) withActive(p ledger.Promotion) *promotionJSON {
	j := promotionOf(p)
	if j != nil {
		active := p.ActiveAt(time.Duration(c.cfg.Now().UnixNano()))
		j.Active = &active
	}
	return j
}

func promoteSite(ctx context.Context, c *call) (any, error) {
	p, err := c.decodePromotion()
	if err != nil {
		return nil, err
	}
	if err := c.changed(ctx, c.cfg.Store.PromoteSite(ctx, p)); err != nil {
		return nil, err
	}
	return siteJSON{c.withActive(p)}, nil
}

func endSitePromotion(ctx context.Context, c *call) (any, error) {
	return nil, c.changed(ctx, c.cfg.Store.PromoteSite(ctx, ledger.Promotion{}))
}

func promoteTorrent(ctx context.Context, c *call) (any, error) {
	p, err := c.decodePromotion()
	if err != nil {
		return nil, err
	}
	h, err := c.infoHash()
	if err != nil {
		return nil, err
	}
	if err := c.changed(ctx, c.cfg.Store.PromoteTorrent(ctx, h, p)); err != nil {
		return nil, err
	}
	return showTorrent(ctx, c)
}

func endTorrentPromotion(ctx context.Context, c *call) (any, error) {
	h, err := c.infoHash()
	if err != nil {
		return nil, err
	}
	return nil, c.changed(ctx, c.cfg.Store.PromoteTorrent(ctx, h, ledger.Promotion{}))
}

func promoteUser(ctx context.Context, c *call) (any, error) {
	p, err := c.decodePromotion()
	if err != nil {
		return nil, err
	}
	return c.promote(ctx, p)
}

// promote changes the promotion of the user in the path. Nobody's own.
func (c *call) promote(ctx context.Context, p ledger.Promotion) (any, error) {
	return c.change(ctx, func(u *account.User) error {
		if !c.operator && u.ID == c.user.ID {
			return problemf(http.StatusForbidden, "you may not promote yourself; ask another admin")
		}
		u.Promotion = p
		return nil
	})
}

func endUserPromotion(ctx context.Context, c *call) (any, error) {
	_, err := c.promote(ctx, ledger.Promotion{})
	return nil, err
}
