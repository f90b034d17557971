package peer

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/shoal-bt/shoal/piecestore"
)

// BenchmarkTransfer moves a torrent from one client to another over loopback,
// with files on disk, as two processes would.
func BenchmarkTransfer(b *testing.B) {
	tt := newTestTorrent(b, 256<<20, 1<<20)
	handles := piecestore.NewHandles(16)
	seedCfg := tt.config()
	seedFiles := openTestFiles(b, tt, handles)
	if err := seedFiles.WriteAt([][]byte{tt.data}, 0); err != nil {
		b.Fatal(err)
	}
	seedCfg = tt.seedConfig(b)
	seedCfg.Storage = seedFiles
	seeder := newTestClient(b, Config{})
	add(b, seeder, seedCfg)

	b.SetBytes(int64(len(tt.data)))
	b.ReportAllocs()
	for b.Loop() {
		cfg := tt.config()
		dir := b.TempDir()
		files := openFilesIn(b, dir, tt, handles)
		cfg.Storage = files
		cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
		leecher := newTestClient(b, Config{})
		t := add(b, leecher, cfg)
		await(b, "the download", t.Completed())
		if err := t.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		files.Close()
		// Else the disk fills, and the kernel looks for fresh memory each time.
		os.Remove(filepath.Join(dir, "data"))
	}
}

func openTestFiles(tb testing.TB, tt *testTorrent, handles *piecestore.Handles) *piecestore.Files {
	tb.Helper()
	store := openFilesIn(tb, tb.TempDir(), tt, handles)
	tb.Cleanup(func() { store.Close() })
	return store
}

func openFilesIn(tb testing.TB, dir string, tt *testTorrent, handles *piecestore.Handles) *piecestore.Files {
	tb.Helper()
	files := []piecestore.File{{Path: "data", Length: int64(len(tt.data))}}
	layout, err := piecestore.NewLayout(tt.meta.Info.Geometry, files)
	if err != nil {
		tb.Fatal(err)
	}
	store, err := piecestore.OpenFiles(dir, layout, handles)
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.Prepare(); err != nil {
		tb.Fatal(err)
	}
	return store
}
