package sim

import (
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// assembly knows which blocks of open pieces are filled, as that of the
// piecestore does, without their bytes: of two copies of a block only the first
// is claimed.
type assembly struct {
	geometry       metainfo.Geometry
	blocksPerPiece int
	isOpen         *bitfield.Set // of pieces
	isFilled       *bitfield.Set // of blocks
	isFalse        *bitfield.Set // of filled blocks; nil until there is one
}

func (a *assembly) init(g metainfo.Geometry) {
	a.geometry = g
	a.blocksPerPiece = (g.StdPieceLen() + metainfo.BlockLen - 1) / metainfo.BlockLen
	a.isOpen = bitfield.New(g.NumPieces())
	a.isFilled = bitfield.New(g.NumPieces() * a.blocksPerPiece)
}

func (a *assembly) block(piece, begin int) int {
	return piece*a.blocksPerPiece + begin/metainfo.BlockLen
}

// open makes all blocks of a piece free to be claimed.
func (a *assembly) open(piece int) {
	a.drop(piece)
	a.isOpen.Add(piece)
}

// drop ends the assembly of a piece.
func (a *assembly) drop(piece int) {
	a.isOpen.Remove(piece)
	for i := range a.geometry.NumBlocks(piece) {
		a.free(piece*a.blocksPerPiece + i)
	}
}

// claim fills a block and reports whether it was free.
func (a *assembly) claim(piece, begin int) bool {
	return a.isOpen.Has(piece) && a.isFilled.Add(a.block(piece, begin))
}

// discard frees a block again.
func (a *assembly) discard(piece, begin int) { a.free(a.block(piece, begin)) }

func (a *assembly) free(block int) {
	a.isFilled.Remove(block)
	if a.isFalse != nil {
		a.isFalse.Remove(block)
	}
}
