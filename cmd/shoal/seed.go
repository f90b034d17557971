package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

func seedCommand() command {
	return command{
		name:    "seed",
		summary: "upload data that is complete",
		usage:   "[flags] TORRENT PATH [TORRENT PATH]...\n[flags] FOLDER --data DIR",
		about: `
TORRENT may be a magnet link if "shoal get" has downloaded it to PATH. PATH is the torrent's own file or folder, or the folder that holds it. FOLDER
holds .torrent files whose data lies in DIR. The data is checked first; what is
incomplete or damaged is named and not seeded, and if nothing is left the exit
code is 3. Nothing is written. It goes on until Ctrl-C.`,
		example: "shoal seed --up 2MiB/s photos.torrent photos/",
		new:     func() runner { return new(seedRun) },
	}
}

type seedRun struct {
	connFlags
	statusFlag
	data  string
	trust bool
	json  bool
	quiet bool
}

func (r *seedRun) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.data, "data", "", "the data of a folder of .torrent files lies in `DIR`")
	fs.BoolVar(&r.trust, "trust", false, "look at the files' sizes only, not at what is in them")
	r.connFlags.flags(fs)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each torrent when it is seeded, and at the end")
	r.statusFlag.flag(fs)
	fs.BoolVar(&r.quiet, "quiet", false, "show no progress and no results")
}

// seedJSON is what "shoal seed --json" prints of each torrent that it seeds,
// at the beginning and at the end.
type seedJSON struct {
	InfoHash string `json:"info_hash"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"`
	Port     int    `json:"port"`
	Status   string `json:"status"`
	Uploaded int64  `json:"uploaded"`
}

func (r *seedRun) run(ctx context.Context, e *env, args []string) error {
	if err := errors.Join(r.connFlags.check(), r.statusFlag.check(r.json)); err != nil {
		return err
	}
	s := newSession(e, &r.connFlags, r.quiet)
	err := r.openAll(ctx, s, args)
	if err == nil {
		err = r.seed(ctx, s)
	}
	return cmp.Or(err, s.close(ctx), r.printResults(e, s)) // all is done, and the first error counts
}

// openAll makes the transfers that the arguments name.
func (r *seedRun) openAll(ctx context.Context, s *session, args []string) error {
	if r.data != "" {
		if len(args) != 1 {
			return usagef("with --data, name one folder of .torrent files")
		}
		return r.openFolder(ctx, s, args[0])
	}
	if len(args) == 0 || len(args)%2 != 0 {
		return usagef("name a torrent and its data, as in \"shoal seed photos.torrent photos/\", or several such pairs")
	}
	for i := 0; i < len(args); i += 2 {
		if err := r.openOne(ctx, s, args[i], args[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *seedRun) openOne(ctx context.Context, s *session, torrent, path string) error {
	m, err := loadTorrentFor(ctx, torrent, path)
	if err != nil {
		return err
	}
	if other := s.find(m.InfoHash); other != nil {
		return usagef("%s is the same torrent as another one (%s)", shorten(torrent), other.name())
	}
	want, err := selectFiles(&m.Info, nil)
	if err != nil {
		return err
	}
	t := &transfer{contents: newContents(m, want), dir: path}
	if r.data != "" {
		t.store, err = openDataBelow(path, &m.Info, s.handles)
	} else {
		t.store, err = openData(path, &m.Info, s.handles)
	}
	if err != nil {
		return err
	}
	s.transfers = append(s.transfers, t)
	return nil
}

func (r *seedRun) openFolder(ctx context.Context, s *session, folder string) error {
	if stat, err := os.Stat(r.data); err != nil || !stat.IsDir() {
		return fmt.Errorf("there is no folder %s; --data names the one that holds the data", r.data)
	}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, syscall.ENOTDIR) {
		return usagef("%s is not a folder; with --data, name the folder of the .torrent files", folder)
	}
	if err != nil {
		return err
	}
	found := 0
	for _, entry := range entries {
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".torrent" {
			continue
		}
		found++
		if err := r.openOne(ctx, s, filepath.Join(folder, entry.Name()), r.data); err != nil {
			s.e.logf("not seeded: %s", oneLine(err.Error()))
		}
	}
	switch {
	case found == 0:
		return fmt.Errorf("there is no .torrent file in %s", folder)
	case len(s.transfers) == 0:
		return fmt.Errorf("none of the %s in %s can be used", count(found, ".torrent file"), folder)
	}
	return nil
}

func (r *seedRun) seed(ctx context.Context, s *session) error {
	seeds := 0
	for _, t := range s.transfers {
		if err := s.checkSeed(ctx, t, r.trust); err != nil {
			return fmt.Errorf("%s: %w", t.name(), err)
		}
		if t.isComplete() {
			seeds++
		}
	}
	if seeds == 0 {
		return mismatchf("nothing to seed: %s incomplete; \"shoal get\" completes it, \"shoal verify\" tells more", count(len(s.transfers), "torrent"))
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, t := range s.transfers {
		if !t.isComplete() {
			continue
		}
		if err := s.start(t); err != nil {
			return err
		}
		if err := r.announceSeed(s, t); err != nil {
			return err
		}
	}
	var failed error
	err := s.run(ctx, func(now time.Time) bool {
		failed = r.tell(now, s.transfers, func(t *transfer) error { return s.e.printJSON(s.seedJSON(t, "seeding")) })
		return failed != nil
	})
	return errors.Join(err, failed)
}

// announceSeed says that a torrent is being seeded.
func (r *seedRun) announceSeed(s *session, t *transfer) error {
	switch {
	case r.json:
		return s.e.printJSON(s.seedJSON(t, "seeding"))
	case !r.quiet:
		s.e.printf("%s: seeding %s on port %d\n", t.name(), formatSize(t.meta.Info.Geometry.TotalLen()), s.client.Port())
	}
	return nil
}

// printResults tells at the end what was uploaded.
func (r *seedRun) printResults(e *env, s *session) error {
	for _, t := range s.transfers {
		if t.torrent == nil || !r.json {
			continue
		}
		if err := e.printJSON(s.seedJSON(t, "stopped")); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) seedJSON(t *transfer, status string) seedJSON {
	return seedJSON{
		InfoHash: t.meta.InfoHash.String(), Name: t.meta.Info.Name, Path: t.dir,
		Bytes: t.meta.Info.Geometry.TotalLen(), Port: s.client.Port(),
		Status: status, Uploaded: t.stats.Uploaded,
	}
}

// checkSeed finds out which pieces of t can be uploaded, and says what is
// missing.
func (s *session) checkSeed(ctx context.Context, t *transfer, trust bool) (err error) {
	info := &t.meta.Info
	if trust {
		t.have.Fill()
	} else if t.have, err = s.e.checkPieces(ctx, s.quiet, t.store, info, nil); err != nil {
		return err
	}
	bad := badFiles(t.store, info, t.have)
	if len(bad) == 0 {
		return nil
	}
	if err := mustBeReadable(t.store, info, bad); err != nil {
		return err
	}
	s.e.logf("%s: not seeded: %d of %s missing or damaged, first %s (%s)", t.name(),
		len(bad), count(numFiles(info), "file"), shownPath(&info.Files[bad[0].fileIndex]), bad[0].state)
	// Also if only an empty file is missing: who downloads would not get it.
	t.have = bitfield.New(info.Geometry.NumPieces())
	return nil
}
