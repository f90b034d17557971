package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// request is a block that was asked of a peer.
type request struct {
	p     *partial
	block int32
	given bool // given up: others may fetch it, but it counts if it comes
	at    time.Duration
}

func (r request) len(geo metainfo.Geometry) int { return geo.BlockLen(r.p.piece, int(r.block)) }

// fill asks a peer for blocks until its window is full, or it has none to
// give, or the Grants say no. In the latter cases it notes that there is room.
func (e *Engine) fill(now time.Duration, c *Conn) {
	switch {
	case e.picker == nil || c.closing || c.wanted == 0:
	case e.stalled:
		e.unfilled = true
	case c.webSeed:
		e.unfilled = true
		e.fillWebSeed(now, c)
	default:
		e.fillPeer(now, c)
	}
}

func (e *Engine) fillPeer(now time.Duration, c *Conn) {
	for len(c.pending) < c.windowSize() {
		if e.downloadAt > now {
			e.unfilled = true
			return
		}
		p, index := e.nextBlock(now, c)
		if p == nil || !e.ask(now, c, p, index) {
			e.unfilled = true
			return
		}
	}
}

// windowSize is how many blocks a peer may be asked for now.
func (c *Conn) windowSize() int {
	if c.snubbed {
		return 1
	}
	return int(c.window.size)
}

// mayAsk reports whether c would take another request: its window has room,
// and it does not choke us or allows something all the same.
func (c *Conn) mayAsk() bool {
	return (!c.peerChoking || len(c.allowed()) > 0) && len(c.pending) < c.windowSize()
}

// ask asks c for a block that nextBlock marked as asked for. It takes the mark
// back and reports false if the Grants refuse.
func (e *Engine) ask(now time.Duration, c *Conn, p *partial, index int) bool {
	n := e.geo.BlockLen(p.piece, index)
	if !e.takeBuffer(now, p, index, n) {
		p.release(index)
		return false
	}
	if granted, again := e.cfg.Grants.Download(now, n); granted < n {
		p.release(index)
		e.returnBuffer(now, p, index, n)
		e.downloadAt = max(again, now+1)
		return false
	}
	c.pending = append(c.pending, request{p: p, block: int32(index), at: now})
	p.pending++
	e.send(now, c, e.blockMessage(wire.Request, p.piece, index))
	return true
}

// takeBuffer takes memory for a block, unless another request for the same
// block already has.
func (e *Engine) takeBuffer(now time.Duration, p *partial, index, n int) bool {
	if p.blocks[index].requests > 1 {
		return true
	}
	if !e.cfg.Grants.Buffer(now, n) {
		e.starved = true
		e.spill(now)
		return false
	}
	p.resident += n
	e.buffered += n
	return true
}

// returnBuffer gives a block's memory back when nobody is asked for it any
// more and it is not here.
func (e *Engine) returnBuffer(now time.Duration, p *partial, index, n int) {
	if b := p.blocks[index]; b.requests == 0 && !b.arrived && !p.gone {
		p.resident -= n
		e.unbuffer(now, n)
	}
}

func (e *Engine) unbuffer(now time.Duration, n int) {
	if n == 0 {
		return
	}
	e.buffered -= n
	e.cfg.Grants.Unbuffer(now, n)
	if e.starved {
		e.starved = false
		e.refill = true
	}
}

// spill moves the fullest unfinished piece out of memory, if memory is held
// up there rather than in blocks that are on their way: reading from sockets
// never waits for memory, but asking does.
func (e *Engine) spill(now time.Duration) {
	var fullest *partial
	held := 0
	for _, p := range e.partials {
		if p.verifying {
			held -= p.resident // it is about to be free
		}
		if p.verifying || p.arrived == 0 {
			continue
		}
		here := e.arrivedResident(p)
		held += here
		if here > 0 && (fullest == nil || here > e.arrivedResident(fullest)) {
			fullest = p
		}
	}
	if fullest == nil || held < e.buffered/2 {
		return
	}
	here := e.arrivedResident(fullest)
	fullest.resident -= here
	fullest.spilled = true
	e.out.push(Output{Kind: OutSpill, Piece: fullest.piece})
	e.unbuffer(now, here)
}

// arrivedResident is the bytes of a piece that are here and in memory: what it
// holds less what is on its way.
func (e *Engine) arrivedResident(p *partial) int {
	underway := 0
	for i, b := range p.blocks {
		if b.requests > 0 && !b.arrived {
			underway += e.geo.BlockLen(p.piece, i)
		}
	}
	return p.resident - underway
}

