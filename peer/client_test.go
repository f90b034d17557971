package peer

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
)

func TestPortInUse(t *testing.T) {
	first := newTestClient(t, Config{})
	_, err := New(Config{Bind: loopback, Port: first.Port()})
	if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(first.Port())+" is in use") {
		t.Errorf("the second client on one port: %v", err)
	}
	second := newTestClient(t, Config{})
	if second.Port() == first.Port() || second.Port() == 0 {
		t.Errorf("ports %d and %d", first.Port(), second.Port())
	}
}

func TestNoListener(t *testing.T) {
	c := newTestClient(t, Config{Port: -1, MapPorts: true})
	if c.Port() != 0 {
		t.Errorf("listens on port %d", c.Port())
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"port":    {Port: 65536},
		"up":      {Up: -1},
		"down":    {Down: -1},
		"peers":   {MaxPeers: -1},
		"memory":  {BufferBytes: -1},
		"address": {Bind: netip.MustParseAddr("240.0.0.1")}, // no machine's: reserved (RFC 1112)
	} {
		if c, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
			c.Close(t.Context())
		}
	}
}

func TestBadTorrentConfig(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	c := newTestClient(t, Config{})
	add(t, c, tt.config())
	for name, change := range map[string]func(*TorrentConfig){
		"twice":      func(*TorrentConfig) {},
		"no info":    func(cfg *TorrentConfig) { cfg.Info = nil },
		"no storage": func(cfg *TorrentConfig) { cfg.Storage = nil },
		"rate":       func(cfg *TorrentConfig) { cfg.Up = -1 },
		"have":       func(cfg *TorrentConfig) { cfg.Have = bitfield.New(5) },
		"want":       func(cfg *TorrentConfig) { cfg.Want = bitfield.New(3) },
	} {
		cfg := tt.config()
		change(&cfg)
		if _, err := c.Add(cfg); err == nil || errors.Is(err, ErrAdded) != (name == "twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAfterStop calls everything there is on a torrent that has stopped, and
// adds it again.
func TestAfterStop(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	c := newTestClient(t, Config{})
	torrent := add(t, c, tt.seedConfig(t))
	for range 2 {
		if err := torrent.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := torrent.Stats(); got.HavePieces != 4 {
		t.Errorf("the last snapshot: %+v", got)
	}
	if peers := torrent.Peers(); len(peers) > 0 {
		t.Errorf("peers after the end: %+v", peers)
	}
	torrent.AddPeers([]netip.AddrPort{addrOfClient(c)}, engine.SourceUser)
	torrent.Select(nil)
	if err := torrent.Err(); err != nil {
		t.Error(err)
	}
	add(t, c, tt.seedConfig(t))
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Add(tt.config()); !errors.Is(err, errClosed) {
		t.Errorf("add after close: %v", err)
	}
}

// TestUnreachablePeer dials where nobody is, and stops while a dial is under
// way.
func TestUnreachablePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		c := network.join(t, "10.0.0.1:1", Config{})
		var dials atomic.Int32
		reach := c.connect
		c.connect = func(ctx context.Context, addr netip.AddrPort) (transport, error) {
			if dials.Add(1) == 3 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return reach(ctx, addr)
		}
		cfg := newTestTorrent(t, 64<<10, 16<<10).config()
		cfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:1")}
		torrent := add(t, c, cfg)
		time.Sleep(time.Hour)
		if got := dials.Load(); got != 3 {
			t.Errorf("%d dials", got)
		}
		if err := torrent.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// fakeFinder is a finder that a test plays by hand.
type fakeFinder struct {
	finds  []netip.AddrPort
	events []string
	hangs  chan struct{} // nil: it does not
}

func (f *fakeFinder) Find(ctx context.Context, a Announcement) error {
	note := func(event string) {
		uploaded, downloaded, left := a.Progress()
		f.events = append(f.events, strings.Join([]string{event, strconv.FormatInt(uploaded, 10),
			strconv.FormatInt(downloaded, 10), strconv.FormatInt(left, 10)}, " "))
	}
	note("started")
	a.Found(f.finds, engine.SourceTracker)
	select {
	case <-a.Completed():
		note("completed")
	case <-ctx.Done():
	}
	<-ctx.Done()
	note("stopped")
	if f.hangs != nil {
		<-f.hangs
	}
	return ctx.Err()
}

func TestFinder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		seeder, leecher := network.join(t, "10.0.0.1:1", Config{}), network.join(t, "10.0.0.2:1", Config{})
		tt := newTestTorrent(t, 64<<10, 16<<10)
		finder := &fakeFinder{finds: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}}
		add(t, seeder, tt.seedConfig(t))
		cfg := tt.config()
		cfg.Finders = []Finder{finder}
		leech := add(t, leecher, cfg)
		<-leech.Completed()
		synctest.Wait()
		if err := leech.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		want := "started 0 0 65536, completed 0 65536 0, stopped 0 65536 0"
		if got := strings.Join(finder.events, ", "); got != want {
			t.Errorf("the finder saw %s\nexpected %s", got, want)
		}
	})
}

