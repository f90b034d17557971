package sim

import (
	"encoding/binary"
	"time"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
)

// spoil marks a block that was claimed as false.
func (a *assembly) spoil(piece, begin int) {
	if a.isFalse == nil {
		a.isFalse = bitfield.New(a.isFree.Len())
	}
	a.isFalse.Add(a.block(piece, begin))
}

// matches reports whether a piece has no false block.
func (a *assembly) matches(piece int) bool {
	if a.isFalse == nil {
		return true
	}
	for i := range a.geometry.NumBlocks(piece) {
		if a.isFalse.Has(piece*a.blocksPerPiece + i) {
			return false
		}
	}
	return true
}

// digests stand for the SHA-1 of each block of a piece: a false block has another one than a
// good one.
func (a *assembly) digests(piece int) [][20]byte {
	all := make([][20]byte, a.geometry.NumBlocks(piece))
	for i := range all {
		block := piece*a.blocksPerPiece + i
		binary.BigEndian.PutUint64(all[i][:], uint64(block)+1) // an all-zero digest means "not read"
		if a.isFalse != nil && a.isFalse.Has(block) {
			all[i][len(all[i])-1] = 1
		}
	}
	return all
}

// The bits in B of an eventVerified.
const wantsDigests = 1

// verify hashes a piece.
func (p *peer) verify(now time.Duration, out *engine.Output) {
	want := uint32(0)
	if out.Digests {
		want = wantsDigests
	}
	if delay := p.swarm.cfg.HashDelay; delay > 0 {
		p.at(now+delay, Event{Kind: eventVerified, Sub: p.life, A: uint32(out.Piece), B: want})
		return
	}
	p.verified(now, out.Piece, out.Digests)
}

// verified stores a piece that matches, and forgets one that does not.
func (p *peer) verified(now time.Duration, piece int, digests bool) {
	in := engine.Input{Kind: engine.InVerified, Piece: piece, OK: p.assembly.matches(piece)}
	if digests || !in.OK {
		in.Digests = p.assembly.digests(piece)
	}
	p.assembly.drop(piece)
	if in.OK {
		if p.firstPiece == 0 {
			p.firstPiece = now
		}
		p.has.Add(piece)
		p.kernel.Progress()
	}
	p.engine.Receive(now, &in)
}
