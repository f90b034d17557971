package peer

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// TestHostilePeers lets peers that break the protocol meet a seed: each must be
// closed, and an honest leecher must be served afterwards.
func TestHostilePeers(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	seeder := newTestSeeder(t, tt)

	prefixed := func(length uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), rest...)
	}
	for name, garbage := range map[string][]byte{
		"a huge length":                 prefixed(0xffffffff, 20, 0),
		"a length of 2 GiB":             prefixed(2<<30, byte(wire.Piece)),
		"a choke with a payload":        prefixed(2, byte(wire.Choke), 0),
		"a have that is too short":      prefixed(3, byte(wire.Have), 0, 0),
		"a have out of range":           wire.Append(nil, wire.Message{Type: wire.Have, Index: 1 << 30}),
		"a bitfield of the wrong size":  wire.Append(nil, wire.Message{Type: wire.Bitfield, Payload: make([]byte, 77)}),
		"a bitfield with a spare bit":   wire.Append(nil, wire.Message{Type: wire.Bitfield, Payload: []byte{0xff, 0xff, 0xff}}),
		"a request of no piece":         wire.Append(nil, wire.Message{Type: wire.Request, Index: 1 << 31, Length: 1}),
		"a request past the end":        wire.Append(nil, wire.Message{Type: wire.Request, Begin: 64 << 10, Length: 16 << 10}),
		"a request that overflows":      wire.Append(nil, wire.Message{Type: wire.Request, Begin: 0xffffffff, Length: 0xffffffff}),
		"an empty request":              wire.Append(nil, wire.Message{Type: wire.Request}),
		"half a handshake's worth of 0": prefixed(1, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			p := newRawPeer(t, dialRaw(t, seeder), tt, "garbage")
			if err := p.send(wire.Message{Type: wire.HaveNone}); err != nil {
				t.Fatal(err)
			}
			p.tr.Write(garbage) // it may be closed in the middle
			p.drain()           // ends when the client closes
		})
	}
	for name, opening := range map[string][]byte{
		"another protocol":    []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"another torrent":     wire.AppendHandshake(nil, wire.NewHandshake(metainfo.InfoHash{1}, metainfo.PeerID{1})),
		"a lot of zero bytes": make([]byte, wire.HandshakeLen),
	} {
		t.Run(name, func(t *testing.T) {
			nc := dialRaw(t, seeder)
			nc.Write(opening)
			if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("the client answered")
			}
		})
	}
	download(t, tt, seeder)
}

// dialRaw connects to a client with a deadline for the whole test.
func dialRaw(tb testing.TB, c *Client) net.Conn {
	tb.Helper()
	nc, err := net.Dial("tcp", addrOfClient(c).String())
	if err != nil {
		tb.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(tooLong))
	tb.Cleanup(func() { nc.Close() })
	return nc
}

// download has a new client download everything from another.
func download(tb testing.TB, tt *testTorrent, from *Client) {
	tb.Helper()
	cfg := tt.config()
	cfg.Peers = []netip.AddrPort{addrOfClient(from)}
	leech := add(tb, newTestClient(tb, Config{}), cfg)
	await(tb, "the download", leech.Completed())
	tt.check(tb, cfg.Storage)
}

// TestRequestFlood has a peer ask for far more than it takes: what waits for it
// is bounded, and it is closed in the end.
func TestRequestFlood(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	seeder := newTestSeeder(t, tt)
	p := newRawPeer(t, dialRaw(t, seeder), tt, "flood")
	if err := p.send(wire.Message{Type: wire.HaveNone}); err != nil {
		t.Fatal(err)
	}
	// All while choked: after some patience that is a reason to close.
	var flood []byte
	for i := range 1000 {
		flood = wire.Append(flood, wire.Message{Type: wire.Request, Index: uint32(i % 16), Length: metainfo.BlockLen})
	}
	go p.drain()
	for {
		if _, err := p.tr.Write(flood); err != nil {
			break
		}
	}
	if isTimeout(errorOf(p.tr.Write(flood))) {
		t.Error("the flood was not ended")
	}
	download(t, tt, seeder)
}

func errorOf(_ int, err error) error { return err }

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestUnaskedBlocks has a peer send blocks of a piece that another peer was
// asked for, with wrong bytes and first: they must not stay.
func TestUnaskedBlocks(t *testing.T) {
	tt := newTestTorrent(t, 256<<10, 64<<10)
	leecher := newTestClient(t, Config{})
	cfg := tt.config()
	leech := add(t, leecher, cfg)
	asked := newRawPeer(t, dialRaw(t, leecher), tt, "asked")
	if err := asked.send(wire.Message{Type: wire.HaveAll}, wire.Message{Type: wire.Unchoke}); err != nil {
		t.Fatal(err)
	}
	open := asked.expect(wire.Request)

	pusher := newRawPeer(t, dialRaw(t, leecher), tt, "pusher")
	for begin := uint32(0); begin < 64<<10; begin += metainfo.BlockLen {
		pusher.send(wire.Message{Type: wire.Piece, Index: open.Index, Begin: begin, Payload: make([]byte, metainfo.BlockLen)})
	}
	pusher.drain()
	asked.tr.Close()

	finishHonestly(t, tt, leech, cfg)
	if got := leech.Stats(); got.HashFails > 0 || got.Wasted < metainfo.BlockLen {
		t.Errorf("after the push: %+v", got)
	}
}

