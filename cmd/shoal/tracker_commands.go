package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

func trackerCommand() command {
	return command{
		name:    "tracker",
		summary: "run a tracker, and keep its users and torrents",
		usage:   "COMMAND [flags] [arguments]",
		about: `
"run" is a tracker for every torrent, for a list, or for users with accounts. The
other commands are for the last kind, a private tracker; they may be used while
it runs, and hold at once.`,
		example: "shoal tracker init && shoal tracker run --private",
		new:     func() runner { return group{trackerCommands()} },
		subs:    trackerCommands,
	}
}

// trackerCommands is the table of the commands behind "shoal tracker".
func trackerCommands() []command {
	return []command{
		trackerRunCommand(),
		trackerInitCommand(),
		trackerUserCommand(),
		trackerInviteCommand(),
		trackerTorrentCommand(),
		trackerPromoteCommand(),
		trackerStatsCommand(),
		trackerReviewCommand(),
		trackerReplayCommand(),
		trackerBackupCommand(),
		trackerRestoreCommand(),
	}
}

// trackerDB is the flag of all commands that use the database.
type trackerDB struct{ db string }

func (f *trackerDB) flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.db, "db", "", "the `FILE` of users and torrents (default: shoal/tracker.db in the folder of the user's state)")
}

// path returns where the database is.
func (f *trackerDB) path() (string, error) {
	if f.db != "" {
		return f.db, nil
	}
	dir := stateFolder()
	if dir == "" {
		return "", errors.New("there is no home folder to keep the database in; name a file with --db")
	}
	return filepath.Join(dir, "tracker.db"), nil
}

func (f *trackerDB) open(ctx context.Context) (*sqlite.Store, error) {
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, path)
}

// with opens the database for the time of do.
func (f *trackerDB) with(ctx context.Context, do func(*sqlite.Store) error) error {
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(notFound(do(st)), st.Close())
}

// notFound gives what is not in the database its exit code.
func notFound(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return notFoundf("%v", err)
	}
	return err
}

// action is what the first argument of a command says to do.
type action struct {
	name string
	args string // those behind it, for people; the number of words is the number of arguments
	run  func(ctx context.Context, e *env, st *sqlite.Store, args []string) error
}

// usageOf lists actions as lines of a usage text.
func usageOf(actions []action) string {
	var lines []string
	for _, a := range actions {
		lines = append(lines, strings.TrimSpace(a.name+" [flags] "+a.args))
	}
	return strings.Join(lines, "\n")
}

// pick finds the action that args name, and checks how many arguments follow.
func pick(actions []action, args []string) (action, []string, error) {
	var names []string
	for _, a := range actions {
		names = append(names, a.name)
		if len(args) == 0 || a.name != args[0] {
			continue
		}
		switch want := len(strings.Fields(a.args)); {
		case want == 0 && len(args) > 1:
			return a, nil, usagef("%q takes no argument", a.name)
		case want != len(args)-1:
			return a, nil, usagef("say %q", a.name+" "+a.args)
		}
		return a, args[1:], nil
	}
	return action{}, nil, usagef("say what to do: %s", strings.Join(names, ", "))
}

func trackerInitCommand() command {
	return command{
		name:    "tracker init",
		summary: "make the database of a private tracker",
		usage:   "[flags]",
		about: `
The address is what users' announce URLs begin with: behind a proxy, that of the
proxy. The source is a mark in the torrents that are added, so that their
info-hashes differ from those of other trackers. A configuration with every key
explained is written beside the database, unless there is one.`,
		example: "shoal tracker init --url https://tracker.example",
		new:     func() runner { return new(trackerInit) },
	}
}

// defaultTrackerPort is that of --http of "shoal tracker run".
const defaultTrackerPort = 6969

type trackerInit struct {
	trackerDB
	url    string
	source string
}

func (r *trackerInit) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.url, "url", "", "`URL` under which users reach the tracker (default: this machine's address and port 6969)")
	fs.StringVar(&r.source, "source", "", "`MARK` of the torrents (default: the URL's host)")
	r.trackerDB.flags(fs)
}

func (r *trackerInit) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("init takes no argument")
	}
	settings, err := r.settings()
	if err != nil {
		return err
	}
	path, err := r.path()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	st, err := sqlite.Create(ctx, path)
	if err != nil {
		return err
	}
	if err := errors.Join(st.SetSettings(ctx, settings), st.Close()); err != nil {
		return err
	}
	config, err := writeTrackerConfig(path)
	if err != nil {
		return err
	}
	printField(e, "database", path)
	printField(e, "config", config)
	printField(e, "url", settings.URL)
	printField(e, "source", settings.Source)
	e.logf("add users with \"shoal tracker user add NAME\" and torrents with \"shoal tracker torrent add FILE\", and run it with \"shoal tracker run --private\", or as the configuration says with \"shoal tracker run --config FILE\"")
	return nil
}

