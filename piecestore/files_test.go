package piecestore_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/piecestore"
	"github.com/shoal-bt/shoal/piecestore/storetest"
)

func TestContract(t *testing.T) {
	openFiles := func(limit int) func(*testing.T, *piecestore.Layout) piecestore.Storage {
		return func(t *testing.T, layout *piecestore.Layout) piecestore.Storage {
			return newFiles(t, t.TempDir(), layout, piecestore.NewHandles(limit))
		}
	}
	t.Run("files", func(t *testing.T) { storetest.Run(t, openFiles(0)) })
	t.Run("files, one open at a time", func(t *testing.T) { storetest.Run(t, openFiles(1)) })
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, layout *piecestore.Layout) piecestore.Storage {
			return piecestore.NewMemory(layout.Geometry().TotalLen())
		})
	})
}

func newFiles(t testing.TB, dir string, layout *piecestore.Layout, handles *piecestore.Handles) *piecestore.Files {
	t.Helper()
	files, err := piecestore.OpenFiles(dir, layout, handles)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return files
}

// newLayout makes a layout of files in pieces of pieceLen bytes.
func newLayout(t testing.TB, pieceLen int64, files ...piecestore.File) *piecestore.Layout {
	t.Helper()
	var total int64
	for _, f := range files {
		total += f.Length
	}
	geo, err := metainfo.NewGeometry(total, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := piecestore.NewLayout(geo, files)
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

func writeAll(t testing.TB, store piecestore.Storage, b []byte) {
	t.Helper()
	if err := store.WriteAt([][]byte{b}, 0); err != nil {
		t.Fatal(err)
	}
}

// TestFilesOnDisk looks at the files themselves: contents, what is made when,
// attributes, and no trace of the padding.
func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	layout := newLayout(t, 16<<10,
		piecestore.File{Path: "a/run", Length: 5, Executable: true},
		piecestore.File{Path: "a/link", Symlink: "b/c/data"},
		piecestore.File{Length: 3, Pad: true},
		piecestore.File{Path: "b/c/data", Length: 4},
		piecestore.File{Path: "b/empty"})
	files := newFiles(t, dir, layout, nil)
	if got := tree(t, dir); got != "" {
		t.Errorf("opening made %s", got)
	}
	if err := files.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := files.Prepare(); err != nil {
		t.Fatalf("a second time: %v", err)
	}
	if got, want := tree(t, dir), "a/link b/empty"; got != want {
		t.Errorf("Prepare made %q, want %q", got, want)
	}
	writeAll(t, files, []byte("12345\x00\x00\x00abcd"))
	if got, want := tree(t, dir), "a/link a/run b/c/data b/empty"; got != want {
		t.Errorf("there are %q, want %q", got, want)
	}
	for name, want := range map[string]string{"a/run": "12345", "a/link": "abcd", "b/c/data": "abcd", "b/empty": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]bool{"a/run": true, "b/c/data": false} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode()&0o100 != 0 != want {
			t.Errorf("%s: mode %v, %v; executable should be %v", name, info.Mode(), err, want)
		}
	}
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) string {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// TestPlantedSymlink holds that a link planted in the folder, for a file or
// for a folder on the way to it, does not lead out of it.
func TestPlantedSymlink(t *testing.T) {
	for _, planted := range []string{"d", "d/f"} {
		outside, dir := t.TempDir(), t.TempDir()
		victim := filepath.Join(outside, "f")
		if err := os.WriteFile(victim, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
		os.MkdirAll(filepath.Dir(filepath.Join(dir, planted)), 0o777)
		target := outside
		if planted == "d/f" {
			target = victim
		}
		if err := os.Symlink(target, filepath.Join(dir, planted)); err != nil {
			t.Skip(err)
		}
		files := newFiles(t, dir, newLayout(t, 16<<10, piecestore.File{Path: "d/f", Length: 4}), nil)
		if err := files.WriteAt([][]byte{[]byte("evil")}, 0); err == nil {
			t.Errorf("%s: the write went through", planted)
		}
		if _, err := files.ReadAt(make([]byte, 4), 0); err == nil {
			t.Errorf("%s: the read went through", planted)
		}
		if got, _ := os.ReadFile(victim); string(got) != "mine" {
			t.Errorf("%s: the file outside is %q now", planted, got)
		}
	}
}

// TestForeignFile holds that what is the user's is not overwritten or cut.
func TestForeignFile(t *testing.T) {
	layout := newLayout(t, 16<<10, piecestore.File{Path: "f", Length: 4})
	t.Run("longer", func(t *testing.T) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "f"), []byte("longer"), 0o666)
		files := newFiles(t, dir, layout, nil)
		if err := files.Prepare(); !errors.Is(err, piecestore.ErrTooLong) {
			t.Errorf("Prepare: %v, want ErrTooLong", err)
		}
		if err := files.WriteAt([][]byte{{1}}, 0); !errors.Is(err, piecestore.ErrTooLong) {
			t.Errorf("write: %v, want ErrTooLong", err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "f")); string(got) != "longer" {
			t.Errorf("the file is %q now", got)
		}
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		os.Mkdir(filepath.Join(dir, "f"), 0o777)
		files := newFiles(t, dir, layout, nil)
		if err := files.Prepare(); !errors.Is(err, piecestore.ErrNotRegular) {
			t.Errorf("Prepare: %v, want ErrNotRegular", err)
		}
		if err := files.WriteAt([][]byte{{1}}, 0); err == nil {
			t.Error("a folder was written to")
		}
		if _, err := files.ReadAt(make([]byte, 1), 0); !errors.Is(err, piecestore.ErrNotRegular) {
			t.Errorf("read: %v, want ErrNotRegular", err)
		}
	})
}

