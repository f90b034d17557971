package peer

import (
	"context"
	"net"
	"net/netip"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// startDial connects to an address, because the engine has decided to and the
// quota has granted it. Either way the engine hears what came of it.
func (t *Torrent) startDial(addr netip.AddrPort) {
	if t.stopping {
		return
	}
	t.dials++
	t.tasks.Go(func() {
		c, theirs, err := t.dial(addr)
		if err != nil {
			t.log.Debug("dial failed", "peer", addr, "err", err)
			failed := engine.Input{Kind: engine.InDialFailed, Addr: addr}
			t.inbox.put(event{in: failed, do: func() { t.dials-- }})
			return
		}
		t.inbox.put(event{do: func() {
			t.dials--
			t.connUp(c, upInput(c, theirs, false))
		}})
	})
}

// dial connects and shakes hands.
func (t *Torrent) dial(addr netip.AddrPort) (*conn, wire.Handshake, error) {
	tr, err := t.client.connect(t.dialing, addr)
	if err != nil {
		return nil, wire.Handshake{}, err
	}
	// A torrent that stops does not wait for the peer's handshake.
	hurry := context.AfterFunc(t.dialing, func() { tr.Close() })
	defer hurry()
	theirs, err := exchange(tr, t.handshake())
	if err != nil {
		tr.Close()
		return nil, theirs, err
	}
	return newConn(t, tr, addr), theirs, nil
}

// dialTCP connects to a TCP address from the address that the client is bound
// to.
func (c *Client) dialTCP(ctx context.Context, addr netip.AddrPort) (transport, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	if c.cfg.Bind.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.cfg.Bind, 0))
	}
	nc, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return newTCPTransport(nc.(*net.TCPConn))
}
