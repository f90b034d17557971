package metainfo

import "fmt"

// FindingCode names a kind of Finding. The codes are stable: the JSON output
// of the command line shows them.
type FindingCode string

// What a torrent can have that is odd and yet not fatal.
const (
	FindUnsortedKeys    FindingCode = "unsorted-keys"
	FindDuplicateKeys   FindingCode = "duplicate-keys"
	FindTrailingBytes   FindingCode = "trailing-bytes"
	FindWrongType       FindingCode = "wrong-type"
	FindPieceLength     FindingCode = "piece-length"
	FindLengthAndFiles  FindingCode = "length-and-files"
	FindNotUTF8         FindingCode = "not-utf8"
	FindRenamed         FindingCode = "renamed"
	FindSymlink         FindingCode = "symlink"
	FindHybrid          FindingCode = "hybrid"
	FindMetaVersion     FindingCode = "meta-version"
	FindDate            FindingCode = "date"
	FindAnnounce        FindingCode = "announce"
	FindPrivateAndNodes FindingCode = "private-nodes"
	FindNodes           FindingCode = "nodes"
	FindTooMany         FindingCode = "too-many"
	FindSkipped         FindingCode = "skipped" // by Create: neither a file nor a folder
)

// Finding is one odd thing about a torrent that does not keep it from being
// used. A torrent has at most one Finding of a code; Message describes the
// first occurrence and is safe for a terminal.
type Finding struct {
	Code    FindingCode
	Message string
	Count   int // how often it occurs, at least 1
}

// findings collects what was found. A torrent of 300,000 bad names makes one
// Finding, not 300,000.
type findings []Finding

func (fs *findings) add(code FindingCode, format string, args ...any) {
	for i := range *fs {
		if (*fs)[i].Code == code {
			(*fs)[i].Count++
			return
		}
	}
	*fs = append(*fs, Finding{Code: code, Message: Printable(fmt.Sprintf(format, args...)), Count: 1})
}