// blockMessage is a request, cancel or reject for a block.
func (e *Engine) blockMessage(kind wire.Type, piece, index int) wire.Message {
	return wire.Message{
		Type:  kind,
		Index: uint32(piece), Begin: uint32(index * metainfo.BlockLen),
		Length: uint32(e.geo.BlockLen(piece, index)),
	}
}

// nextBlock chooses the next block to ask of a peer and marks it as asked for:
// of the piece that the peer works on, or of one that it is to work on next.
func (e *Engine) nextBlock(now time.Duration, c *Conn) (*partial, int) {
	if c.own != nil && c.own.free > 0 && e.mayFetch(c, c.own.piece) {
		return c.own, c.own.takeFree()
	}
	if c.peerChoking && len(c.allowed()) == 0 {
		return nil, 0
	}
	p := e.nextPiece(c)
	if p == nil {
		return e.endgame(c)
	}
	e.leavePartial(c)
	c.own, c.ownSince = p, now
	p.users++
	p.alone = c.parole
	return p, p.takeFree()
}

// nextPiece chooses the piece that a peer is to work on. Pieces are finished
// before others are begun: after what only seeds have comes what was abandoned,
// then, unless the peer is quick enough for a whole piece, what others work on;
// then a new one.
func (e *Engine) nextPiece(c *Conn) *partial {
	if p := e.chooseScarce(c); p != nil {
		return p
	}
	if p := e.chooseStarted(c, true); p != nil {
		return p
	}
	if !c.parole && !e.deservesPiece(c) {
		if p := e.chooseStarted(c, false); p != nil {
			return p
		}
	}
	if p := e.chooseNew(c); p != nil {
		return p
	}
	if c.parole {
		return e.chooseUnproven(c)
	}
	return e.chooseStarted(c, false)
}

// mayFetch reports whether c lets us fetch a piece now: it has it, and does
// not choke us or allows it all the same.
func (e *Engine) mayFetch(c *Conn, piece int) bool {
	return c.has.Has(piece) && (!c.peerChoking || slices.Contains(c.allowed(), int32(piece)))
}

// deservesPiece reports whether c is fast enough to fetch a piece of its own.
// Short of memory, nobody is.
func (e *Engine) deservesPiece(c *Conn) bool {
	if e.starved || e.cfg.Order == Sequential {
		return false
	}
	return float64(c.window.bestRate)*wholePiece.Seconds() >= float64(e.geo.StdPieceLen())
}

// chooseScarce returns what only a seed can bring, if c is one and there is
// any: a piece in flight that nobody works on, or a new one, or, for a peer that
// is too slow for a whole piece, one that others work on. What a leecher has as
// well can wait for the leechers: a seed that sends a piece twice before it has
// sent them all holds up the whole swarm.
func (e *Engine) chooseScarce(c *Conn) *partial {
	if !c.seed || c.peerChoking || c.parole || e.cfg.Order != RarestFirst {
		return nil
	}
	var shared *partial
	for _, p := range e.partials {
		switch {
		case p.free == 0 || p.alone || e.picker.numCopies(p.piece) > 0:
		case p.users == 0:
			return p
		case shared == nil:
			shared = p
		}
	}
	if shared != nil && !e.deservesPiece(c) {
		return shared
	}
	if piece := e.picker.pickScarce(e.cfg.Rand); piece >= 0 {
		return e.openPiece(piece)
	}
	return shared
}

// chooseStarted returns the oldest piece in flight with a block that c can
// fetch: among those that nobody works on, or among all.
func (e *Engine) chooseStarted(c *Conn, abandoned bool) *partial {
	for _, p := range e.partials {
		if p.free == 0 || p.alone || abandoned && p.users > 0 || c.parole && p.arrived > 0 {
			continue
		}
		if e.mayFetch(c, p.piece) {
			return p
		}
	}
	return nil
}

// chooseUnproven returns a piece that others have left unfinished, for a peer
// on parole that may help with such.
func (e *Engine) chooseUnproven(c *Conn) *partial {
	if !e.nothingToProve() {
		return nil
	}
	for _, p := range e.partials {
		if p.users == 0 && p.free > 0 && e.mayFetch(c, p.piece) {
			return p
		}
	}
	return nil
}

