package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
)

func createCommand() command {
	return command{
		name:    "create",
		summary: "make a .torrent of a file or a folder",
		usage:   "[flags] PATH",
		about: `
The info-hash depends on the names and contents of the files, on the piece
length and on --name, --private and --source, and on nothing else: whoever makes
a torrent of the same data with the same flags gets the same one. Links inside
of a folder are left out. An existing .torrent is never overwritten.`,
		example: "shoal create --announce http://tracker.example:6969/announce photos/    # writes photos.torrent",
		new:     func() runner { return new(createRun) },
	}
}

type createRun struct {
	output      string
	announce    []string
	webSeeds    []string
	nodes       []string
	pieceLength sizeFlag
	format      string
	private     bool
	source      string
	comment     string
	name        string
	exclude     []string
	noDate      bool
	threads     int
	json        bool
}

func (r *createRun) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&r.output, "output", "o", "", "write the torrent to `FILE` (default: the name and .torrent)")
	fs.StringArrayVar(&r.announce, "announce", nil, "tracker `URL`; repeat it for further tiers, with commas for several in one tier")
	fs.StringArrayVar(&r.webSeeds, "web-seed", nil, "`URL` where the data lies on a web server; repeatable")
	fs.StringArrayVar(&r.nodes, "node", nil, "DHT node `HOST:PORT`; repeatable")
	fs.Var(&r.pieceLength, "piece-length", "length of a piece, a power of two from 16KiB (default: makes about 1500 pieces)")
	fs.Lookup("piece-length").DefValue = ""
	fs.StringVar(&r.format, "format", "v1", "`VERSION` of the format; only v1 so far")
	fs.BoolVar(&r.private, "private", false, "peers from the trackers only, no DHT and no peer exchange (BEP 27)")
	fs.StringVar(&r.source, "source", "", "a tracker's own `MARK`, which makes the info-hash differ")
	fs.StringVar(&r.comment, "comment", "", "`TEXT` for whoever reads the torrent")
	fs.StringVar(&r.name, "name", "", "the torrent's `NAME` (default: that of PATH)")
	fs.StringArrayVar(&r.exclude, "exclude", nil, "leave out files and folders whose path or name matches `GLOB`; repeatable")
	fs.BoolVar(&r.noDate, "no-date", false, "leave out the date of creation")
	fs.IntVar(&r.threads, "threads", 0, "`NUMBER` of pieces hashed at once (default: one per CPU)")
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
}

// createJSON is what "shoal create --json" prints.
type createJSON struct {
	Torrent     string        `json:"torrent"`
	Name        string        `json:"name"`
	InfoHash    string        `json:"info_hash"`
	Magnet      string        `json:"magnet"`
	Bytes       int64         `json:"bytes"`
	Files       int           `json:"files"`
	Pieces      int           `json:"pieces"`
	PieceLength int           `json:"piece_length"`
	Private     bool          `json:"private"`
	Findings    []findingJSON `json:"findings"`
}

func (r *createRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	// Find out now, and not after an hour of hashing.
	if err := mustBeNew(r.likelyOutput(args[0])); err != nil {
		return err
	}
	m, b, err := e.createTorrent(ctx, false, args[0], r.options())
	if err != nil {
		return err
	}
	output := torrentPath(r.output, m.Info.Name)
	if err := writeNew(output, b); err != nil {
		return err
	}
	if r.json {
		return e.printJSON(createResult(output, m))
	}
	printField(e, "torrent", output)
	printIdentity(e, m)
	printField(e, "magnet", m.Magnet().String())
	printFindings(e, m.Findings)
	return nil
}

// check refuses what metainfo.Create would refuse too, but as a usage error.
func (r *createRun) check(args []string) error {
	switch {
	case len(args) == 0:
		return usagef("name the file or folder to make a torrent of")
	case len(args) > 1:
		return usagef("one torrent is made of one file or folder, but got %d; put them into one folder", len(args))
	case r.format == "v2" || r.format == "hybrid":
		return usagef("--format %s is not there yet; only v1 is", r.format)
	case r.format != "v1":
		return usagef("--format %q is not known; only v1 is", r.format)
	case r.threads < 0:
		return usagef("--threads %d is negative", r.threads)
	case r.pieceLength < 0 || r.pieceLength&(r.pieceLength-1) != 0 || (r.pieceLength > 0 && r.pieceLength < 16<<10):
		return usagef("--piece-length %s is not a power of two from 16KiB", r.pieceLength.String())
	}
	opt := r.options()
	if err := opt.Validate(); err != nil {
		return usagef("%v", err)
	}
	return nil
}

