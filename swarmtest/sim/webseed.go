package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// WebSeed is an HTTP server with the whole content (BEP 19), which peers ask for
// ranges. It sends over the same links as everybody, to all who ask in turn.
type WebSeed struct {
	// Class is a word for the results: "origin", "edge".
	Class string
	// Link is its access link.
	Link Link
}

// WebSeedResult is what a web seed did, in bytes: blocks that it sent, and all
// else. Occupied is how long its uplink carried blocks.
type WebSeedResult struct {
	Class                        string
	Up, MessagesUp, MessagesDown int64
	Occupied                     time.Duration
}

// The lengths in bytes of the head of a request for a range, and of the response. Those of
// our client and of nginx are of this order.
const (
	requestHeadLen  = 300
	responseHeadLen = 350
)

// webServer is a web seed as an entity.
type webServer struct {
	host
	kernel *Kernel
	swarm  *swarm
}

// addWebSeed adds a server. Servers have the numbers behind those of the peers.
func (w *swarm) addWebSeed(index int) {
	s := &webServer{swarm: w}
	w.world().add(&s.host, s, w.cfg.WebSeeds[index].Link)
	s.kernel = w.world().kernelOf(s.id)
	w.servers = append(w.servers, s)
}

func (s *Swarm) validateWebSeeds() error {
	for i, server := range s.WebSeeds {
		if server.Link.Up < 0 || server.Link.Down < 0 {
			return fmt.Errorf("swarm: web seed %d: a link has a negative rate; 0 is unlimited", i)
		}
	}
	for i := range s.Peers {
		for _, n := range s.Peers[i].WebSeeds {
			if n < 0 || n >= len(s.WebSeeds) {
				return fmt.Errorf("swarm: peer %d: there is no web seed %d", i, n)
			}
		}
	}
	return nil
}

// Handle is called by the kernel.
func (s *webServer) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventDial:
		dialler := ev.from()
		f := s.kernel.dialFlow(&s.host, dialler, s.swarm.latency(s.id, dialler))
		f.quiet = true
		f.loses(lossRate(s.swarm.loss(&Peer{}, s.swarm.peer(dialler).cfg), f.latency))
		s.kernel.establish(&s.host, f, ev.A)
		s.kernel.At(now+f.latency, Event{To: dialler, Kind: eventConnected, Flow: ev.A, A: f.number})
	case KindMessage:
		s.serve(s.kernel.through, ev)
	case eventClosed:
		if f := s.flow(ev.Flow); f != nil {
			s.kernel.closeFlow(&s.host, f)
		}
	}
}

// serve answers a request for a range: C blocks from block B of piece A on.
func (s *webServer) serve(f *flow, ev Event) {
	s.kernel.charge(&s.host, responseHeadLen)
	geo := s.swarm.cfg.Geometry
	b := webBlock{piece: ev.A, index: ev.B}
	for range ev.C {
		n := geo.BlockLen(int(b.piece), int(b.index))
		s.kernel.send(&s.host, f, b.piece, b.index*metainfo.BlockLen, n)
		b = b.next(geo)
	}
}

// webBlock is a block that a web seed is asked for.
type webBlock struct{ piece, index uint32 }

// next is the block behind it in the torrent.
func (b webBlock) next(geo metainfo.Geometry) webBlock {
	if int(b.index)+1 < geo.NumBlocks(int(b.piece)) {
		return webBlock{b.piece, b.index + 1}
	}
	return webBlock{b.piece + 1, 0}
}

// webQueue is what a peer wants of a web seed: as in the client, a range at a time.
type webQueue struct {
	waiting  []webBlock
	underway int // blocks of the range that were not received yet
}

// dialWebSeeds connects to the peer's web seeds. They are up after a round trip.
func (p *peer) dialWebSeeds(now time.Duration) {
	for _, n := range p.cfg.WebSeeds {
		server := p.swarm.servers[n]
		f := p.kernel.dialFlow(p.host, server.id, p.swarm.latency(p.id, server.id))
		f.quiet, f.web = true, new(webQueue)
		p.webSeeds = append(p.webSeeds, f)
		p.kernel.At(now+f.latency, Event{To: server.id, Kind: eventDial, A: f.number})
	}
}

// webSeedUp tells the engine of a web seed.
func (p *peer) webSeedUp(now time.Duration, f *flow, remote uint32) {
	p.kernel.establish(p.host, f, remote)
	f.conn.Owner = f
	in := engine.Input{Kind: engine.InConnUp, Conn: &f.conn, WebSeed: true}
	in.PeerID[0], in.PeerID[1], in.PeerID[2] = byte(f.dst), byte(f.dst>>8), byte(f.dst>>16)
	p.engine.Receive(now, &in)
}

// askWebSeed queues a block, or takes it out again. What was asked for already comes all
// the same: HTTP has no word to take it back.
func (p *peer) askWebSeed(now time.Duration, f *flow, m wire.Message) {
	b := webBlock{m.Index, m.Begin / metainfo.BlockLen}
	if m.Type == wire.Request {
		f.web.waiting = append(f.web.waiting, b)
	} else if i := slices.Index(f.web.waiting, b); i >= 0 {
		f.web.waiting = slices.Delete(f.web.waiting, i, i+1)
		m.Type = wire.Reject
		p.engine.Receive(now, &engine.Input{Kind: engine.InMessage, Conn: &f.conn, Message: m})
	}
}

// askForRanges asks each web seed of which nothing is under way for the blocks that follow each
// other at the head of its queue.
func (p *peer) askForRanges() {
	for _, f := range p.webSeeds {
		if q := f.web; f.state == flowing && q.underway == 0 && len(q.waiting) > 0 {
			first, n := q.waiting[0], 1
			for n < len(q.waiting) && q.waiting[n] == q.waiting[n-1].next(p.swarm.cfg.Geometry) {
				n++
			}
			q.waiting = slices.Delete(q.waiting, 0, n)
			q.underway = n
			p.kernel.sendMessage(p.host, f, message{
				len: requestHeadLen, sub: uint8(wire.Request), a: first.piece, b: first.index, c: uint32(n),
			})
		}
	}
}

// gotFromWebSeed counts a block of a range.
func (p *peer) gotFromWebSeed(q *webQueue, numBytes uint32) {
	p.fromWebSeeds += int64(numBytes)
	q.underway--
}

func (w *swarm) webSeedResults() []WebSeedResult {
	results := make([]WebSeedResult, len(w.servers))
	for i, s := range w.servers {
		traffic := w.world().Traffic(s.id)
		results[i] = WebSeedResult{
			Class: w.cfg.WebSeeds[i].Class, Up: traffic.BlocksUp - traffic.BlocksCut,
			MessagesUp: traffic.MessagesUp, MessagesDown: traffic.MessagesDown, Occupied: traffic.Occupied,
		}
	}
	return results
}