// nothingToProve reports whether there is no piece with which a peer on parole
// could prove himself, and nobody who is about to: then all may help to finish
// what was begun, or nobody would if all are on parole.
func (e *Engine) nothingToProve() bool {
	return !e.picker.canGet() && !slices.ContainsFunc(e.partials, func(p *partial) bool { return p.alone })
}

// chooseNew opens the piece that the peer suggests or the picker picks.
func (e *Engine) chooseNew(c *Conn) *partial {
	if !e.picker.canPick() {
		return nil
	}
	piece := e.pickSuggested(c)
	if piece < 0 && c.peerChoking {
		piece = e.pickAllowed(c)
	} else if piece < 0 {
		piece = e.picker.pick(e.order(), &c.has, e.cfg.Rand)
	}
	if piece < 0 {
		return nil
	}
	return e.openPiece(piece)
}

// randomFirst is how many pieces are picked at random before the rarest come
// first: a newcomer needs something to trade soon, and a rare piece is slow.
const randomFirst = 4

// order is the rule for the next piece.
func (e *Engine) order() Order {
	if e.cfg.Order == RarestFirst && e.have.Count() < randomFirst {
		return Random
	}
	return e.cfg.Order
}

// pickAllowed picks one of the pieces that a choking peer lets us fetch.
func (e *Engine) pickAllowed(c *Conn) int {
	for _, piece := range c.allowed() {
		if e.picker.open.Has(int(piece)) && c.has.Has(int(piece)) {
			return int(piece)
		}
	}
	return -1
}

// endgame chooses a block that others were asked for already, once no wanted
// block is left that nobody was. BEP 3: "once requests for all pieces a given
// downloader doesn't have yet are currently pending, it sends requests for
// everything to everyone it's downloading from." A piece that no peer has does
// not hold it up. Here to a few at a time: the block that is asked of the
// fewest, and of those the first.
func (e *Engine) endgame(c *Conn) (*partial, int) {
	if e.cfg.NoEndgame || c.parole && !e.nothingToProve() || e.picker.canGet() {
		return nil, 0
	}
	var best *partial
	bestIndex, bestRequests := 0, uint8(maxDuplicates)
	for _, p := range e.partials {
		if p.verifying || p.alone || !e.mayFetch(c, p.piece) {
			continue
		}
		for i, b := range p.blocks {
			if !b.arrived && !b.taken && b.requests < bestRequests && !c.isAskedFor(p, i) {
				best, bestIndex, bestRequests = p, i, b.requests
			}
		}
	}
	if best == nil {
		return nil, 0
	}
	if bestRequests == 0 {
		best.free--
	}
	best.blocks[bestIndex].requests++
	return best, bestIndex
}

func (c *Conn) isAskedFor(p *partial, index int) bool {
	for _, r := range c.pending {
		if r.p == p && int(r.block) == index {
			return true
		}
	}
	return false
}

// block handles a block that arrived.
func (e *Engine) block(now time.Duration, c *Conn, in *Input) {
	c.lastHeard, c.lastBlock = now, now
	e.down.add(now, in.Length)
	c.down.add(now, in.Length)
	i := c.findPending(in.Piece, in.Begin, in.Length, e.geo)
	if i < 0 {
		e.unaskedBlock(c, in)
		return
	}
	r := c.takeOff(i)
	c.snubbed, c.unasked = false, 0
	if c.webSeed {
		c.window.size = e.webSeedWindow(c.down.rate(now))
	} else {
		c.window.arrived(now, r.at, in.Length, c.down.rate(now), int(c.reqQ))
	}
	e.arrived(now, c, r, in)
	e.fill(now, c)
}

// takeOff takes a request off the list.
func (c *Conn) takeOff(i int) request {
	r := c.pending[i]
	c.pending = slices.Delete(c.pending, i, i+1)
	r.p.pending--
	return r
}

// findPending returns the index of the request that a block answers, or -1.
// Blocks mostly come in the order in which they were asked for.
func (c *Conn) findPending(piece, begin, length int, geo metainfo.Geometry) int {
	return findRequest(c.pending, piece, begin, length, geo)
}

func findRequest(list []request, piece, begin, length int, geo metainfo.Geometry) int {
	if begin%metainfo.BlockLen != 0 {
		return -1
	}
	index := int32(begin / metainfo.BlockLen)
	for i, r := range list {
		if r.block == index && r.p.piece == piece {
			if geo.BlockLen(piece, int(index)) != length {
				return -1
			}
			return i
		}
	}
	return -1
}

