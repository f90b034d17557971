package piecestore_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
	"github.com/shoal-bt/shoal/piecestore/storetest"
)

const blockLen = metainfo.BlockLen

// world is a torrent in memory, with an assembly over it.
type world struct {
	t     testing.TB
	geo   metainfo.Geometry
	data  []byte
	store *storetest.Faulty
	pool  *piecestore.Pool
	asm   *piecestore.Assembly
}

func newWorld(t testing.TB, totalLen, pieceLen int64) *world {
	t.Helper()
	geo, err := metainfo.NewGeometry(totalLen, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, geo: geo, data: make([]byte, totalLen), store: &storetest.Faulty{Storage: piecestore.NewMemory(totalLen)}}
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(w.data)
	w.pool = piecestore.NewPool(0)
	w.asm = piecestore.NewAssembly(geo, w.store, w.pool)
	return w
}

func (w *world) piece(pieceIndex int) []byte {
	return w.data[w.geo.PieceOffset(pieceIndex):][:w.geo.PieceLen(pieceIndex)]
}

func (w *world) block(pieceIndex, blockIndex int) []byte {
	return w.piece(pieceIndex)[blockIndex*blockLen:][:w.geo.BlockLen(pieceIndex, blockIndex)]
}

func (w *world) hash(pieceIndex int) [20]byte { return sha1.Sum(w.piece(pieceIndex)) }

// claim claims a block that must be free.
func (w *world) claim(pieceIndex, blockIndex int) piecestore.Slot {
	w.t.Helper()
	slot, ok := w.asm.Claim(pieceIndex, blockIndex*blockLen, w.geo.BlockLen(pieceIndex, blockIndex))
	if !ok {
		w.t.Fatalf("block %d of piece %d cannot be claimed", blockIndex, pieceIndex)
	}
	return slot
}

// refuse fails the test if a block can be claimed.
func (w *world) refuse(pieceIndex, blockIndex int, why string) {
	w.t.Helper()
	if _, ok := w.asm.Claim(pieceIndex, blockIndex*blockLen, w.geo.BlockLen(pieceIndex, blockIndex)); ok {
		w.t.Fatalf("block %d of piece %d could be claimed: %s", blockIndex, pieceIndex, why)
	}
}

// receive claims and fills a block with what belongs there.
func (w *world) receive(pieceIndex int, blockIndices ...int) {
	w.t.Helper()
	for _, blockIndex := range blockIndices {
		slot := w.claim(pieceIndex, blockIndex)
		copy(slot.Bytes(), w.block(pieceIndex, blockIndex))
		slot.Fill()
	}
}

