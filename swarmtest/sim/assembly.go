package sim

import (
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// assembly knows which blocks of open pieces are free, as that of the
// piecestore does, without their bytes: of two copies of a block only the first
// is claimed.
type assembly struct {
	geometry       metainfo.Geometry
	blocksPerPiece int
	isFree         bitfield.Set  // of blocks; those of pieces that are not open are not
	isFalse        *bitfield.Set // of filled blocks; nil until there is one
}

func (a *assembly) init(g metainfo.Geometry) {
	a.geometry = g
	a.blocksPerPiece = (g.StdPieceLen() + metainfo.BlockLen - 1) / metainfo.BlockLen
	a.isFree.Init(g.NumPieces()*a.blocksPerPiece, nil)
	a.isFalse = nil
}

func (a *assembly) block(piece, begin int) int {
	return piece*a.blocksPerPiece + begin/metainfo.BlockLen
}

// open makes all blocks of a piece free to be claimed.
func (a *assembly) open(piece int) {
	for i := range a.geometry.NumBlocks(piece) {
		a.free(piece*a.blocksPerPiece + i)
	}
}

// drop ends the assembly of a piece.
func (a *assembly) drop(piece int) {
	for i := range a.geometry.NumBlocks(piece) {
		block := piece*a.blocksPerPiece + i
		a.isFree.Remove(block)
		if a.isFalse != nil {
			a.isFalse.Remove(block)
		}
	}
}

// claim fills a block and reports whether it was free.
func (a *assembly) claim(piece, begin int) bool { return a.isFree.Remove(a.block(piece, begin)) }

// discard frees a block again.
func (a *assembly) discard(piece, begin int) { a.free(a.block(piece, begin)) }

func (a *assembly) free(block int) {
	a.isFree.Add(block)
	if a.isFalse != nil {
		a.isFalse.Remove(block)
	}
}

// touch is for peer.touch: it looks at what claim will need.
func (a *assembly) touch(piece, begin int) (nothing uint64) {
	if a.isFree.Has(a.block(piece, begin)) {
		nothing++
	}
	return nothing
}
