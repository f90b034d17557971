package peer

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/piecestore"
)

// magnetConfig is that of a magnet link of the torrent.
func (tt *testTorrent) magnetConfig(peers ...netip.AddrPort) TorrentConfig {
	return TorrentConfig{InfoHash: tt.meta.InfoHash, Peers: peers}
}

// begin waits for the metadata of a magnet link and starts the download.
func (tt *testTorrent) begin(tb testing.TB, magnet *Torrent) piecestore.Storage {
	tb.Helper()
	await(tb, "the metadata", magnet.Metadata())
	if got := magnet.InfoBytes(); !bytes.Equal(got, tt.meta.InfoBytes) {
		tb.Fatalf("the metadata is %.60q", got)
	}
	cfg := tt.infoConfig()
	if err := magnet.SetInfo(cfg); err != nil {
		tb.Fatal(err)
	}
	return cfg.Storage
}

// TestMagnet downloads by an info-hash alone from a seed, and once more from
// the peer that did so and has not got a file of its own.
func TestMagnet(t *testing.T) {
	// 10,000 pieces make thirteen blocks of metadata, more than a new connection has credit for.
	tt := newTestTorrent(t, 10_000<<10, 1<<10)
	source := newTestSeeder(t, tt)
	for range 2 {
		c := newTestClient(t, Config{})
		magnet := add(t, c, tt.magnetConfig(addrOfClient(source)))
		if magnet.InfoBytes() != nil || magnet.Stats().Name != "" {
			t.Error("it knows too much at the beginning")
		}
		store := tt.begin(t, magnet)
		await(t, "the download", magnet.Completed())
		tt.check(t, store)
		if got := magnet.Stats(); got.Name != "data" || got.Left != 0 {
			t.Errorf("in the end: %+v", got)
		}
		source = c
	}
}

// TestMagnetInABubble is the same without sockets, and with an answer that
// takes its time: what the seed says meanwhile counts later.
func TestMagnetInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTorrent(t, 256<<10, 64<<10)
		var network pipeNet
		seeder := network.join(t, "10.0.0.1:1", Config{})
		add(t, seeder, tt.seedConfig(t))
		leecher := network.join(t, "10.0.0.2:1", Config{})
		magnet := add(t, leecher, tt.magnetConfig(netip.MustParseAddrPort("10.0.0.1:1")))
		await(t, "the metadata", magnet.Metadata())
		time.Sleep(time.Minute) // of the bubble: all else that can happen before SetInfo does
		if got := magnet.Stats(); got.Conns != 1 || got.Downloaded != 0 || got.NumPieces != 0 {
			t.Errorf("before SetInfo: %+v", got)
		}
		store := tt.begin(t, magnet)
		await(t, "the download", magnet.Completed())
		tt.check(t, store)
	})
}

// TestMagnetOfDataThatIsThere has nothing to download.
func TestMagnetOfDataThatIsThere(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	source := newTestSeeder(t, tt)
	magnet := add(t, newTestClient(t, Config{}), tt.magnetConfig(addrOfClient(source)))
	await(t, "the metadata", magnet.Metadata())
	select {
	case <-magnet.Completed():
		t.Error("complete before anybody knows what it is")
	default:
	}
	seed := tt.seedConfig(t)
	if err := magnet.SetInfo(seed.infoConfig()); err != nil {
		t.Fatal(err)
	}
	await(t, "what was there", magnet.Completed())
}