// finishHonestly gives a download a seeder, and awaits its end.
func finishHonestly(t *testing.T, tt *testTorrent, leech *Torrent, cfg TorrentConfig) {
	t.Helper()
	leech.AddPeers([]netip.AddrPort{addrOfClient(newTestSeeder(t, tt))}, engine.SourceUser)
	await(t, "the download", leech.Completed())
	tt.check(t, cfg.Storage)
}

// TestBadData has a peer answer with wrong bytes: the piece fails, the peer is
// banned, and the download comes from an honest one.
func TestBadData(t *testing.T) {
	tt := newTestTorrent(t, 256<<10, 64<<10)
	leecher := newTestClient(t, Config{})
	cfg := tt.config()
	leech := add(t, leecher, cfg)
	p := newRawPeer(t, dialRaw(t, leecher), tt, "liar")
	if err := p.send(wire.Message{Type: wire.HaveAll}, wire.Message{Type: wire.Unchoke}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := p.dec.Next()
		if err != nil {
			break // banned
		}
		if m.Type == wire.Request {
			p.send(wire.Message{Type: wire.Piece, Index: m.Index, Begin: m.Begin, Payload: make([]byte, m.Length)})
		}
	}
	leech.ask(leech.publish) // now, not within 250 ms
	if got := leech.Stats(); got.HashFails == 0 {
		t.Errorf("the liar was closed, but no piece failed: %+v", got)
	}
	finishHonestly(t, tt, leech, cfg)
}

// TestSelfConnection gives a torrent its own address.
func TestSelfConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		client := network.join(t, "10.0.0.1:1", Config{})
		tt := newTestTorrent(t, 64<<10, 16<<10)
		cfg := tt.config()
		cfg.Peers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}
		torrent := add(t, client, cfg)
		synctest.Wait()
		if peers := torrent.Peers(); len(peers) > 0 {
			t.Errorf("connected to itself: %+v", peers)
		}
	})
}

// TestSilentHandshake has peers connect and say nothing, or half of something:
// they are closed in time.
func TestSilentHandshake(t *testing.T) {
	for name, opening := range map[string]string{"nothing": "", "half": "\x13BitTorrent prot"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var network pipeNet
				client := network.join(t, "10.0.0.1:1", Config{})
				start := time.Now()
				tr := network.dial(client, netip.MustParseAddrPort("10.0.0.2:1")).(pipe)
				if _, err := tr.Write([]byte(opening)); err != nil && opening != "" {
					t.Fatal(err)
				}
				if _, err := tr.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("read: %v", err)
				}
				if took := time.Since(start); took != handshakeTimeout {
					t.Errorf("closed after %v", took)
				}
			})
		})
	}
}

// TestManyHandshakes has one address open more connections than it may, all
// silent; another address still gets in.
func TestManyHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		client := network.join(t, "10.0.0.1:1", Config{})
		tt := newTestTorrent(t, 64<<10, 16<<10)
		add(t, client, tt.seedConfig(t))
		greedy := netip.MustParseAddr("10.0.0.2")
		for port := range maxHandshakesPerAddr {
			defer network.dial(client, netip.AddrPortFrom(greedy, uint16(port))).Close()
		}
		synctest.Wait()
		start := time.Now()
		if _, err := network.dial(client, netip.AddrPortFrom(greedy, 9)).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one more from the same address: %v", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("one more from the same address was heard for %v", took)
		}
		honest := network.dial(client, netip.MustParseAddrPort("10.0.0.3:1"))
		defer honest.Close()
		newRawPeer(t, honest.(pipe), tt, "honest")
	})
}

// TestNeverReads has a peer ask for blocks and not read them.
func TestNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		client := network.join(t, "10.0.0.1:1", Config{})
		tt := newTestTorrent(t, 64<<10, 16<<10)
		torrent := add(t, client, tt.seedConfig(t))
		p := newRawPeer(t, network.dial(client, netip.MustParseAddrPort("10.0.0.2:1")).(pipe), tt, "deaf")
		defer p.tr.Close()
		p.send(wire.Message{Type: wire.HaveNone}, wire.Message{Type: wire.Interested})
		start := time.Now()
		synctest.Wait()
		if len(torrent.Peers()) != 1 {
			t.Fatal("the peer is not connected")
		}
		for len(torrent.Peers()) == 1 && time.Since(start) < 2*writeTimeout {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took > writeTimeout+time.Second {
			t.Errorf("still connected after %v", took)
		}
	})
}

// TestSlowBlock has a peer begin a block and not go on: its slot must become
// free for others.
func TestSlowBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network pipeNet
		client := network.join(t, "10.0.0.1:1", Config{})
		tt := newTestTorrent(t, metainfo.BlockLen, metainfo.BlockLen)
		torrent := add(t, client, tt.config())
		p := newRawPeer(t, network.dial(client, netip.MustParseAddrPort("10.0.0.2:1")).(pipe), tt, "slow")
		go func() {
			p.send(wire.Message{Type: wire.HaveAll}, wire.Message{Type: wire.Unchoke})
		}()
		p.expect(wire.Request)
		go p.drain()
		start := time.Now()
		p.tr.Write(wire.AppendPieceHeader(nil, 0, 0, metainfo.BlockLen))
		for i := 0; ; i++ { // a byte each second, so it is not silent
			if _, err := p.tr.Write(tt.data[i : i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took > blockTimeout+time.Second {
			t.Errorf("closed after %v", took)
		}
		slot, ok := torrent.content().assembly.Claim(0, 0, metainfo.BlockLen)
		if !ok {
			t.Fatal("the slot is still taken")
		}
		slot.Release()
	})
}
