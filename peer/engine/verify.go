package engine

import (
	"time"
)

// suspect is a piece that failed its hash, with the digest of each of its
// blocks and who brought it. When the piece comes whole, the blocks that
// differ tell who lied.
type suspect struct {
	piece   int
	digests [][20]byte
	givers  []*Conn
	who     []uint16 // by block: an index into givers
}

// verify hands a piece that is all here to the hasher.
func (e *Engine) verify(p *partial) {
	p.verifying = true
	e.out.push(Output{Kind: OutVerify, Piece: p.piece, Digests: e.suspectOf(p.piece) >= 0})
}

func (e *Engine) suspectOf(piece int) int {
	for i := range e.suspects {
		if e.suspects[i].piece == piece {
			return i
		}
	}
	return -1
}

// verifyingPartial returns the partial that a verdict is about, or nil.
func (e *Engine) verifyingPartial(piece int) *partial {
	for _, p := range e.partials {
		if p.piece == piece && p.verifying {
			return p
		}
	}
	return nil
}

// verified handles the verdict on a piece.
func (e *Engine) verified(now time.Duration, in *Input) {
	p := e.verifyingPartial(in.Piece)
	if p == nil {
		return // deselected meanwhile; the driver keeps what it stored
	}
	if in.OK {
		e.passed(now, p, in.Digests)
	} else {
		e.failed(now, p, in.Digests)
	}
}

// passed makes a verified piece ours.
func (e *Engine) passed(now time.Duration, p *partial, digests [][20]byte) {
	e.blame(p, digests)
	e.praise(p)
	e.closePiece(now, p)
	e.have.Add(p.piece)
	if e.have.Count() == allowedFastPieces+1 {
		e.forgetAllowed()
	}
	if e.missing.Remove(p.piece) {
		e.left -= int64(e.geo.PieceLen(p.piece))
		e.lostInterestIn(now, p.piece)
	}
	e.out.push(Output{Kind: OutHave, Piece: p.piece})
	e.lastHave = now
	e.checkCompleted(now)
}

// lostInterestIn counts a piece off at every peer that has it.
func (e *Engine) lostInterestIn(now time.Duration, piece int) {
	for _, c := range e.conns {
		if !c.has.Has(piece) || c.closing {
			continue
		}
		c.wanted--
		e.updateInterest(now, c)
	}
}

// checkCompleted says once that everything wanted is there.
func (e *Engine) checkCompleted(now time.Duration) {
	if e.missing.Count() > 0 || e.completed || e.have == nil {
		return
	}
	e.completed = true
	e.out.push(Output{Kind: OutCompleted})
	for _, c := range e.conns {
		e.closeIfUseless(c)
	}
	e.tellUploadOnly(now)
	e.rechoke(now)
}

// failed handles a piece that does not match its hash: it is fetched again.
// One giver is guilty; of several, the digests will tell which.
func (e *Engine) failed(now time.Duration, p *partial, digests [][20]byte) {
	e.hashFails++
	e.waste(e.geo.PieceLen(p.piece))
	e.downloaded -= int64(e.geo.PieceLen(p.piece))
	if len(p.givers) == 1 {
		e.ban(p.givers[0].identity(), "a piece that fails its hash")
	} else {
		e.suspect(p, digests)
	}
	e.closePiece(now, p)
	if e.wants(p.piece) {
		e.picker.admit(p.piece)
	}
	e.refill = true
}

// suspect remembers who brought which block of a failed piece, and puts them
// on parole: they get whole pieces alone until one passes.
func (e *Engine) suspect(p *partial, digests [][20]byte) {
	for _, c := range p.givers {
		if !c.live {
			continue
		}
		c.parole = true
		e.leavePartial(c)
		if c.strikes++; c.strikes >= maxStrikes {
			e.ban(c.identity(), "part in too many failed pieces")
		}
	}
	if e.suspectOf(p.piece) >= 0 || len(digests) != len(p.blocks) {
		return
	}
	s := suspect{piece: p.piece, digests: digests, givers: p.givers}
	for _, b := range p.blocks {
		s.who = append(s.who, b.giver)
	}
	if len(e.suspects) == maxSuspects {
		e.suspects = e.suspects[1:]
	}
	e.suspects = append(e.suspects, s)
}

// blame compares the blocks of a good piece with those of its bad version and
// bans who sent others.
func (e *Engine) blame(p *partial, digests [][20]byte) {
	at := e.suspectOf(p.piece)
	if at < 0 {
		return
	}
	s := e.suspects[at]
	e.suspects = append(e.suspects[:at], e.suspects[at+1:]...)
	if len(digests) != len(s.digests) {
		return
	}
	for i, d := range digests {
		// A zero digest is of a block that could not be read back from the
		// disk: no fault of who sent it.
		if d != s.digests[i] && d != ([20]byte{}) && s.digests[i] != ([20]byte{}) {
			e.ban(s.givers[s.who[i]].identity(), "a false block")
		}
	}
	for _, c := range s.givers { // the others are cleared
		c.parole = false
	}
}

// praise ends the parole of a peer that brought a whole good piece, and takes
// a strike off everybody who had a part.
func (e *Engine) praise(p *partial) {
	for _, c := range p.givers {
		if !c.live {
			continue
		}
		c.strikes = max(0, c.strikes-1)
		if len(p.givers) == 1 {
			c.parole = false
		}
	}
}

// storeFailed handles a piece that could not be stored: it stays in memory,
// and nothing more is asked for until the store is ready.
func (e *Engine) storeFailed(piece int) {
	e.stalled = true
	if p := e.verifyingPartial(piece); p != nil {
		p.failed = true
	}
}

// storeReady hands the pieces that could not be stored out once more.
func (e *Engine) storeReady() {
	e.stalled = false
	e.refill = true
	for _, p := range e.partials {
		if p.failed {
			p.failed = false
			e.verify(p)
		}
	}
}
