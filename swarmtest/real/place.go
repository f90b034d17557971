package real

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
)

// network has an address for each host, each in a /24 of its own: the rules about
// addresses (BEP 6, BEP 42, connections for each) see hosts that differ.
type network struct{ second, last byte }

// newNetwork draws one of tens of thousands, so that two runs on one machine do not meet.
func newNetwork() (network, error) {
	n := network{second: byte(2 + rand.IntN(250)), last: byte(1 + rand.IntN(250))}
	// Other systems than Linux have 127.0.0.1 only.
	l, err := net.Listen("tcp", netip.AddrPortFrom(n.host(0), 0).String())
	if err != nil {
		return n, fmt.Errorf("each peer needs an address of 127.0.0.0/8 of its own, as Linux has them: %w", err)
	}
	return n, l.Close()
}

// The first hosts; peers follow.
const (
	trackerHost = iota
	originHost
	firstPeer
)

// The ports that hosts have, each at its own address.
const (
	trackerPort = 6969
	originPort  = 8080
	peerPort    = 6881
)

// host returns the address of a host, which is one of at most 256.
func (n network) host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, n.second, byte(i), n.last})
}

// place is the folder of a run, and what is in it.
type place struct {
	dir    string
	length int64
	sum    [sha256.Size]byte
}

const (
	originFolder = "origin" // of the data, from which it is seeded and served
	contentName  = "content"
)

// newPlace makes a folder that has room for so many copies of the content, and writes the first.
// Which bytes they are does not matter, as long as no two pieces are alike.
func newPlace(ctx context.Context, length int64, numCopies int, seed uint64) (*place, error) {
	dir, err := os.MkdirTemp("", "shoal-real-")
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, length: length}
	if err = p.checkSpace(int64(numCopies) * length); err == nil {
		err = p.write(ctx, seed)
	}
	if err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

func (p *place) remove() error { return os.RemoveAll(p.dir) }

func (p *place) origin() string  { return filepath.Join(p.dir, originFolder) }
func (p *place) content() string { return filepath.Join(p.origin(), contentName) }

func (p *place) checkSpace(needed int64) error {
	free, err := piecestore.FreeSpace(p.dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil && needed > free {
		err = fmt.Errorf("not enough room in %s: %d MiB are needed and %d are free; make room, choose another folder with TMPDIR, or use a smaller content.length",
			filepath.Dir(p.dir), needed>>20, free>>20)
	}
	return err
}

func (p *place) write(ctx context.Context, seed uint64) error {
	if err := os.Mkdir(p.origin(), 0o777); err != nil {
		return err
	}
	f, err := os.Create(p.content())
	if err != nil {
		return err
	}
	defer f.Close()
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, hash), reader{ctx, rand.NewChaCha8(key)}, p.length); err != nil {
		return err
	}
	hash.Sum(p.sum[:0])
	return f.Close()
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// torrent makes the torrent of the content, and returns its path.
func (p *place) torrent(ctx context.Context, pieceLen int64, announce string) (path string, err error) {
	_, torrent, err := metainfo.Create(ctx, p.content(), metainfo.CreateOptions{
		Announce: [][]string{{announce}}, PieceLen: pieceLen, NoDate: true,
	})
	if err != nil {
		return "", err
	}
	path = filepath.Join(p.dir, contentName+".torrent")
	return path, os.WriteFile(path, torrent, 0o666)
}
