package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

func getCommand() command {
	return command{
		name:    "get",
		summary: "download torrents",
		usage:   "[flags] TORRENT|URL|MAGNET...",
		about: `
Data is written in place, under its final name, and every piece is checked
before it counts. What was verified is remembered in a file beside the data
(.NAME.shoal-resume) until the torrent is complete, so that an interrupted
download goes on where it was. If the disk is full, the download waits for room.

Of a magnet link, the metadata is fetched from peers first, and kept beside the
data in a .torrent that has the info-hash as its name. A link to a mutable
torrent (urn:btpk) is looked up in the DHT. Quote a link, or the shell cuts it
at the first &.

A --select pattern is matched against the paths that "shoal show --files"
lists, upper and lower case apart: * stays within a folder, ** spans any number
of them, a pattern without a slash is looked for in every folder, and the name of
a folder takes all that is in it. Files that share a piece with a selected one
are begun, but not completed.`,
		example: "shoal get -o ~/films --select '*.mkv' --up 500kB/s films.torrent",
		new:     func() runner { return new(getRun) },
	}
}

type getRun struct {
	connFlags
	statusFlag
	output       string
	patterns     []string
	webSeeds     []string
	webSeedBelow rateFlag
	sequential   bool
	seed         bool
	seedRatio    float64
	seedTime     time.Duration
	timeout      time.Duration
	json         bool
	quiet        bool
}

func (r *getRun) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&r.output, "output", "o", ".", "download into the folder `DIR`, which is made if it is missing")
	fs.StringArrayVar(&r.patterns, "select", nil, "download only the files that match `GLOB`, whatever a magnet link selects; repeatable")
	fs.StringArrayVar(&r.webSeeds, "web-seed", nil, "download from the server at `URL`, too, besides those that the torrent names; repeatable")
	r.webSeedBelow = engine.DefaultWebSeedBelow
	fs.Var(&r.webSeedBelow, "web-seed-below", "ask web seeds for what peers have, too, while peers together bring less than this; 0 is never")
	fs.BoolVar(&r.sequential, "sequential", false, "download the pieces in their order, for players")
	fs.BoolVar(&r.seed, "seed", false, "go on uploading when the download is complete")
	fs.Float64Var(&r.seedRatio, "seed-ratio", 0, "seed until the upload is `R` times the size")
	fs.DurationVar(&r.seedTime, "seed-time", 0, "seed for the time `D`, such as 90m")
	fs.DurationVar(&r.timeout, "timeout", 0, "give up when nothing has arrived for the time `D` (default: never)")
	r.connFlags.flags(fs)
	r.connFlags.downFlag(fs)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each torrent at the end")
	r.statusFlag.flag(fs)
	fs.BoolVar(&r.quiet, "quiet", false, "show no progress and no results")
}

func (r *getRun) check(args []string) error {
	switch {
	case len(args) == 0:
		return usagef("name a .torrent file, its URL or a magnet link")
	case r.output == "":
		return usagef("-o needs the name of a folder")
	case r.seedRatio < 0 || r.seedRatio != r.seedRatio:
		return usagef("--seed-ratio %v is not a positive number", r.seedRatio)
	case r.seedTime < 0:
		return usagef("--seed-time %v is negative", r.seedTime)
	case r.timeout < 0:
		return usagef("--timeout %v is negative", r.timeout)
	}
	return errors.Join(r.checkWebSeeds(args), r.connFlags.check(), r.statusFlag.check(r.json))
}

func (r *getRun) checkWebSeeds(args []string) error {
	if len(r.webSeeds) > 0 && len(args) > 1 {
		return usagef("--web-seed is of one torrent, and %d are named", len(args))
	}
	for _, s := range r.webSeeds {
		if err := peer.CheckWebSeed(s); err != nil {
			return usagef("--web-seed %q: %v", s, err)
		}
	}
	return nil
}

// belowRate is --web-seed-below as the client has it, where 0 is the default and a negative number is never.
func (r *getRun) belowRate() int {
	if r.webSeedBelow == 0 {
		return -1
	}
	return int(r.webSeedBelow)
}

