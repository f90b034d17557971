package piecestore

import (
	"math/bits"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
)

// chunkLen is the most bytes that an Assembly takes from the pool at once:
// large enough that hashing and writing work on long runs, small enough that
// a piece of 512 MiB takes memory only for the parts that have arrived. 16
// blocks of 16 KiB; a write of 1 MiB is one system call with four vectors.
const chunkLen = 256 << 10

const blocksPerChunk = chunkLen / metainfo.BlockLen

// minPoolBytes is the least that a pool holds: less would leave a download
// without memory for the pieces of more than a few peers at a time.
const minPoolBytes = 8 * chunkLen

// Pool hands out the memory that pieces are assembled in, bounded in bytes for
// the whole process. What comes back is handed out again, so that a download
// at full speed makes no garbage.
type Pool struct {
	limit int64

	mu   sync.Mutex
	used int64                     // bytes handed out
	idle int64                     // bytes in free
	free [numChunkClasses][][]byte // by class: 16, 32, ... 256 KiB
}

// numChunkClasses is how many sizes of chunks there are: the powers of two
// from a block to chunkLen.
const numChunkClasses = 5

// NewPool returns a pool that hands out at most limitBytes at a time, and not
// less than 2 MiB.
func NewPool(limitBytes int64) *Pool {
	return &Pool{limit: max(limitBytes, minPoolBytes)}
}

// Limit is the most bytes that the pool hands out at a time.
func (p *Pool) Limit() int64 { return p.limit }

// Used is the number of bytes handed out now.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Short reports whether memory is short: less than a quarter of the limit is
// left. It is the time to Spill incomplete pieces, before a Claim fails.
func (p *Pool) Short() bool { return p.Used() > p.limit/4*3 }

// get returns a buffer of length bytes (at most chunkLen), with old bytes in
// it, or nil if the limit does not allow one.
func (p *Pool) get(length int) []byte {
	class, size := chunkClass(length)
	p.mu.Lock()
	if p.used+size > p.limit {
		p.mu.Unlock()
		return nil
	}
	p.used += size
	if n := len(p.free[class]); n > 0 {
		buf := p.free[class][n-1]
		p.free[class] = p.free[class][:n-1]
		p.idle -= size
		p.mu.Unlock()
		return buf[:length]
	}
	p.trim()
	p.mu.Unlock()
	return make([]byte, size)[:length]
}

// trim gives idle buffers of other sizes to the garbage collector until used
// and idle bytes together are within the limit.
func (p *Pool) trim() {
	for class := numChunkClasses - 1; class >= 0; class-- {
		for n := len(p.free[class]); n > 0 && p.used+p.idle > p.limit; n-- {
			p.free[class][n-1] = nil
			p.free[class] = p.free[class][:n-1]
			p.idle -= metainfo.BlockLen << class
		}
	}
}

// put takes a buffer back that get returned. Nobody may use it any more.
func (p *Pool) put(buf []byte) {
	class, size := chunkClass(cap(buf))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= size
	p.idle += size
	p.free[class] = append(p.free[class], buf[:cap(buf)])
}

// chunkClass returns the class of buffers that holds length bytes, and their
// size in bytes.
func chunkClass(length int) (class int, size int64) {
	blocks := (length + metainfo.BlockLen - 1) / metainfo.BlockLen
	class = bits.Len(uint(blocks - 1))
	return class, metainfo.BlockLen << class
}
