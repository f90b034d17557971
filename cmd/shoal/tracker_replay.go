package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
	"github.com/shoal-bt/shoal/tracker/server"
)

func trackerReplayCommand() command {
	return command{
		name:    "tracker replay",
		summary: "add up an announce log, and compare it with the database",
		usage:   "[flags] LOG",
		about: `
LOG is the file of "tracker run --announce-log"; the older part, LOG.1, is read
before it if it is there. Entries that are damaged, and a torn end, are left out
and counted. Without --write nothing changes: the sums of the whole log are
printed for each user, beside those of the database. They are the same if the log
is as old as the database and no byte got lost. With --write, what the log has
after the database's last batch goes into the database: after "tracker restore",
this brings what is newer than the backup. Stop the tracker before.`,
		example: "shoal tracker replay announces.log",
		new:     func() runner { return new(trackerReplay) },
	}
}

type trackerReplay struct {
	trackerDB
	interval time.Duration
	write    bool
	json     bool
}

func (r *trackerReplay) flags(fs *pflag.FlagSet) {
	fs.DurationVar(&r.interval, "interval", server.DefaultInterval, "the `D` that the tracker ran with")
	fs.BoolVar(&r.write, "write", false, "bring what is newer than the database into it")
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each user")
	r.trackerDB.flags(fs)
}

func (r *trackerReplay) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) != 1:
		return usagef("name the log")
	case r.interval < time.Second || r.interval > maxInterval:
		return usagef("--interval %v is not between a second and a day", r.interval)
	}
	return r.with(ctx, func(st *sqlite.Store) error {
		replay, err := r.prepare(ctx, st)
		if err != nil {
			return err
		}
		if err := replayFiles(replay, args[0]); err != nil {
			return err
		}
		r.tell(e, replay.Stats())
		return r.compare(ctx, e, st, replay)
	})
}

// prepare returns a Replay of the whole log into nothing, or of its end into the
// database.
func (r *trackerReplay) prepare(ctx context.Context, st *sqlite.Store) (*announcelog.Replay, error) {
	l, err := ledger.New(ledger.Config{Timeout: 2 * r.interval})
	if err != nil {
		return nil, err
	}
	cfg := announcelog.ReplayConfig{Ledger: l}
	if !r.write {
		return announcelog.NewReplay(cfg), nil
	}
	if cfg.After, err = st.LastFlush(ctx); err != nil {
		return nil, err
	}
	run := account.NewRunID()
	cfg.Store = func(b *ledger.Batch) error { return st.Flush(ctx, run, b) }
	err = st.Sessions(ctx, max(cfg.After-2*r.interval, 0), func(s ledger.Session, seededUntil time.Duration) error {
		l.Restore(cfg.After, s, seededUntil)
		return nil
	})
	return announcelog.NewReplay(cfg), err
}

// replayFiles reads the older part of a log, if there is one, and the log.
func replayFiles(replay *announcelog.Replay, path string) error {
	err := replayFile(replay, announcelog.OlderPart(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replayFile(replay, path)
}

func replayFile(replay *announcelog.Replay, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := replay.Read(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// tell says what was read.
func (r *trackerReplay) tell(e *env, stats announcelog.ReplayStats) {
	if stats.Replayed > 0 {
		e.logf("%s, from %s to %s", count(stats.Replayed, "announce"), dateTime(stats.First), dateTime(stats.Last))
	} else {
		e.logf("no announces")
	}
	if stats.Skipped > 0 {
		e.logf("%s before the database's last batch", count(stats.Skipped, "announce"))
	}
	if stats.Damaged > 0 {
		e.logf("left out: %s, damaged or torn", count(stats.Damaged, "place"))
	}
}

func dateTime(sinceEpoch time.Duration) string {
	return time.Unix(0, int64(sinceEpoch)).Format(time.DateTime)
}

// replayedJSON is what "shoal tracker replay --json" prints for a user.
type replayedJSON struct {
	Name       string `json:"name"`
	Uploaded   int64  `json:"uploaded"`
	Downloaded int64  `json:"downloaded"`
	SeedTime   int64  `json:"seed_seconds"`
	Snatches   int64  `json:"snatches"`

	StoredUploaded   int64 `json:"stored_uploaded"`
	StoredDownloaded int64 `json:"stored_downloaded"`
	StoredSeedTime   int64 `json:"stored_seed_seconds"`
	StoredSnatches   int64 `json:"stored_snatches"`
}

func (j *replayedJSON) isSame() bool {
	return j.Uploaded == j.StoredUploaded && j.Downloaded == j.StoredDownloaded && j.SeedTime == j.StoredSeedTime && j.Snatches == j.StoredSnatches
}

// compare prints the sums of the users who have any. Users of the log who are
// not in the database have a number for a name.
func (r *trackerReplay) compare(ctx context.Context, e *env, st *sqlite.Store, replay *announcelog.Replay) error {
	users, err := st.Users(ctx)
	if err != nil {
		return err
	}
	replayed := maps.Clone(replay.Users())
	numDifferent := 0
	for _, u := range users {
		sums := replayed[u.ID]
		delete(replayed, u.ID)
		if sums == nil {
			sums = new(announcelog.Sums)
		}
		numDifferent += r.print(e, u.Name, sums, &u)
	}
	for _, id := range slices.Sorted(maps.Keys(replayed)) {
		numDifferent += r.print(e, fmt.Sprintf("user %d", id), replayed[id], new(account.UserReport))
	}
	if !r.write && numDifferent > 0 {
		return mismatchf("the sums of %s differ between the log and the database", count(numDifferent, "user"))
	}
	return nil
}

// print prints a user's sums, unless all are 0. It returns 1 if they differ.
func (r *trackerReplay) print(e *env, name string, log *announcelog.Sums, stored *account.UserReport) (different int) {
	j := replayedJSON{
		name, log.RawUploaded, log.RawDownloaded, int64(log.SeedTime / time.Second), log.Snatches,
		stored.RawUploaded, stored.RawDownloaded, int64(stored.SeedTime / time.Second), stored.Snatches,
	}
	if j == (replayedJSON{Name: name}) {
		return 0
	}
	verdict := "same"
	if !j.isSame() {
		verdict, different = "DIFFERENT", 1
	}
	if r.write {
		verdict = "" // the log's end is not to be the whole
	}
	if r.json {
		e.printJSON(j)
		return different
	}
	e.printf("%-20s  log: up %s, down %s, seeded %s, %d completed\n%20s  database: up %s, down %s, seeded %s, %d completed  %s\n",
		printable(name), formatSize(j.Uploaded), formatSize(j.Downloaded), formatDuration(time.Duration(j.SeedTime)*time.Second), j.Snatches,
		"", formatSize(j.StoredUploaded), formatSize(j.StoredDownloaded), formatDuration(time.Duration(j.StoredSeedTime)*time.Second), j.StoredSnatches, verdict)
	return different
}
