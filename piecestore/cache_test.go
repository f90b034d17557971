package piecestore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/piecestore"
)

// cached reads a block through the cache and compares it.
func (w *world) cached(c *piecestore.Cache, pieceIndex, begin, length int) piecestore.CachedBlock {
	w.t.Helper()
	block, err := c.Block(pieceIndex, begin, length)
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Equal(block.Bytes(), w.piece(pieceIndex)[begin:begin+length]) {
		w.t.Fatalf("%d bytes from %d of piece %d are wrong", length, begin, pieceIndex)
	}
	return block
}

func newSeed(t testing.TB, totalLen, pieceLen int64) *world {
	w := newWorld(t, totalLen, pieceLen)
	writeAll(t, w.store, w.data)
	return w
}

func TestCacheReadsAhead(t *testing.T) {
	w := newSeed(t, 3_000_000, 1_000_000)
	c := piecestore.NewCache(w.store, w.geo, 0)
	for begin := 0; begin < 1_000_000; begin += blockLen {
		w.cached(c, 1, begin, min(blockLen, 1_000_000-begin)).Release()
	}
	if n := w.store.Reads(); n != 4 {
		t.Errorf("%d reads for a piece of four chunks", n)
	}
	w.cached(c, 1, 250_000, 100_000).Release() // lies across two chunks
	w.cached(c, 1, 999_999, 1).Release()
}

func TestCacheBounds(t *testing.T) {
	w := newSeed(t, 100_000, 64<<10)
	c := piecestore.NewCache(w.store, w.geo, 0)
	for _, r := range [][3]int{
		{-1, 0, 1}, {2, 0, 1}, {0, -1, 2}, {0, 0, 0}, {0, 0, -1}, {0, 64 << 10, 1}, {0, 1, 64 << 10},
		{1, 0, 64 << 10}, {0, 1 << 32, 1}, {0, 0, 1<<32 + 1}, {1 << 40, 0, 1},
	} {
		if _, err := c.Block(r[0], r[1], r[2]); !errors.Is(err, piecestore.ErrBounds) {
			t.Errorf("Block(%d, %d, %d): %v, want ErrBounds", r[0], r[1], r[2], err)
		}
	}
}

// TestCacheLimit uses all the memory: what is held is not overwritten, what is
// asked for beyond it is read alone, and what is given up is used again.
func TestCacheLimit(t *testing.T) {
	w := newSeed(t, 4<<20, 256<<10)
	c := piecestore.NewCache(w.store, w.geo, 512<<10)
	first, second := w.cached(c, 0, 0, blockLen), w.cached(c, 1, 0, blockLen)
	w.cached(c, 2, 0, blockLen).Release()
	w.cached(c, 2, 0, blockLen).Release()
	if n := w.store.Reads(); n != 4 {
		t.Errorf("%d reads, want 4: piece 2 has no room", n)
	}
	w.cached(c, 0, blockLen, blockLen).Release()
	w.cached(c, 1, blockLen, blockLen).Release()
	if n := w.store.Reads(); n != 4 {
		t.Errorf("%d reads, want 4: what is in use stays in the cache", n)
	}
	second.Release()
	w.cached(c, 2, 0, blockLen).Release()
	w.cached(c, 2, blockLen, blockLen).Release()
	if n := w.store.Reads(); n != 5 {
		t.Errorf("%d reads, want 5: piece 2 is to take the room of piece 1", n)
	}
	for i := 3; i < 16; i++ {
		w.cached(c, i, 0, blockLen).Release()
	}
	if !bytes.Equal(first.Bytes(), w.block(0, 0)) {
		t.Error("a block that was held has been overwritten")
	}
	first.Release()
}

func TestCacheRetriesAfterError(t *testing.T) {
	w := newSeed(t, 1<<20, 256<<10)
	c := piecestore.NewCache(w.store, w.geo, 1)
	w.store.FailReads(syscall.EIO)
	for range 3 {
		if _, err := c.Block(0, 0, blockLen); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v, want EIO", err)
		}
	}
	w.store.FailReads(nil)
	w.cached(c, 0, 0, blockLen).Release()
	w.cached(c, 1, 0, blockLen).Release()
}

// TestCacheOnce: many callers at one time, one read for each chunk.
func TestCacheOnce(t *testing.T) {
	w := newSeed(t, 4<<20, 1<<20)
	c := piecestore.NewCache(w.store, w.geo, 4<<20)
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			for i := range 4 {
				for b := range 64 {
					block, err := c.Block(i, b*blockLen, blockLen)
					if err != nil || !bytes.Equal(block.Bytes(), w.block(i, b)) {
						t.Errorf("block %d of piece %d: %v", b, i, err)
						return
					}
					block.Release()
				}
			}
		})
	}
	running.Wait()
	if n := w.store.Reads(); n != 16 {
		t.Errorf("%d reads of 16 chunks", n)
	}
}

// TestCacheRace holds blocks across evictions and errors.
func TestCacheRace(t *testing.T) {
	w := newSeed(t, 4<<20, 512<<10)
	c := piecestore.NewCache(w.store, w.geo, 1<<20)
	var running sync.WaitGroup
	for seed := range uint64(6) {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 3))
			var held []piecestore.CachedBlock
			var want [][]byte
			for range 2000 {
				if seed == 0 && rng.IntN(50) == 0 {
					w.store.FailReads(syscall.EIO)
				} else if seed == 0 {
					w.store.FailReads(nil)
				}
				i, b := rng.IntN(8), rng.IntN(32)
				block, err := c.Block(i, b*blockLen, blockLen)
				if err != nil {
					continue
				}
				held, want = append(held, block), append(want, w.block(i, b))
				if len(held) > 3 {
					if !bytes.Equal(held[0].Bytes(), want[0]) {
						t.Error("a held block has the wrong bytes")
					}
					held[0].Release()
					held, want = held[1:], want[1:]
				}
			}
			for _, block := range held {
				block.Release()
			}
		})
	}
	running.Wait()
}

func TestCacheAllocates(t *testing.T) {
	w := newSeed(t, 4<<20, 1<<20)
	c := piecestore.NewCache(w.store, w.geo, 512<<10)
	walk := func() {
		for i := range 4 {
			for b := range 64 {
				w.cached(c, i, b*blockLen, blockLen).Release()
			}
		}
	}
	walk()
	if n := testing.AllocsPerRun(5, walk); n != 0 {
		t.Errorf("%v allocations for 256 blocks in 16 chunks, half of them evicted", n)
	}
}

func BenchmarkCacheBlock(b *testing.B) {
	w := newSeed(b, 64<<20, 1<<20)
	layout := newLayout(b, 1<<20, piecestore.File{Path: "f", Length: 64 << 20})
	files := newFiles(b, b.TempDir(), layout, nil)
	writeAll(b, files, w.data)
	c := piecestore.NewCache(files, w.geo, 16<<20)
	b.SetBytes(blockLen)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		block, err := c.Block(n/64%64, n%64*blockLen, blockLen)
		if err != nil {
			b.Fatal(err)
		}
		block.Release()
		n++
	}
}
