package engine

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// TestWhoConnectedToUsIsNotDialled: the tracker names a peer that has connected
// already. Its extension handshake says where it listens, so there is no second
// connection, until it leaves.
func TestWhoConnectedToUsIsNotDialled(t *testing.T) {
	geo, err := metainfo.NewGeometry(1<<16, 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(0, Config{Rand: rand.New(rand.NewPCG(1, 1)), Grants: &freeGrants{}, Geometry: geo, MaxPeers: 2})
	if err != nil {
		t.Fatal(err)
	}
	listens := netip.MustParseAddrPort("10.0.0.1:6881")
	dials := func() (n int) {
		for out, ok := e.Next(); ok; out, ok = e.Next() {
			if out.Kind == OutDial && out.Addr == listens {
				n++
			}
		}
		return n
	}

	// MaxPeers leaves room for one dial, which another address takes.
	other := netip.MustParseAddrPort("10.0.0.2:6881")
	e.Receive(0, &Input{Kind: InPeers, Addrs: []netip.AddrPort{other, listens}, Source: SourceTracker})
	c := new(Conn)
	e.Receive(0, &Input{Kind: InConnUp, Conn: c, PeerID: metainfo.PeerID{1}, Extended: true, Incoming: true,
		Addr: netip.MustParseAddrPort("[::ffff:10.0.0.1]:50000")})
	hello := wire.Message{Type: wire.Extended, ExtID: wire.ExtHandshakeID,
		Payload: wire.AppendExtHandshake(nil, wire.ExtHandshake{Port: 6881})}
	e.Receive(0, &Input{Kind: InMessage, Conn: c, Message: hello})
	e.cfg.MaxPeers = 80
	e.Receive(time.Second, &Input{Kind: InDialFailed, Addr: other})
	if n := dials(); n != 0 {
		t.Errorf("dialled %d times to a peer that is connected", n)
	}
	e.Receive(time.Minute, &Input{Kind: InConnDown, Conn: c})
	e.Advance(10 * time.Minute)
	if n := dials(); n != 1 {
		t.Errorf("dialled %d times to a peer that has left, want once", n)
	}
}

// TestNewLimitsCountAtOnce: what waits for a rate limit does not wait for the
// end of the time that the old limit named.
func TestNewLimitsCountAtOnce(t *testing.T) {
	geo, err := metainfo.NewGeometry(1<<16, 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	limited := &slowGrants{again: time.Hour}
	e, err := New(0, Config{Rand: rand.New(rand.NewPCG(1, 1)), Grants: limited, Geometry: geo})
	if err != nil {
		t.Fatal(err)
	}
	c := new(Conn)
	e.Receive(0, &Input{Kind: InConnUp, Conn: c, PeerID: metainfo.PeerID{1}, Fast: true, Addr: netip.MustParseAddrPort("10.0.0.1:6881")})
	e.Receive(0, &Input{Kind: InMessage, Conn: c, Message: wire.Message{Type: wire.HaveAll}})
	e.Receive(0, &Input{Kind: InMessage, Conn: c, Message: wire.Message{Type: wire.Unchoke}})
	limited.again = 0
	e.Receive(time.Second, &Input{Kind: InLimits})
	for out, ok := e.Next(); ok; out, ok = e.Next() {
		if out.Kind == OutMessage && out.Message.Type == wire.Request {
			return
		}
	}
	t.Error("nothing is requested under the new limit")
}

// slowGrants grants no download before a time.
type slowGrants struct {
	freeGrants
	again time.Duration // 0: at once
}

func (g *slowGrants) Download(_ time.Duration, want int) (int, time.Duration) {
	if g.again > 0 {
		return 0, g.again
	}
	return want, 0
}
