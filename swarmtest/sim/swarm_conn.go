package sim

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
)

// connection joins two peers: a flow each way, and an end at each peer.
type connection struct {
	ends [2]end // the dialler's, the other's
}

// end is one peer's end of a connection.
type end struct {
	peer    *peer
	other   *end
	index   uint32      // of the connection
	conn    engine.Conn // what the peer's engine knows of it
	out     FlowID
	latency time.Duration
	stamp   uint64 // the kernel's sequence number when it came up
	up      bool
	closed  bool // by this peer, or by the other and this peer knows
}

// dial sends a dial on its way. The connection is up at the other peer after
// the two halves of TCP's handshake, a round trip, and the dialler's BitTorrent handshake,
// half of one; and at the dialler when the answer is back.
func (p *peer) dial(now time.Duration, addr netip.AddrPort) {
	w := p.swarm
	to := w.peerAt(addr)
	if to == nil || to == p || to.cfg.Unreachable {
		p.dialFailed(now+dialTimeout, addr)
		return
	}
	w.kernel.At(now+3*w.latency(p, to), Event{To: to.id, Kind: eventDial, A: uint32(p.index)})
}

// dialFailed tells the dialler, at a later time, that nobody answered.
func (p *peer) dialFailed(at time.Duration, addr netip.AddrPort) {
	ip, port := packAddr(addr)
	p.swarm.kernel.At(at, Event{To: p.id, Kind: eventDialFailed, A: ip, B: port})
}

func packAddr(addr netip.AddrPort) (ip, port uint32) {
	b := addr.Addr().As4()
	return binary.BigEndian.Uint32(b[:]), uint32(addr.Port())
}

func unpackAddr(ip, port uint32) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], ip)
	return netip.AddrPortFrom(netip.AddrFrom4(b), uint16(port))
}

// dialled takes a connection up at the peer that was dialled.
func (p *peer) dialled(now time.Duration, dialler *peer) {
	w := p.swarm
	if p.gone || !p.joined || dialler.gone {
		dialler.dialFailed(now+dialTimeout, addrOf(p.index, listenPort))
		return
	}
	c := w.connect(dialler, p)
	w.kernel.At(now+c.ends[0].latency, Event{To: dialler.id, Kind: eventConnected, A: c.ends[0].index})
	c.ends[1].comeUp(now)
	p.drive(now)
}

// connect makes a connection; neither end is up yet.
func (w *swarm) connect(dialler, other *peer) *connection {
	c := new(connection)
	latency := w.latency(dialler, other)
	c.ends[0] = end{peer: dialler, other: &c.ends[1], latency: latency}
	c.ends[1] = end{peer: other, other: &c.ends[0], latency: latency}
	index := uint32(len(w.conns))
	if n := len(w.free); n > 0 {
		index = w.free[n-1]
		w.free = w.free[:n-1]
		w.conns[index] = c
	} else {
		w.conns = append(w.conns, c)
	}
	for i := range c.ends {
		e := &c.ends[i]
		e.index = index
		e.out = w.kernel.Open(e.peer.id, e.other.peer.id, latency)
		for int(e.out) >= len(w.byFlow) {
			w.byFlow = append(w.byFlow, nil)
		}
		w.byFlow[e.out] = e
	}
	return c
}

// connected takes a connection up at the dialler.
func (w *swarm) connected(now time.Duration, index uint32) {
	w.conns[index].ends[0].comeUp(now)
}

// refuse ends a connection whose dialler left before it came up there.
func (w *swarm) refuse(now time.Duration, index uint32) {
	e := &w.conns[index].ends[0]
	e.closed = true
	w.tellClosed(now, e)
}

// comeUp tells the engine of a connection.
func (e *end) comeUp(now time.Duration) {
	p := e.peer
	e.up = true
	e.stamp = p.swarm.kernel.seq
	e.conn.Owner = e
	p.conns = append(p.conns, e)
	p.addClass(e.latency)
	incoming := e == &p.swarm.conns[e.index].ends[1]
	addr := addrOf(e.other.peer.index, listenPort)
	if incoming {
		// The port of an incoming connection says nothing: any ephemeral one.
		addr = netip.AddrPortFrom(addr.Addr(), uint16(49152+e.index%16384))
	}
	p.engine.Receive(now, engine.Input{
		Kind: engine.InConnUp, Conn: &e.conn, Addr: addr, PeerID: e.other.peer.peerID,
		Fast: true, Extended: true, Incoming: incoming,
	})
	if !e.closed {
		p.engine.Receive(now, engine.Input{Kind: engine.InCredit, Conn: &e.conn, Length: sendCredit})
	}
}

// endOf returns the connection that the engine means, or nil if it is closed.
func endOf(c *engine.Conn) *end {
	if e := c.Owner.(*end); e.up {
		return e
	}
	return nil
}

// outgoing and incoming return p's end of a flow that it sends or receives on,
// or nil if that is closed.
func (w *swarm) outgoing(p *peer, id FlowID) *end {
	if e := w.byFlow[id]; e.peer == p && e.up {
		return e
	}
	return nil
}

func (w *swarm) incoming(p *peer, id FlowID) *end {
	if e := w.byFlow[id].other; e.peer == p && e.up {
		return e
	}
	return nil
}

// close closes a peer's end. The other learns of it as fast as a message
// travels.
func (w *swarm) close(now time.Duration, e *end) {
	if e.closed {
		return
	}
	e.goDown(now)
	w.tellClosed(now, e)
}

// tellClosed sends the news to the other end, unless that closed first and
// its news is on its way here.
func (w *swarm) tellClosed(now time.Duration, e *end) {
	if !e.other.closed {
		w.kernel.At(now+e.latency, Event{To: e.other.peer.id, Kind: eventClosed, A: e.index})
	}
}

// closedByOther is the end of a connection: both ends know.
func (w *swarm) closedByOther(now time.Duration, p *peer, index uint32) {
	c := w.conns[index]
	for i := range c.ends {
		if e := &c.ends[i]; e.peer == p && !e.closed {
			e.goDown(now)
		}
		w.kernel.Close(c.ends[i].out)
		w.byFlow[c.ends[i].out] = nil // nothing comes on it any more, and it would keep the engines' memory
	}
	w.conns[index] = nil
	w.free = append(w.free, index)
}

// goDown takes a connection from its peer and its engine.
func (e *end) goDown(now time.Duration) {
	p := e.peer
	e.closed = true
	if !e.up {
		return
	}
	e.up = false
	i := slices.Index(p.conns, e)
	p.conns = slices.Delete(p.conns, i, i+1)
	p.dropClass(e.latency)
	p.engine.Receive(now, engine.Input{Kind: engine.InConnDown, Conn: &e.conn})
}
