package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

func trackerTorrentCommand() command {
	return command{
		name:    "tracker torrent",
		summary: "the torrents of a private tracker",
		usage:   usageOf(new(trackerTorrent).actions()),
		about: `
"add" makes the torrent private, sets its source and takes other trackers out; the
info-hash changes with that, so who seeds it needs the file that "get" writes.
"get" writes it for one user, with a key that is good for this torrent only; it
knows torrents by their names, too. After
"remove" its announces are refused.`,
		example: "shoal tracker torrent add ubuntu.torrent",
		new:     func() runner { return new(trackerTorrent) },
	}
}

type trackerTorrent struct {
	trackerDB
	user   string
	output string
	json   bool
}

func (r *trackerTorrent) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.user, "user", "", "get it for the user `NAME`")
	fs.StringVarP(&r.output, "output", "o", "", "write it to `FILE` (default: its name and .torrent)")
	fs.BoolVar(&r.json, "json", false, "print JSON objects, one a line")
	r.trackerDB.flags(fs)
}

func (r *trackerTorrent) actions() []action {
	return []action{
		{"add", "FILE", r.add},
		{"list", "", r.list},
		{"get", "INFO-HASH|NAME", r.get},
		{"remove", "INFO-HASH", r.remove},
	}
}

func (r *trackerTorrent) run(ctx context.Context, e *env, args []string) error {
	act, args, err := pick(r.actions(), args)
	switch {
	case err != nil:
		return err
	case act.name == "get" && r.user == "":
		return usagef("say for whom: --user NAME")
	case act.name != "get" && (r.user != "" || r.output != ""):
		return usagef("--user and -o are for \"get\"")
	}
	return r.with(ctx, func(st *sqlite.Store) error { return act.run(ctx, e, st, args) })
}

// addedJSON is what "add" prints with --json, trackedJSON what "list" does, and
// gotJSON "get".
type (
	addedJSON struct {
		InfoHash string   `json:"info_hash"`
		From     string   `json:"from_info_hash"`
		Name     string   `json:"name"`
		Changes  []string `json:"changes"`
	}
	trackedJSON struct {
		InfoHash   string `json:"info_hash"`
		Name       string `json:"name"`
		Bytes      int64  `json:"bytes"`
		Uploaded   int64  `json:"uploaded"`
		Downloaded int64  `json:"downloaded"`
		SeedTime   int64  `json:"seed_seconds"`
		Snatches   int64  `json:"snatches"`
	}
	gotJSON struct {
		Torrent  string `json:"torrent"`
		InfoHash string `json:"info_hash"`
	}
)

func (r *trackerTorrent) add(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	settings, err := st.Settings(ctx)
	if err != nil {
		return err
	}
	b, err := readTorrentFile(args[0])
	if err != nil {
		return err
	}
	own, err := account.MakeOwn(b, settings.Source)
	if err != nil {
		return err
	}
	if _, err := st.AddTorrent(ctx, own.NewTorrent(time.Now()), own.File); err != nil {
		return err
	}
	if r.json {
		return e.printJSON(addedJSON{own.InfoHash.String(), own.From.String(), own.Info.Name, nonNil(own.Changes)})
	}
	printField(e, "info-hash", own.InfoHash.String())
	printField(e, "name", printable(own.Info.Name))
	for _, change := range own.Changes {
		e.logf("%s", printable(change))
	}
	return nil
}

// readTorrentFile reads the bytes of a .torrent file.
func readTorrentFile(path string) ([]byte, error) {
	if _, err := metainfo.Load(path); err != nil { // which bounds what it reads
		return nil, err
	}
	return os.ReadFile(path)
}

// torrentLine is the form of a line of "list".
const torrentLine = "%-40s  %10s  %10s  %10s  %9s  %s\n"

func (r *trackerTorrent) list(ctx context.Context, e *env, st *sqlite.Store, _ []string) error {
	torrents, err := st.Torrents(ctx)
	if err != nil {
		return err
	}
	if len(torrents) == 0 {
		e.logf("there are no torrents yet; add one with \"shoal tracker torrent add FILE\"")
	} else if !r.json {
		e.printf(torrentLine, "info-hash", "size", "uploaded", "downloaded", "completed", "name")
	}
	for _, t := range torrents {
		if r.json {
			err := e.printJSON(trackedJSON{t.InfoHash.String(), t.Name, t.Len, t.Uploaded, t.Downloaded, int64(t.SeedTime / time.Second), t.Snatches})
			if err != nil {
				return err
			}
			continue
		}
		e.printf(torrentLine, t.InfoHash, formatSize(t.Len), formatSize(t.Uploaded), formatSize(t.Downloaded),
			fmt.Sprint(t.Snatches), printable(t.Name))
	}
	return nil
}

func (r *trackerTorrent) get(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	h, err := namedHash(ctx, st, args[0])
	if err != nil {
		return err
	}
	u, err := st.User(ctx, r.user)
	if err != nil {
		return err
	}
	own, id, err := findTorrent(ctx, st, h)
	if err != nil {
		return err
	}
	output := torrentPath(r.output, own.name)
	if err := mustBeNew(output); err != nil {
		return err
	}
	base, err := announceBase(ctx, st)
	if err != nil {
		return err
	}
	key := account.NewKey()
	b, err := account.WithKey(own.file, base, key)
	if err != nil {
		return err
	}
	if err := st.AddKey(ctx, account.StoredKey{Hash: key.Hash(), User: u.ID, Torrent: id}, account.KeyHash{}); err != nil {
		return err
	}
	if err := writeNew(output, b); err != nil {
		return err
	}
	if r.json {
		return e.printJSON(gotJSON{output, h.String()})
	}
	printField(e, "torrent", output)
	return nil
}

// namedHash finds a torrent by its info-hash or, if only one has it, by its name.
func namedHash(ctx context.Context, st *sqlite.Store, arg string) (found metainfo.InfoHash, err error) {
	if h, err := metainfo.ParseInfoHash(arg); err == nil {
		return h, nil
	}
	torrents, err := st.Torrents(ctx)
	if err != nil {
		return found, err
	}
	n := 0
	for _, t := range torrents {
		if t.Name == arg {
			found = t.InfoHash
			n++
		}
	}
	switch n {
	case 0:
		return found, notFoundf("no torrent has the info-hash or the name %s", printable(arg))
	case 1:
		return found, nil
	}
	return found, usagef("%d torrents have the name %s; say the info-hash, which \"torrent list\" prints", n, printable(arg))
}

// trackedFile is a torrent's name and file.
type trackedFile struct {
	name string
	file []byte
}

func findTorrent(ctx context.Context, st *sqlite.Store, h metainfo.InfoHash) (t trackedFile, id ledger.TorrentID, err error) {
	if t.file, err = st.TorrentFile(ctx, h); err != nil {
		return t, 0, err
	}
	tables, err := st.Load(ctx)
	if err != nil {
		return t, 0, err
	}
	for _, torrent := range tables.Torrents {
		if torrent.InfoHash == h {
			t.name, id = torrent.Name, torrent.ID
		}
	}
	return t, id, nil
}

func (r *trackerTorrent) remove(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	h, err := parseHashArg(args[0])
	if err != nil {
		return err
	}
	return st.RemoveTorrent(ctx, h)
}

func parseHashArg(s string) (metainfo.InfoHash, error) {
	h, err := metainfo.ParseInfoHash(s)
	if err != nil {
		return h, usagef("%v", err)
	}
	return h, nil
}
