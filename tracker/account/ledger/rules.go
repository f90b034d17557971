package ledger

import (
	"errors"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// The refusals of Rules. Their texts are failure reasons, which clients show to
// the user.
var (
	ErrClient    = errors.New("your client is not on this tracker's list of allowed ones")
	ErrRatio     = errors.New("your ratio is too low to download; seed to raise it")
	ErrHitAndRun = errors.New("too many torrents were downloaded and not seeded; seed them before you download others")
	ErrSlots     = errors.New("you download as many torrents at once as you may; finish or stop one of them")
)

// Rules say who may download. Seeding and stopping are never refused, except
// to a client that is not allowed. The zero Rules refuse nothing.
type Rules struct {
	// MinRatioPercent is what a user must have uploaded of what he has
	// downloaded, once that is more than RatioFreeLen bytes.
	MinRatioPercent uint32
	RatioFreeLen    int64
	// HitAndRun says when a torrent was downloaded and not seeded. A user
	// with more than MaxHitAndRuns of them may not download.
	HitAndRun     HitAndRun
	MaxHitAndRuns int
	// Slots is how many torrents a user may download at once; 0 means any
	// number.
	Slots int
	// Clients are prefixes of the peer ids that are allowed, such as "-TR4"
	// (BEP 20); none means all.
	Clients []string
}

// HitAndRun is the rule that who completes a torrent seeds it for SeedTime
// within the time Within, unless he uploads RatioPercent of what he downloaded
// of it. A Within of 0 means that there is no rule.
type HitAndRun struct {
	SeedTime, Within time.Duration
	RatioPercent     uint32
}

// PairTotals is how a user stands with one torrent.
type PairTotals struct {
	// CompletedAt is since the Unix epoch; 0 if the download never ended.
	CompletedAt time.Duration
	SeedTime    time.Duration
	// RawUploaded and RawDownloaded are bytes without multipliers, so that
	// freeleech does not free from seeding.
	RawUploaded, RawDownloaded int64
}

// Violated reports whether a download has become a hit-and-run.
func (h HitAndRun) Violated(now time.Duration, t PairTotals) bool {
	if h.Within == 0 || t.CompletedAt == 0 || now-t.CompletedAt < h.Within || t.SeedTime >= h.SeedTime {
		return false
	}
	return h.RatioPercent == 0 || t.RawUploaded < scale(t.RawDownloaded, h.RatioPercent)
}

// Totals are the bytes that count for a user, after multipliers.
type Totals struct{ Uploaded, Downloaded int64 }

func (t *Totals) add(d Totals) {
	t.Uploaded = add(t.Uploaded, d.Uploaded)
	t.Downloaded = add(t.Downloaded, d.Downloaded)
}

// Standing is how a user stands, as the rules see it.
type Standing struct {
	Totals     Totals
	HitAndRuns int
	// Slots overrides that of the Rules if it is not 0; negative means any
	// number.
	Slots int
	// Downloading counts the torrents that he downloads; HasSlot says that
	// the one in question is among them.
	Downloading int
	HasSlot     bool
}

// Check returns nil, or why a user may not make an announce.
func (r *Rules) Check(s Standing, a *Announce) error {
	switch {
	case !r.allowsClient(a.PeerID):
		return ErrClient
	case !a.downloads():
		return nil
	case s.Totals.Downloaded > r.RatioFreeLen && s.Totals.Uploaded < scale(s.Totals.Downloaded, r.MinRatioPercent):
		return ErrRatio
	case r.HitAndRun.Within > 0 && s.HitAndRuns > r.MaxHitAndRuns:
		return ErrHitAndRun
	case !s.HasSlot && r.slotsFull(s):
		return ErrSlots
	}
	return nil
}

func (r *Rules) slotsFull(s Standing) bool {
	slots := r.Slots
	if s.Slots != 0 {
		slots = s.Slots
	}
	return slots > 0 && s.Downloading >= slots
}

func (r *Rules) allowsClient(id metainfo.PeerID) bool {
	if len(r.Clients) == 0 {
		return true
	}
	for _, prefix := range r.Clients {
		if strings.HasPrefix(string(id[:]), prefix) {
			return true
		}
	}
	return false
}
