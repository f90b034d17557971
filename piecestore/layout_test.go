package piecestore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
)

// TestLayoutOf makes a torrent of a folder with a name that is not safe
// everywhere: a download has it at a safe name, the folder itself is found as
// it is, and verifies.
func TestLayoutOf(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "stuff")
	for name, content := range map[string]string{"aux.c": "int main;", "empty": "", "z": "zzz"} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	meta, _, err := metainfo.Create(t.Context(), folder, metainfo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	safe, err := piecestore.LayoutOf(&meta.Info)
	if err != nil {
		t.Fatal(err)
	}
	there, err := piecestore.LayoutIn(dir, &meta.Info)
	if err != nil {
		t.Fatal(err)
	}
	if safe.File(0).Path == "stuff/aux.c" || there.File(0).Path != "stuff/aux.c" {
		t.Errorf("the file is to be at %q, and was found at %q", safe.File(0).Path, there.File(0).Path)
	}
	if safe.NumFiles() != 3 || safe.File(2) != (piecestore.File{Path: "stuff/z", Length: 3}) || safe.FileOffset(2) != 9 {
		t.Errorf("file 2 of %d is %+v at %d", safe.NumFiles(), safe.File(2), safe.FileOffset(2))
	}
	for layout, want := range map[*piecestore.Layout]bool{safe: false, there: true} {
		files := newFiles(t, dir, layout, nil)
		good, err := piecestore.Verify(t.Context(), files, meta.Info.Geometry, meta.Info.PieceHash, nil, 0, nil)
		if err != nil || good.All() != want {
			t.Errorf("with the file at %q: verified is %v, %v", layout.File(0).Path, good.All(), err)
		}
	}
}

// TestLayoutLookup crosses many files, empty ones among them, the way pieces
// do.
func TestLayoutLookup(t *testing.T) {
	layout := newLayout(t, 10, []piecestore.File{
		{Path: "a"}, {Path: "b", Length: 7}, {Path: "c"}, {Path: "d"}, {Path: "e", Length: 30}, {Path: "f", Length: 1}, {Path: "g"},
	}...)
	want := make([]byte, 38)
	for i := range want {
		want[i] = byte(i + 1)
	}
	dir := t.TempDir()
	files := newFiles(t, dir, layout, nil)
	writeAll(t, files, want)
	for from := range want {
		for end := from; end <= len(want); end++ {
			got := make([]byte, end-from)
			if _, err := files.ReadAt(got, int64(from)); err != nil || string(got) != string(want[from:end]) {
				t.Fatalf("bytes %d to %d: %v, %v", from, end, got, err)
			}
		}
	}
	if got := tree(t, dir); got != "b e f" {
		t.Errorf("files with bytes: %q", got)
	}
}
