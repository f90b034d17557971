package piecestore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shoal-bt/shoal/metainfo"
)

// What the calls of an Assembly fail with where callers branch.
var (
	// ErrNotOpen says that the piece is not being assembled: it was never
	// opened, or dropped in the meantime.
	ErrNotOpen = errors.New("the piece is not open")

	// ErrIncomplete says that blocks of the piece are missing.
	ErrIncomplete = errors.New("the piece is not complete")
)

// Assembly puts the pieces of one torrent together. Each block of an open
// piece has a slot that is free, receiving or filled. Three kinds of callers
// work on it at the same time:
//
//   - readers Claim a free slot, read the payload from the socket straight into
//     it, and Fill it or, if the connection died, Release it. A slot has one
//     reader at a time, and the bytes of a filled one never change: a second
//     copy of a block, as endgame asks for, cannot overwrite what was hashed;
//   - the loop of the torrent opens, discards and drops;
//   - disk workers hash, verify, write and spill. Those on one piece wait for
//     each other.
//
// How many pieces are open is bounded by who opens them, their memory by the
// Pool.
type Assembly struct {
	geo      metainfo.Geometry
	store    Storage
	pool     *Pool
	resident atomic.Int64

	mu     sync.Mutex
	pieces map[int]*piece
}

// NewAssembly returns an assembly without open pieces. It writes to store, and
// takes its memory from pool, which torrents share.
func NewAssembly(geo metainfo.Geometry, store Storage, pool *Pool) *Assembly {
	return &Assembly{geo: geo, store: store, pool: pool, pieces: make(map[int]*piece)}
}

// Open begins piece pieceIndex with all slots free; if it is open already,
// nothing changes. Memory is taken later, as blocks are claimed. It panics if
// there is no such piece.
func (a *Assembly) Open(pieceIndex int) {
	if uint(pieceIndex) >= uint(a.geo.NumPieces()) {
		panic("piecestore: piece index out of range")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pieces[pieceIndex] == nil {
		a.pieces[pieceIndex] = newPiece(a, pieceIndex)
	}
}

// Claim takes the slot of a block for the caller to receive into: free becomes
// receiving. It is false, and the payload must go elsewhere, if the piece is
// not open, if the range is not exactly one block, if another reader has the
// slot or it is filled, or if the pool has no memory left. The numbers may
// come from a peer unchecked.
func (a *Assembly) Claim(pieceIndex, begin, length int) (Slot, bool) {
	p := a.piece(pieceIndex)
	if p == nil || begin < 0 || begin%metainfo.BlockLen != 0 || begin >= p.length {
		return Slot{}, false
	}
	blockIndex := begin / metainfo.BlockLen
	if length != p.blockLen(blockIndex) {
		return Slot{}, false
	}
	return p.claim(blockIndex)
}

// Discard frees the filled slot of a block that the engine did not accept, so
// that it can be claimed again.
func (a *Assembly) Discard(pieceIndex, begin int) {
	p := a.piece(pieceIndex)
	if p != nil && begin >= 0 && begin < p.length {
		p.discard(begin / metainfo.BlockLen)
	}
}

// Drop ends a piece: done, failed or abandoned. Its memory goes back to the
// pool at once, but for the chunks into which a reader still receives or with
// which a worker is busy: these follow when the last of them lets go.
func (a *Assembly) Drop(pieceIndex int) {
	a.mu.Lock()
	p := a.pieces[pieceIndex]
	delete(a.pieces, pieceIndex)
	a.mu.Unlock()
	if p != nil {
		p.drop()
	}
}

// Close drops every piece.
func (a *Assembly) Close() {
	a.mu.Lock()
	open := a.pieces
	a.pieces = make(map[int]*piece)
	a.mu.Unlock()
	for _, p := range open {
		p.drop()
	}
}

// Resident is the memory in bytes that the assembly holds now.
func (a *Assembly) Resident() int64 { return a.resident.Load() }

// piece returns the open piece pieceIndex, or nil.
func (a *Assembly) piece(pieceIndex int) *piece {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pieces[pieceIndex]
}

// openPiece is piece for the workers, which get an error.
func (a *Assembly) openPiece(pieceIndex int) (*piece, error) {
	if p := a.piece(pieceIndex); p != nil {
		return p, nil
	}
	return nil, ErrNotOpen
}

// Slot is the place of one block that its holder receives into. It is ended by
// exactly one call of Fill or Release. The zero Slot has no bytes.
type Slot struct {
	piece      *piece
	blockIndex int
	buf        []byte
}

// Bytes is the memory of the block, to be read into; its length is the
// block's. It must not be touched after Fill or Release.
func (s Slot) Bytes() []byte { return s.buf }

// Fill says that all bytes of the block are in place: receiving becomes
// filled. It is false if the piece was dropped meanwhile: then the bytes are
// lost, also if the piece has been opened anew.
func (s Slot) Fill() bool { return s.piece.letGo(s.blockIndex, blockFilled) }

// Release gives the slot up, because the connection died in mid-block:
// receiving becomes free.
func (s Slot) Release() { s.piece.letGo(s.blockIndex, blockFree) }

// pieceError adds the noun to an error.
func pieceError(pieceIndex int, verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("piece %d: %s: %w", pieceIndex, verb, err)
}