// TestFinderHangs has a finder that does not return: Stop says so, in time.
func TestFinderHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		c := network.join(t, "10.0.0.1:1", Config{})
		cfg := newTestTorrent(t, 64<<10, 16<<10).config()
		finder := &fakeFinder{hangs: make(chan struct{})}
		cfg.Finders = []Finder{finder}
		add(t, c, cfg)
		synctest.Wait()
		start := time.Now()
		err := c.Close(t.Context())
		if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(start); took != finderGrace {
			t.Errorf("closed after %v", took)
		}
		close(finder.hangs)
	})
}

// TestMaxPeers has more peers than the process may have.
func TestMaxPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		c := network.join(t, "10.0.0.1:1", Config{MaxPeers: 2})
		tt := newTestTorrent(t, 64<<10, 16<<10)
		torrent := add(t, c, tt.seedConfig(t))
		for _, name := range []string{"a", "b", "c"} {
			tr := network.dial(c, netip.MustParseAddrPort("10.0.0.2:1")).(pipe)
			defer tr.Close()
			p := newRawPeer(t, tr, tt, name)
			go p.drain()
		}
		synctest.Wait()
		if got := len(torrent.Peers()); got != 2 {
			t.Errorf("%d peers", got)
		}
	})
}

// TestIdleConnection has a peer that was busy fall silent, but for its
// keep-alives: no deadline of a handshake or a block may be left over.
func TestIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		seeder, leecher := network.join(t, "10.0.0.1:1", Config{}), network.join(t, "10.0.0.2:1", Config{})
		tt := newTestTorrent(t, 256<<10, 64<<10)
		add(t, seeder, tt.seedConfig(t))
		cfg := tt.config()
		cfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}
		cfg.Want = bitfield.New(4)
		cfg.Want.Add(2)
		leech := add(t, leecher, cfg)
		<-leech.Completed()
		before := leech.Peers()
		time.Sleep(time.Hour)
		after := leech.Peers()
		if len(before) != 1 || len(after) != 1 || before[0].Up != after[0].Up {
			t.Errorf("before %+v\nafter %+v", before, after)
		}
	})
}

// TestRateLimits sets each of the limits to 64 KiB/s and moves 512 KiB.
func TestRateLimits(t *testing.T) {
	const limit = 64 << 10
	for name, set := range map[string]func(seeder, leecher *Config, seed, leech *TorrentConfig){
		"up, process":   func(seeder, _ *Config, _, _ *TorrentConfig) { seeder.Up = limit },
		"down, process": func(_, leecher *Config, _, _ *TorrentConfig) { leecher.Down = limit },
		"up, torrent":   func(_, _ *Config, seed, _ *TorrentConfig) { seed.Up = limit },
		"down, torrent": func(_, _ *Config, _, leech *TorrentConfig) { leech.Down = limit },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt := newTestTorrent(t, 512<<10, 64<<10)
				var seederCfg, leecherCfg Config
				seedCfg, leechCfg := tt.seedConfig(t), tt.config()
				set(&seederCfg, &leecherCfg, &seedCfg, &leechCfg)
				var network pipeNet
				seeder, leecher := network.join(t, "10.0.0.1:1", seederCfg), network.join(t, "10.0.0.2:1", leecherCfg)
				add(t, seeder, seedCfg)
				leechCfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}
				start := time.Now()
				<-add(t, leecher, leechCfg).Completed()
				// A burst at the start is allowed.
				if took := time.Since(start); took < 5*time.Second || took > 10*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
