package peer

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/piecestore"
)

// TestMain fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := leftGoroutines(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines were left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of goroutines that run this package's code.
// A goroutine that has done its last act may need a moment to go, or more on a
// busy machine.
func leftGoroutines() (stacks string) {
	for begin := time.Now(); time.Since(begin) < time.Minute; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		_, others, _ := strings.Cut(string(buf), "\n\n") // the first is our own
		if !strings.Contains(others, "shoal/peer.") {
			return ""
		}
		stacks = others
	}
	return stacks
}

// tooLong is when a test that waits for something gives up. It is long, because
// it is only for the tests that fail.
const tooLong = 5 * time.Minute

// testTorrent is a torrent of one file with random bytes.
type testTorrent struct {
	meta *metainfo.Metainfo
	data []byte
}

func newTestTorrent(tb testing.TB, totalLen, pieceLen int) *testTorrent {
	tb.Helper()
	return makeTestTorrent(tb, totalLen, pieceLen, "")
}

// newPrivateTorrent returns one of BEP 27.
func newPrivateTorrent(tb testing.TB, totalLen, pieceLen int) *testTorrent {
	tb.Helper()
	return makeTestTorrent(tb, totalLen, pieceLen, "7:privatei1e")
}

// makeTestTorrent adds keys behind those that every torrent has.
func makeTestTorrent(tb testing.TB, totalLen, pieceLen int, keys string) *testTorrent {
	tb.Helper()
	tt := &testTorrent{data: make([]byte, totalLen)}
	source := rand.NewChaCha8([32]byte{1})
	source.Read(tt.data)
	var pieces bytes.Buffer
	for piece := range bytesChunks(tt.data, pieceLen) {
		sum := sha1.Sum(piece)
		pieces.Write(sum[:])
	}
	info := fmt.Sprintf("d6:lengthi%de4:name4:data12:piece lengthi%de6:pieces%d:%s%se",
		totalLen, pieceLen, pieces.Len(), pieces.Bytes(), keys)
	meta, err := metainfo.ParseInfo([]byte(info))
	if err != nil {
		tb.Fatal(err)
	}
	tt.meta = meta
	return tt
}

func bytesChunks(b []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

// config is that of a torrent that starts with nothing.
func (tt *testTorrent) config() TorrentConfig {
	return TorrentConfig{
		InfoHash: tt.meta.InfoHash,
		Info:     &tt.meta.Info,
		Storage:  piecestore.NewMemory(int64(len(tt.data))),
	}
}

// seedConfig is that of one that has everything.
func (tt *testTorrent) seedConfig(tb testing.TB) TorrentConfig {
	tb.Helper()
	cfg := tt.config()
	if err := cfg.Storage.WriteAt([][]byte{tt.data}, 0); err != nil {
		tb.Fatal(err)
	}
	cfg.Have = bitfield.NewFull(tt.meta.Info.Geometry.NumPieces())
	cfg.Metadata = tt.meta.InfoBytes
	return cfg
}

// infoConfig is how a magnet link of the torrent goes on.
func (tt *testTorrent) infoConfig() InfoConfig {
	cfg := tt.config()
	return cfg.infoConfig()
}

// check fails unless the store holds the torrent.
func (tt *testTorrent) check(tb testing.TB, store piecestore.Storage) {
	tb.Helper()
	got := make([]byte, len(tt.data))
	if _, err := store.ReadAt(got, 0); err != nil {
		tb.Fatalf("the download cannot be read: %v", err)
	}
	if !bytes.Equal(got, tt.data) {
		tb.Fatal("the download differs")
	}
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// newTestClient returns a client on a free port of the loopback interface,
// which is closed at the end of the test.
func newTestClient(tb testing.TB, cfg Config) *Client {
	tb.Helper()
	cfg.Bind = loopback
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeClient(tb, c) })
	return c
}

func closeClient(tb testing.TB, c *Client) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		tb.Errorf("close: %v", err)
	}
}

// newTestSeeder returns a newTestClient that has the whole torrent.
func newTestSeeder(tb testing.TB, tt *testTorrent) *Client {
	tb.Helper()
	c := newTestClient(tb, Config{})
	add(tb, c, tt.seedConfig(tb))
	return c
}

// addrOfClient is where a client listens.
func addrOfClient(c *Client) netip.AddrPort {
	return netip.AddrPortFrom(loopback, uint16(c.Port()))
}

func add(tb testing.TB, c *Client, cfg TorrentConfig) *Torrent {
	tb.Helper()
	t, err := c.Add(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// await fails the test if the channel is not closed in good time.
func await(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(tooLong):
		buf := make([]byte, 1<<20)
		tb.Fatalf("waited too long for %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}
