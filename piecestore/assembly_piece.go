package piecestore

import (
	"crypto/sha1"
	"hash"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
)

// blockState is the state of a block's slot.
type blockState uint8

const (
	blockFree      blockState = iota
	blockReceiving            // one reader writes into it
	blockFilled               // nobody writes into it
	blockStored               // filled, and its bytes are in the store
	blockDiscarded            // filled, and free as soon as the worker is done
)

// filled reports whether the bytes of the block are complete.
func (s blockState) filled() bool { return s == blockFilled || s == blockStored }

// piece is one open piece. A worker holds work for as long as it is busy, and
// mu only for moments: while it is busy no chunk goes back to the pool and no
// filled block becomes free, so that it can read them without a lock.
type piece struct {
	a      *Assembly
	index  int
	length int

	work sync.Mutex

	mu     sync.Mutex
	blocks []blockState
	chunks []chunk
	full   int  // blocks that are filled or stored
	busy   bool // a worker reads
	drops  bool // Drop was called

	digest       hash.Hash // SHA-1 of the blocks before hashedBlocks
	hashedBlocks int
}

// chunk is up to blocksPerChunk blocks of memory.
type chunk struct {
	buf     []byte // nil: not resident
	readers int    // slots in receiving
}

func newPiece(a *Assembly, pieceIndex int) *piece {
	length := a.geo.PieceLen(pieceIndex)
	return &piece{
		a:      a,
		index:  pieceIndex,
		length: length,
		blocks: make([]blockState, a.geo.NumBlocks(pieceIndex)),
		chunks: make([]chunk, (length+chunkLen-1)/chunkLen),
		digest: sha1.New(),
	}
}

func (p *piece) blockLen(blockIndex int) int {
	return min(metainfo.BlockLen, p.length-blockIndex*metainfo.BlockLen)
}

// claim takes a free slot. The chunk's memory is taken with it if need be.
func (p *piece) claim(blockIndex int) (Slot, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drops || p.blocks[blockIndex] != blockFree {
		return Slot{}, false
	}
	chunkIndex := blockIndex / blocksPerChunk
	c := &p.chunks[chunkIndex]
	if c.buf == nil {
		c.buf = p.a.pool.get(min(chunkLen, p.length-chunkIndex*chunkLen))
		if c.buf == nil {
			return Slot{}, false
		}
		p.a.resident.Add(int64(cap(c.buf)))
	}
	c.readers++
	p.blocks[blockIndex] = blockReceiving
	begin := blockIndex % blocksPerChunk * metainfo.BlockLen
	end := begin + p.blockLen(blockIndex)
	return Slot{piece: p, blockIndex: blockIndex, buf: c.buf[begin:end:end]}, true
}

// letGo ends the receiving of a block, and is false if the piece was dropped.
// It panics if nobody receives it: to fill a slot twice would be to break the
// promise that filled bytes stay.
func (p *piece) letGo(blockIndex int, state blockState) (open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocks[blockIndex] != blockReceiving {
		panic("piecestore: a slot was filled or released twice")
	}
	p.blocks[blockIndex] = state
	if state == blockFilled {
		p.full++
	}
	chunkIndex := blockIndex / blocksPerChunk
	p.chunks[chunkIndex].readers--
	p.freeIfUnused(chunkIndex)
	return !p.drops
}

// discard makes a filled block free. A block that is hashed already takes the
// running hash back to the start. If a worker is busy, it may be reading the
// block, which then becomes free when the worker ends.
func (p *piece) discard(blockIndex int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.blocks[blockIndex].filled() {
		return
	}
	p.full--
	p.blocks[blockIndex] = blockDiscarded
	if !p.busy {
		p.sweep()
	}
}

// sweep frees discarded blocks, and the chunks that hold nothing more. The
// caller holds mu, and no worker is busy.
func (p *piece) sweep() {
	for blockIndex, state := range p.blocks {
		if state != blockDiscarded {
			continue
		}
		p.blocks[blockIndex] = blockFree
		if blockIndex < p.hashedBlocks {
			p.digest.Reset()
			p.hashedBlocks = 0
		}
	}
	for chunkIndex := range p.chunks {
		p.freeIfUnused(chunkIndex)
	}
}

// drop gives the memory back, or leaves that to whoever still uses it.
func (p *piece) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops = true
	for chunkIndex := range p.chunks {
		p.freeIfUnused(chunkIndex)
	}
}

// freeIfUnused gives a chunk's memory back to the pool if no reader and no
// worker uses it, and it holds no block that is nowhere else. The caller holds
// mu.
func (p *piece) freeIfUnused(chunkIndex int) {
	c := &p.chunks[chunkIndex]
	if c.buf == nil || c.readers > 0 || p.busy || p.holdsFilled(chunkIndex) {
		return
	}
	p.a.resident.Add(-int64(cap(c.buf)))
	p.a.pool.put(c.buf)
	c.buf = nil
}

// holdsFilled reports whether the memory of a chunk is needed for a filled
// block.
func (p *piece) holdsFilled(chunkIndex int) bool {
	if p.drops {
		return false
	}
	for _, state := range p.blocks[chunkIndex*blocksPerChunk : min((chunkIndex+1)*blocksPerChunk, len(p.blocks))] {
		if state == blockFilled {
			return true
		}
	}
	return false
}
