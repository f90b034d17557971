package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/piecestore"
)

// resumeSuffix ends the name of the file beside the data that remembers what
// was verified.
const resumeSuffix = ".shoal-resume"

// resumePath is where the resume file of a torrent in the folder dir lies.
func resumePath(dir string, info *metainfo.Info) string {
	return filepath.Join(dir, "."+rootName(info)+resumeSuffix)
}

// rootName is the name of the torrent's folder, or of its only file, on disk.
func rootName(info *metainfo.Info) string {
	for i := range info.Files {
		if root, _, _ := strings.Cut(info.Files[i].DiskPath, "/"); root != "" {
			return root
		}
	}
	return metainfo.SafeName(info.Name) // nothing but padding
}

// openDownload opens the store of a torrent that is downloaded into dir, which
// is made if it is missing.
func openDownload(dir string, info *metainfo.Info, handles *piecestore.Handles) (*piecestore.Files, error) {
	if strings.HasSuffix(rootName(info), resumeSuffix) {
		// Such a torrent could write the resume file of another one, and so
		// have its data believed unseen.
		return nil, fmt.Errorf("the torrent is named %q like a resume file of Shoal; refused", printable(rootName(info)))
	}
	if err := mustNotBeFile(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("making the folder: %w; choose another one with -o", err)
	}
	layout, err := piecestore.LayoutOf(info)
	if err != nil {
		return nil, err
	}
	store, err := piecestore.OpenFiles(dir, layout, handles)
	if err != nil {
		return nil, err
	}
	if err := store.Prepare(); err != nil {
		store.Close()
		return nil, err
	}
	return store, nil
}

// mustNotBeFile fails if no folder can be made at dir.
func mustNotBeFile(dir string) error {
	stat, err := os.Stat(dir)
	if errors.Is(err, syscall.ENOTDIR) || err == nil && !stat.IsDir() {
		return fmt.Errorf("%s is not a folder; choose another one with -o", dir)
	}
	return nil
}

// openData opens the store of data that is there already: dataPath is the
// torrent's own file or folder, whatever it is called now, or the folder that
// holds it.
func openData(dataPath string, info *metainfo.Info, handles *piecestore.Handles) (*piecestore.Files, error) {
	stat, err := os.Stat(dataPath)
	if err != nil {
		return nil, err
	}
	if !stat.IsDir() {
		if info.Multi {
			return nil, fmt.Errorf("%s is a file, but the torrent is of a folder; name the folder", dataPath)
		}
		return openStore(filepath.Dir(dataPath), info, handles, func(int) string { return filepath.Base(dataPath) })
	}
	if info.Multi && (anyExists(dataPath, info, belowRoot) || !anyExists(dataPath, info, belowParent)) {
		return openStore(dataPath, info, handles, existing(dataPath, info, belowRoot))
	}
	return openDataBelow(dataPath, info, handles)
}

// openDataBelow opens the store of data that is in the folder dir, under the
// torrent's own name.
func openDataBelow(dir string, info *metainfo.Info, handles *piecestore.Handles) (*piecestore.Files, error) {
	return openStore(dir, info, handles, existing(dir, info, belowParent))
}

// naming says under which names a file of a torrent may lie in a folder: what
// Shoal would call it, and what the torrent calls it. Data that was not
// downloaded but made on this machine has the latter.
type naming func(info *metainfo.Info, fileIndex int) (names [2]string)

// belowParent is for the folder that holds the torrent's own.
func belowParent(info *metainfo.Info, fileIndex int) (names [2]string) {
	names[0] = info.Files[fileIndex].DiskPath
	names[1], _ = info.RawPath(fileIndex)
	return names
}

// belowRoot is for the torrent's own folder.
func belowRoot(info *metainfo.Info, fileIndex int) (names [2]string) {
	for i, name := range belowParent(info, fileIndex) {
		_, names[i], _ = strings.Cut(name, "/")
	}
	return names
}

// existing chooses the name under which a file is there.
func existing(dir string, info *metainfo.Info, candidates naming) func(fileIndex int) string {
	return func(fileIndex int) string {
		names := candidates(info, fileIndex)
		if names[1] != "" && names[0] != names[1] && !exists(dir, names[0]) && exists(dir, names[1]) {
			return names[1]
		}
		return names[0]
	}
}

// anyExists reports whether one of the torrent's files is in dir.
func anyExists(dir string, info *metainfo.Info, candidates naming) bool {
	for i := range info.Files {
		for _, name := range candidates(info, i) {
			if name != "" && exists(dir, name) {
				return true
			}
		}
	}
	return false
}

func exists(dir, slashPath string) bool {
	_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(slashPath)))
	return err == nil
}

