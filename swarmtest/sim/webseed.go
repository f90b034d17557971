package sim

import (
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
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
	// BannedBy is how many peers ask it no more, because it lied.
	BannedBy int
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
	faults []*Fault // its own
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
		if s.fault(WebSeedDown, now) != nil {
			s.refuse(now, ev)
			return
		}
		dialler := ev.from()
		f := s.kernel.dialFlow(&s.host, dialler, s.swarm.latency(s.id, dialler))
		f.quiet = true
		f.loses(lossRate(s.swarm.loss(&Peer{}, s.swarm.peer(dialler).cfg), f.latency))
		s.kernel.establish(&s.host, f, ev.A)
		s.kernel.At(now+f.latency, Event{To: dialler, Kind: eventConnected, Flow: ev.A, A: f.number})
	case KindMessage:
		if busy := s.fault(WebSeedBusy, now); busy != nil {
			s.sayBusy(s.kernel.through, busy)
		} else {
			s.serve(s.kernel.through, ev)
		}
	case eventCrash:
		s.closeAll(now)
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

func (w *swarm) webSeedResults() []WebSeedResult {
	results := make([]WebSeedResult, len(w.servers))
	for i, s := range w.servers {
		traffic := w.world().Traffic(s.id)
		results[i] = WebSeedResult{
			Class: w.cfg.WebSeeds[i].Class, Up: traffic.BlocksUp - traffic.BlocksCut,
			MessagesUp: traffic.MessagesUp, MessagesDown: traffic.MessagesDown, Occupied: traffic.Occupied,
			BannedBy: w.webSeedBannedBy(s),
		}
	}
	return results
}
