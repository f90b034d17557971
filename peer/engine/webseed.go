package engine

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// A web seed (BEP 19) is an HTTP server with the torrent's files: "The HTTP/FTP
// server acts as a permanently unchoked seed." To the engine it is a connection that has
// everything, never chokes, and wants nothing. It is asked with requests like a
// peer, but in long runs, of which the driver makes a range each; a cancel or
// nothing else is sent to it. It is no peer: it takes no place of one, nobody hears of it, and
// it gets and takes no slot.
//
// Somebody pays for what it sends, by the gigabyte, while what peers send costs
// nobody anything. So it helps where peers do not: see judgeWebSeeds.
type webSeeds struct {
	count int           // among Engine.conns
	at    time.Duration // when to judge again, 0 for never
	help  bool          // peers bring too little: ask for anything
}

const (
	// judgeWebSeedsEvery is how often it is looked whether peers bring enough. Arbitrary: a
	// user does not notice a second, and a meter remembers five.
	judgeWebSeedsEvery = time.Second

	// quietAfter is when a peer that brings nothing is held to do so: its meter fades so slowly that
	// it says for a minute that there is something. Arbitrary: the meter's time constant.
	quietAfter = 5 * time.Second

	// DefaultWebSeedBelow is the rate in bytes/s that peers must bring for web
	// seeds to be left alone. Arbitrary: 1 MiB/s is a film at full quality.
	DefaultWebSeedBelow = 1 << 20

	// webSeedAhead is for how long a web seed is asked ahead. A range is half of
	// that: BEP 19 warns of servers whose administrators see "100's of connections in their
	// log from the same IP".
	webSeedAhead = 4 * time.Second

	// webSeedOverdue is how long a block may take at the end until a web seed is asked
	// for it, too. Arbitrary: a peer that is of use sends several blocks in this time.
	webSeedOverdue = 5 * time.Second

	// firstWebSeedWindow and maxWebSeedWindow bound what a web seed is asked for at a
	// time, in blocks: 256 KiB at first, 8 MiB later, which is a quarter of the client's block
	// memory.
	firstWebSeedWindow = 16
	maxWebSeedWindow   = 512

	// maxWebSeeds bounds the web seeds that are connected at a time. Arbitrary.
	maxWebSeeds = 16
)

// webSeedUp takes a web seed in, or closes it at once.
func (e *Engine) webSeedUp(now time.Duration, c *Conn) {
	switch {
	case e.bans.has(c):
		e.out.push(Output{Kind: OutClose, Conn: c, Reason: "banned"})
		return
	case e.webSeeds.count >= maxWebSeeds:
		e.out.push(Output{Kind: OutClose, Conn: c, Reason: "too many web seeds"})
		return
	}
	c.live, c.told, c.peerChoking, c.fast = true, true, false, true
	c.window.size = firstWebSeedWindow
	e.conns = append(e.conns, c)
	e.webSeeds.count++
	if e.picker == nil {
		c.seldomUsed().early.all = true
		return
	}
	e.takeBitfield(now, c, wire.HaveAll, nil)
	e.judgeWebSeeds(now)
}

// numPeers is the number of connections to peers.
func (e *Engine) numPeers() int { return len(e.conns) - e.webSeeds.count }

// judgeWebSeeds decides whether web seeds may be asked for anything: when peers
// together bring less than Config.WebSeedBelow, or have nothing that is missing. Otherwise they
// are asked only for what no peer has, and only by who cannot get anything else.
func (e *Engine) judgeWebSeeds(now time.Duration) {
	w := &e.webSeeds
	w.at = 0
	if w.count == 0 || !e.lacking() {
		return
	}
	w.at = now + judgeWebSeedsEvery
	rate := 0
	canBring := false
	for _, c := range e.conns {
		if !c.webSeed && !c.closing {
			if now-c.lastBlock < quietAfter {
				rate += c.down.rate(now)
			}
			canBring = canBring || c.wanted > 0
		}
	}
	w.help = !canBring || rate < max(e.cfg.WebSeedBelow, 1)
	for _, c := range e.conns {
		if c.webSeed && c.mayAsk() {
			e.fill(now, c)
		}
	}
}

// mayBring reports whether a web seed may be asked for a piece now.
func (e *Engine) mayBring(piece int) bool {
	return e.webSeeds.help || !e.peersHave(piece)
}

// peersHave reports whether any connected peer has a piece.
func (e *Engine) peersHave(piece int) bool {
	return e.picker.seeds > e.webSeeds.count || e.picker.numCopies(piece) > 0
}

// peersHaveMore reports whether there is a piece to begin that a peer has.
func (e *Engine) peersHaveMore() bool {
	p := e.picker
	p.catchUp()
	return p.canPick() && (p.seeds > e.webSeeds.count || len(p.edges) > 2 && int(p.edges[2]) < len(p.order))
}