func (r *trackerInit) settings() (account.Settings, error) {
	if r.url == "" {
		r.url = fmt.Sprintf("http://%s", netip.AddrPortFrom(reachableAddr(netip.Addr{}), defaultTrackerPort))
	}
	base, err := account.ParseBase(r.url)
	if err != nil {
		return account.Settings{}, usagef("--url %v", err)
	}
	if r.source == "" {
		r.source = base.Hostname()
	}
	return account.Settings{URL: base.String(), Source: r.source}, nil
}

func trackerInviteCommand() command {
	return command{
		name:    "tracker invite",
		summary: "let one person become a user",
		usage:   "[flags]",
		about: `
The code is printed once. It is good for one "shoal tracker user add NAME
--invite CODE".`,
		example: "shoal tracker invite --by anna --expires 48h",
		new:     func() runner { return new(trackerInvite) },
	}
}

// maxInvite bounds how long an invitation is good, as the API does. What is
// stored ends in the year 2262.
const maxInvite = 365 * 24 * time.Hour

type trackerInvite struct {
	trackerDB
	by      string
	role    string
	expires time.Duration
	json    bool
}

func (r *trackerInvite) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.by, "by", "", "the user `NAME` invites (default: nobody does)")
	fs.StringVar(&r.role, "role", account.Member.String(), "the `ROLE` that it gives: member, uploader, moderator, admin")
	fs.DurationVar(&r.expires, "expires", 7*24*time.Hour, "it is good for `D`")
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
	r.trackerDB.flags(fs)
}

// inviteJSON is what "shoal tracker invite --json" prints.
type inviteJSON struct {
	Code    string    `json:"code"`
	Role    string    `json:"role"`
	Expires time.Time `json:"expires"`
}

func (r *trackerInvite) run(ctx context.Context, e *env, args []string) error {
	role, err := account.ParseRole(r.role)
	switch {
	case len(args) > 0:
		return usagef("invite takes no argument")
	case err != nil:
		return usagef("--role: %v", err)
	case r.expires <= 0:
		return usagef("--expires %v is over already", r.expires)
	case r.expires > maxInvite:
		return usagef("--expires %v is more than a year", r.expires)
	}
	code := account.NewKey()
	inv := account.Invite{Hash: code.Hash(), Role: role, ExpiresAt: time.Now().Add(r.expires)}
	err = r.with(ctx, func(st *sqlite.Store) error {
		if r.by != "" {
			by, err := st.User(ctx, r.by)
			if err != nil {
				return err
			}
			inv.By = by.ID
		}
		return st.AddInvite(ctx, inv)
	})
	if err != nil {
		return err
	}
	if r.json {
		return e.printJSON(inviteJSON{code.Reveal(), role.String(), inv.ExpiresAt.Truncate(time.Second)})
	}
	printField(e, "code", code.Reveal())
	return nil
}

func trackerPromoteCommand() command {
	return command{
		name:    "tracker promote",
		summary: "count more of what is uploaded, or less of what is downloaded",
		usage:   "[flags] [INFO-HASH]",
		about: `
Without an INFO-HASH it is for all torrents. --down 0 is freeleech. Of several
promotions in force the best counts, up and down apart.`,
		example: "shoal tracker promote --down 0 --for 48h    # freeleech for a weekend",
		new:     func() runner { return new(trackerPromote) },
	}
}

// maxPromotion is arbitrary. A time is stored as nanoseconds since 1970, which
// end in the year 2262.
const maxPromotion = 100 * 365 * 24 * time.Hour

type trackerPromote struct {
	trackerDB
	up, down int
	length   time.Duration
	end      bool
}

func (r *trackerPromote) flags(fs *pflag.FlagSet) {
	fs.IntVar(&r.up, "up", 100, "`PERCENT` of uploaded bytes that count")
	fs.IntVar(&r.down, "down", 100, "`PERCENT` of downloaded bytes that count")
	fs.DurationVar(&r.length, "for", 0, "it lasts `D` (default: until --end)")
	fs.BoolVar(&r.end, "end", false, "end it")
	r.trackerDB.flags(fs)
}