func (w *world) verify(pieceIndex int) bool {
	w.t.Helper()
	ok, err := w.asm.Verify(pieceIndex, w.hash(pieceIndex))
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

// stored fails the test unless the store holds a piece.
func (w *world) stored(pieceIndex int) {
	w.t.Helper()
	got := make([]byte, w.geo.PieceLen(pieceIndex))
	if _, err := w.store.ReadAt(got, w.geo.PieceOffset(pieceIndex)); err != nil || !bytes.Equal(got, w.piece(pieceIndex)) {
		w.t.Fatalf("piece %d is not in the store: %v", pieceIndex, err)
	}
}

// TestAssembly takes pieces of many lengths, blocks in any order, through to
// the store: with one write each, and all memory given back.
func TestAssembly(t *testing.T) {
	for _, pieceLen := range []int64{1, 1000, blockLen, blockLen + 1, 300_000, 1 << 20} {
		w := newWorld(t, pieceLen*2+pieceLen/2+1, pieceLen)
		rng := rand.New(rand.NewPCG(1, uint64(pieceLen)))
		for i := range w.geo.NumPieces() {
			w.asm.Open(i)
			for _, blockIndex := range rng.Perm(w.geo.NumBlocks(i)) {
				w.receive(i, blockIndex)
				w.asm.Hash(i)
			}
			if !w.verify(i) {
				t.Fatalf("piece length %d: piece %d does not verify", pieceLen, i)
			}
			writes := w.store.Writes()
			if err := w.asm.Write(i); err != nil {
				t.Fatal(err)
			}
			if n := w.store.Writes() - writes; n != 1 {
				t.Errorf("%d writes for one piece, want 1", n)
			}
			w.asm.Drop(i)
			w.stored(i)
		}
		if w.asm.Resident() != 0 || w.pool.Used() != 0 {
			t.Errorf("piece length %d: %d bytes resident, %d used after the end", pieceLen, w.asm.Resident(), w.pool.Used())
		}
	}
}

// TestClaimRefuses tries what a peer may send and what is not to be received.
func TestClaimRefuses(t *testing.T) {
	w := newWorld(t, 100_000, 64<<10)
	if _, ok := w.asm.Claim(0, 0, blockLen); ok {
		t.Error("a piece that is not open can be claimed")
	}
	w.asm.Open(0)
	w.asm.Open(1)
	lastBegin, lastLen := 2*blockLen, 100_000-64<<10-2*blockLen
	for _, c := range [][3]int{
		{0, 1, blockLen}, {0, 0, blockLen - 1}, {0, 0, blockLen + 1}, {0, 0, 0}, {0, 0, -1}, {0, -blockLen, blockLen},
		{0, 64 << 10, blockLen}, {0, math.MaxInt, blockLen}, {2, 0, blockLen}, {-1, 0, blockLen}, {math.MaxInt, 0, blockLen},
		{1, lastBegin, blockLen}, {1, lastBegin + blockLen, lastLen},
	} {
		if _, ok := w.asm.Claim(c[0], c[1], c[2]); ok {
			t.Errorf("Claim(%d, %d, %d) succeeded", c[0], c[1], c[2])
		}
	}
	w.receive(1, 2)
	w.refuse(1, 2, "it is filled")
	slot := w.claim(0, 1)
	w.refuse(0, 1, "another reader has it")
	slot.Release()
	slot = w.claim(0, 1)
	if cap(slot.Bytes()) != blockLen {
		t.Error("the slot's memory reaches into the next block")
	}
	slot.Fill()
	defer func() {
		if recover() == nil {
			t.Error("a second Fill went unnoticed")
		}
	}()
	slot.Fill()
}

// TestDiscard refuses a block after it was hashed, and takes another.
func TestDiscard(t *testing.T) {
	w := newWorld(t, 4*blockLen, 4*blockLen)
	w.asm.Open(0)
	w.receive(0, 1, 2, 3)
	slot := w.claim(0, 0)
	copy(slot.Bytes(), "not what belongs here")
	slot.Fill()
	w.asm.Hash(0)
	w.asm.Discard(0, 0)
	w.asm.Discard(0, 0)
	w.asm.Discard(7, 0)
	w.asm.Discard(0, -1)
	w.asm.Discard(0, math.MaxInt)
	if _, err := w.asm.Verify(0, w.hash(0)); !errors.Is(err, piecestore.ErrIncomplete) {
		t.Errorf("Verify of a piece with a free block: %v, want ErrIncomplete", err)
	}
	if err := w.asm.Write(0); !errors.Is(err, piecestore.ErrIncomplete) {
		t.Errorf("Write of a piece with a free block: %v, want ErrIncomplete", err)
	}
	w.receive(0, 0)
	if !w.verify(0) {
		t.Error("the piece does not verify although the bad block was replaced")
	}
}

// TestBadPiece finds the bad block of a piece by the digests.
func TestBadPiece(t *testing.T) {
	w := newWorld(t, 4*blockLen+7, 4*blockLen+7)
	w.asm.Open(0)
	w.receive(0, 0, 1, 3, 4)
	slot := w.claim(0, 2)
	copy(slot.Bytes(), "poison")
	slot.Fill()
	if w.verify(0) {
		t.Fatal("a poisoned piece verifies")
	}
	if err := w.asm.Spill(0); err != nil { // digests are of spilled blocks too
		t.Fatal(err)
	}
	bad := w.asm.BlockDigests(0)
	w.asm.Drop(0)
	w.asm.Open(0)
	if got := w.asm.BlockDigests(0)[2]; got != [20]byte{} {
		t.Errorf("the digest of a free block is %x", got)
	}
	w.receive(0, 0, 1, 2, 3, 4)
	if !w.verify(0) {
		t.Fatal("the piece does not verify when fetched again")
	}
	for i, digest := range w.asm.BlockDigests(0) {
		if digest != sha1.Sum(w.block(0, i)) {
			t.Errorf("block %d: wrong digest", i)
		}
		if (digest != bad[i]) != (i == 2) {
			t.Errorf("block %d: differs is %v", i, digest != bad[i])
		}
	}
	if w.asm.BlockDigests(1) != nil {
		t.Error("digests of a piece that is not open")
	}
}

// TestDropWithReader holds that memory is not handed out again while a reader
// still receives into it.
func TestDropWithReader(t *testing.T) {
	w := newWorld(t, 4<<20, 1<<20)
	w.asm.Open(0)
	slot := w.claim(0, 0)
	w.receive(0, 20) // of another chunk
	w.asm.Drop(0)
	if got := w.asm.Resident(); got != 256<<10 {
		t.Errorf("%d bytes resident, want the reader's chunk only", got)
	}
	w.asm.Open(0)
	fresh := w.claim(0, 0)
	fresh.Bytes()[0], slot.Bytes()[0] = 1, 2
	if fresh.Bytes()[0] != 1 {
		t.Fatal("two slots share memory")
	}
	slot.Fill()
	fresh.Release()
	if w.asm.Resident() != 0 || w.pool.Used() != 0 {
		t.Errorf("%d bytes resident, %d used at the end", w.asm.Resident(), w.pool.Used())
	}
	if err := w.asm.Write(3); !errors.Is(err, piecestore.ErrNotOpen) {
		t.Errorf("Write: %v, want ErrNotOpen", err)
	}
	if err := w.asm.Spill(3); !errors.Is(err, piecestore.ErrNotOpen) {
		t.Errorf("Spill: %v, want ErrNotOpen", err)
	}
}

// TestSpill runs out of memory, spills, goes on, and hashes by reading back.
func TestSpill(t *testing.T) {
	w := newWorld(t, 3<<20, 3<<20) // the pool has 2 MiB
	w.asm.Open(0)
	last := w.geo.NumBlocks(0) - 1
	for blockIndex := range last { // in order, but for one block of each chunk
		if blockIndex%16 == 5 {
			continue
		}
		if w.pool.Short() {
			if err := w.asm.Spill(0); err != nil {
				t.Fatal(err)
			}
			if w.asm.Resident() != 0 {
				t.Fatalf("%d bytes resident after a spill", w.asm.Resident())
			}
		}
		w.receive(0, blockIndex)
	}
	w.asm.Hash(0)
	slot := w.claim(0, last)
	w.asm.Spill(0)
	if w.asm.Resident() != 256<<10 {
		t.Errorf("%d bytes resident, want the chunk of the reader", w.asm.Resident())
	}
	copy(slot.Bytes(), w.block(0, last))
	slot.Fill()
	for blockIndex := 5; blockIndex < last; blockIndex += 16 {
		w.refuse(0, blockIndex-1, "it is spilled")
		w.asm.Hash(0)
		if w.pool.Short() {
			w.asm.Spill(0)
		}
		w.receive(0, blockIndex)
	}
	if !w.verify(0) {
		t.Error("the piece does not verify")
	}
	if err := w.asm.Write(0); err != nil {
		t.Fatal(err)
	}
	w.stored(0)
	w.asm.Drop(0)
	if w.pool.Used() != 0 {
		t.Errorf("%d bytes used at the end", w.pool.Used())
	}
}

// TestSpillSpares: a chunk that a reader keeps in memory anyway is not written.
func TestSpillSpares(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	w.asm.Open(0)
	w.receive(0, 0)
	slot := w.claim(0, 1)
	if err := w.asm.Spill(0); err != nil || w.store.Writes() != 0 {
		t.Errorf("%d writes, %v; want none", w.store.Writes(), err)
	}
	slot.Fill()
	if err := w.asm.Spill(0); err != nil || w.store.Writes() != 1 || w.asm.Resident() != 0 {
		t.Errorf("%d writes, %v, %d bytes resident; want 1 and 0", w.store.Writes(), err, w.asm.Resident())
	}
}

// TestWhileWorkerReads discards and drops while a worker is busy with the
// piece: the memory it reads is neither claimed nor given back before it ends.
func TestWhileWorkerReads(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	w.asm.Open(0)
	w.receive(0, 0, 1)
	w.store.OnWrite(func() {
		w.asm.Discard(0, 0)
		w.refuse(0, 0, "a worker reads it")
		if w.asm.Resident() != 256<<10 {
			t.Errorf("%d bytes resident during a spill", w.asm.Resident())
		}
	})
	if err := w.asm.Spill(0); err != nil {
		t.Fatal(err)
	}
	w.store.OnWrite(nil)
	w.refuse(0, 1, "it is spilled")
	w.receive(0, 0)

	w.store.OnWrite(func() {
		w.asm.Drop(0)
		if w.asm.Resident() != 256<<10 || w.pool.Used() != 256<<10 {
			t.Errorf("%d bytes resident, %d used: the worker's memory was given away", w.asm.Resident(), w.pool.Used())
		}
	})
	if err := w.asm.Spill(0); err != nil {
		t.Fatal(err)
	}
	if w.asm.Resident() != 0 || w.pool.Used() != 0 {
		t.Errorf("%d bytes resident, %d used after the worker ended", w.asm.Resident(), w.pool.Used())
	}
}

// TestPoolLimit holds the bound, and that a claim fails softly at it.
func TestPoolLimit(t *testing.T) {
	w := newWorld(t, 4<<20, 256<<10)
	n := 0
	for i := range w.geo.NumPieces() {
		w.asm.Open(i)
		if slot, ok := w.asm.Claim(i, 0, blockLen); ok {
			slot.Fill()
			n++
		}
	}
	if w.pool.Used() != w.pool.Limit() || int64(n)*256<<10 != w.pool.Limit() {
		t.Errorf("%d chunks, %d bytes used of %d", n, w.pool.Used(), w.pool.Limit())
	}
	w.asm.Discard(0, 0)
	w.asm.Claim(15, 0, blockLen)
	if got := w.pool.Used(); got != w.pool.Limit() {
		t.Errorf("%d bytes used: the discarded block's chunk was not given to another", got)
	}
	w.asm.Close()
	// One reader still holds the slot of piece 15.
	if w.pool.Used() != 256<<10 {
		t.Errorf("%d bytes used after Close", w.pool.Used())
	}
}

// TestStoreFails: the errors of the store come through, the bytes stay, and a
// second try succeeds.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	w.asm.Open(0)
	for blockIndex := range w.geo.NumBlocks(0) {
		w.receive(0, blockIndex)
	}
	w.store.FailWrites(syscall.ENOSPC)
	if err := w.asm.Write(0); !piecestore.IsNoSpace(err) {
		t.Fatalf("Write: %v, want a full disk", err)
	}
	if err := w.asm.Spill(0); !piecestore.IsNoSpace(err) {
		t.Fatalf("Spill: %v, want a full disk", err)
	}
	w.store.FailWrites(nil)
	if err := w.asm.Spill(0); err != nil {
		t.Fatal(err)
	}
	w.store.FailReads(syscall.EIO)
	if _, err := w.asm.Verify(0, w.hash(0)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Verify: %v, want EIO", err)
	}
	w.store.FailReads(nil)
	if !w.verify(0) {
		t.Error("the piece does not verify after the store recovered")
	}
}

