package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

func trackerReviewCommand() command {
	return command{
		name:    "tracker review",
		summary: "what looks like cheating on a private tracker",
		usage:   "[flags]\n[flags] NUMBER VERDICT",
		about: `
Without an argument the list is printed; with a NUMBER of the list and a sentence
the entry is closed. Nothing on the list has a consequence by itself, except that
bytes that came too fast are not credited. too-fast: more than 10 Gbit/s.
nobody-to-serve: much was uploaded while nobody else was in the swarm.
hidden-download: much less is left than what was downloaded explains.`,
		example: "shoal tracker review 7 \"a bug of his client\"",
		new:     func() runner { return new(trackerReview) },
	}
}

type trackerReview struct {
	trackerDB
	all  bool
	json bool
}

func (r *trackerReview) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.all, "all", false, "print the closed entries, too")
	fs.BoolVar(&r.json, "json", false, "print JSON objects, one a line")
	r.trackerDB.flags(fs)
}

// reviewJSON is an entry that "shoal tracker review --json" prints.
type reviewJSON struct {
	Number   int64     `json:"number"`
	User     string    `json:"user"`
	InfoHash string    `json:"info_hash,omitempty"`
	Kind     string    `json:"kind"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Count    int64     `json:"count"`
	Bytes    int64     `json:"bytes"`
	Verdict  string    `json:"verdict,omitempty"`
}

func (r *trackerReview) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return usagef("say nothing for the list, or NUMBER VERDICT to close an entry")
	}
	if len(args) == 0 {
		return r.with(ctx, func(st *sqlite.Store) error { return r.list(ctx, e, st) })
	}
	number, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return usagef("%q is not a number of the list", args[0])
	}
	return r.with(ctx, func(st *sqlite.Store) error { return st.Review(ctx, number, args[1], time.Now()) })
}

func (r *trackerReview) list(ctx context.Context, e *env, st *sqlite.Store) error {
	findings, err := st.Findings(ctx, r.all)
	if err != nil {
		return err
	}
	tables, err := st.Load(ctx)
	if err != nil {
		return err
	}
	users, torrents := map[ledger.UserID]string{}, map[ledger.TorrentID]string{}
	for _, u := range tables.Users {
		users[u.ID] = u.Name
	}
	for _, t := range tables.Torrents {
		torrents[t.ID] = t.InfoHash.String()
	}
	if len(findings) == 0 {
		e.logf("there is nothing to review")
	}
	for _, f := range findings {
		if err := r.print(e, f, users[f.User], torrents[f.Torrent]); err != nil {
			return err
		}
	}
	return nil
}

func (r *trackerReview) print(e *env, f account.FindingReport, user, infoHash string) error {
	first, last := time.Unix(0, int64(f.First)), time.Unix(0, int64(f.Last))
	if r.json {
		return e.printJSON(reviewJSON{f.ID, user, infoHash, f.Kind.String(), first.Truncate(time.Second), last.Truncate(time.Second), f.Count, f.Bytes, f.Verdict})
	}
	e.printf("%4d  %s  %-20s  %-15s  %d times, %s  %s  %s\n", f.ID, last.Format(time.DateTime), printable(user), f.Kind, f.Count, formatSize(f.Bytes),
		infoHash, printable(f.Verdict))
	return nil
}
