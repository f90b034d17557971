package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// partial is a piece that is being downloaded.
type partial struct {
	piece     int
	blocks    []block
	free      int  // blocks neither asked for nor here
	arrived   int  // blocks that are here
	hint      int  // no block before it is free
	users     int  // connections whose own piece it is
	pending   int  // requests for its blocks, those that were given up too
	alone     bool // only one peer may fetch it: it is on parole
	verifying bool // OutVerify was said
	failed    bool // it could not be stored
	gone      bool // dropped: requests that still point here count for nothing
	resident  int  // bytes of block memory it holds: asked for, or here and not spilled
	spilled   bool // part of it went to the store early

	givers []*Conn   // who brought its blocks, for blame
	few    [16]block // the memory of blocks, if it has room
}

// block is one block of a partial.
type block struct {
	arrived  bool
	taken    bool   // its slot was taken when it came from another peer: it is on its way
	requests uint8  // peers that it is asked of
	giver    uint16 // who brought it: an index into givers
}

// identity is what a ban holds on to: an address, and the peer id where the
// address stands for everybody on the machine.
type identity struct {
	ip     netip.Addr
	peerID metainfo.PeerID
}

// openPiece begins the download of a piece.
func (e *Engine) openPiece(piece int) *partial {
	n := e.geo.NumBlocks(piece)
	p := &partial{piece: piece, free: n}
	if n <= len(p.few) {
		p.blocks = p.few[:n]
	} else {
		p.blocks = make([]block, n)
	}
	e.partials = append(e.partials, p)
	e.picker.exclude(piece)
	e.out.push(Output{Kind: OutOpen, Piece: piece})
	return p
}

// closePiece ends the download of a piece, however it ended. Requests for its
// blocks that are still under way are cancelled.
func (e *Engine) closePiece(now time.Duration, p *partial) {
	p.gone = true
	for i := range e.partials {
		if e.partials[i] == p {
			e.partials = append(e.partials[:i], e.partials[i+1:]...)
			break
		}
	}
	e.disown(p)
	if p.pending > 0 {
		for _, c := range e.conns {
			e.cancelRequests(now, c, func(r request) bool { return r.p == p })
		}
	}
	e.unbuffer(now, p.resident)
	p.resident = 0
}

// disown takes the claims off a piece. They are mostly of peers that brought
// something of it.
func (e *Engine) disown(p *partial) {
	for i := 0; i < len(p.givers) && p.users > 0; i++ {
		p.disownedBy(p.givers[i])
	}
	for i := 0; i < len(e.conns) && p.users > 0; i++ {
		p.disownedBy(e.conns[i])
	}
}

func (p *partial) disownedBy(c *Conn) {
	if c.own == p {
		c.own = nil
		p.users--
	}
}

// leavePartial takes a connection's claim off the piece it draws from.
func (e *Engine) leavePartial(c *Conn) {
	if c.own != nil {
		c.own.users--
		c.own.alone = false
		c.own = nil
	}
}

// takeFree returns the next free block of p, which must have one, as asked for.
func (p *partial) takeFree() int {
	for p.blocks[p.hint].arrived || p.blocks[p.hint].requests > 0 {
		p.hint++
	}
	p.blocks[p.hint].requests++
	p.free--
	return p.hint
}

// release takes one request for a block back.
func (p *partial) release(index int) {
	b := &p.blocks[index]
	b.requests--
	b.taken = false
	if b.requests == 0 && !b.arrived {
		p.free++
		p.hint = min(p.hint, index)
	}
}

// give notes that a block is here and who brought it. wasFree says that its
// request had been given up, and that it came all the same.
func (p *partial) give(index int, c *Conn, wasFree bool) {
	b := &p.blocks[index]
	if wasFree {
		p.free--
	}
	b.arrived = true
	b.giver = p.giverOf(c)
	p.arrived++
}

// giverOf returns the index of a peer among the givers. A piece has few, and
// the last one is the likeliest.
func (p *partial) giverOf(c *Conn) uint16 {
	for i := len(p.givers) - 1; i >= 0; i-- {
		if p.givers[i] == c {
			return uint16(i)
		}
	}
	p.givers = append(p.givers, c)
	return uint16(len(p.givers) - 1)
}

// complete reports whether every block is here.
func (p *partial) complete() bool { return p.arrived == len(p.blocks) }

func (c *Conn) identity() identity { return identity{c.addr.Addr(), c.peerID} }

// machine is the identity that all connections from one machine share, so far as can be told.
func (c *Conn) machine() identity {
	if c.addr.Addr().IsLoopback() {
		return c.identity()
	}
	return identity{ip: c.addr.Addr()}
}
