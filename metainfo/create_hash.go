package metainfo

import (
	"context"
	"crypto/sha1"
	"errors"
	"hash"
	"io"
	"os"
	"runtime"
	"sort"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// hashUnit is how many bytes a worker claims at once, unless a piece is
// longer: enough that the disk reads sequentially.
const hashUnit = 1 << 20

// readLen is how many bytes a worker reads at once. They should still be in
// the CPU's second-level cache when they are hashed.
const readLen = 256 << 10

// hash reads the whole source and returns the piece hashes. Each worker
// claims a run of pieces, reads it and hashes it; there is no hand-over of
// buffers, and nothing is allocated per piece.
func (src *source) hash(ctx context.Context, geometry Geometry, opt CreateOptions) ([]byte, error) {
	job := &hashJob{
		src:      src,
		geometry: geometry,
		pieces:   make([]byte, geometry.NumPieces()*sha1.Size),
		run:      max(1, hashUnit/geometry.StdPieceLen()),
		progress: opt.Progress,
	}
	threads := opt.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	for range min(threads, geometry.NumPieces()) {
		group.Go(func() error { return job.work(ctx) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return job.pieces, src.unchanged()
}

// hashJob is what the workers share. Each writes only the hashes of the
// pieces it claimed.
type hashJob struct {
	src      *source
	geometry Geometry
	pieces   []byte
	run      int // pieces per claim
	next     atomic.Int64
	hashed   atomic.Int64 // bytes
	progress func(hashed, total int64)
}

func (job *hashJob) work(ctx context.Context) error {
	w := &hashWorker{src: job.src, buf: make([]byte, readLen), digest: sha1.New()}
	defer w.close()
	for {
		first := int(job.next.Add(int64(job.run))) - job.run
		end := min(first+job.run, job.geometry.NumPieces())
		for pieceIndex := first; pieceIndex < end; pieceIndex++ {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			sum := job.pieces[pieceIndex*sha1.Size : pieceIndex*sha1.Size : (pieceIndex+1)*sha1.Size]
			if err := w.hash(ctx, job.geometry.PieceOffset(pieceIndex), job.geometry.PieceLen(pieceIndex), sum); err != nil {
				return err
			}
		}
		if first >= end {
			return nil
		}
		job.report(first, end)
	}
}

// report tells the progress after the pieces from first up to end are done.
func (job *hashJob) report(first, end int) {
	last := end - 1
	n := job.geometry.PieceOffset(last) + int64(job.geometry.PieceLen(last)) - job.geometry.PieceOffset(first)
	hashed := job.hashed.Add(n)
	if job.progress != nil {
		job.progress(hashed, job.geometry.TotalLen())
	}
}

// hashWorker is what one worker keeps between pieces: the buffer and the file
// that it read last.
type hashWorker struct {
	src    *source
	buf    []byte
	digest hash.Hash
	file   *os.File
	index  int // of file
}

// hash appends the SHA-1 of length bytes from offset to sum.
func (w *hashWorker) hash(ctx context.Context, offset int64, length int, sum []byte) error {
	w.digest.Reset()
	files := w.src.files
	i := sort.Search(len(files), func(i int) bool { return files[i].offset+files[i].length > offset })
	for ; length > 0; i++ {
		f := &files[i]
		n := int(min(int64(length), f.offset+f.length-offset))
		if n == 0 {
			continue
		}
		if err := w.hashFile(ctx, i, offset-f.offset, n); err != nil {
			return err
		}
		offset += int64(n)
		length -= n
	}
	w.digest.Sum(sum)
	return nil
}

// hashFile feeds length bytes from offset of file fileIndex to the digest.
func (w *hashWorker) hashFile(ctx context.Context, fileIndex int, offset int64, length int) error {
	if err := w.open(fileIndex); err != nil {
		return err
	}
	for length > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(length, len(w.buf))
		if _, err := w.file.ReadAt(w.buf[:n], offset); err != nil {
			if errors.Is(err, io.EOF) {
				return changedError(w.file.Name())
			}
			return err
		}
		w.digest.Write(w.buf[:n])
		offset += int64(n)
		length -= n
	}
	return nil
}

func (w *hashWorker) open(fileIndex int) (err error) {
	if w.file != nil && w.index == fileIndex {
		return nil
	}
	w.close()
	w.file, err = os.Open(w.src.files[fileIndex].diskPath)
	w.index = fileIndex
	return err
}

func (w *hashWorker) close() {
	if w.file != nil {
		w.file.Close() // it was only read
		w.file = nil
	}
}
