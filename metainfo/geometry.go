package metainfo

import "fmt"

// BlockLen is the length in bytes of every block but the last of a piece.
// BEP 3: "All current implementations use 2^14 (16 kiB), and close
// connections which request an amount greater than that."
const BlockLen = 16 << 10

// MaxPieces bounds the pieces of a torrent: 2^21 is the largest number seen
// in the wild (lessons of other clients), and doubled it is still only a
// 512 KiB bitfield.
const MaxPieces = 4 << 20

// MaxPieceLen bounds the length of a piece in bytes: 1 GiB. The largest in
// the wild is just under 512 MiB.
const MaxPieceLen = 1 << 30

// Geometry says how the bytes of a torrent are cut: into pieces of pieceLen
// bytes, the last one shorter, and each piece into blocks of BlockLen bytes,
// the last one shorter. It is a small comparable value; the zero Geometry has
// no pieces and means "not known yet" (a magnet link before its metadata).
type Geometry struct {
	totalLen int64
	pieceLen int32
	pieces   int32
}

// NewGeometry returns the geometry of totalLen bytes in pieces of pieceLen
// bytes. It fails if there is nothing to cut or a bound is passed.
func NewGeometry(totalLen, pieceLen int64) (Geometry, error) {
	switch {
	case totalLen < 0:
		return Geometry{}, fmt.Errorf("total length %d is negative", totalLen)
	case pieceLen <= 0 || pieceLen > MaxPieceLen:
		return Geometry{}, fmt.Errorf("piece length %d is not between 1 and %d", pieceLen, MaxPieceLen)
	}
	pieces := totalLen / pieceLen
	if totalLen%pieceLen != 0 {
		pieces++
	}
	if pieces > MaxPieces {
		return Geometry{}, fmt.Errorf("%d pieces are more than %d", pieces, MaxPieces)
	}
	return Geometry{totalLen: totalLen, pieceLen: int32(pieceLen), pieces: int32(pieces)}, nil
}

// TotalLen is the number of bytes in the torrent.
func (g Geometry) TotalLen() int64 { return g.totalLen }

// StdPieceLen is the length in bytes of every piece but the last.
func (g Geometry) StdPieceLen() int { return int(g.pieceLen) }

// NumPieces is the number of pieces.
func (g Geometry) NumPieces() int { return int(g.pieces) }

// IsZero reports whether the geometry is not known yet.
func (g Geometry) IsZero() bool { return g == Geometry{} }

// PieceOffset is where piece pieceIndex begins, in bytes from the start of
// the torrent.
func (g Geometry) PieceOffset(pieceIndex int) int64 { return int64(pieceIndex) * int64(g.pieceLen) }

// PieceLen is the length in bytes of piece pieceIndex.
func (g Geometry) PieceLen(pieceIndex int) int {
	if pieceIndex == int(g.pieces)-1 {
		return int(g.totalLen - g.PieceOffset(pieceIndex))
	}
	return int(g.pieceLen)
}

// NumBlocks is the number of blocks in piece pieceIndex.
func (g Geometry) NumBlocks(pieceIndex int) int {
	return (g.PieceLen(pieceIndex) + BlockLen - 1) / BlockLen
}

// BlockLen is the length in bytes of block blockIndex of piece pieceIndex.
func (g Geometry) BlockLen(pieceIndex, blockIndex int) int {
	return min(BlockLen, g.PieceLen(pieceIndex)-blockIndex*BlockLen)
}

// Contains reports whether length bytes from begin lie inside piece
// pieceIndex. It is the check for numbers that came from a peer: nothing
// overflows and a length of zero is refused.
func (g Geometry) Contains(pieceIndex, begin, length uint32) bool {
	return int64(pieceIndex) < int64(g.pieces) && length > 0 &&
		int64(begin)+int64(length) <= int64(g.PieceLen(int(pieceIndex)))
}
