package piecestore

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sort"

	"github.com/shoal-bt/shoal/metainfo"
)

// File is one file of a torrent as a Storage sees it.
type File struct {
	// Path is where the file lies below the store's folder, separated by
	// slashes. Names must have been made safe before; here it is only checked
	// that the path cannot lead out of the folder.
	Path   string
	Length int64 // in bytes
	// Pad marks a padding file (BEP 47): its bytes are zeros and are not
	// stored.
	Pad bool
	// Executable marks a file with the attribute x (BEP 47).
	Executable bool
	// Symlink, if not empty, makes this a symbolic link to the file of the
	// torrent with that path (BEP 47). Its length is 0.
	Symlink string
}

// LayoutOf returns the layout of a torrent's files, at their safe names.
func LayoutOf(info *metainfo.Info) (*Layout, error) {
	return layoutOf(info, func(fileIndex int) string { return info.Files[fileIndex].DiskPath })
}

// LayoutIn is LayoutOf for data that may be in the folder dir already: a file
// that does not exist there at its safe name, but does at the name the torrent
// has for it, is taken from there.
func LayoutIn(dir string, info *metainfo.Info) (*Layout, error) {
	l, err := layoutOf(info, func(fileIndex int) string {
		safe := info.Files[fileIndex].DiskPath
		raw, ok := info.RawPath(fileIndex)
		if ok && raw != safe && !exists(dir, safe) && exists(dir, raw) {
			return raw
		}
		return safe
	})
	if err != nil {
		return LayoutOf(info) // two files claim one name, which safe names never do
	}
	return l, nil
}

func layoutOf(info *metainfo.Info, pathOf func(fileIndex int) string) (*Layout, error) {
	files := make([]File, len(info.Files))
	chosen := make(map[string]string, len(info.Files)) // by DiskPath
	for i, f := range info.Files {
		files[i] = File{Length: f.Length, Pad: f.Pad, Executable: f.Executable}
		if !f.Pad {
			files[i].Path = pathOf(i)
			chosen[f.DiskPath] = files[i].Path
		}
	}
	for i, f := range info.Files {
		files[i].Symlink = chosen[f.Symlink]
	}
	return NewLayout(info.Geometry, files)
}

func exists(dir, slashPath string) bool {
	_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(slashPath)))
	return err == nil
}

// Layout says how the bytes of a torrent are cut into files. It does not
// change once made.
type Layout struct {
	geo     metainfo.Geometry
	files   []File
	offsets []int64 // where each file begins, and the total length at the end
}

// NewLayout returns the layout of files that follow one another. It fails if
// their lengths do not add up to the geometry's, or if a path is not local or
// occurs twice.
func NewLayout(geo metainfo.Geometry, files []File) (*Layout, error) {
	l := &Layout{geo: geo, files: append([]File(nil), files...), offsets: make([]int64, 1, len(files)+1)}
	seen := make(map[string]bool, len(files))
	var end int64
	for _, f := range files {
		if f.Length < 0 || f.Length > geo.TotalLen()-end {
			return nil, fmt.Errorf("file %q: a length of %d bytes does not fit into a torrent of %d bytes", f.Path, f.Length, geo.TotalLen())
		}
		end += f.Length
		l.offsets = append(l.offsets, end)
		if f.Pad {
			continue // BEP 47: padding files may all share one name
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) || filepath.Clean(f.Path) == "." {
			return nil, fmt.Errorf("file %q: the path leads out of the folder", f.Path)
		}
		if seen[f.Path] {
			return nil, fmt.Errorf("file %q: the path occurs twice", f.Path)
		}
		seen[f.Path] = true
	}
	for _, f := range files {
		if f.Symlink != "" && (f.Length > 0 || !seen[f.Symlink]) {
			return nil, fmt.Errorf("file %q: a symbolic link must be empty and lead to a file of the torrent", f.Path)
		}
	}
	if end != geo.TotalLen() {
		return nil, fmt.Errorf("the files have %d bytes together, the torrent has %d", end, geo.TotalLen())
	}
	return l, nil
}

// Geometry is how the bytes are cut into pieces.
func (l *Layout) Geometry() metainfo.Geometry { return l.geo }

// NumFiles is the number of files, padding files included.
func (l *Layout) NumFiles() int { return len(l.files) }

// File returns file fileIndex.
func (l *Layout) File(fileIndex int) File { return l.files[fileIndex] }

// FileOffset is where file fileIndex begins, in bytes from the start of the
// torrent.
func (l *Layout) FileOffset(fileIndex int) int64 { return l.offsets[fileIndex] }

// span is a part of one file.
type span struct {
	fileIndex int
	off       int64 // in the file
	length    int64 // at least 1
}

// spans yields the parts of files that length bytes from off consist of, in
// order. The range must lie inside the torrent. The first file is found by
// binary search: a linear one for each block is slow with 300,000 files.
func (l *Layout) spans(off, length int64) iter.Seq[span] {
	return func(yield func(span) bool) {
		for i := l.fileAt(off); length > 0; i++ {
			n := min(length, l.offsets[i+1]-off)
			if n > 0 && !yield(span{fileIndex: i, off: off - l.offsets[i], length: n}) {
				return
			}
			off, length = off+n, length-n
		}
	}
}

// fileAt returns the index of the file that holds the byte at off. Empty files
// hold none.
func (l *Layout) fileAt(off int64) int {
	return sort.Search(len(l.files), func(i int) bool { return l.offsets[i+1] > off })
}

// pieceSpans yields the parts of files that piece pieceIndex consists of,
// without those of padding files, which are not stored.
func (l *Layout) pieceSpans(pieceIndex int) iter.Seq[span] {
	return func(yield func(span) bool) {
		for s := range l.spans(l.geo.PieceOffset(pieceIndex), int64(l.geo.PieceLen(pieceIndex))) {
			if !l.files[s.fileIndex].Pad && !yield(s) {
				return
			}
		}
	}
}

// filePieces returns the indices of the first piece of file fileIndex and of
// the one after its last. An empty file has none.
func (l *Layout) filePieces(fileIndex int) (first, end int) {
	from, to := l.offsets[fileIndex], l.offsets[fileIndex+1]
	if from == to {
		return 0, 0
	}
	pieceLen := int64(l.geo.StdPieceLen())
	return int(from / pieceLen), int((to-1)/pieceLen) + 1
}
