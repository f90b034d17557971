package dht

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/node"
)

// loop is the goroutine that owns the node, and what it owns besides.
type loop struct {
	s        *Server
	node     *node.Node
	external netip.Addr
	isReady  bool
	timer    *time.Timer
	wakeAt   time.Duration // when the timer fires; 0 when it has

	lookups map[node.LookupID]*walker
	queries map[node.LookupID]chan<- *node.Answer
	lastID  node.LookupID

	in, out Traffic
	dropped DroppedPackets
}

// init makes the node and lets it start from what was saved.
func (l *loop) init(s *Server, saved state) {
	*l = loop{
		s: s, node: s.newNode(saved), external: saved.external, timer: time.NewTimer(0),
		lookups: map[node.LookupID]*walker{}, queries: map[node.LookupID]chan<- *node.Answer{},
	}
	if len(saved.nodes) > 0 {
		l.receive(0, node.Input{Kind: node.InSaved, Nodes: saved.nodes})
	}
}

// run drives the node until the Server closes.
func (l *loop) run() {
	defer l.timer.Stop()
	for {
		l.flush()
		l.setTimer()
		select {
		case a := <-l.s.arrived:
			l.handle(a)
		case call := <-l.s.calls:
			call(l.now())
		case <-l.timer.C:
			l.wakeAt = 0
			l.node.Advance(l.now())
			l.carryOut()
		case <-l.s.life.Done():
			return
		}
	}
}

func (l *loop) now() time.Duration { return time.Since(l.s.start) }

// setTimer sees to it that the timer fires when the node wants to be woken.
func (l *loop) setTimer() {
	if at, ok := l.node.NextTimeout(); ok && at != l.wakeAt {
		l.wakeAt = at
		l.timer.Reset(at - l.now())
	}
}

// handle gives the packets of a batch to the node, and the batch back to its
// reader.
func (l *loop) handle(a arrival) {
	now, b := l.now(), a.batch
	l.dropped.ReadFailures += b.failures
	for i := range b.num {
		l.in.add(1, b.lens[i])
		if b.lens[i] > maxPacketLen {
			l.dropped.TooLong++
			continue
		}
		l.receive(now, node.Input{Kind: node.InPacket, Addr: b.addrs[i], Packet: b.packet(i)})
	}
	a.from.free <- b // has room for all of its batches
}

// receive gives the node an input and does what it wants done.
func (l *loop) receive(now time.Duration, in node.Input) {
	l.node.Receive(now, in)
	l.carryOut()
}

// carryOut does what the node wants done.
func (l *loop) carryOut() {
	for out, ok := l.node.Next(); ok; out, ok = l.node.Next() {
		switch out.Kind {
		case node.OutPacket:
			l.send(out.Addr, out.Packet)
		case node.OutReply:
			l.lookups[out.Lookup].reply(out.Addr, out.Reply)
		case node.OutDone:
			l.lookups[out.Lookup].finish(out.Result)
			delete(l.lookups, out.Lookup)
		case node.OutAnswer:
			l.answer(out.Lookup, out.Answer)
		case node.OutReady:
			l.becomeReady()
		case node.OutIdentity:
			l.identify(out.Addr.Addr())
		}
	}
}

// send puts a packet into the batch of its socket, which flush sends.
func (l *loop) send(to netip.AddrPort, packet []byte) {
	for _, e := range l.s.endpoints {
		if e.is6 != to.Addr().Is6() {
			continue
		}
		if e.out.full() {
			l.flushEndpoint(e)
		}
		e.out.add(to, packet)
		l.out.add(1, len(packet))
	}
}

// flush sends what waits.
func (l *loop) flush() {
	for _, e := range l.s.endpoints {
		if e.out.num > 0 {
			l.flushEndpoint(e)
		}
	}
}

func (l *loop) flushEndpoint(e *endpoint) {
	l.dropped.SendFailed += uint64(e.write(e.out))
	e.out.num = 0
}

func (l *loop) becomeReady() {
	l.isReady = true
	close(l.s.ready)
	num4, num6 := l.node.NumNodes()
	l.s.cfg.Logger.Info("the DHT node has joined", "ipv4 nodes", num4, "ipv6 nodes", num6)
}

// identify notes our address as others see it, which is worth saving: an id
// that fits it costs the votes of eight networks.
func (l *loop) identify(external netip.Addr) {
	l.external = external
	l.s.cfg.Logger.Info("the DHT node knows its external address", "address", external, "id", l.node.ID())
	l.s.requestSave()
}

// newID returns a name for a lookup or a query that no other has.
func (l *loop) newID() node.LookupID {
	for {
		l.lastID = l.lastID%maxID + 1
		if l.lookups[l.lastID] == nil && l.queries[l.lastID] == nil {
			return l.lastID
		}
	}
}

// maxID is the highest LookupID that is not the node's own.
const maxID = 1<<32 - 3
