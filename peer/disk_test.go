package peer

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/piecestore"
)

// fullStorage has no room until it has.
type fullStorage struct {
	piecestore.Storage
	full atomic.Bool
}

func (s *fullStorage) WriteAt(bufs [][]byte, off int64) error {
	if s.full.Load() {
		return &fs.PathError{Op: "write", Path: "data", Err: syscall.ENOSPC}
	}
	return s.Storage.WriteAt(bufs, off)
}

// TestFullDisk has the disk full from the start: the torrent says so, holds
// still, and goes on by itself when there is room, without a byte fetched
// twice.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		seeder := network.join(t, "10.0.0.1:1", Config{})
		leecher := network.join(t, "10.0.0.2:1", Config{})
		tt := newTestTorrent(t, 4<<20, 64<<10)
		add(t, seeder, tt.seedConfig(t))
		cfg := tt.config()
		store := &fullStorage{Storage: cfg.Storage}
		store.full.Store(true)
		cfg.Storage = store
		cfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}
		leech := add(t, leecher, cfg)

		time.Sleep(10*time.Minute + maxStoreRetry/2) // of the bubble, and between two tries
		err := leech.Err()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
			t.Errorf("Err is %v", err)
		}
		if got := leech.Stats(); got.HavePieces != 0 || !got.Stalled {
			t.Errorf("with a full disk: %+v", got)
		}
		store.full.Store(false)
		select {
		case <-leech.Completed():
		case <-time.After(maxStoreRetry):
			t.Fatal("the download did not go on")
		}
		tt.check(t, cfg.Storage)
		if err := leech.Err(); err != nil {
			t.Errorf("in the end, Err is %v", err)
		}
		if got := leech.Stats(); got.Downloaded != int64(len(tt.data)) || got.Wasted != 0 {
			t.Errorf("%d bytes downloaded, %d wasted", got.Downloaded, got.Wasted)
		}
	})
}

// TestUnreadableSeed has the data of a seed vanish: the torrent says so, the
// peer is closed, and nothing wrong is sent.
func TestUnreadableSeed(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	cfg := tt.seedConfig(t)
	hidden := piecestore.NewMemory(int64(len(tt.data))) // empty
	cfg.Storage = hidden
	seeder := newTestClient(t, Config{})
	seed := add(t, seeder, cfg)
	p := newRawPeer(t, dialRaw(t, seeder), tt, "leech")
	if err := p.send(wire.Message{Type: wire.HaveNone}, wire.Message{Type: wire.Interested}); err != nil {
		t.Fatal(err)
	}
	p.expect(wire.Unchoke)
	if err := p.send(wire.Message{Type: wire.Request, Length: metainfo.BlockLen}); err != nil {
		t.Fatal(err)
	}
	p.drain()
	if err := seed.Err(); !errors.Is(err, piecestore.ErrMissing) {
		t.Errorf("Err is %v", err)
	}

	if err := hidden.WriteAt([][]byte{tt.data}, 0); err != nil {
		t.Fatal(err)
	}
	download(t, tt, seeder)
	if err := seed.Err(); err != nil {
		t.Errorf("when the data is there again, Err is %v", err)
	}
}

// TestFailedPieceIsNotInDoubt spills a piece whose hash then fails: the next run
// has nothing to check.
func TestFailedPieceIsNotInDoubt(t *testing.T) {
	tt := newTestTorrent(t, 256<<10, 64<<10)
	files := openTestFiles(t, tt, piecestore.NewHandles(4))
	path := filepath.Join(t.TempDir(), "resume")
	resume, _, err := piecestore.OpenResume(path, tt.meta.InfoHash, files)
	if err != nil {
		t.Fatal(err)
	}
	cfg := tt.config()
	cfg.Storage, cfg.Resume = files, resume
	leech := add(t, newTestClient(t, Config{}), cfg)
	leech.content().assembly.Open(2)
	for begin := 0; begin < 64<<10; begin += metainfo.BlockLen {
		slot, ok := leech.content().assembly.Claim(2, begin, metainfo.BlockLen)
		if !ok {
			t.Fatal("no slot")
		}
		slot.Fill() // with zeros
	}
	if err := leech.content().spill(2); err != nil {
		t.Fatal(err)
	}
	if verdict := leech.verify(2, false); verdict.in.OK || verdict.in.Kind != engine.InVerified {
		t.Fatalf("zeros were taken: %+v", verdict.in)
	}
	if err := leech.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := resume.Close(); err != nil {
		t.Fatal(err)
	}
	resume, state, err := piecestore.OpenResume(path, tt.meta.InfoHash, files)
	if err != nil {
		t.Fatal(err)
	}
	defer resume.Close()
	if n := state.Recheck.Count(); n > 0 || state.Verified.Count() > 0 {
		t.Errorf("%d pieces to be checked, %d trusted, want none", n, state.Verified.Count())
	}
}

// TestReadErrorDoesNotHideWriteError: while a full disk stops the download,
// blocks that can and cannot be read for others change nothing about that.
func TestReadErrorDoesNotHideWriteError(t *testing.T) {
	torrent := &Torrent{}
	full := &storeError{err: syscall.ENOSPC}
	torrent.err.Store(full)
	torrent.storeReadFailed(syscall.EIO)
	torrent.storeReadWorked()
	if got := torrent.Err(); got != full.err {
		t.Errorf("the error is %v, want %v", got, full.err)
	}
	torrent.err.Store(nil)
	torrent.storeReadFailed(syscall.EIO)
	if got := torrent.Err(); !errors.Is(got, syscall.EIO) {
		t.Errorf("the error is %v, want that of reading", got)
	}
	torrent.storeReadWorked()
	if got := torrent.Err(); got != nil {
		t.Errorf("the error is %v after a block was read", got)
	}
}