// seeds reports whether the user wants to go on after the download.
func (r *getRun) seeds() bool { return r.seed || r.seedRatio > 0 || r.seedTime > 0 }

func (r *getRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	s := newSession(e, &r.connFlags, r.quiet)
	s.webSeeds, s.webSeedBelow = r.webSeeds, r.belowRate()
	err := r.loadAll(ctx, s, args)
	if err == nil {
		err = r.download(ctx, e, s)
	}
	return cmp.Or(err, s.close(ctx), r.printResults(e, s)) // all is done, and the first error counts
}

// loadAll reads every torrent before any is begun, so that a mistyped name
// shows at once.
func (r *getRun) loadAll(ctx context.Context, s *session, args []string) error {
	for _, name := range args {
		t, err := r.load(ctx, name)
		if err != nil {
			return err
		}
		if other := s.find(t.infoHash()); other != nil {
			return usagef("%s is the same torrent as another one on the command line (%s)", shorten(name), other.name())
		}
		s.transfers = append(s.transfers, t)
	}
	return nil
}

// load reads one torrent. Of a magnet link that is all there is, unless an
// earlier run has saved the rest.
func (r *getRun) load(ctx context.Context, name string) (*transfer, error) {
	t := &transfer{dir: r.output}
	if r.sequential {
		t.order = engine.Sequential
	}
	meta, err := r.loadMeta(ctx, name, t)
	if err != nil || meta == nil {
		return t, err
	}
	var indices []metainfo.IndexRange
	if t.magnet != nil {
		indices = t.magnet.Select
	}
	want, err := chooseFiles(&meta.Info, r.patterns, indices)
	if err != nil {
		return nil, err
	}
	t.contents = newContents(meta, want)
	return t, nil
}

// loadMeta returns nil if it has to be fetched from peers.
func (r *getRun) loadMeta(ctx context.Context, name string, t *transfer) (*metainfo.Metainfo, error) {
	if !isMagnet(name) {
		return loadTorrent(ctx, name)
	}
	link, err := parseMagnet(name)
	if err != nil {
		return nil, err
	}
	t.magnet = &magnet{Magnet: link, patterns: r.patterns}
	if link.Mutable == nil {
		if saved := loadSaved(r.output, &link); saved != nil {
			return saved, nil
		}
	}
	if err := mustNotBeFile(r.output); err != nil { // else it would show after a long time
		return nil, err
	}
	return nil, r.checkSources(&link)
}

// checkSources fails if there is nobody to be asked about a magnet link.
func (r *getRun) checkSources(link *metainfo.Magnet) error {
	switch {
	case !r.noDHT:
		return nil
	case link.Mutable != nil:
		return usagef("a mutable magnet link (urn:btpk) is looked up in the DHT; leave out --no-dht")
	case len(r.peers) > 0, len(link.Peers) > 0, !r.noTracker && len(link.Trackers) > 0:
		return nil
	}
	return usagef("there is nobody to ask about this magnet link; leave out --no-dht, or name a peer with --peer")
}

// find returns the transfer of a torrent, nil if there is none, or if it is a
// mutable magnet link that was not looked up yet.
func (s *session) find(infoHash metainfo.InfoHash) *transfer {
	for _, t := range s.transfers {
		if t.infoHash() == infoHash && infoHash != (metainfo.InfoHash{}) {
			return t
		}
	}
	return nil
}

