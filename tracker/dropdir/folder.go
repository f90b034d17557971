package dropdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// MaxFiles bounds the .torrent files of a folder; it is the default bound on
// the torrents of a tracker.
const MaxFiles = 1 << 20

// settleTime is how old a broken file must be before it is called so: it may
// be on its way into the folder.
const settleTime = 2 * time.Second

// ErrTooMany says that a folder has more than MaxFiles .torrent files.
var ErrTooMany = errors.New("too many .torrent files")

// Folder is a folder of .torrent files. It is not safe for concurrent use.
type Folder struct {
	path  string
	files map[string]file // by name
	round uint32          // of Scan
}

// file is what is known of one.
type file struct {
	size     int64
	modified time.Time
	torrent  metainfo.InfoHash
	state    state
	round    uint32 // the last in which it was there
}

type state uint8

const (
	unread state = iota
	good
	broken
)

// Torrent is a file that has come.
type Torrent struct {
	Path     string
	InfoHash metainfo.InfoHash
}

// Changes are what a Scan found.
type Changes struct {
	Added []Torrent // in the order of their names
	// Removed are the torrents whose file has gone or become another. One of
	// which the folder has another copy is among them, too: see Torrents.
	Removed []metainfo.InfoHash
	// Broken tells of each file that is no torrent, once for each state that
	// it was in.
	Broken []error
}

// Any reports whether a torrent came or went.
func (c *Changes) Any() bool { return len(c.Added)+len(c.Removed) > 0 }

// New returns the folder at path, of which nothing is known yet.
func New(path string) *Folder { return &Folder{path: path, files: make(map[string]file)} }

// Scan looks at the folder. The error says that it could not be read; nothing
// has changed then.
func (f *Folder) Scan(now time.Time) (c Changes, err error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return c, err
	}
	entries = torrentsOf(entries)
	if len(entries) > MaxFiles {
		return c, fmt.Errorf("%s: %w (%d, of at most %d)", metainfo.Printable(f.path), ErrTooMany, len(entries), MaxFiles)
	}
	f.round++
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(f.path, entry.Name())) // of a link, its target
		if err == nil && info.Mode().IsRegular() {
			f.look(now, entry.Name(), info, &c)
		}
	}
	for name, known := range f.files {
		if known.round != f.round {
			f.forget(name, &c)
		}
	}
	return c, nil
}

func torrentsOf(entries []fs.DirEntry) (torrents []fs.DirEntry) {
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".torrent" {
			torrents = append(torrents, entry)
		}
	}
	return torrents
}

// look reads a file that differs from what is known of it.
func (f *Folder) look(now time.Time, name string, info fs.FileInfo, c *Changes) {
	known, ok := f.files[name]
	same := ok && known.size == info.Size() && known.modified.Equal(info.ModTime())
	if same && known.state != unread {
		known.round = f.round
		f.files[name] = known
		return
	}
	next := file{size: info.Size(), modified: info.ModTime(), round: f.round}
	path := filepath.Join(f.path, name)
	m, err := metainfo.Load(path)
	switch {
	case err == nil:
		next.torrent, next.state = m.InfoHash, good
	case now.Sub(next.modified) >= settleTime:
		next.state = broken
		c.Broken = append(c.Broken, err)
	}
	if known.state == good && (next.state != good || next.torrent != known.torrent) {
		c.Removed = append(c.Removed, known.torrent)
	}
	if next.state == good && (known.state != good || next.torrent != known.torrent) {
		c.Added = append(c.Added, Torrent{path, next.torrent})
	}
	f.files[name] = next
}

func (f *Folder) forget(name string, c *Changes) {
	if known := f.files[name]; known.state == good {
		c.Removed = append(c.Removed, known.torrent)
	}
	delete(f.files, name)
}

// Torrents returns what is in the folder, as of the last Scan.
func (f *Folder) Torrents() map[metainfo.InfoHash]struct{} {
	set := make(map[metainfo.InfoHash]struct{}, len(f.files))
	for _, known := range f.files {
		if known.state == good {
			set[known.torrent] = struct{}{}
		}
	}
	return set
}