func (r *trackerPromote) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) > 1:
		return usagef("name one torrent by its info-hash, or none for all")
	case !r.end && r.up == 100 && r.down == 100:
		return usagef("say what counts: --up PERCENT, --down PERCENT, or --end")
	case r.end && (r.up != 100 || r.down != 100 || r.length != 0):
		return usagef("--end takes no --up, --down or --for")
	case r.up < 0:
		return usagef("--up %d is negative", r.up)
	case r.down < 0:
		return usagef("--down %d is negative", r.down)
	case r.up > ledger.MaxPercent || r.down > 100:
		return usagef("--up is at most %d, and --down at most 100", ledger.MaxPercent)
	case r.length < 0:
		return usagef("--for %v is negative", r.length)
	case r.length > maxPromotion:
		return usagef("--for %v is more than a century; leave it out", r.length)
	}
	return r.with(ctx, func(st *sqlite.Store) error {
		if len(args) == 0 {
			return st.PromoteSite(ctx, r.promotion())
		}
		h, err := parseHashArg(args[0])
		if err != nil {
			return err
		}
		return st.PromoteTorrent(ctx, h, r.promotion())
	})
}

func (r *trackerPromote) promotion() (p ledger.Promotion) {
	if r.end {
		return p
	}
	now := time.Duration(time.Now().UnixNano())
	p = ledger.Promotion{Rate: ledger.Rate{UpPercent: uint32(r.up), DownPercent: uint32(r.down)}, From: now}
	if r.length > 0 {
		p.Until = now + r.length
	}
	return p
}

func trackerStatsCommand() command {
	return command{
		name:    "tracker stats",
		summary: "the sums of a private tracker",
		usage:   "[flags]",
		about:   "\nThey are as the database has them: two seconds old while the tracker runs.",
		example: "shoal tracker stats --json",
		new:     func() runner { return new(trackerStats) },
	}
}

type trackerStats struct {
	trackerDB
	json bool
}

func (r *trackerStats) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
	r.trackerDB.flags(fs)
}

// trackerStatsJSON is what "shoal tracker stats --json" prints.
type trackerStatsJSON struct {
	Users      int   `json:"users"`
	Disabled   int   `json:"disabled"`
	Torrents   int   `json:"torrents"`
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
	SeedTime   int64 `json:"seed_seconds"`
	Snatches   int64 `json:"snatches"`
	Findings   int   `json:"findings"`
}

func (r *trackerStats) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("stats takes no argument")
	}
	return r.with(ctx, func(st *sqlite.Store) error {
		sums, err := readTrackerStats(ctx, st)
		if err != nil {
			return err
		}
		if r.json {
			return e.printJSON(sums)
		}
		printField(e, "users", fmt.Sprintf("%d (%d disabled)", sums.Users, sums.Disabled))
		printField(e, "torrents", fmt.Sprint(sums.Torrents))
		printField(e, "uploaded", formatSize(sums.Uploaded))
		printField(e, "downloaded", formatSize(sums.Downloaded))
		printField(e, "seeded", formatDuration(time.Duration(sums.SeedTime)*time.Second))
		printField(e, "completed", count(int(sums.Snatches), "download"))
		printField(e, "to review", fmt.Sprint(sums.Findings))
		return nil
	})
}

// readTrackerStats adds up what users' clients announced, multipliers apart.
func readTrackerStats(ctx context.Context, st *sqlite.Store) (sums trackerStatsJSON, err error) {
	users, err := st.Users(ctx)
	if err != nil {
		return sums, err
	}
	torrents, err := st.Torrents(ctx)
	if err != nil {
		return sums, err
	}
	findings, err := st.Findings(ctx, false)
	sums.Users, sums.Torrents, sums.Findings = len(users), len(torrents), len(findings)
	for _, u := range users {
		if u.State != account.Active {
			sums.Disabled++
		}
		sums.Uploaded += u.RawUploaded
		sums.Downloaded += u.RawDownloaded
		sums.SeedTime += int64(u.SeedTime / time.Second)
		sums.Snatches += u.Snatches
	}
	return sums, err
}

func trackerBackupCommand() command {
	return command{
		name:    "tracker backup",
		summary: "copy the database, also while the tracker runs",
		usage:   "[flags] FILE",
		example: "shoal tracker backup tracker-monday.db",
		new:     func() runner { return new(trackerBackup) },
	}
}

type trackerBackup struct{ trackerDB }

func (r *trackerBackup) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name the file to write")
	}
	return r.with(ctx, func(st *sqlite.Store) error { return st.Backup(ctx, args[0]) })
}

func trackerRestoreCommand() command {
	return command{
		name:    "tracker restore",
		summary: "make the database from a backup",
		usage:   "[flags] FILE",
		about: `
Stop the tracker first, and move the database away with the files beside it that
end with -wal and -shm. The backup is checked, and stays as it is.`,
		example: "shoal tracker restore tracker-monday.db",
		new:     func() runner { return new(trackerRestore) },
	}
}

type trackerRestore struct{ trackerDB }

func (r *trackerRestore) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name the backup")
	}
	path, err := r.path()
	if err != nil {
		return err
	}
	return sqlite.Restore(ctx, args[0], path)
}
