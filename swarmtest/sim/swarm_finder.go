package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/peer/engine"
)

// peerNode is the node of a peer's process, and what it has to find.
type peerNode struct {
	dhtNode
	ready   bool
	lives   uint32 // how often it was started
	last    node.LookupID
	finders []*finder // of the torrents that are there
	running int       // lookups of theirs
	waiting []*finder // for others to end
}

// maxLookups is how many lookups of a process run at a time, as in the client (dht.Config.MaxLookups). More wait.
const maxLookups = 64

// finder looks for the peers of one torrent and announces it, as the client
// does: once before the node has joined, unless there is nothing to look for, and
// by node.Rounds from then on.
type finder struct {
	node   *peerNode
	peer   *peer
	rounds node.Rounds
	busy   bool // a lookup runs, or waits
	early  bool // it is the one before the node has joined
	lookup node.LookupID
	found  int // peers, by it
}

// joinDHT starts the search for peers, and the node if it is the first torrent of its process.
func (p *peer) joinDHT(now time.Duration) {
	if p.swarm.cfg.DHT == nil {
		return
	}
	n := p.processNode()
	if p.dht == nil {
		p.dht = new(finder)
	}
	*p.dht = finder{node: n, peer: p}
	n.finders = append(n.finders, p.dht)
	if len(n.finders) == 1 {
		n.ready = false
		n.join(now, streamNode+n.lives<<8)
		n.lives++
	}
	switch {
	case n.ready:
		p.dht.announce(now)
	case !p.complete:
		p.dht.early = true
		p.dht.lookUp(now)
	}
}

// processNode is the node of the peer's process.
func (p *peer) processNode() *peerNode {
	if p.dht != nil {
		return p.dht.node
	}
	if all := p.publisher; all != nil && all.node != nil {
		return all.node
	}
	n := new(peerNode)
	n.init(p.swarm, p.host, n, p.cfg)
	if p.publisher != nil {
		p.publisher.node = n
	}
	return n
}

// leaveDHT ends the search, and the node with the last torrent. There is no goodbye.
func (p *peer) leaveDHT() {
	f := p.dht
	if f == nil || !slices.Contains(f.node.finders, f) {
		return
	}
	n := f.node
	same := func(other *finder) bool { return other == f }
	n.finders, n.waiting = slices.DeleteFunc(n.finders, same), slices.DeleteFunc(n.waiting, same)
	if len(n.finders) == 0 {
		n.driver.Stop()
		n.running = 0
	}
}

// meetNode tells the peer's node of another's (BEP 5's message "port").
func (p *peer) meetNode(now time.Duration, addr netip.AddrPort) {
	if p.dht != nil {
		p.dht.node.receive(now, node.Input{Kind: node.InNodes, Addrs: []netip.AddrPort{addr}})
	}
}

// hurryRound asks for a round soon: peers are needed, or this is a seed now.
func (p *peer) hurryRound(now time.Duration) {
	if f := p.dht; f != nil {
		f.rounds.Hurry()
		if f.node.ready && !f.busy {
			f.waitForRound(now)
		}
	}
}

// announce begins a round.
func (f *finder) announce(now time.Duration) {
	f.early = false
	f.rounds.Begin(now)
	f.lookUp(now)
}

// lookUp looks for the peers of the torrent, and announces it unless it is too early for that.
func (f *finder) lookUp(now time.Duration) {
	n := f.node
	f.busy, f.lookup, f.found = true, 0, 0
	if n.running == maxLookups {
		n.waiting = append(n.waiting, f)
		return
	}
	n.running++
	n.last++
	f.lookup = n.last
	n.receive(now, node.Input{Kind: node.InLookup, Lookup: f.lookup, Request: f.request()})
}

func (f *finder) request() *node.Request {
	p := f.peer
	req := &node.Request{Method: krpc.GetPeers, Target: krpc.ID(p.swarm.infoHash(p.content))}
	if f.early {
		return req
	}
	req.Store, req.Port, req.Seed = p.port() != 0, p.port(), p.complete
	req.NoSeed = p.complete // seeds have no use for each other
	return req
}

// heard is called with what the node puts out besides packets.
func (n *peerNode) heard(now time.Duration, out node.Output) {
	switch out.Kind {
	case node.OutReady:
		n.ready = true
		for _, f := range n.finders {
			if !f.busy {
				f.announce(now)
			}
		}
	case node.OutReply:
		if f := n.finder(out.Lookup); f != nil {
			f.found += len(out.Reply.Peers)
			f.peer.foundPeers(now, out.Reply.Peers, engine.SourceDHT)
			f.peer.drive(now)
		}
	case node.OutDone:
		n.done(now, out.Lookup)
	}
}

// finder returns whose lookup it is, nil if that torrent has left.
func (n *peerNode) finder(lookup node.LookupID) *finder {
	i := slices.IndexFunc(n.finders, func(f *finder) bool { return f.lookup == lookup })
	if i < 0 {
		return nil
	}
	return n.finders[i]
}

// done ends a lookup, and begins the next that waits.
func (n *peerNode) done(now time.Duration, lookup node.LookupID) {
	n.running--
	if f := n.finder(lookup); f != nil {
		f.done(now)
	}
	if len(n.waiting) > 0 && n.running < maxLookups {
		next := n.waiting[0]
		n.waiting = n.waiting[1:]
		next.lookUp(now)
	}
}

func (f *finder) done(now time.Duration) {
	f.busy, f.lookup = false, 0
	switch {
	case !f.early:
		f.rounds.End(f.found, f.node.random)
		f.waitForRound(now)
	case f.node.ready:
		f.announce(now)
	}
}

func (f *finder) waitForRound(now time.Duration) {
	f.peer.at(max(f.rounds.Due(), now), Event{Kind: eventRound, Sub: f.peer.life})
}

// round begins a round that is due. One that was asked for sooner may have been before.
func (f *finder) round(now time.Duration) {
	if f.node.ready && !f.busy && f.rounds.Due() <= now {
		f.announce(now)
	}
}