// TestAssemblyRace lets readers, the loop and the workers loose on the same
// pieces: blocks are claimed twice, discarded, spilled, pieces abandoned and
// begun anew. What verifies must be right, and the memory must come back.
func TestAssemblyRace(t *testing.T) {
	w := newWorld(t, 8*320_000, 320_000)
	numPieces := w.geo.NumPieces()
	var done [8]atomic.Bool
	var left atomic.Int64
	left.Store(int64(numPieces))
	for i := range numPieces {
		w.asm.Open(i)
	}
	var running sync.WaitGroup
	reader := func(seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for left.Load() > 0 {
			i := rng.IntN(numPieces)
			b := rng.IntN(w.geo.NumBlocks(i))
			slot, ok := w.asm.Claim(i, b*blockLen, w.geo.BlockLen(i, b))
			if !ok {
				continue
			}
			copy(slot.Bytes(), w.block(i, b))
			if rng.IntN(20) == 0 {
				slot.Release()
				continue
			}
			slot.Fill()
			if rng.IntN(20) == 0 {
				w.asm.Discard(i, b*blockLen)
			}
		}
	}
	worker := func(seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 2))
		for left.Load() > 0 {
			i := rng.IntN(numPieces)
			switch rng.IntN(40) {
			case 0:
				w.asm.Spill(i)
			case 1:
				w.asm.BlockDigests(i)
			case 2:
				if rng.IntN(4) == 0 && !done[i].Load() {
					w.asm.Drop(i)
					w.asm.Open(i)
				}
			default:
				w.asm.Hash(i)
			}
			// A discard may come between the two calls, as it never does in
			// earnest: the engine has accepted every block by then.
			ok, err := w.asm.Verify(i, w.hash(i))
			if err == nil && !ok {
				t.Errorf("piece %d is wrong", i)
			}
			if ok && w.asm.Write(i) == nil && !done[i].Swap(true) {
				w.asm.Drop(i)
				left.Add(-1)
			}
		}
	}
	for seed := range uint64(3) {
		running.Go(func() { reader(seed) })
		running.Go(func() { worker(seed) })
	}
	running.Wait()
	for i := range numPieces {
		w.stored(i)
	}
	w.asm.Close()
	if w.asm.Resident() != 0 || w.pool.Used() != 0 {
		t.Errorf("%d bytes resident, %d used at the end", w.asm.Resident(), w.pool.Used())
	}
}