func TestSetInfoRefuses(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	source := newTestSeeder(t, tt)
	magnet := add(t, newTestClient(t, Config{}), tt.magnetConfig())
	refuses := func(what, want string, change func(*InfoConfig)) {
		t.Helper()
		cfg := tt.infoConfig()
		change(&cfg)
		if err := magnet.SetInfo(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	nothing := func(*InfoConfig) {}
	refuses("too early", "not known yet", nothing)
	magnet.AddPeers([]netip.AddrPort{addrOfClient(source)}, engine.SourceUser)
	await(t, "the metadata", magnet.Metadata())
	refuses("no info", "info dictionary is missing", func(cfg *InfoConfig) { cfg.Info = nil })
	refuses("no storage", "needs a storage", func(cfg *InfoConfig) { cfg.Storage = nil })
	refuses("have", "a set of 5 pieces", func(cfg *InfoConfig) { cfg.Have = bitfield.New(5) })
	refuses("want", "a set of 3 pieces", func(cfg *InfoConfig) { cfg.Want = bitfield.New(3) })
	tt.begin(t, magnet)
	refuses("twice", "begun already", nothing)
	if err := magnet.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses("stopped", errStopped.Error(), nothing)
}

// TestMagnetThatIsStopped ends before the metadata comes.
func TestMagnetThatIsStopped(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	c := newTestClient(t, Config{})
	magnet := add(t, c, tt.magnetConfig())
	p := newRawPeer(t, dialRaw(t, c), tt, "mute")
	p.expect(wire.Extended)
	if err := magnet.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := magnet.SetInfo(tt.infoConfig()); err == nil {
		t.Error("it begins after its end")
	}
}

// TestBlocksBeforeTheMetadata has a peer send data of a torrent that nobody
// could ask for yet.
func TestBlocksBeforeTheMetadata(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	c := newTestClient(t, Config{})
	add(t, c, tt.magnetConfig())
	p := newRawPeer(t, dialRaw(t, c), tt, "eager")
	if err := p.send(wire.Message{Type: wire.HaveAll}, wire.Message{Type: wire.Piece, Payload: tt.data[:metainfo.BlockLen]}); err != nil {
		t.Fatal(err)
	}
	p.drain() // ends when the client closes
}

// TestLeftOfAMagnetIsNotZero, or trackers would take it for a seed.
func TestLeftOfAMagnetIsNotZero(t *testing.T) {
	tt := newTestTorrent(t, 64<<10, 16<<10)
	magnet := add(t, newTestClient(t, Config{}), tt.magnetConfig())
	a := &announcement{t: magnet}
	if _, _, left := a.Progress(); left <= 0 {
		t.Errorf("left=%d is announced", left)
	}
	seed := add(t, newTestClient(t, Config{}), tt.seedConfig(t))
	a = &announcement{t: seed}
	if _, _, left := a.Progress(); left != 0 {
		t.Errorf("left=%d of a seed is announced", left)
	}
}

// TestPrivateMagnet learns from the metadata that the torrent is private: from
// then on its handshakes tell of no DHT node.
func TestPrivateMagnet(t *testing.T) {
	tt := newPrivateTorrent(t, 64<<10, 16<<10)
	source := newTestClient(t, Config{})
	// The seed must have heard of the downloader by a tracker.
	seed := add(t, source, tt.seedConfig(t))
	seed.AddPeers([]netip.AddrPort{netip.AddrPortFrom(loopback, 9)}, engine.SourceTracker)
	seed.Peers() // waits until it has
	c := newTestClient(t, Config{})
	c.UseDHT(4321, func(addr netip.AddrPort) { t.Errorf("heard of the node %v", addr) })
	magnet := add(t, c, tt.magnetConfig())
	if p := newRawPeer(t, dialRaw(t, c), tt, "before"); !p.theirs.DHT() {
		t.Error("before it is known to be private, the bit is not set")
	}
	magnet.AddPeers([]netip.AddrPort{addrOfClient(source)}, engine.SourceTracker)
	store := tt.begin(t, magnet)
	await(t, "the download", magnet.Completed())
	tt.check(t, store)
	if p := newRawPeer(t, dialRaw(t, c), tt, "after"); p.theirs.DHT() {
		t.Error("peers of a private torrent are told of a DHT node")
	}
	known := func() (n int) {
		magnet.ask(func() { n = magnet.engine.Stats(magnet.now).Known })
		return n
	}
	before := known()
	magnet.AddPeers([]netip.AddrPort{netip.AddrPortFrom(loopback, 9)}, engine.SourceDHT)
	if after := known(); after != before {
		t.Errorf("a private torrent takes peers from the DHT: %d addresses, then %d", before, after)
	}
}

// TestDHTNodesAreTold looks at the handshake's bit and the messages "port" of
// BEP 5, in both directions.
func TestDHTNodesAreTold(t *testing.T) {
	public, private := newTestTorrent(t, 64<<10, 16<<10), newPrivateTorrent(t, 64<<10, 16<<10)
	const ours, theirs = 4321, 1234
	heard := make(chan netip.AddrPort, 8)
	with := newTestClient(t, Config{})
	with.UseDHT(ours, func(addr netip.AddrPort) { heard <- addr })
	without := newTestClient(t, Config{})
	for _, test := range []struct {
		name string
		c    *Client
		cfg  TorrentConfig
		tt   *testTorrent
		want bool
	}{
		{"without a node", without, public.seedConfig(t), public, false},
		{"private", with, private.seedConfig(t), private, false},
		{"public", with, public.seedConfig(t), public, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			add(t, test.c, test.cfg)
			p := newRawPeerWith(t, dialRaw(t, test.c), rawHandshake(test.tt, "node").WithDHT())
			if got := p.theirs.DHT(); got != test.want {
				t.Errorf("the bit is %v", got)
			}
			if !test.want {
				return
			}
			if m := p.expect(wire.Port); m.Index != ours {
				t.Errorf("the port is %d", m.Index)
			}
			if err := p.send(wire.Message{Type: wire.HaveNone}, wire.Message{Type: wire.Port, Index: theirs}); err != nil {
				t.Fatal(err)
			}
			select {
			case addr := <-heard:
				if addr != netip.AddrPortFrom(loopback, theirs) {
					t.Errorf("heard of %v", addr)
				}
			case <-time.After(tooLong):
				t.Error("heard of nobody")
			}
		})
	}
}
