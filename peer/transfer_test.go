package peer

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

func TestSeedToLeecher(t *testing.T) {
	for name, lens := range map[string]struct{ totalLen, pieceLen int }{
		"pieces of many blocks": {5<<20 + 12345, 256 << 10},
		"pieces of one block":   {1 << 20, metainfo.BlockLen},
		"one short piece":       {1000, 256 << 10},
		"odd pieces":            {300_000, 50_000},
	} {
		t.Run(name, func(t *testing.T) {
			tt := newTestTorrent(t, lens.totalLen, lens.pieceLen)
			seeder := newTestClient(t, Config{})
			seed := add(t, seeder, tt.seedConfig(t))
			await(t, "the seed to be complete from the start", seed.Completed())

			cfg := tt.config()
			cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
			leech := add(t, newTestClient(t, Config{}), cfg)
			await(t, "the download", leech.Completed())
			tt.check(t, cfg.Storage)
			if got := leech.Stats(); got.Left != 0 || got.Downloaded != int64(len(tt.data)) || got.Name != "data" {
				t.Errorf("after the download: %+v", got)
			}
		})
	}
}

// TestSwarm has four leechers that know each other: every byte must come to
// each of them, and not all of it from the seed.
func TestSwarm(t *testing.T) {
	tt := newTestTorrent(t, 8<<20, 64<<10)
	seeder := newTestSeeder(t, tt)

	clients := make([]*Client, 4)
	peers := []netip.AddrPort{addrOfClient(seeder)}
	for i := range clients {
		clients[i] = newTestClient(t, Config{})
		peers = append(peers, addrOfClient(clients[i]))
	}
	torrents := make([]*Torrent, len(clients))
	stores := make([]piecestore.Storage, len(clients))
	for i, c := range clients {
		cfg := tt.config()
		cfg.Peers = peers // itself included
		stores[i] = cfg.Storage
		torrents[i] = add(t, c, cfg)
	}
	for i, leech := range torrents {
		await(t, "a leecher", leech.Completed())
		tt.check(t, stores[i])
	}
}

// TestRelay has a leecher that knows only another leecher, which knew nothing
// when they met: it learns of the pieces one by one.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		seeder := network.join(t, "10.0.0.1:1", Config{})
		relay := network.join(t, "10.0.0.2:1", Config{})
		leecher := network.join(t, "10.0.0.3:1", Config{})
		tt := newTestTorrent(t, 512<<10, 64<<10)
		add(t, seeder, tt.seedConfig(t))
		middle := add(t, relay, tt.config())
		cfg := tt.config()
		cfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:1")}
		leech := add(t, leecher, cfg)
		synctest.Wait()
		middle.AddPeers([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}, engine.SourceTracker)
		await(t, "the download", leech.Completed())
		tt.check(t, cfg.Storage)
	})
}

// TestSeveralTorrents shares two torrents between the same two clients, whose
// limits they then share too.
func TestSeveralTorrents(t *testing.T) {
	seeder, leecher := newTestClient(t, Config{}), newTestClient(t, Config{})
	for _, tt := range []*testTorrent{newTestTorrent(t, 1<<20, 32<<10), newTestTorrent(t, 3<<20, 64<<10)} {
		add(t, seeder, tt.seedConfig(t))
		cfg := tt.config()
		cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
		leech := add(t, leecher, cfg)
		defer func() {
			await(t, "the download", leech.Completed())
			tt.check(t, cfg.Storage)
		}()
	}
}

// TestSelect downloads some pieces, then the rest.
func TestSelect(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	seeder := newTestSeeder(t, tt)
	cfg := tt.config()
	cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
	cfg.Want = bitfield.New(16)
	cfg.Want.Add(3)
	cfg.Want.Add(15)
	written := &watchedStorage{Storage: cfg.Storage, changed: make(chan struct{}, 1)}
	cfg.Storage = written
	leech := add(t, newTestClient(t, Config{}), cfg)
	await(t, "the selection", leech.Completed())
	if got := leech.Stats(); got.HavePieces != 2 || got.Left != 0 {
		t.Errorf("after the selection: %d pieces, %d bytes left", got.HavePieces, got.Left)
	}
	leech.Select(nil)
	written.awaitWrites(t, 16)
	tt.check(t, cfg.Storage)
}

// watchedStorage counts the writes, and has room for so many of them.
type watchedStorage struct {
	piecestore.Storage
	mu      sync.Mutex
	writes  int
	room    int // 0: no end
	changed chan struct{}
}

func (s *watchedStorage) WriteAt(bufs [][]byte, off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room > 0 && s.writes == s.room {
		return &fs.PathError{Op: "write", Path: "data", Err: syscall.ENOSPC}
	}
	err := s.Storage.WriteAt(bufs, off)
	s.writes++
	signal(s.changed)
	return err
}

// awaitWrites waits until there were n writes: one for each piece.
func (s *watchedStorage) awaitWrites(tb testing.TB, n int) {
	tb.Helper()
	for {
		s.mu.Lock()
		writes := s.writes
		s.mu.Unlock()
		if writes >= n {
			return
		}
		one := make(chan struct{})
		go func() { <-s.changed; close(one) }()
		await(tb, "a write", one)
	}
}

// TestStopAndResume stops a download in the middle. The next one must ask only
// for what the first did not store.
func TestStopAndResume(t *testing.T) {
	tt := newTestTorrent(t, 16<<20, 64<<10)
	seeder := newTestSeeder(t, tt)
	files := openTestFiles(t, tt, piecestore.NewHandles(4))
	path := filepath.Join(t.TempDir(), "resume")

	resume, state, err := piecestore.OpenResume(path, tt.meta.InfoHash, files)
	if err != nil {
		t.Fatal(err)
	}
	watched := &watchedStorage{Storage: files, room: 20, changed: make(chan struct{}, 1)}
	cfg := tt.config()
	cfg.Storage, cfg.Resume, cfg.Have = watched, resume, state.Verified
	cfg.Peers = []netip.AddrPort{addrOfClient(seeder)}
	client := newTestClient(t, Config{})
	first := add(t, client, cfg)
	watched.awaitWrites(t, 20)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := resume.Close(); err != nil {
		t.Fatal(err)
	}
	had := first.Stats().HavePieces
	if had != 20 {
		t.Errorf("%d pieces after 20 were written", had)
	}

	resume, state, err = piecestore.OpenResume(path, tt.meta.InfoHash, files)
	if err != nil {
		t.Fatal(err)
	}
	defer resume.Close()
	if got := state.Verified.Count(); got != had {
		t.Errorf("%d pieces are trusted, %d were there", got, had)
	}
	cfg.Storage, cfg.Resume, cfg.Have = files, resume, state.Verified
	second := add(t, client, cfg)
	await(t, "the rest", second.Completed())
	tt.check(t, files)
	want := int64(len(tt.data)) - int64(had)*(64<<10)
	if got := second.Stats().Downloaded; got != want {
		t.Errorf("the second run downloaded %d bytes, %d were missing", got, want)
	}
	// The resume file must not outlive what writes to it.
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestIncomingPeer is TestSeedToLeecher with the roles of the dial exchanged.
func TestIncomingPeer(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	leecher := newTestClient(t, Config{})
	cfg := tt.config()
	leech := add(t, leecher, cfg)
	seed := add(t, newTestClient(t, Config{}), tt.seedConfig(t))
	seed.AddPeers([]netip.AddrPort{addrOfClient(leecher)}, engine.SourceTracker)
	await(t, "the download", leech.Completed())
	tt.check(t, cfg.Storage)
}