// arrived makes a block count that c was asked for.
func (e *Engine) arrived(now time.Duration, c *Conn, r request, in *Input) {
	p, index := r.p, int(r.block)
	if !r.given && !p.gone {
		p.blocks[index].requests--
	}
	switch {
	case p.gone || p.blocks[index].arrived:
		e.waste(in.Length)
		if in.Claimed { // the assembly opened the piece again meanwhile
			e.discard(in)
		}
		return
	case !in.Claimed:
		// Its bytes are lost: the slot was taken by a block that will be
		// discarded, or by one that is on its way from another peer.
		e.waste(in.Length)
		p.blocks[index].taken = p.blocks[index].requests > 0
		if p.blocks[index].requests == 0 {
			p.reopen(index, r.given)
			e.refill = true
			if !r.given {
				e.returnBuffer(now, p, index, in.Length)
			}
		}
		return
	}
	wasFree := r.given && p.blocks[index].requests == 0
	if wasFree && !e.takeBuffer(now, p, index, in.Length) {
		// Its memory was given back when the request was given up, and others
		// have it now.
		e.waste(in.Length)
		e.discard(in)
		return
	}
	e.downloaded += int64(in.Length)
	c.downloaded += int64(in.Length)
	if c.webSeed {
		e.fromWebSeeds += int64(in.Length)
	}
	p.give(index, c, wasFree)
	if p.blocks[index].requests > 0 {
		e.cancelBlock(now, p, index)
	}
	if p.complete() {
		e.verify(p)
	}
}

// reopen makes a block free whose last request has just been taken off.
func (p *partial) reopen(index int, wasFree bool) {
	if !wasFree {
		p.free++
	}
	p.hint = min(p.hint, index)
}

// unaskedBlock handles a block that nobody asked c for. BEP 6: "if a peer
// receives a piece that was never requested, the peer MUST close the
// connection." A cancelled one may still come.
func (e *Engine) unaskedBlock(c *Conn, in *Input) {
	e.waste(in.Length)
	if in.Claimed {
		e.discard(in)
	}
	if c.takeCancelled(in.Piece, in.Begin, in.Length, e.geo) {
		return
	}
	if c.unasked++; c.fast || c.unasked > maxUnasked {
		e.close(c, "a block that was not asked for")
	}
}

func (e *Engine) waste(n int) { e.wasted += int64(n) }

func (e *Engine) discard(in *Input) {
	e.out.push(Output{Kind: OutDiscard, Piece: in.Piece, Begin: in.Begin})
}

// cancelBlock cancels the other requests for a block that has arrived.
func (e *Engine) cancelBlock(now time.Duration, p *partial, index int) {
	for _, c := range e.conns {
		e.cancelRequests(now, c, func(r request) bool { return r.p == p && int(r.block) == index })
	}
	p.blocks[index].requests = 0
}

// cancelRequests cancels those of c's requests that f picks.
func (e *Engine) cancelRequests(now time.Duration, c *Conn, f func(request) bool) {
	c.pending = slices.DeleteFunc(c.pending, func(r request) bool {
		if !f(r) {
			return false
		}
		r.p.pending--
		e.cancel(now, c, r)
		e.refill, e.unfilled = true, true
		return true
	})
}

// cancel tells c that a block is no longer wanted. By BEP 6 an answer follows
// all the same; without the Fast Extension a block may.
func (e *Engine) cancel(now time.Duration, c *Conn, r request) {
	if c.closing {
		return
	}
	e.send(now, c, e.blockMessage(wire.Cancel, r.p.piece, int(r.block)))
	if c.fast {
		c.awaitAnswer(r)
	}
}

// awaitAnswer remembers a request that is answered although it no longer
// counts. Of a peer that does not answer the oldest is forgotten.
func (c *Conn) awaitAnswer(r request) {
	s := c.seldomUsed()
	if len(s.cancelled) == maxQueued {
		s.cancelled = slices.Delete(s.cancelled, 0, 1)
	}
	s.cancelled = append(s.cancelled, r)
}

// takeCancelled reports whether an answer is to a request that no longer
// counts, which is answered by that.
func (c *Conn) takeCancelled(piece, begin, length int, geo metainfo.Geometry) bool {
	s := c.seldom
	if s == nil {
		return false
	}
	i := findRequest(s.cancelled, piece, begin, length, geo)
	if i < 0 {
		return false
	}
	s.cancelled = slices.Delete(s.cancelled, i, i+1)
	return true
}