// TestBlocksAllocate: a block costs no garbage.
func TestBlocksAllocate(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	w.asm.Open(0)
	w.receive(0, 1) // keeps the chunk
	if n := testing.AllocsPerRun(100, func() {
		w.receive(0, 0)
		w.asm.Discard(0, 0)
	}); n != 0 {
		t.Errorf("%v allocations for each block", n)
	}
}

// BenchmarkAssembly is the way of a piece from the socket to a file, but for
// the socket.
func BenchmarkAssembly(b *testing.B) {
	const pieceLen, numPieces = 1 << 20, 64
	w := newWorld(b, pieceLen*numPieces, pieceLen)
	layout := newLayout(b, pieceLen, piecestore.File{Path: "f", Length: pieceLen * numPieces})
	w.asm = piecestore.NewAssembly(w.geo, newFiles(b, b.TempDir(), layout, nil), w.pool)
	hash := w.hash(0)
	b.SetBytes(pieceLen)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.asm.Open(i)
		for blockIndex := range pieceLen / blockLen {
			slot, _ := w.asm.Claim(i, blockIndex*blockLen, blockLen)
			copy(slot.Bytes(), w.block(0, blockIndex))
			slot.Fill()
		}
		if ok, err := w.asm.Verify(i, hash); !ok || err != nil {
			b.Fatal(ok, err)
		}
		if err := w.asm.Write(i); err != nil {
			b.Fatal(err)
		}
		w.asm.Drop(i)
		i = (i + 1) % numPieces
	}
}

// BenchmarkClaim is the cost of a block's slot alone.
func BenchmarkClaim(b *testing.B) {
	w := newWorld(b, 1<<20, 1<<20)
	w.asm.Open(0)
	w.receive(0, 1)
	b.ReportAllocs()
	for b.Loop() {
		slot, _ := w.asm.Claim(0, 0, blockLen)
		slot.Fill()
		w.asm.Discard(0, 0)
	}
}

// TestFillAfterDrop: a piece is dropped and opened anew while a block of it is
// being received. That block is lost, and does not pass for the new piece's.
func TestFillAfterDrop(t *testing.T) {
	w := newWorld(t, 64<<10, 64<<10)
	w.asm.Open(0)
	slot := w.claim(0, 0)
	w.asm.Drop(0)
	w.asm.Open(0)
	if slot.Fill() {
		t.Error("a block of a dropped piece counts as filled")
	}
	if !w.claim(0, 0).Fill() {
		t.Error("a block of an open piece does not count")
	}
}
