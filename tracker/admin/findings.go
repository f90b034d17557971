package admin

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shoal-bt/shoal/tracker/account"
)

var findingRoutes = []route{
	{method: "GET", path: "/api/findings", role: account.Moderator, query: []string{"limit", "after", "all"}, handle: listFindings},
	{method: "POST", path: "/api/findings/{number}/resolve", role: account.Moderator, status: http.StatusNoContent, handle: resolveFinding},
}

// maxVerdictLen bounds a verdict, in bytes.
const maxVerdictLen = 1000

// The JSON of the review list.
type (
	findingJSON struct {
		Number   int64      `json:"number"`
		Kind     string     `json:"kind"`
		Name     string     `json:"name"` // of the user
		InfoHash string     `json:"info_hash,omitempty"`
		First    time.Time  `json:"first"`
		Last     time.Time  `json:"last"`
		Count    int64      `json:"count"`
		Bytes    int64      `json:"bytes"`
		Resolved *time.Time `json:"resolved"`
		Verdict  string     `json:"verdict,omitempty"`
	}
	findingsJSON struct {
		Findings []findingJSON `json:"findings"`
		Next     string        `json:"next,omitempty"`
	}
	verdictJSON struct {
		Verdict string `json:"verdict"`
	}
)

func listFindings(ctx context.Context, c *call) (any, error) {
	all, err := c.flag("all")
	if err != nil {
		return nil, err
	}
	findings, next, err := part(c, math.MaxInt64, func(before int64, limit int) ([]account.FindingReport, error) {
		return c.cfg.Store.FindingsBefore(ctx, before, limit, all)
	}, func(f account.FindingReport) int64 { return f.ID }, c.findingJSON)
	return findingsJSON{findings, next}, err
}

func (c *call) findingJSON(f account.FindingReport) findingJSON {
	u, _ := c.cfg.Accounts.UserByID(f.User)
	j := findingJSON{
		Number: f.ID, Kind: f.Kind.String(), Name: u.Name, First: sinceEpoch(f.First), Last: sinceEpoch(f.Last),
		Count: f.Count, Bytes: f.Bytes, Verdict: f.Verdict,
	}
	if t, ok := c.cfg.Accounts.TorrentByID(f.Torrent); ok {
		j.InfoHash = t.InfoHash.String()
	}
	if !f.ReviewedAt.IsZero() {
		at := inUTC(f.ReviewedAt)
		j.Resolved = &at
	}
	return j
}

func resolveFinding(ctx context.Context, c *call) (any, error) {
	number, err := strconv.ParseInt(c.PathValue("number"), 10, 64)
	if err != nil || number < 1 {
		return nil, bad("%q is not a number of the list", c.PathValue("number"))
	}
	var in verdictJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Verdict == "" || len(in.Verdict) > maxVerdictLen || !utf8.ValidString(in.Verdict) || strings.ContainsFunc(in.Verdict, unicode.IsControl) {
		return nil, bad("say why in verdict, in one line of up to %d bytes", maxVerdictLen)
	}
	return nil, c.cfg.Store.Review(ctx, number, in.Verdict, c.cfg.Now())
}