func TestLayoutRefuses(t *testing.T) {
	geo, _ := metainfo.NewGeometry(10, 16<<10)
	for name, files := range map[string][]piecestore.File{
		"up":           {{Path: "../f", Length: 10}},
		"up in middle": {{Path: "a/../../f", Length: 10}},
		"absolute":     {{Path: "/f", Length: 10}},
		"empty":        {{Path: "", Length: 10}},
		"the folder":   {{Path: "a/..", Length: 10}},
		"twice":        {{Path: "f", Length: 5}, {Path: "f", Length: 5}},
		"too short":    {{Path: "f", Length: 9}},
		"too long":     {{Path: "f", Length: 9}, {Path: "g", Length: 2}},
		"overflow":     {{Path: "f", Length: 1<<63 - 1}, {Path: "g", Length: 1<<63 - 1}, {Path: "h", Length: 12}},
		"negative":     {{Path: "f", Length: 11}, {Path: "g", Length: -1}},
		"dangling":     {{Path: "f", Length: 10}, {Path: "g", Symlink: "../x"}},
	} {
		if _, err := piecestore.NewLayout(geo, files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestIsNoSpace(t *testing.T) {
	store := &storetest.Faulty{Storage: piecestore.NewMemory(10)}
	store.FailWrites(&os.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC})
	if err := store.WriteAt([][]byte{{1}}, 0); !piecestore.IsNoSpace(err) {
		t.Errorf("%v is not seen as a full disk", err)
	}
	if piecestore.IsNoSpace(syscall.EIO) || piecestore.IsNoSpace(nil) {
		t.Error("another error is seen as a full disk")
	}
}

func TestFreeSpace(t *testing.T) {
	dir := t.TempDir()
	here, err := piecestore.FreeSpace(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || here <= 0 {
		t.Fatalf("FreeSpace: %d, %v", here, err)
	}
	if below, err := piecestore.FreeSpace(filepath.Join(dir, "not", "yet")); err != nil || below <= 0 {
		t.Errorf("of a folder that does not exist: %d, %v", below, err)
	}
}

// TestManyFiles keeps fewer files open than there are in use over time, and
// shares the bound between two stores.
func TestManyFiles(t *testing.T) {
	var list []piecestore.File
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		list = append(list, piecestore.File{Path: string(c), Length: 100})
	}
	layout := newLayout(t, 16<<10, list...)
	handles := piecestore.NewHandles(4)
	first, second := newFiles(t, t.TempDir(), layout, handles), newFiles(t, t.TempDir(), layout, handles)
	want := storetest.Bytes(layout, 1)
	for _, files := range []*piecestore.Files{first, second, first} {
		writeAll(t, files, want)
		got := make([]byte, len(want))
		if _, err := files.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read back: %v", err)
		}
		if n := handles.NumOpen(); n != 4 {
			t.Errorf("%d files are open, want 4", n)
		}
	}
	first.Close()
	second.Close()
	if n := handles.NumOpen(); n != 0 {
		t.Errorf("%d files are open after Close", n)
	}
}
