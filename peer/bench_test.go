package peer

import (
	"net/netip"
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
		cfg.Storage = openTestFiles(b, tt, handles)
		cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
		leecher := newTestClient(b, Config{})
		t := add(b, leecher, cfg)
		await(b, "the download", t.Completed())
		if err := t.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		cfg.Storage.Close()
	}
}

func openTestFiles(tb testing.TB, tt *testTorrent, handles *piecestore.Handles) *piecestore.Files {
	tb.Helper()
	files := []piecestore.File{{Path: "data", Length: int64(len(tt.data))}}
	layout, err := piecestore.NewLayout(tt.meta.Info.Geometry, files)
	if err != nil {
		tb.Fatal(err)
	}
	store, err := piecestore.OpenFiles(tb.TempDir(), layout, handles)
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.Prepare(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return store
}
