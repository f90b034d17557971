// Package storetest holds every piecestore.Storage to the same contract, and
// has a store that fails on demand for the tests of what uses one.
//
// Run is the suite; Faulty is the store. Neither starts a goroutine that
// outlives its test.
package storetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
)

// Layout is what the suite stores: files of many lengths, empty and padding
// ones among them, in pieces that lie across several. It is 160,000 bytes
// long.
func Layout(t testing.TB) *piecestore.Layout {
	t.Helper()
	geo, err := metainfo.NewGeometry(160_000, 32<<10)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := piecestore.NewLayout(geo, []piecestore.File{
		{Path: "top/empty", Length: 0},
		{Path: "top/one", Length: 1},
		{Path: "top/deep/down/long", Length: 99_999},
		{Length: padLen, Pad: true},
		{Path: "top/also empty", Length: 0},
		{Path: "top/three", Length: 3},
		{Path: "top/last", Length: 160_000 - 100_000 - padLen - 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

const (
	padLen   = 5000
	padStart = 100_000
)

// Bytes returns the content of the layout's torrent: bytes drawn from seed,
// and zeros in the padding.
func Bytes(layout *piecestore.Layout, seed uint64) []byte {
	b := make([]byte, layout.Geometry().TotalLen())
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	for i := range layout.NumFiles() {
		if f := layout.File(i); f.Pad {
			clear(b[layout.FileOffset(i):][:f.Length])
		}
	}
	return b
}

// Run holds the stores that open makes to the contract of piecestore.Storage.
// Each call of open must give an empty store.
func Run(t *testing.T, open func(t *testing.T, layout *piecestore.Layout) piecestore.Storage) {
	layout := Layout(t)
	cases := []struct {
		name string
		test func(t *testing.T, layout *piecestore.Layout, store piecestore.Storage)
	}{
		{"round trip", testRoundTrip},
		{"vectored write", testVectored},
		{"bounds", testBounds},
		{"missing data", testMissing},
		{"padding", testPadding},
		{"next data", testNextData},
		{"concurrency", testConcurrency},
		{"closed", testClosed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store := open(t, layout)
			t.Cleanup(func() { store.Close() })
			c.test(t, layout, store)
		})
	}
}

// testRoundTrip writes ranges at random and reads others, against a slice.
func testRoundTrip(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	want := Bytes(layout, 1)
	write(t, store, want, 0)
	rng := rand.New(rand.NewPCG(2, 2))
	fresh := Bytes(layout, 2)
	for range 200 {
		from := rng.IntN(len(want))
		n := rng.IntN(min(len(want)-from, 40_000) + 1)
		write(t, store, fresh[from:from+n], int64(from))
		copy(want[from:], fresh[from:from+n])
		from = rng.IntN(len(want))
		n = rng.IntN(len(want) - from + 1)
		if got := read(t, store, n, int64(from)); !bytes.Equal(got, want[from:from+n]) {
			t.Fatalf("%d bytes from %d differ from what was written", n, from)
		}
	}
	if err := store.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
}

// testVectored writes buffers of odd lengths, more of them than one pwritev
// takes, and finds them unchanged afterwards.
func testVectored(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	want := Bytes(layout, 3)
	var bufs [][]byte
	for rest, n := bytes.Clone(want), 0; len(rest) > 0; n = (n + 7) % 97 {
		cut := min(n, len(rest))
		bufs = append(bufs, rest[:cut])
		rest = rest[cut:]
	}
	if len(bufs) < 3000 {
		t.Fatalf("only %d buffers", len(bufs))
	}
	if err := store.WriteAt(bufs, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.Join(bufs, nil), want) {
		t.Error("WriteAt changed the buffers")
	}
	if !bytes.Equal(read(t, store, len(want), 0), want) {
		t.Error("what is read differs from what was written")
	}
	if err := store.WriteAt(nil, 17); err != nil {
		t.Errorf("a write of nothing: %v", err)
	}
}

func testBounds(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	total := layout.Geometry().TotalLen()
	write(t, store, Bytes(layout, 4), 0)
	for _, off := range []int64{-1, total, total - 1, 1 << 62} {
		if err := store.WriteAt([][]byte{{1}, {2}}, off); !errors.Is(err, piecestore.ErrBounds) {
			t.Errorf("write of 2 bytes at %d: %v, want ErrBounds", off, err)
		}
	}
	for _, off := range []int64{-1, total + 1, 1 << 62} {
		if _, err := store.ReadAt(make([]byte, 1), off); !errors.Is(err, piecestore.ErrBounds) {
			t.Errorf("read at %d: %v, want ErrBounds", off, err)
		}
	}
	if n, err := store.ReadAt(make([]byte, 10), total-4); n != 4 || err != io.EOF {
		t.Errorf("read over the end: %d, %v; want 4, EOF", n, err)
	}
	if n, err := store.ReadAt(make([]byte, 10), total); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v; want 0, EOF", n, err)
	}
	if !bytes.Equal(read(t, store, int(total), 0), Bytes(layout, 4)) {
		t.Error("a write outside of the bounds changed something")
	}
}

// testMissing reads what was never written: it is missing or zeros, and what
// lies before it is read.
func testMissing(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	buf := make([]byte, 100)
	if n, err := store.ReadAt(buf, 50); n != 0 || !errors.Is(err, piecestore.ErrMissing) {
		t.Errorf("read of an empty store: %d, %v; want 0, ErrMissing", n, err)
	}
	want := Bytes(layout, 5)
	write(t, store, want[:1000], 0)
	for i := range buf {
		buf[i] = 0xee
	}
	n, err := store.ReadAt(buf, 950)
	if n < 50 || !bytes.Equal(buf[:50], want[950:1000]) {
		t.Fatalf("read %d bytes, %v: want 50 or more, as written", n, err)
	}
	if n < len(buf) && !errors.Is(err, piecestore.ErrMissing) || n == len(buf) && err != nil {
		t.Errorf("read %d bytes of 100: %v", n, err)
	}
	if !bytes.Equal(buf[50:n], make([]byte, n-50)) {
		t.Error("bytes that were never written are not zeros")
	}
}

// testPadding writes over the padding, which may be discarded or kept if it
// is zeros.
func testPadding(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	write(t, store, Bytes(layout, 6), 0)
	if got := read(t, store, padLen, padStart); !bytes.Equal(got, make([]byte, padLen)) {
		t.Error("padding does not read as zeros")
	}
}

func testNextData(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	total := layout.Geometry().TotalLen()
	if got := store.NextData(0); got != total && got != 0 {
		t.Errorf("NextData(0) of an empty store is %d", got)
	}
	write(t, store, []byte{1, 2, 3}, 120_000)
	for _, off := range []int64{0, 1, 99_999, 119_999, 120_000, 120_002} {
		if got := store.NextData(off); got < off || off <= 120_000 && got > 120_000 {
			t.Errorf("NextData(%d) is %d, past the data at 120000", off, got)
		}
	}
	if got := store.NextData(total); got != total {
		t.Errorf("NextData at the end is %d, want %d", got, total)
	}
}

// testConcurrency lets writers and readers loose on ranges of their own; the
// race detector and the bytes tell.
func testConcurrency(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	want := Bytes(layout, 7)
	const workers = 8
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			from, end := len(want)*w/workers, len(want)*(w+1)/workers
			for off := from; off < end; off += 1111 {
				part := want[off:min(off+1111, end)]
				if err := store.WriteAt([][]byte{part[:len(part)/2], part[len(part)/2:]}, int64(off)); err != nil {
					t.Error(err)
				}
				got := make([]byte, len(part))
				if _, err := store.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, part) {
					t.Errorf("read back at %d: %v", off, err)
				}
			}
			if err := store.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if !bytes.Equal(read(t, store, len(want), 0), want) {
		t.Error("what is read differs from what was written")
	}
}

func testClosed(t *testing.T, layout *piecestore.Layout, store piecestore.Storage) {
	write(t, store, Bytes(layout, 8), 0)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := store.NextData(7); got != 7 {
		t.Errorf("NextData(7) after Close is %d, want 7", got)
	}
	_, readErr := store.ReadAt(make([]byte, 1), 0)
	for verb, err := range map[string]error{
		"read": readErr, "write": store.WriteAt([][]byte{{1}}, 0), "sync": store.Sync(), "close": store.Close(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after Close: %v, want os.ErrClosed", verb, err)
		}
	}
}

func write(t *testing.T, store piecestore.Storage, b []byte, off int64) {
	t.Helper()
	if err := store.WriteAt([][]byte{b}, off); err != nil {
		t.Fatalf("write %d bytes at %d: %v", len(b), off, err)
	}
}

func read(t *testing.T, store piecestore.Storage, n int, off int64) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := store.ReadAt(b, off); err != nil {
		t.Fatalf("read %d bytes at %d: %v", n, off, err)
	}
	return b
}

