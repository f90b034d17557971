package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// A connection is a flow at each of its two ends.

// flowOf is the flow that the engine means. It may be closed.
func flowOf(c *engine.Conn) *flow { return c.Owner.(*flow) }

// dial sends a dial on its way. The connection is up at the other peer after
// the two halves of TCP's handshake, a round trip, and the dialler's BitTorrent
// handshake, half of one; and at the dialler when the answer is back.
func (p *peer) dial(now time.Duration, addr netip.AddrPort) {
	to := p.swarm.peerAt(addr)
	if to == nil || to == p || to.cfg.Unreachable {
		failed := p.dialFailedTo(p.id, addr, 0)
		failed.Sub = p.life
		p.kernel.At(now+dialTimeout, failed)
		return
	}
	f := p.dialFlow(to.id)
	p.knowOther(f, to.cfg)
	p.kernel.At(now+3*f.latency, Event{To: to.id, Kind: eventDial, A: f.number, C: p.content})
}

// dialFlow makes the peer's end of a connection.
func (p *peer) dialFlow(dst ID) *flow {
	f := p.kernel.dialFlow(p.host, dst, p.swarm.latency(p.id, dst))
	f.content = uint16(p.content)
	return f
}

// knowOther notes what it means to be connected with a peer.
func (p *peer) knowOther(f *flow, other *Peer) {
	f.toSeed, f.toCorrupt, f.foreign = other.Seed, other.Corrupt, other.ISP != p.cfg.ISP
	f.loses(lossRate(p.swarm.loss(p.cfg, other), f.latency))
}

// dialFailedTo is the event that tells a dialler that nobody answered. Flow is that of the dial,
// 0 for none.
func (p *peer) dialFailedTo(dialler ID, addr netip.AddrPort, flow uint32) Event {
	ip, port := packAddr(addr)
	return Event{To: dialler, Kind: eventDialFailed, Flow: flow, A: ip, B: port, C: p.content}
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

// accept takes a connection up at the peer that was dialled.
func (p *peer) accept(now time.Duration, dialler ID, number uint32) {
	f := p.dialFlow(dialler)
	p.knowOther(f, p.swarm.peer(dialler).cfg)
	p.kernel.At(now+f.latency, Event{To: dialler, Kind: eventConnected, Flow: number, A: f.number})
	p.comeUp(now, f, number, true)
}

// dropDial forgets the flow of a dial that failed, if it had one.
func (p *peer) dropDial(number uint32) {
	if f := p.flow(number); f != nil {
		p.kernel.closeFlow(p.host, f)
	}
}

// notThere answers a dial to a peer that has not joined or is gone.
func (p *peer) notThere(now time.Duration, dialler ID, number uint32) {
	p.kernel.At(now+dialTimeout, p.dialFailedTo(dialler, addrOf(p.index, listenPort), number))
}

// dialFailed tells the engine, unless it was another life's dial.
func (p *peer) dialFailed(now time.Duration, ev Event) {
	if ev.Flow == 0 && ev.Sub != p.life || ev.Flow != 0 && p.flow(ev.Flow) == nil {
		return
	}
	f := p.flow(ev.Flow)
	p.dropDial(ev.Flow)
	if f != nil && f.web != nil {
		p.webSeedFailed(now, f.web)
		return
	}
	p.engine.Receive(now, &engine.Input{Kind: engine.InDialFailed, Addr: unpackAddr(ev.A, ev.B)})
}

// connected takes a connection up at the dialler. A dialler that left meanwhile ends it, and so does one
// that crashed and is back; as long as it is away nobody answers.
func (p *peer) connected(now time.Duration, ev Event) {
	f, remote := p.flow(ev.Flow), ev.A
	switch {
	case p.crashed() || f == nil && p.gone:
		p.severed = append(p.severed, severed{ev.from(), remote, p.swarm.latency(p.id, ev.from())})
		return
	case f == nil:
		p.reset(now, severed{ev.from(), remote, p.swarm.latency(p.id, ev.from())})
		return
	case p.present() && p.partedFrom(now, f.dst):
		p.noAnswer(now, f, ev)
		return
	}
	if !p.present() {
		p.kernel.At(now+f.latency, Event{To: f.dst, Kind: eventClosed, Flow: remote})
		p.kernel.closeFlow(p.host, f)
		return
	}
	if f.web != nil {
		p.webSeedUp(now, f, remote)
		return
	}
	p.comeUp(now, f, remote, false)
}

// comeUp tells the engine of a connection.
func (p *peer) comeUp(now time.Duration, f *flow, remote uint32, incoming bool) {
	p.kernel.establish(p.host, f, remote)
	if p.firstPeer == 0 {
		p.firstPeer = now
	}
	other := p.swarm.peer(f.dst)
	addr := addrOf(other.index, listenPort)
	if incoming {
		// The port of an incoming connection says nothing: any ephemeral one.
		addr = netip.AddrPortFrom(addr.Addr(), uint16(49152+remote%16384))
	}
	f.conn.Owner = f
	hello := wire.NewHandshake(p.swarm.infoHash(p.content), other.peerID)
	if other.swarm.cfg.DHT != nil {
		hello = hello.WithDHT()
	}
	if p.swarm.cfg.Wire {
		hello = handshakeOverWire(hello)
	}
	p.engine.Receive(now, &engine.Input{
		Kind: engine.InConnUp, Conn: &f.conn, Addr: addr, PeerID: hello.PeerID,
		Fast: hello.Fast(), Extended: hello.Extended(), DHT: hello.DHT(), Incoming: incoming,
	})
	if f.state == flowing {
		p.engine.Receive(now, &engine.Input{Kind: engine.InCredit, Conn: &f.conn, Length: sendCredit})
	}
}

// close closes a peer's end of a connection. The other learns of it as fast as
// a message travels.
func (p *peer) close(now time.Duration, f *flow) {
	p.kernel.At(now+f.latency, Event{To: f.dst, Kind: eventClosed, Flow: f.remote})
	p.goDown(now, f)
}

// closedByOther ends a connection that the other peer has closed.
func (p *peer) closedByOther(now time.Duration, ev Event) {
	f := p.flow(ev.Flow)
	switch {
	case f == nil:
	case p.partedFrom(now, f.dst):
		if at := p.kernel.whole(f.dst, p.id, now); at < never {
			p.kernel.At(at, ev)
		}
	default:
		p.goDown(now, f)
		if f.web != nil {
			p.webSeedFailed(now, f.web)
		}
	}
}

// goDown takes a connection from the peer and its engine.
func (p *peer) goDown(now time.Duration, f *flow) {
	p.kernel.closeFlow(p.host, f)
	if f.web != nil {
		f.web.down()
	}
	p.engine.Receive(now, &engine.Input{Kind: engine.InConnDown, Conn: &f.conn})
}
