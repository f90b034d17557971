package piecestore

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shoal-bt/shoal/metainfo"
)

// cacheChunkLen is how much is read from disk at once for uploads, in bytes,
// aligned in the piece. A seed that reads 16 KiB at a time is ten times slower
// on a cold disk; peers ask for the blocks of a piece one after the other, so
// 16 of them are read together.
const cacheChunkLen = 256 << 10

// Cache reads ahead for uploads: it reads from the store in large chunks and
// hands out parts of their memory, with which many requests can be answered in
// one vectored write. The chunks used last stay in memory, bounded in bytes. A
// chunk that several callers want at one time is read once. Only verified
// pieces may be asked for: what was read stays as it is.
type Cache struct {
	store Storage
	geo   metainfo.Geometry
	limit int

	mu        sync.Mutex
	chunks    map[int64]*cached
	lru       cached    // the root of the ring: next is the one used last
	spare     []*cached // evicted, for reuse
	numChunks int       // chunks with memory, spare ones included
}

// cached is a chunk in memory. Its fields belong to Cache.mu, but buf and err,
// which do not change once loaded is set.
type cached struct {
	key        int64
	users      int
	gone       bool // no longer in Cache.chunks
	prev, next *cached

	loading sync.Mutex // held while the store is read
	loaded  atomic.Bool
	buf     []byte
	err     error
}

// NewCache returns an empty cache over store that keeps at most limitBytes of
// memory, and not less than one chunk of 256 KiB. The zero limitBytes means
// 16 MiB.
func NewCache(store Storage, geo metainfo.Geometry, limitBytes int64) *Cache {
	const defaultBytes = 16 << 20 // arbitrary: 64 uploads at a time, each in its own chunk
	if limitBytes == 0 {
		limitBytes = defaultBytes
	}
	c := &Cache{store: store, geo: geo, limit: int(max(limitBytes/cacheChunkLen, 1)), chunks: make(map[int64]*cached)}
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// CachedBlock is a part of a piece in memory, to be sent. The zero CachedBlock
// is empty.
type CachedBlock struct {
	cache *Cache
	chunk *cached // nil: memory of its own
	data  []byte
}

// Bytes returns the data. It must not be changed, nor read after Release.
func (b CachedBlock) Bytes() []byte { return b.data }

// Release gives the data up. It must be called exactly once.
func (b CachedBlock) Release() {
	if b.chunk != nil {
		b.cache.release(b.chunk)
	}
}

// Block returns length bytes of piece pieceIndex from begin, read with their
// surroundings unless they are in memory. They must lie inside the piece, else
// the error is ErrBounds; other errors are the store's. The caller must
// Release the block.
func (c *Cache) Block(pieceIndex, begin, length int) (CachedBlock, error) {
	if uint(pieceIndex) >= uint(c.geo.NumPieces()) || begin < 0 || length <= 0 || length > c.geo.PieceLen(pieceIndex)-begin {
		return CachedBlock{}, fmt.Errorf("piece %d: %d bytes from %d: %w", pieceIndex, length, begin, ErrBounds)
	}
	from := begin % cacheChunkLen
	if from+length > cacheChunkLen {
		return c.alone(pieceIndex, begin, length) // not on the grid of blocks: allowed, but nobody does it
	}
	chunk := c.use(c.key(pieceIndex, begin))
	if chunk == nil {
		return c.alone(pieceIndex, begin, length)
	}
	if err := c.load(chunk, pieceIndex, begin-from); err != nil {
		c.release(chunk)
		return CachedBlock{}, pieceError(pieceIndex, "read", err)
	}
	return CachedBlock{cache: c, chunk: chunk, data: chunk.buf[from : from+length : from+length]}, nil
}

// key names the chunk that holds begin in piece pieceIndex.
func (c *Cache) key(pieceIndex, begin int) int64 {
	perPiece := (c.geo.StdPieceLen() + cacheChunkLen - 1) / cacheChunkLen
	return int64(pieceIndex)*int64(perPiece) + int64(begin/cacheChunkLen)
}

// alone reads a block into memory of its own. It keeps the cache within its
// limit when all chunks are in use: a block that waits to be sent then costs
// its own length instead of a chunk's.
func (c *Cache) alone(pieceIndex, begin, length int) (CachedBlock, error) {
	buf := make([]byte, length)
	if _, err := c.store.ReadAt(buf, c.geo.PieceOffset(pieceIndex)+int64(begin)); err != nil {
		return CachedBlock{}, pieceError(pieceIndex, "read", err)
	}
	return CachedBlock{data: buf}, nil
}

// use finds or makes the chunk of key and counts the caller as a user. It is
// nil if all the memory is in use.
func (c *Cache) use(key int64) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	chunk := c.chunks[key]
	if chunk == nil {
		if chunk = c.room(); chunk == nil {
			return nil
		}
		chunk.key = key
		c.chunks[key] = chunk
	} else {
		chunk.unlink()
	}
	chunk.users++
	chunk.link(&c.lru)
	return chunk
}

// room returns an empty chunk: a spare one, a new one while the limit allows,
// or that of the least recently used which has no user.
func (c *Cache) room() *cached {
	if len(c.spare) == 0 && c.numChunks >= c.limit {
		for chunk := c.lru.prev; chunk != &c.lru; chunk = chunk.prev {
			if chunk.users == 0 {
				c.remove(chunk)
				break
			}
		}
	}
	if n := len(c.spare); n > 0 {
		chunk := c.spare[n-1]
		c.spare = c.spare[:n-1]
		chunk.gone, chunk.err = false, nil
		chunk.loaded.Store(false)
		return chunk
	}
	if c.numChunks >= c.limit {
		return nil
	}
	c.numChunks++
	return &cached{}
}

// remove takes a chunk out. Without users it is spare at once.
func (c *Cache) remove(chunk *cached) {
	delete(c.chunks, chunk.key)
	chunk.unlink()
	chunk.gone = true
	if chunk.users == 0 {
		c.spare = append(c.spare, chunk)
	}
}

// load reads the chunk that begins at begin, if nobody has. Callers that come
// meanwhile wait for it.
func (c *Cache) load(chunk *cached, pieceIndex, begin int) error {
	if chunk.loaded.Load() {
		return nil
	}
	chunk.loading.Lock()
	defer chunk.loading.Unlock()
	if chunk.loaded.Load() || chunk.err != nil {
		return chunk.err
	}
	length := min(cacheChunkLen, c.geo.PieceLen(pieceIndex)-begin)
	if cap(chunk.buf) < length {
		chunk.buf = make([]byte, length)
	}
	chunk.buf = chunk.buf[:length]
	if _, err := c.store.ReadAt(chunk.buf, c.geo.PieceOffset(pieceIndex)+int64(begin)); err != nil {
		chunk.err = err
		c.forget(chunk)
		return err
	}
	chunk.loaded.Store(true)
	return nil
}

// forget takes a chunk out that could not be read, so that the next caller
// tries again.
func (c *Cache) forget(chunk *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !chunk.gone {
		c.remove(chunk)
	}
}

// release ends a use.
func (c *Cache) release(chunk *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	chunk.users--
	if chunk.gone && chunk.users == 0 {
		c.spare = append(c.spare, chunk)
	}
}

func (chunk *cached) link(root *cached) {
	chunk.prev, chunk.next = root, root.next
	chunk.prev.next, chunk.next.prev = chunk, chunk
}

func (chunk *cached) unlink() {
	chunk.prev.next, chunk.next.prev = chunk.next, chunk.prev
	chunk.prev, chunk.next = nil, nil
}
