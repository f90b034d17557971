package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

func getCommand() command {
	return command{
		name:    "get",
		summary: "download torrents",
		usage:   "[flags] TORRENT|URL...",
		about: `
Data is written in place, under its final name, and every piece is checked
before it counts. What was verified is remembered in a file beside the data
(.NAME.shoal-resume) until the torrent is complete, so that an interrupted
download goes on where it was. If the disk is full, the download waits for room.

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
	output     string
	patterns   []string
	sequential bool
	seed       bool
	seedRatio  float64
	seedTime   time.Duration
	timeout    time.Duration
	json       bool
	quiet      bool
}

func (r *getRun) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&r.output, "output", "o", ".", "download into the folder `DIR`, which is made if it is missing")
	fs.StringArrayVar(&r.patterns, "select", nil, "download only the files that match `GLOB`; repeatable")
	fs.BoolVar(&r.sequential, "sequential", false, "download the pieces in their order, for players")
	fs.BoolVar(&r.seed, "seed", false, "go on uploading when the download is complete")
	fs.Float64Var(&r.seedRatio, "seed-ratio", 0, "seed until the upload is `R` times the size")
	fs.DurationVar(&r.seedTime, "seed-time", 0, "seed for the time `D`, such as 90m")
	fs.DurationVar(&r.timeout, "timeout", 0, "give up when nothing has arrived for the time `D` (default: never)")
	r.connFlags.flags(fs)
	r.connFlags.downFlag(fs)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each torrent at the end")
	fs.BoolVar(&r.quiet, "quiet", false, "show no progress and no results")
}

func (r *getRun) check(args []string) error {
	switch {
	case len(args) == 0:
		return usagef("name a .torrent file or its URL")
	case r.output == "":
		return usagef("-o needs the name of a folder")
	case r.seedRatio < 0 || r.seedRatio != r.seedRatio:
		return usagef("--seed-ratio %v is not a positive number", r.seedRatio)
	case r.seedTime < 0 || r.timeout < 0:
		return usagef("a time cannot be negative")
	}
	return r.connFlags.check()
}

// seeds reports whether the user wants to go on after the download.
func (r *getRun) seeds() bool { return r.seed || r.seedRatio > 0 || r.seedTime > 0 }

func (r *getRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	s := newSession(e, &r.connFlags, r.quiet)
	err := r.loadAll(ctx, s, args)
	if err == nil {
		err = r.download(ctx, s)
	}
	if closeErr := s.close(ctx); err == nil {
		err = closeErr
	}
	if printErr := r.printResults(e, s); err == nil {
		err = printErr
	}
	return err
}

// loadAll reads every torrent before any is begun, so that a mistyped name
// shows at once.
func (r *getRun) loadAll(ctx context.Context, s *session, args []string) error {
	for _, name := range args {
		m, err := loadTorrent(ctx, name)
		if err != nil {
			return err
		}
		if other := s.find(m.InfoHash); other != nil {
			return usagef("%s is the same torrent as another one on the command line (%s)", shorten(name), other.name())
		}
		t := &transfer{meta: m, dir: r.output, have: bitfield.New(m.Info.Geometry.NumPieces())}
		if t.want, err = selectFiles(&m.Info, r.patterns); err != nil {
			return err
		}
		if r.sequential {
			t.order = engine.Sequential
		}
		s.transfers = append(s.transfers, t)
	}
	return nil
}

func (s *session) find(infoHash metainfo.InfoHash) *transfer {
	for _, t := range s.transfers {
		if t.meta.InfoHash == infoHash {
			return t
		}
	}
	return nil
}

func (r *getRun) download(ctx context.Context, s *session) error {
	var needed int64
	incomplete := false
	for _, t := range s.transfers {
		if err := s.prepare(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name(), err)
		}
		needed += spaceNeeded(t.store, &t.meta.Info, missing(t.have, t.want.want))
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
		if t.isComplete() && !r.seeds() {
			continue
		}
		if err := s.start(t); err != nil {
			return err
		}
	}
	if err := s.run(ctx, func(now time.Time) bool { return r.isOver(s, now) }); err != nil {
		return err
	}
	return r.verdict(s)
}

// prepare opens a download and finds out what is there already: pieces that
// the resume file vouches for are trusted, others that may be there are
// checked.
func (s *session) prepare(ctx context.Context, t *transfer) (err error) {
	info := &t.meta.Info
	if t.store, err = openDownload(t.dir, info, s.handles); err != nil {
		return err
	}
	t.resume, t.before, err = piecestore.OpenResume(resumePath(t.dir, info), t.meta.InfoHash, t.store)
	if err != nil {
		return err
	}
	t.have = t.before.Verified
	recheck := t.before.Recheck
	if t.rechecked = recheck.Count(); t.rechecked == 0 {
		return nil
	}
	if !s.quiet {
		reason := t.before.Reason
		if reason == "" {
			reason = "in flight when the last run was cut short"
		}
		s.e.logf("%s: checking %s: %s", t.name(), count(t.rechecked, "piece"), printable(reason))
	}
	good, err := s.e.checkPieces(ctx, s.quiet, t.store, info, recheck)
	return errors.Join(err, t.settle(recheck, good, err == nil))
}

// settle notes what a check found. Pieces that an interrupted check did not get
// to stay in doubt.
func (t *transfer) settle(checked, good *bitfield.Set, wholly bool) error {
	for pieceIndex := range checked.Members() {
		var err error
		switch {
		case good.Has(pieceIndex):
			t.have.Add(pieceIndex)
			err = t.resume.Done(pieceIndex)
		case wholly:
			err = t.resume.Absent(pieceIndex)
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
		case t.torrent == nil:
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

// verdict turns downloads that were given up into an error.
func (r *getRun) verdict(s *session) error {
	gaveUp, nothing := 0, true
	for _, t := range s.transfers {
		if t.gaveUp {
			gaveUp++
			nothing = nothing && t.stats.Downloaded == 0
		}
	}
	switch {
	case gaveUp == 0:
		return nil
	case nothing:
		return notFoundf("nobody had anything for %s within %v", count(gaveUp, "torrent"), r.timeout)
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
		if t.store == nil {
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

// path is where the data is.
func (t *transfer) path() string { return filepath.Join(t.dir, rootName(&t.meta.Info)) }

// downloadTime is how long the download took, or has taken so far.
func (t *transfer) downloadTime() time.Duration {
	switch {
	case t.torrent == nil:
		return 0
	case t.finished.IsZero():
		return time.Since(t.begun)
	}
	return t.finished.Sub(t.begun)
}

func (t *transfer) result() getJSON {
	out := getJSON{
		InfoHash: t.meta.InfoHash.String(), Name: t.meta.Info.Name, Path: t.path(), Status: "complete",
		Bytes: t.want.bytes, BytesLeft: t.left(),
		Downloaded: t.stats.Downloaded, Uploaded: t.stats.Uploaded, Wasted: t.stats.Wasted, HashFails: t.stats.HashFails,
		Rechecked: t.rechecked,
		Seconds:   t.downloadTime().Seconds(), Ratio: t.ratio(),
	}
	if out.BytesLeft > 0 {
		out.Status = "incomplete"
	}
	return out
}

func (t *transfer) printResult(e *env) {
	left := t.left()
	switch {
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
