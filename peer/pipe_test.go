package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/shoal-bt/shoal/peer/wire"
)

// pipe is a transport without sockets, so that its tests can have time of
// their own.
type pipe struct{ net.Conn }

func (p pipe) ReadVec(bufs [][]byte) (int, error) { return p.Read(bufs[0]) }

func (p pipe) WriteVec(bufs [][]byte) (int, error) {
	for _, buf := range bufs {
		if len(buf) > 0 {
			return p.Write(buf)
		}
	}
	return 0, nil
}

// pipeNet is a network in which every client can be dialled.
type pipeNet struct {
	mu      sync.Mutex
	clients map[netip.AddrPort]*Client
}

// join returns a client without sockets at an address, which is closed at the end
// of the test.
func (n *pipeNet) join(tb testing.TB, addr string, cfg Config) *Client {
	tb.Helper()
	cfg.Port = -1
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeClient(tb, c) })
	c.connect = func(_ context.Context, to netip.AddrPort) (transport, error) {
		n.mu.Lock()
		other := n.clients[to]
		n.mu.Unlock()
		if other == nil {
			return nil, errors.New("nobody is there")
		}
		return n.dial(other, netip.MustParseAddrPort(addr)), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clients == nil {
		n.clients = make(map[netip.AddrPort]*Client)
	}
	n.clients[netip.MustParseAddrPort(addr)] = c
	return c
}

// dial connects to a client from an address.
func (n *pipeNet) dial(c *Client, from netip.AddrPort) transport {
	ours, theirs := net.Pipe()
	c.tasks.Go(func() { c.welcome(pipe{theirs}, from) })
	return pipe{ours}
}

// rawPeer is a peer that a test plays by hand.
type rawPeer struct {
	tb     testing.TB
	tr     net.Conn
	dec    *wire.Decoder
	theirs wire.Handshake // what the client answered
}

// newRawPeer shakes hands over a connection to a client.
func newRawPeer(tb testing.TB, nc net.Conn, tt *testTorrent, id string) *rawPeer {
	tb.Helper()
	return newRawPeerWith(tb, nc, rawHandshake(tt, id))
}

func rawHandshake(tt *testTorrent, id string) wire.Handshake {
	return wire.NewHandshake(tt.meta.InfoHash, [20]byte([]byte(id + "--------------------")[:20]))
}

// newRawPeerWith is newRawPeer with any handshake.
func newRawPeerWith(tb testing.TB, nc net.Conn, h wire.Handshake) *rawPeer {
	tb.Helper()
	var answer [wire.HandshakeLen]byte
	if _, err := nc.Write(wire.AppendHandshake(nil, h)); err != nil {
		tb.Fatal(err)
	}
	p := &rawPeer{tb: tb, tr: nc}
	for n := 0; n < len(answer); {
		k, err := nc.Read(answer[n:])
		if err != nil {
			tb.Fatalf("no handshake came back: %v", err)
		}
		n += k
	}
	var err error
	if p.theirs, _, err = wire.ParseHandshake(answer[:]); err != nil {
		tb.Fatal(err)
	}
	p.dec = wire.NewDecoder(nc, 0)
	return p
}

func (p *rawPeer) send(ms ...wire.Message) error {
	var b []byte
	for _, m := range ms {
		b = wire.Append(b, m)
	}
	_, err := p.tr.Write(b)
	return err
}

// expect reads until a message of the type comes.
func (p *rawPeer) expect(t wire.Type) wire.Message {
	p.tb.Helper()
	for {
		m, err := p.dec.Next()
		if err != nil {
			p.tb.Fatalf("waited for %v: %v", t, err)
		}
		if m.Type == t {
			return m
		}
	}
}

// drain reads until the client closes the connection.
func (p *rawPeer) drain() {
	for {
		if _, err := p.dec.Next(); err != nil {
			return
		}
	}
}
