package piecestore

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"os"
	"runtime"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// verifyBufLen is how much a worker of Verify reads at once, in bytes: large
// sequential reads for the disk, and still inside a level-2 cache.
const verifyBufLen = 1 << 20

// Verify hashes pieces of store and returns the set of those whose SHA-1 is
// want(pieceIndex); pieces says which to look at, nil means all of them.
// Several workers (zero: one for each CPU) take the pieces in order. What is
// missing, a hole, or cannot be read, is not in the set; only the end of ctx
// and a closed store end the whole call with an error, together with the set
// of the pieces found so far. After each piece, progress, unless it is nil, is
// told how many are done; its calls do not overlap.
func Verify(ctx context.Context, store Storage, geo metainfo.Geometry, want func(pieceIndex int) [20]byte,
	pieces *bitfield.Set, workers int, progress func(done int)) (*bitfield.Set, error) {
	if pieces == nil {
		pieces = bitfield.NewFull(geo.NumPieces())
	}
	v := &verifier{
		store: store, geo: geo, want: want, progress: progress,
		todo: pieces.Clone(), good: bitfield.New(geo.NumPieces()),
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var running sync.WaitGroup
	for range min(workers, max(pieces.Count(), 1)) {
		running.Go(func() { v.work(ctx) })
	}
	running.Wait()
	if v.err == nil && v.todo.Count() > 0 {
		v.err = context.Cause(ctx)
	}
	if v.err != nil {
		return v.good, fmt.Errorf("verify: %w", v.err)
	}
	return v.good, nil
}

// verifier is the state that the workers of one Verify share.
type verifier struct {
	store    Storage
	geo      metainfo.Geometry
	want     func(pieceIndex int) [20]byte
	progress func(done int)
	zeros    sync.Map // piece length -> [20]byte: the SHA-1 of as many zeros

	mu   sync.Mutex
	next int           // where to look in todo
	todo *bitfield.Set // not finished
	good *bitfield.Set
	done int
	err  error
}

func (v *verifier) work(ctx context.Context) {
	buf := make([]byte, min(verifyBufLen, max(v.geo.StdPieceLen(), 1)))
	digest := sha1.New()
	for ctx.Err() == nil {
		pieceIndex, ok := v.take()
		if !ok {
			return
		}
		good, err := v.check(ctx, pieceIndex, digest, buf)
		if ctx.Err() != nil && !good {
			return
		}
		v.finish(pieceIndex, good, err)
	}
}

// take returns the next piece to be looked at.
func (v *verifier) take() (pieceIndex int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for ; v.err == nil && v.next < v.todo.Len(); v.next++ {
		if v.todo.Has(v.next) {
			v.next++
			return v.next - 1, true
		}
	}
	return 0, false
}

func (v *verifier) finish(pieceIndex int, good bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if errors.Is(err, os.ErrClosed) {
		v.err = err
		return
	}
	v.todo.Remove(pieceIndex)
	if good {
		v.good.Add(pieceIndex)
	}
	v.done++
	if v.progress != nil {
		v.progress(v.done)
	}
}

// check hashes one piece. A piece in a hole is told without reading it, unless
// the torrent says that it consists of zeros.
func (v *verifier) check(ctx context.Context, pieceIndex int, digest hash.Hash, buf []byte) (bool, error) {
	off := v.geo.PieceOffset(pieceIndex)
	end := off + int64(v.geo.PieceLen(pieceIndex))
	want := v.want(pieceIndex)
	if v.store.NextData(off) >= end && want != v.zeroSum(int(end-off)) {
		return false, nil
	}
	digest.Reset()
	for off < end && ctx.Err() == nil {
		part := buf[:min(int64(len(buf)), end-off)]
		if _, err := v.store.ReadAt(part, off); err != nil {
			return false, err
		}
		digest.Write(part)
		off += int64(len(part))
	}
	var sum [20]byte
	return off == end && [20]byte(digest.Sum(sum[:0])) == want, nil
}

// zeroSum returns the SHA-1 of length zeros. There are two lengths of pieces
// in a torrent, so it is computed twice at most (for each worker).
func (v *verifier) zeroSum(length int) [20]byte {
	if sum, ok := v.zeros.Load(length); ok {
		return sum.([20]byte)
	}
	digest := sha1.New()
	zeros := make([]byte, min(length, chunkLen))
	for left := length; left > 0; left -= min(left, len(zeros)) {
		digest.Write(zeros[:min(left, len(zeros))])
	}
	sum := [20]byte(digest.Sum(nil))
	v.zeros.Store(length, sum)
	return sum
}