// likelyOutput is where the torrent of path will go.
func (r *createRun) likelyOutput(path string) string {
	name := r.name
	if absolute, err := filepath.Abs(path); err == nil && name == "" {
		name = filepath.Base(absolute)
	}
	return torrentPath(r.output, name)
}

func (r *createRun) options() metainfo.CreateOptions {
	return metainfo.CreateOptions{
		Announce: r.tiers(),
		WebSeeds: r.webSeeds,
		Nodes:    r.nodes,
		PieceLen: int64(r.pieceLength),
		Private:  r.private,
		Source:   r.source,
		Comment:  r.comment,
		Name:     r.name,
		Exclude:  r.exclude,
		NoDate:   r.noDate,
		Threads:  r.threads,
	}
}

// createTorrent makes a torrent with progress on the screen, and returns it
// and its bytes.
func (e *env) createTorrent(ctx context.Context, quiet bool, path string, opt metainfo.CreateOptions) (*metainfo.Metainfo, []byte, error) {
	var hashed, total atomic.Int64
	opt.Progress = func(h, t int64) {
		hashed.Store(h)
		total.Store(t)
	}
	stop := e.watch(quiet, func() []progress {
		return []progress{{name: printable(filepath.Base(path)), done: hashed.Load(), total: total.Load(), detail: "hashed"}}
	})
	defer stop()
	return metainfo.Create(ctx, path, opt)
}

// torrentPath is where a new torrent goes: output, or a file in the current
// folder that is named like it.
func torrentPath(output, name string) string {
	if output != "" {
		return output
	}
	return metainfo.SafeName(name) + ".torrent"
}

// tiers cuts each --announce at its commas.
func (r *createRun) tiers() [][]string {
	var tiers [][]string
	for _, list := range r.announce {
		tiers = append(tiers, strings.Split(list, ","))
	}
	return tiers
}

func createResult(output string, m *metainfo.Metainfo) createJSON {
	return createJSON{
		Torrent:     output,
		Name:        m.Info.Name,
		InfoHash:    m.InfoHash.String(),
		Magnet:      m.Magnet().String(),
		Bytes:       m.Info.Geometry.TotalLen(),
		Files:       len(m.Info.Files),
		Pieces:      m.Info.Geometry.NumPieces(),
		PieceLength: m.Info.Geometry.StdPieceLen(),
		Private:     m.Info.Private,
		Findings:    findingsJSON(m.Findings),
	}
}

// mustBeNew fails if a file cannot be made at path: something is there, or the
// folder is not.
func mustBeNew(path string) error {
	if err := mustNotExist(path); err != nil {
		return err
	}
	return mustHaveFolder(path)
}

func mustHaveFolder(path string) error {
	dir := filepath.Dir(path)
	if stat, err := os.Stat(dir); err != nil || !stat.IsDir() {
		return fmt.Errorf("there is no folder %s to write the torrent to; make it, or choose another name with -o", dir)
	}
	return nil
}

func mustNotExist(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already; choose another name with -o, or remove it", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeNew writes a file that must not exist. The temporary file is linked,
// because a rename would overwrite.
func writeNew(path string, b []byte) error {
	temp, err := writeTemp(path, b)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := mustNotExist(path); err != nil {
		return err
	}
	if os.Link(temp, path) == nil {
		return nil
	}
	return os.Rename(temp, path) // a file system without links: the check above has to do
}

// replaceFile writes a file that may exist.
func replaceFile(path string, b []byte) error {
	temp, err := writeTemp(path, b)
	if err != nil {
		return err
	}
	defer os.Remove(temp) // in vain after the rename
	return os.Rename(temp, path)
}

// writeTemp writes a temporary file beside path and returns its name: what is
// written by half (a full disk, a crash) never gets the real one.
func writeTemp(path string, b []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".shoal-*.tmp")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return "", fmt.Errorf("%s cannot be written: %w; choose a folder in which you may write", path, errors.Unwrap(err))
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Name(), nil
}
