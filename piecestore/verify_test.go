package piecestore_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/piecestore"
	"github.com/shoal-bt/shoal/piecestore/storetest"
)

// hashes returns the hashes of the pieces of b.
func hashes(layout *piecestore.Layout, b []byte) func(int) [20]byte {
	geo := layout.Geometry()
	return func(i int) [20]byte { return sha1.Sum(b[geo.PieceOffset(i):][:geo.PieceLen(i)]) }
}

// members lists a set.
func members(s *bitfield.Set) (list []int) {
	for i := range s.Members() {
		list = append(list, i)
	}
	return list
}

func wantSet(t *testing.T, what string, got *bitfield.Set, want ...int) {
	t.Helper()
	same := got.Count() == len(want)
	for _, i := range want {
		same = same && got.Has(i)
	}
	if !same {
		t.Errorf("%s: pieces %v, want %v", what, members(got), want)
	}
}

func TestVerify(t *testing.T) {
	ctx := t.Context()
	for _, workers := range []int{0, 1, 7} {
		dir := t.TempDir()
		layout := storetest.Layout(t) // five pieces
		geo := layout.Geometry()
		files := newFiles(t, dir, layout, nil)
		data := storetest.Bytes(layout, 1)
		want := hashes(layout, data)
		verify := func(pieces *bitfield.Set) *bitfield.Set {
			t.Helper()
			var done []int
			good, err := piecestore.Verify(ctx, files, geo, want, pieces, workers, func(n int) { done = append(done, n) })
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range done {
				if n != i+1 {
					t.Fatalf("progress is %v", done)
				}
			}
			numPieces := geo.NumPieces()
			if pieces != nil {
				numPieces = pieces.Count()
			}
			if len(done) != numPieces {
				t.Errorf("progress was told %d times for %d pieces", len(done), numPieces)
			}
			return good
		}
		wantSet(t, "empty store", verify(nil))
		writeAll(t, files, data)
		wantSet(t, "all there", verify(nil), 0, 1, 2, 3, 4)
		some := bitfield.New(5)
		some.Add(1)
		some.Add(4)
		wantSet(t, "some asked for", verify(some), 1, 4)
		if err := files.WriteAt([][]byte{{data[40_000] ^ 1}}, 40_000); err != nil {
			t.Fatal(err)
		}
		wantSet(t, "one bit wrong", verify(nil), 0, 2, 3, 4)
		if err := os.Remove(filepath.Join(dir, "top", "last")); err != nil {
			t.Fatal(err)
		}
		files.Close()
		files = newFiles(t, dir, layout, nil)
		wantSet(t, "a file removed", verify(nil), 0, 2)
	}
}

// TestVerifyZeros tells a piece that consists of zeros from a hole and from a
// file that is not there.
func TestVerifyZeros(t *testing.T) {
	dir := t.TempDir()
	layout := newLayout(t, 64<<10, piecestore.File{Path: "f", Length: 256 << 10})
	files := newFiles(t, dir, layout, nil)
	data := make([]byte, 256<<10)
	copy(data[128<<10:], "not a zero")
	want := hashes(layout, data)
	verify := func() *bitfield.Set {
		good, err := piecestore.Verify(t.Context(), files, layout.Geometry(), want, nil, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return good
	}
	wantSet(t, "no file", verify())
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "f"), 128<<10); err != nil {
		t.Fatal(err)
	}
	wantSet(t, "half a file, all hole", verify(), 0, 1)
	os.Truncate(filepath.Join(dir, "f"), 256<<10)
	wantSet(t, "a file, all hole", verify(), 0, 1, 3)
}

func TestVerifyEnds(t *testing.T) {
	w := newSeed(t, 8<<20, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	good, err := piecestore.Verify(ctx, w.store, w.geo, w.hash, nil, 1, func(done int) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	wantSet(t, "found before the end", good, 0, 1, 2)

	w.store.FailReads(syscall.EIO)
	good, err = piecestore.Verify(t.Context(), w.store, w.geo, w.hash, nil, 2, nil)
	if err != nil || good.Count() != 0 {
		t.Errorf("on a broken disk: %d pieces, %v; want none, and no error", good.Count(), err)
	}
	w.store.FailReads(nil)
	w.store.Close()
	if _, err = piecestore.Verify(t.Context(), w.store, w.geo, w.hash, nil, 2, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a closed store: %v, want os.ErrClosed", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b, 128<<20, 1<<20)
	layout := newLayout(b, 1<<20, piecestore.File{Path: "f", Length: 128 << 20})
	files := newFiles(b, b.TempDir(), layout, nil)
	writeAll(b, files, w.data)
	b.SetBytes(128 << 20)
	want := make([][20]byte, w.geo.NumPieces())
	for i := range want {
		want[i] = w.hash(i)
	}
	for b.Loop() {
		good, err := piecestore.Verify(b.Context(), files, w.geo, func(i int) [20]byte { return want[i] }, nil, 0, nil)
		if err != nil || !good.All() {
			b.Fatal(good.Count(), err)
		}
	}
}
