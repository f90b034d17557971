package metainfo

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of the piece length that is chosen when none is given, and the
// number of pieces it aims at. More pieces make the torrent larger, fewer make
// a peer wait longer until it has one to share. BEP 52, of the piece length:
// "It must be a power of two and at least 16KiB."
const (
	minPieceLen     = 16 << 10
	maxAutoPieceLen = 16 << 20
	aimedPieces     = 1500
)

// CreateOptions says how to make a torrent. The zero value makes a public
// torrent without trackers, dated now.
type CreateOptions struct {
	Announce [][]string // tiers of tracker URLs (BEP 12)
	WebSeeds []string   // BEP 19
	Nodes    []string   // DHT nodes as host:port (BEP 5)
	// PieceLen is in bytes: a power of two from 16 KiB to MaxPieceLen. Zero
	// chooses one that makes about 1,500 pieces, at most 16 MiB.
	PieceLen  int64
	Private   bool   // BEP 27
	Source    string // a tracker's own mark
	Comment   string
	CreatedBy string // empty means "Shoal/" and the version
	// Name is the torrent's name; empty means the last element of the path.
	Name string
	// Exclude are patterns of path.Match. A file or folder is left out if
	// one matches its slash-separated path below the given folder, or the
	// last element of it.
	Exclude []string
	Date    time.Time // zero means now
	NoDate  bool
	Threads int // zero means one per CPU
	// Progress is told how many of the bytes are hashed, once per MiB, or per
	// piece if that is longer, and from several goroutines at once.
	Progress func(hashed, total int64)
}

// Create makes a torrent of the file or folder at diskPath and returns it, parsed
// and as the bytes of its .torrent file. The files of a folder come in the
// order of their paths, component by component. The info-hash depends on the
// names, lengths and contents of the files and on the piece length, Name,
// Private and Source, and on nothing else.
//
// The path itself may be a symbolic link. Inside of a folder, links, sockets
// and devices are left out with a finding, as following a link could
// publish what lies outside. A file or folder that cannot be read, or that
// changes meanwhile, is an error: a torrent that is not what was meant is
// worse than none.
func Create(ctx context.Context, diskPath string, opt CreateOptions) (*Metainfo, []byte, error) {
	if err := opt.Validate(); err != nil {
		return nil, nil, err
	}
	src, err := listSource(ctx, diskPath, opt.Exclude)
	if err != nil {
		return nil, nil, err
	}
	if opt.Name == "" {
		opt.Name = src.name
	}
	if leavesFolder(opt.Name) { // such as "/" of the root folder
		return nil, nil, errName(opt.Name)
	}
	geometry, err := NewGeometry(src.totalLen, pieceLenFor(opt.PieceLen, src.totalLen))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: choose a larger piece length", err)
	}
	pieces, err := src.hash(ctx, geometry, opt)
	if err != nil {
		return nil, nil, err
	}
	b, err := encodeTorrent(src, geometry, pieces, opt)
	if err != nil {
		return nil, nil, err
	}
	if len(b) > MaxTorrentLen {
		return nil, nil, fmt.Errorf("the torrent would be larger than %d MiB: choose a larger piece length or fewer files", MaxTorrentLen>>20)
	}
	m, err := Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("the new torrent does not parse: %w", err)
	}
	m.Findings = append(m.Findings, src.findings...)
	return m, b, nil
}

func errName(name string) error {
	return fmt.Errorf("the name %q is not that of a file or folder: give the torrent another one", name)
}

// Validate refuses options that would make a torrent that nobody can use.
// Create calls it, too.
func (opt *CreateOptions) Validate() error {
	if opt.Name != "" && leavesFolder(opt.Name) {
		return errName(opt.Name)
	}
	if n := opt.PieceLen; n != 0 && (n < minPieceLen || n > MaxPieceLen || bits.OnesCount64(uint64(n)) != 1) {
		return fmt.Errorf("piece length %d is not a power of two from %d to %d", n, minPieceLen, MaxPieceLen)
	}
	for _, s := range []string{opt.Name, opt.Comment, opt.Source} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8", s)
		}
	}
	for _, s := range slices.Concat(opt.Announce...) {
		// BEP 3, BEP 15, and what peers in browsers use.
		if !isURL(s, "http", "https", "udp", "ws", "wss") {
			return fmt.Errorf("%q is not a tracker's URL such as http://tracker.example/announce", s)
		}
	}
	for _, s := range opt.WebSeeds {
		if !isURL(s, "http", "https", "ftp") { // BEP 19
			return fmt.Errorf("%q is not a web seed's URL such as http://server.example/files/", s)
		}
	}
	if opt.Private && len(opt.Nodes) > 0 {
		return errors.New("a private torrent cannot have DHT nodes (BEP 27)")
	}
	for _, node := range opt.Nodes {
		if _, _, err := splitNode(node); err != nil {
			return fmt.Errorf("DHT node %q: %w", node, err)
		}
	}
	for _, pattern := range opt.Exclude {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// isURL reports whether s is a URL with a host, of one of the schemes.
func isURL(s string, schemes ...string) bool {
	u, err := url.Parse(s) // which lets a space in a path pass
	if err != nil || strings.Contains(s, " ") || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && port > 0
}

// pieceLenFor returns the piece length in bytes: the wanted one, or a power
// of two that brings the number of pieces nearest to aimedPieces.
func pieceLenFor(wanted, totalLen int64) int64 {
	if wanted != 0 {
		return wanted
	}
	pieceLen := int64(minPieceLen)
	// Halving and doubling are equally far from the aim at its 1.414-fold.
	for pieceLen < maxAutoPieceLen && totalLen/pieceLen > aimedPieces*1414/1000 {
		pieceLen *= 2
	}
	return pieceLen
}