// openStore opens dir as the store of info, with the file paths that pathOf
// says.
func openStore(dir string, info *metainfo.Info, handles *piecestore.Handles, pathOf func(fileIndex int) string) (*piecestore.Files, error) {
	files := make([]piecestore.File, len(info.Files))
	for i := range info.Files {
		f := &info.Files[i]
		// A symbolic link of BEP 47 has no bytes: like a padding file it is
		// nothing to be checked or uploaded.
		files[i] = piecestore.File{Length: f.Length, Pad: f.Pad || f.Symlink != "", Executable: f.Executable}
		if !files[i].Pad {
			files[i].Path = path.Clean(pathOf(i))
		}
	}
	layout, err := piecestore.NewLayout(info.Geometry, files)
	if err != nil {
		return nil, err
	}
	return piecestore.OpenFiles(dir, layout, handles)
}

// checkPieces hashes pieces of a store (nil: all of them), with progress on
// the screen.
func (e *env) checkPieces(ctx context.Context, quiet bool, store piecestore.Storage, info *metainfo.Info, pieces *bitfield.Set) (*bitfield.Set, error) {
	if pieces == nil {
		pieces = bitfield.NewFull(info.Geometry.NumPieces())
	}
	var checked atomic.Int64
	stop := e.watch(quiet, func() []progress {
		n := checked.Load()
		return []progress{{
			name: printable(info.Name),
			done: min(n*int64(info.Geometry.StdPieceLen()), lenOf(info, pieces)), total: lenOf(info, pieces),
			detail: fmt.Sprintf("%d of %s checked", n, count(pieces.Count(), "piece")),
		}}
	})
	defer stop()
	return piecestore.Verify(ctx, store, info.Geometry, info.PieceHash, pieces, 0,
		func(done int) { checked.Store(int64(done)) })
}

// lenOf is the number of bytes in a set of pieces.
func lenOf(info *metainfo.Info, pieces *bitfield.Set) int64 {
	n := int64(pieces.Count()) * int64(info.Geometry.StdPieceLen())
	if last := info.Geometry.NumPieces() - 1; pieces.Has(last) {
		n -= int64(info.Geometry.StdPieceLen() - info.Geometry.PieceLen(last))
	}
	return n
}

// fileState is what is wrong with a file of a torrent on disk.
type fileState struct {
	fileIndex int
	state     string // "missing", "too short", "too long", "damaged"
	badPieces int
}

// badFiles lists the files whose size is wrong or that bad pieces touch, in
// torrent order. An empty file has no pieces and can still be missing.
func badFiles(store *piecestore.Files, info *metainfo.Info, good *bitfield.Set) []fileState {
	var bad []fileState
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad || f.Symlink != "" {
			continue
		}
		s := fileState{fileIndex: i, badPieces: numBad(info, i, good)}
		switch size := store.Stat(i).Size; {
		case size < 0:
			s.state = "missing"
		case size < f.Length:
			s.state = "too short"
		case size > f.Length:
			s.state = "too long"
		case s.badPieces > 0:
			s.state = "damaged"
		default:
			continue
		}
		bad = append(bad, s)
	}
	return bad
}

// mustBeReadable fails if this user may not read one of the files that seem to be
// bad: nothing is known of it then, and least of all that it is damaged.
func mustBeReadable(store piecestore.Storage, info *metainfo.Info, bad []fileState) error {
	for _, state := range bad {
		f := &info.Files[state.fileIndex]
		if f.Length == 0 {
			continue
		}
		if _, err := store.ReadAt(make([]byte, 1), f.Offset); errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s cannot be read: %w; its owner can let you", shownPath(f), fs.ErrPermission)
		}
	}
	return nil
}

func numBad(info *metainfo.Info, fileIndex int, good *bitfield.Set) (n int) {
	first, end := info.PieceRange(fileIndex)
	for pieceIndex := first; pieceIndex < end; pieceIndex++ {
		if !good.Has(pieceIndex) {
			n++
		}
	}
	return n
}

// missing returns the pieces that are wanted (nil: all) and not in have.
func missing(have, want *bitfield.Set) *bitfield.Set {
	if want == nil {
		want = bitfield.NewFull(have.Len())
	}
	out := want.Clone()
	for pieceIndex := range have.Members() {
		out.Remove(pieceIndex)
	}
	return out
}

// spaceNeeded is how many bytes the disk must still give for the missing
// pieces. What lies in a hole or past the end of its file has no room yet; what
// was written once, right or wrong, has.
func spaceNeeded(store piecestore.Storage, info *metainfo.Info, missing *bitfield.Set) (n int64) {
	var next int64 // from the last look up to here there is no data
	for pieceIndex := range missing.Members() {
		begin := info.Geometry.PieceOffset(pieceIndex)
		end := begin + int64(info.Geometry.PieceLen(pieceIndex))
		if next < end { // else to look again would take a system call for each of two million pieces
			next = store.NextData(begin)
		}
		n += min(next, end) - begin
	}
	return n
}

// checkSpace fails if needed bytes do not fit on the disk that dir is on.
func checkSpace(dir string, needed int64) error {
	free, err := piecestore.FreeSpace(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if needed > free {
		return fmt.Errorf("not enough room in %s: %s more are needed and %s are free; make room, or choose another folder with -o",
			dir, formatSize(needed), formatSize(free))
	}
	return nil
}
