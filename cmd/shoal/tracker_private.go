package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

// privateFlags are those of "shoal tracker run --private".
type privateFlags struct {
	private bool
	trackerDB
	minRatio    float64
	ratioFree   sizeFlag
	slots       int
	clients     []string
	seedTime    time.Duration
	seedWithin  time.Duration
	hitAndRuns  int
	announceLog string
	drop        string
	writeEvery  time.Duration
}

func (f *privateFlags) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.private, "private", false, "track the torrents of the database, for its users")
	f.trackerDB.flags(fs)
	fs.Float64Var(&f.minRatio, "min-ratio", 0, "who has uploaded less than `R` times what he downloaded may not download (default: anyone may)")
	f.ratioFree = 5 << 30
	fs.Var(&f.ratioFree, "ratio-free", "the ratio counts from so many bytes downloaded on")
	fs.IntVar(&f.slots, "slots", 0, "a user may download `N` torrents at once (default: any number)")
	fs.StringArrayVar(&f.clients, "client", nil, "allow clients whose peer id begins with `PREFIX`, such as -TR4; repeatable (default: all)")
	fs.DurationVar(&f.seedTime, "seed-time", 0, "who completes a torrent seeds it for `D`, or uploads as much as he downloaded (default: as he likes)")
	fs.DurationVar(&f.seedWithin, "seed-within", 14*24*time.Hour, "he does so within `D`, or it is a hit-and-run")
	fs.IntVar(&f.hitAndRuns, "max-hit-and-runs", 3, "who has more than `N` of them may not download")
	fs.StringVar(&f.drop, "drop", "", "add the .torrent files that are put into the folder `DIR`")
	fs.StringVar(&f.announceLog, "announce-log", "", "append every announce that counts to `FILE`")
}

// The limits of the settings. Nobody could reach a ratio of ten, which is
// arbitrary; and who does not write for half a minute is not ready any more
// (metrics.DefaultMaxStoreAge).
const (
	maxMinRatio   = 10
	maxWriteEvery = 10 * time.Second
)

func (f *privateFlags) check() error {
	switch {
	case !(f.minRatio >= 0 && f.minRatio <= maxMinRatio): // NaN, too
		return usagef("--min-ratio %v is not a number from 0 to %d", f.minRatio, maxMinRatio)
	case f.slots < 0 || f.hitAndRuns < 0 || f.ratioFree < 0:
		return usagef("--slots, --max-hit-and-runs and --ratio-free are not negative")
	case f.seedTime < 0 || f.seedWithin <= 0 || f.seedTime > f.seedWithin:
		return usagef("--seed-time %v must fit into --seed-within %v", f.seedTime, f.seedWithin)
	case f.writeEvery <= 0 || f.writeEvery > maxWriteEvery:
		return usagef("users.write_every %v is not a time up to %v", f.writeEvery, maxWriteEvery)
	case !f.private && (f.minRatio > 0 || f.slots > 0 || len(f.clients) > 0 || f.seedTime > 0 || f.announceLog != "" || f.db != "" || f.drop != ""):
		return usagef("--db and the rules for users are for --private")
	}
	return nil
}

func (f *privateFlags) rules() ledger.Rules {
	rules := ledger.Rules{
		MinRatioPercent: uint32(f.minRatio*100 + 0.5), RatioFreeLen: int64(f.ratioFree), Slots: f.slots, Clients: f.clients,
	}
	if f.seedTime > 0 {
		rules.HitAndRun = ledger.HitAndRun{SeedTime: f.seedTime, Within: f.seedWithin, RatioPercent: 100}
		rules.MaxHitAndRuns = f.hitAndRuns
	}
	return rules
}

// accounts is the private side of a tracker that runs.
type accounts struct {
	*account.Service
	store  *sqlite.Store
	log    *announcelog.Writer // nil without --announce-log
	cancel context.CancelFunc
	ended  chan error
}

// startAccounts opens the database and counts until stop is called. It
// outlives ctx, because the last announces come after it.
func (f *privateFlags) startAccounts(ctx context.Context, interval time.Duration, logger *slog.Logger) (*accounts, error) {
	store, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	a := &accounts{store: store, ended: make(chan error, 1)}
	if f.announceLog != "" {
		if a.log, err = announcelog.NewWriter(announcelog.Config{Path: f.announceLog}); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	a.Service, err = account.New(ctx, account.Config{
		Store: store, Rules: f.rules(), Ledger: ledger.Config{Timeout: 2 * interval}, FlushEvery: f.writeEvery, Log: a.log, Logger: logger,
	})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel = cancel
	go func() { a.ended <- a.Run(runCtx) }()
	return a, nil
}

// stop writes what is left. Nobody must announce any more.
func (a *accounts) stop() error {
	a.cancel()
	return errors.Join(<-a.ended, a.close())
}

func (a *accounts) close() error {
	var logErr error
	if a.log != nil {
		logErr = a.log.Close()
	}
	return errors.Join(logErr, a.store.Close())
}