func (r *getRun) download(ctx context.Context, e *env, s *session) error {
	var needed int64
	incomplete := false
	for _, t := range s.transfers {
		if t.meta == nil {
			incomplete = true
			continue
		}
		if err := s.prepare(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name(), err)
		}
		needed += t.needed
		incomplete = incomplete || !t.isComplete()
	}
	if err := checkSpace(r.output, needed); err != nil {
		return err
	}
	if !incomplete && !r.seeds() {
		return nil // it is all there already
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, t := range s.transfers {
		if err := r.startOne(s, t); err != nil {
			return err
		}
	}
	var failed error
	err := s.run(ctx, func(now time.Time) bool {
		failed = r.tell(now, s.transfers, func(t *transfer) error { return e.printJSON(t.result()) })
		return failed != nil || r.isOver(s, now)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return r.verdict(s)
}

func (r *getRun) startOne(s *session, t *transfer) error {
	switch {
	case t.meta == nil:
		return s.startMagnet(t)
	case t.isComplete() && !r.seeds():
		return nil
	}
	return s.start(t)
}

// prepare opens a download and finds out what is there already: pieces that
// the resume file vouches for are trusted, others that may be there are
// checked.
func (s *session) prepare(ctx context.Context, t *transfer) error {
	recheck, err := t.open(t.dir, s.handles)
	if err != nil {
		return err
	}
	if t.rechecked > 0 && !s.quiet {
		reason := t.before.Reason
		if reason == "" {
			reason = "in flight when the last run was cut short"
		}
		s.e.logf("%s: checking %s: %s", t.name(), count(t.rechecked, "piece"), printable(reason))
	}
	return t.check(recheck, func() (*bitfield.Set, error) {
		return s.e.checkPieces(ctx, s.quiet, t.store, &t.meta.Info, recheck)
	})
}

// open opens the download in a folder, and returns the pieces that have to be
// checked.
func (c *contents) open(dir string, handles *piecestore.Handles) (recheck *bitfield.Set, err error) {
	info := &c.meta.Info
	if c.store, err = openDownload(dir, info, handles); err != nil {
		return nil, err
	}
	c.resume, c.before, err = piecestore.OpenResume(resumePath(dir, info), c.meta.InfoHash, c.store)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil, fmt.Errorf("%w; choose a folder in which you may write with -o", err)
	}
	if err != nil {
		return nil, err
	}
	c.have = c.before.Verified
	c.rechecked = c.before.Recheck.Count()
	return c.before.Recheck, nil
}

// check has verify find the pieces of recheck that are good, if there are any
// to look at, and notes what is still missing.
func (c *contents) check(recheck *bitfield.Set, verify func() (good *bitfield.Set, err error)) error {
	if c.rechecked > 0 {
		good, err := verify()
		if err := errors.Join(err, c.settle(recheck, good, err == nil)); err != nil {
			return err
		}
	}
	c.needed = spaceNeeded(c.store, &c.meta.Info, missing(c.have, c.want.want))
	return nil
}

// settle notes what a check found. Pieces that an interrupted check did not get
// to stay in doubt.
func (c *contents) settle(checked, good *bitfield.Set, wholly bool) error {
	for pieceIndex := range checked.Members() {
		var err error
		switch {
		case good.Has(pieceIndex):
			c.have.Add(pieceIndex)
			err = c.resume.Done(pieceIndex)
		case wholly:
			err = c.resume.Absent(pieceIndex)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isOver reports whether every torrent is done with: complete and seeded as
// long as was asked, or given up. One that was given up still counts if it goes
// on while the others are waited for.
func (r *getRun) isOver(s *session, now time.Time) bool {
	over := true
	for _, t := range s.transfers {
		t.gaveUp = false
		switch {
		case t.failed != nil, t.torrent == nil && !t.isPending():
		case !t.finished.IsZero():
			over = over && r.isSeeded(t, now)
		case r.timeout > 0 && now.Sub(t.moved) >= r.timeout:
			t.gaveUp = true
		default:
			over = false
		}
	}
	return over
}

// isSeeded reports whether a complete torrent was seeded as long as was asked.
func (r *getRun) isSeeded(t *transfer, now time.Time) bool {
	switch {
	case !r.seeds():
		return true
	case r.seedTime > 0 && now.Sub(t.finished) >= r.seedTime:
		return true
	case r.seedRatio > 0 && t.ratio() >= r.seedRatio:
		return true
	}
	return false
}

// verdict turns downloads that failed, or were given up, into an error.
func (r *getRun) verdict(s *session) error {
	gaveUp, nothing := 0, true
	for _, t := range s.transfers {
		if t.failed != nil {
			return fmt.Errorf("%s: %w", t.name(), t.failed)
		}
		if t.gaveUp {
			gaveUp++
			nothing = nothing && t.stats.Downloaded == 0
		}
	}
	switch {
	case gaveUp == 0:
		return nil
	case nothing:
		return notFoundf("nobody had anything for %s within %v; try again later, or name somebody who has it with --peer HOST:PORT", count(gaveUp, "torrent"), r.timeout)
	}
	return mismatchf("%s incomplete: nothing arrived for %v; the same command goes on from here", count(gaveUp, "torrent"), r.timeout)
}

// getJSON is what "shoal get --json" prints of each torrent.
type getJSON struct {
	InfoHash   string  `json:"info_hash"`
	Name       string  `json:"name"`
	Path       string  `json:"path"`
	Status     string  `json:"status"`
	Bytes      int64   `json:"bytes"`
	BytesLeft  int64   `json:"bytes_left"`
	Downloaded int64   `json:"downloaded"`
	WebSeeds   int64   `json:"downloaded_from_web_seeds"`
	Uploaded   int64   `json:"uploaded"`
	Wasted     int64   `json:"wasted"`
	HashFails  int     `json:"hash_fails"`
	Rechecked  int     `json:"rechecked"`
	Seconds    float64 `json:"seconds"`
	Ratio      float64 `json:"ratio"`
}

func (r *getRun) printResults(e *env, s *session) error {
	if r.quiet && !r.json {
		return nil
	}
	for _, t := range s.transfers {
		if t.resume == nil && !t.wasMagnet() {
			continue // an error came before it
		}
		if !r.json {
			t.printResult(e)
		} else if err := e.printJSON(t.result()); err != nil {
			return err
		}
	}
	return nil
}

// wasMagnet reports whether the transfer never got beyond a magnet link that was
// begun with.
func (t *transfer) wasMagnet() bool {
	return t.meta == nil && (t.torrent != nil || t.isPending() || t.failed != nil)
}

// path is where the data is, or the folder in which it will be if only a magnet
// link is known.
func (t *transfer) path() string {
	if t.meta == nil {
		return t.dir
	}
	return filepath.Join(t.dir, rootName(&t.meta.Info))
}

// downloadTime is how long the download took, or has taken so far.
func (t *transfer) downloadTime() time.Duration {
	switch {
	case t.begun.IsZero(): // a magnet link may never come that far
		return 0
	case t.finished.IsZero():
		return time.Since(t.begun)
	}
	return t.finished.Sub(t.begun)
}

func (t *transfer) result() getJSON {
	out := getJSON{
		Path: t.path(), Status: "complete",
		Bytes: t.want.bytes, BytesLeft: t.left(),
		Downloaded: t.stats.Downloaded, WebSeeds: t.stats.DownloadedFromWebSeeds, Uploaded: t.stats.Uploaded, Wasted: t.stats.Wasted, HashFails: t.stats.HashFails,
		Rechecked: t.rechecked,
		Seconds:   t.downloadTime().Seconds(), Ratio: t.ratio(),
	}
	switch {
	case t.meta == nil:
		out.Name, out.Status = t.magnet.Name, "no metadata"
		if t.magnet.isLookedUp() {
			out.InfoHash = t.magnet.InfoHash.String()
		}
		return out
	case out.BytesLeft > 0:
		out.Status = "incomplete"
	}
	out.InfoHash, out.Name = t.meta.InfoHash.String(), t.meta.Info.Name
	return out
}

func (t *transfer) printResult(e *env) {
	left := t.left()
	switch {
	case t.meta == nil && t.failed != nil: // the error tells
	case t.meta == nil:
		e.printf("%s: %s; the same command tries again\n", t.name(), t.magnet.outcome())
	case left > 0:
		e.printf("%s: incomplete, %s of %s are missing; the same command goes on from here\n", t.name(), formatSize(left), formatSize(t.want.bytes))
	case t.torrent == nil || t.stats.Downloaded == 0:
		e.printf("%s: complete already, in %s\n", t.name(), printable(t.path()))
	default:
		d := t.downloadTime()
		e.printf("%s: %s in %s (%s), in %s\n", t.name(), formatSize(t.stats.Downloaded), formatDuration(d),
			formatRate(int64(float64(t.stats.Downloaded)/max(d.Seconds(), 1e-3))), printable(t.path()))
	}
}
