package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/dropdir"
)

// MaxTorrentList bounds the torrents of a list; it is swarm's bound on torrents.
const MaxTorrentList = dropdir.MaxFiles

// maxLineLen bounds a line, in bytes: whatever is longer is no list of hashes.
const maxLineLen = 4096

// TorrentList is a set of torrents that can be exchanged while it is in use. It
// is safe for concurrent use.
type TorrentList struct {
	path      string
	set       atomic.Pointer[map[metainfo.InfoHash]struct{}]
	reloading sync.Mutex
	folder    *dropdir.Folder // nil if path is a file
}

// NewTorrentList returns a fixed list.
func NewTorrentList(hashes ...metainfo.InfoHash) *TorrentList {
	set := make(map[metainfo.InfoHash]struct{}, len(hashes))
	for _, h := range hashes {
		set[h] = struct{}{}
	}
	l := new(TorrentList)
	l.set.Store(&set)
	return l
}

// LoadTorrentList reads a list: a text file with an info-hash on each line (40
// hexadecimal digits; empty lines and those that begin with # are skipped), or a
// directory, whose .torrent files are taken. Of a directory broken tells of the
// files that were skipped.
func LoadTorrentList(path string) (l *TorrentList, broken []error, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("list of torrents: %w", err)
	}
	l = &TorrentList{path: path}
	if info.IsDir() {
		l.folder = dropdir.New(path)
	}
	if broken, err = l.Reload(); err != nil {
		return nil, nil, err
	}
	return l, broken, nil
}

// IsFolder reports whether the list is that of a directory, which is cheap to
// Reload every few seconds.
func (l *TorrentList) IsFolder() bool { return l.folder != nil }

// Reload reads the list's path again. After an error the torrents are those
// from before. Of a directory's broken files broken has those that it had not
// told of yet.
func (l *TorrentList) Reload() (broken []error, err error) {
	if l.path == "" {
		return nil, nil
	}
	l.reloading.Lock()
	defer l.reloading.Unlock()
	var set map[metainfo.InfoHash]struct{}
	if l.folder == nil {
		set, err = loadHashes(l.path)
	} else {
		set, broken, err = l.scan()
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("list of torrents %s: %w", metainfo.Printable(l.path), err)
	case len(set) > MaxTorrentList:
		return nil, fmt.Errorf("list of torrents %s: more than %d torrents", metainfo.Printable(l.path), MaxTorrentList)
	}
	l.set.Store(&set)
	return broken, nil
}

// scan looks at the folder. If nothing came or went the set is the one that is
// there.
func (l *TorrentList) scan() (set map[metainfo.InfoHash]struct{}, broken []error, err error) {
	changes, err := l.folder.Scan(time.Now())
	if err != nil {
		return nil, nil, err
	}
	if old := l.set.Load(); old != nil && !changes.Any() {
		return *old, changes.Broken, nil
	}
	return l.folder.Torrents(), changes.Broken, nil
}

// Has reports whether a torrent is on the list.
func (l *TorrentList) Has(h metainfo.InfoHash) bool {
	_, ok := (*l.set.Load())[h]
	return ok
}

// Len is the number of torrents.
func (l *TorrentList) Len() int { return len(*l.set.Load()) }

func loadHashes(path string) (map[metainfo.InfoHash]struct{}, error) {
	// Not to block: a named pipe that nobody writes to is an empty list, and
	// does not hold up the tracker.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readHashes(f)
}

func readHashes(r io.Reader) (map[metainfo.InfoHash]struct{}, error) {
	set := make(map[metainfo.InfoHash]struct{})
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLineLen)
	line := 0
	for sc.Scan() && len(set) <= MaxTorrentList {
		line++
		text := strings.TrimSpace(sc.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		h, err := metainfo.ParseInfoHash(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; of .torrent files, give their folder", line, err)
		}
		set[h] = struct{}{}
	}
	switch err := sc.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d is longer than %d bytes: this is no list of info-hashes, one a line", line+1, maxLineLen)
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	return set, nil
}
