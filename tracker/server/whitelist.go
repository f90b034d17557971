package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/shoal-bt/shoal/metainfo"
)

// MaxWhitelist bounds the torrents of a whitelist; it is swarm's bound on
// torrents.
const MaxWhitelist = 1 << 20

// maxLineLen bounds a line, in bytes: whatever is longer is no list of hashes.
const maxLineLen = 4096

// maxFileErrors bounds the bad files of a directory that one error names.
const maxFileErrors = 10

// Whitelist is a set of torrents that can be exchanged while it is in use. It
// is safe for concurrent use.
type Whitelist struct {
	path string
	set  atomic.Pointer[map[metainfo.InfoHash]struct{}]
}

// NewWhitelist returns a fixed whitelist.
func NewWhitelist(hashes ...metainfo.InfoHash) *Whitelist {
	set := make(map[metainfo.InfoHash]struct{}, len(hashes))
	for _, h := range hashes {
		set[h] = struct{}{}
	}
	w := new(Whitelist)
	w.set.Store(&set)
	return w
}

// LoadWhitelist reads a whitelist: a text file with an info-hash on each line
// (40 hexadecimal digits; empty lines and those that begin with # are skipped),
// or a directory, whose .torrent files are taken.
func LoadWhitelist(path string) (*Whitelist, error) {
	w := &Whitelist{path: path}
	if err := w.Reload(); err != nil {
		return nil, err
	}
	return w, nil
}

// Reload reads the whitelist's path again. After an error the torrents are
// those from before.
func (w *Whitelist) Reload() error {
	if w.path == "" {
		return nil
	}
	info, err := os.Stat(w.path)
	if err != nil {
		return fmt.Errorf("whitelist: %w", err)
	}
	load := loadHashes
	if info.IsDir() {
		load = loadTorrents
	}
	set, err := load(w.path)
	if err != nil {
		return fmt.Errorf("whitelist %s: %w", metainfo.Printable(w.path), err)
	}
	if len(set) > MaxWhitelist {
		return fmt.Errorf("whitelist %s: more than %d torrents", metainfo.Printable(w.path), MaxWhitelist)
	}
	w.set.Store(&set)
	return nil
}

// Allows reports whether a torrent is on the whitelist.
func (w *Whitelist) Allows(h metainfo.InfoHash) bool {
	_, ok := (*w.set.Load())[h]
	return ok
}

// Len is the number of torrents.
func (w *Whitelist) Len() int { return len(*w.set.Load()) }

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
	for sc.Scan() && len(set) <= MaxWhitelist {
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

func loadTorrents(dir string) (map[metainfo.InfoHash]struct{}, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	set := make(map[metainfo.InfoHash]struct{})
	var bad []error
	for _, entry := range entries {
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".torrent" {
			continue
		}
		m, err := metainfo.Load(filepath.Join(dir, entry.Name()))
		if err != nil {
			bad = append(bad, err)
			continue
		}
		set[m.InfoHash] = struct{}{}
	}
	if len(bad) > maxFileErrors {
		bad = append(bad[:maxFileErrors], errors.New("and more"))
	}
	return set, errors.Join(bad...)
}
