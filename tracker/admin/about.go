package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/server"
)

// aboutRoutes are about the tracker as a whole.
var aboutRoutes = []route{
	{method: "GET", path: "/api/openapi.yaml", open: true, handle: showDescription},
	{method: "GET", path: "/api/stats", role: account.Moderator, handle: showStats},
	{method: "POST", path: "/api/backups", operator: true, status: http.StatusCreated, handle: backUp},
}

// statsJSON are the sums of the database, and the counts of this moment and
// since the start.
type (
	statsJSON struct {
		Users      int   `json:"users"`
		Disabled   int   `json:"disabled"`
		Torrents   int   `json:"torrents"`
		Uploaded   int64 `json:"uploaded"`
		Downloaded int64 `json:"downloaded"`
		SeedSec    int64 `json:"seed_seconds"`
		Snatches   int64 `json:"snatches"`
		Findings   int   `json:"findings"`

		Swarms server.Stats `json:"swarms"`

		Sessions     int     `json:"sessions"`
		Waiting      int     `json:"waiting_deltas"`
		StoreAgeSec  float64 `json:"seconds_since_store"`
		FlushErrors  uint64  `json:"flush_errors"`
		LostFindings uint64  `json:"lost_findings"`
	}
	backupJSON struct {
		Path string `json:"path"`
	}
)

func showDescription(context.Context, *call) (any, error) {
	return raw{contentType: "application/yaml", body: Description}, nil
}

func showStats(ctx context.Context, c *call) (any, error) {
	sums, err := c.cfg.Store.Sums(ctx)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Accounts.Stats()
	return statsJSON{
		Users: sums.Users, Disabled: sums.Disabled, Torrents: sums.Torrents, Uploaded: sums.Uploaded, Downloaded: sums.Downloaded,
		SeedSec: int64(sums.SeedTime / time.Second), Snatches: sums.Snatches, Findings: sums.Findings,
		Swarms:   c.cfg.Tracker.Stats(),
		Sessions: now.Ledger.Sessions, Waiting: now.Ledger.Waiting, StoreAgeSec: now.LastStoreAge.Seconds(),
		FlushErrors: now.FlushErrors, LostFindings: now.Ledger.LostFindings,
	}, nil
}

func backUp(ctx context.Context, c *call) (any, error) {
	if c.cfg.Backup == nil {
		return nil, problemf(http.StatusNotImplemented, "this tracker was started without a place for backups")
	}
	path, err := c.cfg.Backup(ctx)
	return backupJSON{path}, err
}