// choked handles "choke". BEP 6: "Choke no longer implicitly rejects all
// pending requests"; without it, it does.
func (e *Engine) choked(now time.Duration, c *Conn) {
	if c.peerChoking {
		return
	}
	c.peerChoking = true
	if !c.fast {
		e.releaseAll(now, c)
	}
	e.leavePartial(c)
	c.window.restart(now)
	e.unfilled = e.unfilled || c.mayAsk()
}

// unchokedUs handles "unchoke".
func (e *Engine) unchokedUs(now time.Duration, c *Conn) {
	if !c.peerChoking {
		return
	}
	c.peerChoking = false
	c.snubbed = false
	c.lastBlock = now
	c.window.roundStart = now
	e.forgetGiven(c)
	e.fill(now, c)
}

// forgetGiven makes room in the window of a peer that choked us without
// rejecting what we had asked for and, after a minute, given up.
func (e *Engine) forgetGiven(c *Conn) {
	c.pending = slices.DeleteFunc(c.pending, func(r request) bool {
		if r.given {
			r.p.pending--
			c.awaitAnswer(r)
		}
		return r.given
	})
}

// releaseAll takes back every request to c.
func (e *Engine) releaseAll(now time.Duration, c *Conn) {
	for _, r := range c.pending {
		r.p.pending--
		e.releaseRequest(now, r)
	}
	c.pending = c.pending[:0]
}

// releaseRequest frees a block that c will not bring.
func (e *Engine) releaseRequest(now time.Duration, r request) {
	if r.p.gone || r.given {
		return
	}
	r.p.release(int(r.block))
	e.returnBuffer(now, r.p, int(r.block), r.len(e.geo))
	e.refill = true
}

// rejected handles "reject request". BEP 6: "If a peer receives a reject for a
// request that was never sent then the peer SHOULD close the connection."
func (e *Engine) rejected(now time.Duration, c *Conn, m wire.Message) {
	piece, begin, length := int(m.Index), int(m.Begin), int(m.Length)
	if i := c.findPending(piece, begin, length, e.geo); i >= 0 {
		r := c.takeOff(i)
		e.releaseRequest(now, r)
		e.disallow(c, piece)
		e.unfilled = e.unfilled || c.mayAsk()
		return
	}
	if !c.takeCancelled(piece, begin, length, e.geo) {
		e.close(c, "a reject of what was not asked for")
	}
}

// disallow forgets that a choking peer lets us have a piece, after it refused
// one of its blocks: asking again would go round in circles.
func (e *Engine) disallow(c *Conn, piece int) {
	if i := slices.Index(c.allowed(), int32(piece)); i >= 0 && c.peerChoking {
		c.seldom.allowed = slices.Delete(c.seldom.allowed, i, i+1)
	}
}

// checkParole ends the privilege of a peer on parole to fetch its piece alone
// when it takes too long: a slow liar must not hold the last piece back.
func (e *Engine) checkParole(now time.Duration, c *Conn) {
	if c.own != nil && c.own.alone && now-c.ownSince >= aloneFor {
		e.leavePartial(c)
		e.refill = true
	}
}

// checkSnub gives up the requests of a peer that sends nothing for a minute
// though it was asked: others may fetch the blocks. If they come after all,
// they count.
func (e *Engine) checkSnub(now time.Duration, c *Conn) {
	if len(c.pending) == 0 || now-max(c.lastBlock, c.pending[0].at) < snubAfter {
		return
	}
	c.snubbed = true
	for i := range c.pending {
		r := &c.pending[i]
		e.releaseRequest(now, *r)
		r.given = true
	}
	e.leavePartial(c)
}

// refillIdle lets the peers that could bring more look for blocks that have
// become free. They look in turn, beginning with another one each time, so
// that none has the first choice when a rate limit hands out bytes. Mostly all
// windows are full, and nobody needs to look.
func (e *Engine) refillIdle(now time.Duration) {
	n := len(e.conns)
	if !e.refill || !e.unfilled || n == 0 {
		e.refill = false
		return
	}
	e.refill, e.unfilled = false, false
	start := e.cfg.Rand.IntN(n)
	for i := range n {
		c := e.conns[(start+i)%n]
		if c.mayAsk() {
			e.fill(now, c)
		}
	}
}