// fillWebSeed asks a web seed for a run of blocks when half of what it was
// asked for is here. So a driver that makes one range of the blocks that follow each other
// has few and long ones.
func (e *Engine) fillWebSeed(now time.Duration, c *Conn) {
	if 2*len(c.pending) > c.windowSize() || !e.webSeeds.help && e.peersHaveMore() {
		return
	}
	for len(c.pending) < c.windowSize() && e.downloadAt <= now {
		p, index := e.nextOfRun(now, c)
		if p == nil || !e.ask(now, c, p, index) {
			return
		}
	}
}

// nextOfRun chooses the next block for a web seed, and marks it as asked for:
// of the piece it is in, of the piece behind, or where a new run is to begin.
func (e *Engine) nextOfRun(now time.Duration, c *Conn) (*partial, int) {
	if c.own != nil && c.own.free > 0 {
		return c.own, c.own.takeFree()
	}
	if c.parole && len(c.pending) > 0 {
		return nil, 0 // a piece at a time
	}
	p := e.nextOfGap(c)
	if p == nil {
		p = e.nextRun(c)
	}
	if p == nil {
		if !e.webSeeds.help {
			return nil, 0
		}
		return e.overdue(now, c)
	}
	e.leavePartial(c)
	c.own, c.ownSince, c.nextOfGap = p, now, int32(p.piece+1)
	p.users++
	p.alone = c.parole
	return p, p.takeFree()
}

// nextOfGap opens the piece behind the one that a web seed is in, if it is of
// the same gap, and none is rarer. BEP 19: "This allows a HTTP/FTP connection to start at the
// beginning of a large gap and download the most data before it gets to a piece
// the client already has."
func (e *Engine) nextOfGap(c *Conn) *partial {
	piece := int(c.nextOfGap)
	if piece == 0 || piece == e.geo.NumPieces() || !e.picker.open.Has(piece) || !e.mayBring(piece) {
		return nil
	}
	if e.cfg.Order == RarestFirst && e.picker.numCopies(piece) > e.picker.fewestCopies() {
		return nil
	}
	return e.openPiece(piece)
}

// nextRun chooses where a web seed goes on when a gap is at its end: with a
// piece that somebody left unfinished, or with the rarest. BEP 19 has the first run begin "somewhere
// randomly in the file", so that what it brings is of use to other peers, and later ones in the
// biggest gap. When there are peers the rarest is of more use than a long run, and when there are
// none all are as rare as each other.
func (e *Engine) nextRun(c *Conn) *partial {
	for _, p := range e.partials {
		if p.free > 0 && !p.alone && p.users == 0 && e.mayBring(p.piece) && !(c.parole && p.arrived > 0) {
			return p
		}
	}
	order := RarestFirst
	if e.cfg.Order == Sequential {
		order = Sequential
	}
	piece := e.picker.pick(order, &c.has, e.cfg.Rand)
	if piece >= 0 && e.mayBring(piece) {
		return e.openPiece(piece)
	}
	if c.parole {
		return e.chooseUnproven(c)
	}
	if e.webSeeds.help {
		return e.chooseStarted(c, false)
	}
	return nil
}

// overdue is the endgame of a web seed: when nothing is left to begin, it chooses
// the block that was asked of somebody else the longest time ago, if that is long
// enough. What is on its way is not paid for twice.
func (e *Engine) overdue(now time.Duration, c *Conn) (*partial, int) {
	if e.cfg.NoEndgame || c.parole && !e.nothingToProve() || e.picker.canGet() {
		return nil, 0
	}
	var oldest *request
	for _, other := range e.conns {
		for i := range other.pending {
			r := &other.pending[i]
			if e.isOverdue(now, r) && (oldest == nil || r.at < oldest.at) && !c.isAskedFor(r.p, int(r.block)) {
				oldest = r
			}
		}
	}
	if oldest == nil {
		return nil, 0
	}
	oldest.p.blocks[oldest.block].requests++
	return oldest.p, int(oldest.block)
}

func (e *Engine) isOverdue(now time.Duration, r *request) bool {
	b := &r.p.blocks[r.block]
	return !r.given && now-r.at >= webSeedOverdue && !r.p.alone && !r.p.verifying &&
		!b.arrived && !b.taken && b.requests < maxDuplicates
}

// webSeedWindow is how many blocks a web seed is asked for that brings rate
// bytes/s. While peers bring enough, it is a piece.
func (e *Engine) webSeedWindow(rate int) int32 {
	pieceBlocks := (e.geo.StdPieceLen() + metainfo.BlockLen - 1) / metainfo.BlockLen
	least := min(max(pieceBlocks, firstWebSeedWindow), maxWebSeedWindow)
	if !e.webSeeds.help {
		return int32(least)
	}
	ahead := float64(rate) * webSeedAhead.Seconds() / metainfo.BlockLen
	return int32(max(float64(least), min(ahead, maxWebSeedWindow)))
}
