package engine

import (
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// setGeometry makes the pieces known. A zero geometry changes nothing.
func (e *Engine) setGeometry(geo metainfo.Geometry, have, want *bitfield.Set) error {
	if geo.IsZero() {
		return nil
	}
	n := geo.NumPieces()
	if have == nil {
		have = bitfield.New(n)
	}
	if want == nil {
		want = bitfield.NewFull(n)
	}
	if have.Len() != n || want.Len() != n {
		return fmt.Errorf("engine: Have of %d and Want of %d pieces for a torrent of %d", have.Len(), want.Len(), n)
	}
	e.geo, e.have, e.want = geo, have, want
	e.missing.Init(n, nil)
	e.picker = newPicker(n)
	for piece := range want.Members() {
		if !have.Has(piece) {
			e.picker.admit(piece)
			e.missing.Add(piece)
			e.left += int64(geo.PieceLen(piece))
		}
	}
	e.completed = e.missing.Count() == 0
	return nil
}

// learn handles the geometry of a torrent that began without: what the peers
// said of their pieces before counts now.
func (e *Engine) learn(now time.Duration, in *Input) {
	if e.picker != nil || e.setGeometry(in.Geometry, in.Have, in.Want) != nil || e.picker == nil {
		return
	}
	e.endFetch()
	if in.Private {
		e.becomePrivate()
	}
	e.reintroduce(now)
	for _, c := range e.conns {
		e.replay(now, c)
	}
	e.judgeWebSeeds(now)
	e.refill, e.unfilled = true, true
	e.rechoke(now)
	e.dial(now)
}

// replay takes in what a peer said before the geometry was known.
func (e *Engine) replay(now time.Duration, c *Conn) {
	var said early
	if c.seldom != nil {
		said, c.seldom.early = c.seldom.early, early{}
	}
	switch {
	case said.all:
		e.takeBitfield(now, c, wire.HaveAll, nil)
	case len(said.bitfield) > 0:
		e.takeBitfield(now, c, wire.Bitfield, said.bitfield)
	}
	for _, index := range said.haves {
		if c.closing {
			return
		}
		e.takeHave(now, c, index)
	}
	for _, piece := range c.allowed() {
		if int64(uint32(piece)) >= int64(e.geo.NumPieces()) {
			e.close(c, "allowed fast of a piece that does not exist")
			return
		}
	}
	if e.have.Count() > 0 {
		// They were told that we have nothing.
		for piece := range e.have.Members() {
			e.send(now, c, wire.Message{Type: wire.Have, Index: uint32(piece)})
		}
	}
}

// selectPieces handles a changed selection. Pieces in flight that are no
// longer wanted are dropped.
func (e *Engine) selectPieces(now time.Duration, want *bitfield.Set) {
	if e.picker == nil {
		return
	}
	if want == nil {
		want = bitfield.NewFull(e.geo.NumPieces())
	}
	if want.Len() != e.geo.NumPieces() {
		return
	}
	e.want = want
	e.dropUnwanted(now)
	e.recount()
	for _, c := range e.conns {
		if c.knowsHas() {
			c.wanted = e.countWanted(c)
			e.updateInterest(now, c)
		}
	}
	e.completed = e.completed && e.missing.Count() == 0
	e.checkCompleted(now)
	e.tellUploadOnly(now)
	e.judgeWebSeeds(now)
	e.refill, e.unfilled = true, true
}

// dropUnwanted ends the download of pieces that are not wanted any more. One
// that is being verified is let through: it is paid for.
func (e *Engine) dropUnwanted(now time.Duration) {
	for i := len(e.partials) - 1; i >= 0; i-- {
		if p := e.partials[i]; !e.want.Has(p.piece) && !p.verifying {
			e.closePiece(now, p)
			e.out.push(Output{Kind: OutDrop, Piece: p.piece})
		}
	}
}

// recount sets what can be picked and what is missing from want and have.
func (e *Engine) recount() {
	inFlight := make(map[int]bool, len(e.partials))
	for _, p := range e.partials {
		inFlight[p.piece] = true
	}
	e.left = 0
	for piece := range e.geo.NumPieces() {
		if !e.want.Has(piece) || e.have.Has(piece) {
			e.missing.Remove(piece)
			e.picker.exclude(piece)
			continue
		}
		e.missing.Add(piece)
		e.left += int64(e.geo.PieceLen(piece))
		if !inFlight[piece] {
			e.picker.admit(piece)
		}
	}
}