// Faulty is a store that fails when it is told to, and counts calls.
type Faulty struct {
	piecestore.Storage
	reads, writes     atomic.Int64
	readErr, writeErr atomic.Pointer[error]
	onWrite           atomic.Pointer[func()]
}

// FailReads makes every read from now on fail with err; nil ends that.
func (f *Faulty) FailReads(err error) { f.readErr.Store(&err) }

// FailWrites makes every write from now on fail with err, for example
// syscall.ENOSPC; nil ends that.
func (f *Faulty) FailWrites(err error) { f.writeErr.Store(&err) }

// OnWrite has do called at the start of every write from now on, for a test of
// what happens meanwhile; nil ends that.
func (f *Faulty) OnWrite(do func()) { f.onWrite.Store(&do) }

// Reads is the number of calls of ReadAt.
func (f *Faulty) Reads() int { return int(f.reads.Load()) }

// Writes is the number of calls of WriteAt.
func (f *Faulty) Writes() int { return int(f.writes.Load()) }

// ReadAt implements piecestore.Storage.
func (f *Faulty) ReadAt(p []byte, off int64) (int, error) {
	f.reads.Add(1)
	if err := f.readErr.Load(); err != nil && *err != nil {
		return 0, *err
	}
	return f.Storage.ReadAt(p, off)
}

// WriteAt implements piecestore.Storage.
func (f *Faulty) WriteAt(bufs [][]byte, off int64) error {
	f.writes.Add(1)
	if do := f.onWrite.Load(); do != nil && *do != nil {
		(*do)()
	}
	if err := f.writeErr.Load(); err != nil && *err != nil {
		return *err
	}
	return f.Storage.WriteAt(bufs, off)
}
