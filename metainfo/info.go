package metainfo

import (
	"iter"
	"path"
	"slices"
	"sort"
	"strings"
)

// Info is the part of a torrent that its InfoHash names (BEP 3's info
// dictionary). It is immutable once parsed and safe for concurrent use.
type Info struct {
	// Name is the torrent's name as it stands there ("name.utf-8" if
	// present). It can hold anything: show it through Printable, and take
	// paths from File.DiskPath.
	Name string
	// Geometry is how the bytes are cut into pieces and blocks.
	Geometry Geometry
	// Files are in torrent order. There is at least one.
	Files []File
	// Multi is false for a torrent of a single file without a folder.
	Multi bool
	// Private is BEP 27's flag: peers from trackers only.
	Private bool
	// Source is a tracker's own mark, which makes the InfoHash differ.
	Source string
	// MetaVersion is 1, or 2 for a hybrid torrent of BEP 52.
	MetaVersion int

	pieces []byte // the SHA-1 hashes, 20 bytes each; a part of Metainfo.InfoBytes
}

// File is one file of a torrent.
type File struct {
	// Path is what the torrent says, below its name, and can hold anything.
	// The file of a single-file torrent has the torrent's name as Path.
	Path []string
	// DiskPath is where the file belongs: slash-separated, relative to the
	// download folder, with the torrent's own folder in front if Multi.
	// It is safe: it never leads out of the download folder, no component
	// is longer than MaxNameLen bytes or special to any system, and no two
	// are equal even where upper and lower case are. Empty for a pad file.
	DiskPath string
	// Offset is where the file begins, in bytes from the torrent's start.
	Offset int64
	// Length is in bytes. It is 0 for a symbolic link.
	Length int64
	// Pad is set for BEP 47's padding: zeros that are not kept on disk.
	Pad bool
	// Executable and Hidden are BEP 47's attributes x and h.
	Executable, Hidden bool
	// Symlink is the DiskPath of the file that this one links to (BEP 47),
	// or empty. The target is always a file of the same torrent.
	Symlink string
}

// PieceHash is the SHA-1 of piece pieceIndex. It panics if there is no such
// piece.
func (in *Info) PieceHash(pieceIndex int) [20]byte {
	return [20]byte(in.pieces[pieceIndex*20:])
}

// Span is a part of a file: length bytes from Offset of file FileIndex.
type Span struct {
	FileIndex int
	Offset    int64 // in bytes from the start of the file
	Length    int64 // in bytes, at least 1
}

// Spans yields, in order, the parts of files that length bytes from offset of
// the torrent consist of; empty files have none. What lies outside of the
// torrent is left out. The first is found by binary search.
func (in *Info) Spans(offset, length int64) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		offset := max(offset, 0)
		end := min(offset+min(length, in.Geometry.TotalLen()), in.Geometry.TotalLen())
		for i := in.fileAt(offset); offset < end; i++ {
			if in.Files[i].Length == 0 { // perhaps the first of very many
				i = in.fileAt(offset)
			}
			f := &in.Files[i]
			n := min(f.Offset+f.Length, end) - offset
			if !yield(Span{FileIndex: i, Offset: offset - f.Offset, Length: n}) {
				return
			}
			offset += n
		}
	}
}

// fileAt returns the index of the file that holds the byte at offset.
func (in *Info) fileAt(offset int64) int {
	return sort.Search(len(in.Files), func(i int) bool {
		return in.Files[i].Offset+in.Files[i].Length > offset
	})
}

// PieceRange returns the pieces that hold bytes of file fileIndex: from first
// up to but not including end. They are equal for an empty file.
func (in *Info) PieceRange(fileIndex int) (first, end int) {
	f := &in.Files[fileIndex]
	pieceLen := int64(in.Geometry.StdPieceLen())
	first = int(f.Offset / pieceLen)
	if f.Length == 0 {
		return first, first
	}
	return first, int((f.Offset + f.Length + pieceLen - 1) / pieceLen)
}

// RawPath returns the path of file fileIndex below the download folder with
// the torrent's own words, and whether those are a path that stays inside of
// it on this system. Data that was not downloaded but made here lies under
// that name ("aux.c", or "Makefile" beside "makefile"), so a seed should look
// there when nothing is at DiskPath.
func (in *Info) RawPath(fileIndex int) (rawPath string, ok bool) {
	components := in.Files[fileIndex].Path
	if in.Multi {
		components = append([]string{in.Name}, components...)
	}
	if len(components) == 0 || slices.ContainsFunc(components, leavesFolder) {
		return "", false
	}
	return path.Join(components...), true
}

// leavesFolder reports whether a path component means another folder than a
// child on some system.
func leavesFolder(component string) bool {
	return component == "" || component == "." || component == ".." ||
		strings.ContainsAny(component, "/\\\x00") || hasDrive(component)
}

// hasDrive reports whether name starts with a drive letter of Windows.
func hasDrive(name string) bool {
	return len(name) >= 2 && name[1] == ':' && ('a' <= name[0]|0x20 && name[0]|0x20 <= 'z')
}
