package piecestore

import (
	"crypto/sha1"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
)

// Hash advances the running SHA-1 of a piece over the filled blocks that
// follow what is hashed already, while they are still in the CPU's cache, so
// that Verify has less to do. If another worker is busy with the piece, or it
// is not open, nothing happens.
func (a *Assembly) Hash(pieceIndex int) {
	p := a.piece(pieceIndex)
	if p == nil || !p.work.TryLock() {
		return
	}
	defer p.work.Unlock()
	if p.begin() {
		p.hashOn(false)
		p.end()
	}
}

// Verify finishes the SHA-1 of a piece, all of whose blocks must be filled,
// and compares it with want. Blocks that were spilled are read back. An error
// means that it could not be told: ErrNotOpen, ErrIncomplete, or of the store.
func (a *Assembly) Verify(pieceIndex int, want [20]byte) (ok bool, err error) {
	err = a.withPiece(pieceIndex, "verify", func(p *piece) error {
		if !p.complete() {
			return ErrIncomplete
		}
		if err := p.hashOn(true); err != nil {
			return err
		}
		var sum [20]byte
		p.digest.Sum(sum[:0])
		ok = sum == want
		return nil
	})
	return ok, err
}

// Write writes what of a piece is not in the store yet, all of it with one
// vectored write unless parts were spilled, and gives the memory back to the
// pool. All blocks must be filled. The errors are ErrNotOpen, ErrIncomplete
// and those of the store; after one of the store the call can be repeated.
func (a *Assembly) Write(pieceIndex int) error {
	return a.withPiece(pieceIndex, "write", func(p *piece) error {
		if !p.complete() {
			return ErrIncomplete
		}
		return p.writeFilled(false)
	})
}

// Spill writes the filled blocks of a piece to the store, although the piece
// is neither complete nor verified, and gives their memory back to the pool.
// Chunks into which a reader receives just now are left as they are. Tell
// Resume.Begin first: the store then holds bytes that nobody has verified.
func (a *Assembly) Spill(pieceIndex int) error {
	return a.withPiece(pieceIndex, "spill", func(p *piece) error {
		return p.writeFilled(true)
	})
}

// BlockDigests returns the SHA-1 of each block of a piece, for finding out
// who sent the bad block of one that failed: call it before Drop, and again
// when the piece was fetched anew. A block that is not filled, or cannot be
// read back, has the zero digest. It is nil if the piece is not open.
func (a *Assembly) BlockDigests(pieceIndex int) [][20]byte {
	var digests [][20]byte
	a.withPiece(pieceIndex, "digest", func(p *piece) error {
		digests = make([][20]byte, len(p.blocks))
		var scratch [metainfo.BlockLen]byte
		for blockIndex := range digests {
			digests[blockIndex] = p.blockDigest(blockIndex, &scratch)
		}
		return nil
	})
	return digests
}

// withPiece does the work of a worker on an open piece.
func (a *Assembly) withPiece(pieceIndex int, verb string, work func(*piece) error) error {
	p, err := a.openPiece(pieceIndex)
	if err == nil {
		p.work.Lock()
		defer p.work.Unlock()
		if err = ErrNotOpen; p.begin() {
			err = work(p)
			p.end()
		}
	}
	return pieceError(pieceIndex, verb, err)
}

// begin makes the caller, who holds work, the busy worker. It is false if the
// piece was dropped.
func (p *piece) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = !p.drops
	return p.busy
}

// end ends what begin began, and does what had to wait for it.
func (p *piece) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.sweep()
}

func (p *piece) complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full == len(p.blocks)
}

// run is a number of blocks, one after the other and in one chunk, in the same
// state.
type run struct {
	first, end int // block indices
	state      blockState
	buf        []byte // their memory, if filled
	readers    int    // slots in receiving in the chunk
}

// run returns the run that starts at block first.
func (p *piece) run(first int) run {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.chunks[first/blocksPerChunk]
	r := run{first: first, end: first + 1, state: p.blocks[first], readers: c.readers}
	for r.end < len(p.blocks) && r.end%blocksPerChunk != 0 && p.blocks[r.end] == r.state {
		r.end++
	}
	if r.state == blockFilled {
		from := first % blocksPerChunk * metainfo.BlockLen
		r.buf = c.buf[from:][:p.runLen(r)]
	}
	return r
}

// runLen is the number of bytes in a run.
func (p *piece) runLen(r run) int {
	return min(r.end*metainfo.BlockLen, p.length) - r.first*metainfo.BlockLen
}

// offset is where a block begins in the torrent, in bytes.
func (p *piece) offset(blockIndex int) int64 {
	return p.a.geo.PieceOffset(p.index) + int64(blockIndex)*metainfo.BlockLen
}

// hashOn advances the running hash over the filled blocks that follow, to the
// first that is not filled or, unless readBack, not in memory.
func (p *piece) hashOn(readBack bool) error {
	for p.hashedBlocks < len(p.blocks) {
		r := p.run(p.hashedBlocks)
		switch {
		case r.state == blockFilled:
			p.digest.Write(r.buf)
		case r.state == blockStored && readBack:
			if err := p.hashStored(r); err != nil {
				return err
			}
		default:
			return nil
		}
		p.hashedBlocks = r.end
	}
	return nil
}

// hashStored hashes a run that is only in the store.
func (p *piece) hashStored(r run) error {
	scratch := scratchPool.Get().(*[chunkLen]byte)
	defer scratchPool.Put(scratch)
	buf := scratch[:p.runLen(r)]
	if _, err := p.a.store.ReadAt(buf, p.offset(r.first)); err != nil {
		return err
	}
	p.digest.Write(buf)
	return nil
}

// writeFilled writes the filled blocks that are not in the store yet, each
// stretch of them with one vectored write. With spare it leaves chunks alone
// that a reader keeps in memory anyway.
func (p *piece) writeFilled(spare bool) error {
	var bufs [][]byte
	first := 0
	for blockIndex := 0; blockIndex < len(p.blocks); {
		r := p.run(blockIndex)
		if r.state != blockFilled || spare && r.readers > 0 {
			if err := p.writeBlocks(bufs, first, blockIndex); err != nil {
				return err
			}
			bufs, first = bufs[:0], r.end
		} else {
			bufs = append(bufs, r.buf)
		}
		blockIndex = r.end
	}
	return p.writeBlocks(bufs, first, len(p.blocks))
}

// writeBlocks writes the blocks from first to before end, whose memory is
// bufs.
func (p *piece) writeBlocks(bufs [][]byte, first, end int) error {
	if len(bufs) == 0 {
		return nil
	}
	if err := p.a.store.WriteAt(bufs, p.offset(first)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for blockIndex := first; blockIndex < end; blockIndex++ {
		if p.blocks[blockIndex] == blockFilled { // not discarded meanwhile
			p.blocks[blockIndex] = blockStored
		}
	}
	return nil
}

// blockDigest returns the SHA-1 of a block, zero if it is not filled or cannot
// be read.
func (p *piece) blockDigest(blockIndex int, scratch *[metainfo.BlockLen]byte) (digest [20]byte) {
	r := p.run(blockIndex)
	buf := r.buf
	switch r.state {
	case blockFilled:
		buf = buf[:p.blockLen(blockIndex)]
	case blockStored:
		buf = scratch[:p.blockLen(blockIndex)]
		if _, err := p.a.store.ReadAt(buf, p.offset(blockIndex)); err != nil {
			return digest
		}
	default:
		return digest
	}
	return sha1.Sum(buf)
}

// scratchPool holds memory for reading back, at most one for each worker.
var scratchPool = sync.Pool{New: func() any { return new([chunkLen]byte) }}
