package metainfo

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	zeebo "github.com/zeebo/bencode"
)

// randomBytes returns n bytes that depend on nothing else than n.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// writeFiles makes a folder with files of these lengths by path.
func writeFiles(t testing.TB, lengths map[string]int) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "folder")
	for path, n := range lengths {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, randomBytes(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func create(t testing.TB, path string, opt CreateOptions) *Metainfo {
	t.Helper()
	m, _, err := Create(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// checkHashes hashes the files of m below dir anew, in the simplest way.
func checkHashes(t *testing.T, m *Metainfo, dir string) {
	t.Helper()
	var all []byte
	for _, f := range m.Info.Files {
		b, err := os.ReadFile(filepath.Join(dir, f.DiskPath))
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(b)) != f.Length {
			t.Errorf("%s has %d bytes, not %d", f.DiskPath, len(b), f.Length)
		}
		all = append(all, b...)
	}
	g := m.Info.Geometry
	for i := range g.NumPieces() {
		begin := int(g.PieceOffset(i))
		if sha1.Sum(all[begin:begin+g.PieceLen(i)]) != m.Info.PieceHash(i) {
			t.Errorf("piece %d of %d has a wrong hash", i, g.NumPieces())
		}
	}
}

var someFiles = map[string]int{
	"b": 5_000, "a-1": 1, "a/z": 100_000, "a/日本": 16384, "a.x": 0, "c/d/e": 2_000_000, "c/d/.hidden": 77, "zero": 0,
}

func TestCreateFolder(t *testing.T) {
	folder := writeFiles(t, someFiles)
	var hashes []InfoHash
	for _, threads := range []int{1, 2, 7} {
		m := create(t, folder, CreateOptions{Threads: threads, PieceLen: 32 << 10})
		hashes = append(hashes, m.InfoHash)
		checkHashes(t, m, filepath.Dir(folder))
		want := []string{"folder/a/z", "folder/a/日本", "folder/a-1", "folder/a.x", "folder/b", "folder/c/d/.hidden", "folder/c/d/e", "folder/zero"}
		if got := diskPaths(m); !slices.Equal(got, want) || len(m.Findings) != 0 {
			t.Errorf("files %q, findings %v", got, m.Findings)
		}
	}
	if hashes[0] != hashes[1] || hashes[1] != hashes[2] {
		t.Errorf("the info-hash depends on the threads: %v", hashes)
	}
}

func TestCreateFile(t *testing.T) {
	for _, n := range []int{1, 16384, 16385, 3<<20 + 17} {
		folder := writeFiles(t, map[string]int{"f.bin": n})
		m := create(t, filepath.Join(folder, "f.bin"), CreateOptions{})
		if m.Info.Multi || m.Info.Name != "f.bin" || m.Info.Geometry.TotalLen() != int64(n) {
			t.Errorf("%d bytes: %+v", n, m.Info)
		}
		checkHashes(t, m, folder)
	}
}

func TestCreateOptionsAreWritten(t *testing.T) {
	folder := writeFiles(t, someFiles)
	date := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	opt := CreateOptions{
		Announce: [][]string{{"http://a.example/x", "udp://b.example:1"}, {"http://c.example/"}},
		WebSeeds: []string{"http://w.example/"}, Private: true, Source: "SRC", Comment: "héllo",
		Name: "other", Date: date, PieceLen: 64 << 10, Exclude: []string{"c", "*.x", "a/z"},
	}
	m, b, err := Create(context.Background(), folder, opt)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(m.Announce) != fmt.Sprint(opt.Announce) || !slices.Equal(m.WebSeeds, opt.WebSeeds) || m.Comment != opt.Comment {
		t.Errorf("%+v", m)
	}
	if !m.Info.Private || m.Info.Source != "SRC" || m.Info.Name != "other" || !m.CreationDate.Equal(date) || m.CreatedBy != "Shoal/"+Version {
		t.Errorf("%+v", m)
	}
	if got := diskPaths(m); !slices.Equal(got, []string{"other/a/日本", "other/a-1", "other/b", "other/zero"}) {
		t.Errorf("files %q", got)
	}
	// Canonical: another library decodes the bytes, and encodes the same.
	var x any
	if err := zeebo.DecodeBytes(b, &x); err != nil {
		t.Fatal(err)
	}
	if again, err := zeebo.EncodeBytes(x); err != nil || !bytes.Equal(again, b) {
		t.Errorf("re-encoded bytes differ: %v", err)
	}
	outer := create(t, folder, CreateOptions{Nodes: []string{"[::1]:5"}, NoDate: true, CreatedBy: "x"})
	if !slices.Equal(outer.Nodes, []string{"[::1]:5"}) || !outer.CreationDate.IsZero() || outer.CreatedBy != "x" {
		t.Errorf("%+v", outer)
	}
	before := time.Now().Truncate(time.Second)
	if now := create(t, folder, CreateOptions{}).CreationDate; now.Before(before) {
		t.Errorf("dated %v, not now", now)
	}
}

func TestCreateRefuses(t *testing.T) {
	good := writeFiles(t, map[string]int{"a": 1})
	for name, test := range map[string]struct {
		path string
		opt  CreateOptions
		want string
	}{
		"nothing there":    {filepath.Join(good, "x"), CreateOptions{}, "no such file"},
		"empty folder":     {t.TempDir(), CreateOptions{}, "no files"},
		"all excluded":     {good, CreateOptions{Exclude: []string{"*"}}, "excluded"},
		"only empty files": {writeFiles(t, map[string]int{"a": 0, "b": 0}), CreateOptions{}, "only empty files"},
		"piece length 5":   {good, CreateOptions{PieceLen: 5}, "power of two"},
		"piece length -1":  {good, CreateOptions{PieceLen: -1}, "power of two"},
		"piece length 48K": {good, CreateOptions{PieceLen: 48 << 10}, "power of two"},
		"piece length 2G":  {good, CreateOptions{PieceLen: 2 << 30}, "power of two"},
		"tracker":          {good, CreateOptions{Announce: [][]string{{"t.example"}}}, "URL such as"},
		"web seed":         {good, CreateOptions{WebSeeds: []string{""}}, "URL such as"},
		"node":             {good, CreateOptions{Nodes: []string{"host"}}, "DHT node"},
		"node port":        {good, CreateOptions{Nodes: []string{"host:0"}}, "1 to 65535"},
		"private nodes":    {good, CreateOptions{Nodes: []string{"h:1"}, Private: true}, "BEP 27"},
		"pattern":          {good, CreateOptions{Exclude: []string{"[a"}}, "pattern"},
		"name":             {good, CreateOptions{Name: "../x"}, "name"},
		"name not UTF-8":   {good, CreateOptions{Name: "\xff"}, "UTF-8"},
		"device":           {os.DevNull, CreateOptions{}, "neither a file nor a folder"},
		"file name":        {writeFiles(t, map[string]int{"\xff": 1}), CreateOptions{}, "not UTF-8"},
	} {
		if runtime.GOOS != "linux" && name == "file name" {
			continue // other systems do not let the file exist
		}
		m, b, err := Create(context.Background(), test.path, test.opt)
		if err == nil || !strings.Contains(err.Error(), test.want) || m != nil || b != nil {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestCreateLeavesOutLinksAndSockets(t *testing.T) {
	folder := writeFiles(t, map[string]int{"a": 10})
	if err := os.Symlink("/etc", filepath.Join(folder, "link")); err != nil {
		t.Skip(err)
	}
	t.Chdir(folder) // the path of a socket is short
	socket, err := net.Listen("unix", "s")
	if err != nil {
		t.Skip(err)
	}
	defer socket.Close()
	m := create(t, folder, CreateOptions{})
	if len(m.Info.Files) != 1 || len(m.Findings) != 1 || m.Findings[0].Code != FindSkipped || m.Findings[0].Count != 2 {
		t.Errorf("files %q, findings %+v", diskPaths(m), m.Findings)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	if m := create(t, link, CreateOptions{}); m.Info.Name != "link" || len(m.Info.Files) != 1 {
		t.Errorf("through a link: %q", diskPaths(m))
	}
	if m := create(t, ".", CreateOptions{}); m.Info.Name != "folder" {
		t.Errorf("of the current folder: %q", m.Info.Name)
	}
}

func TestCreateUnreadable(t *testing.T) {
	folder := writeFiles(t, map[string]int{"a": 10, "b/c": 1})
	for _, path := range []string{"a", "b"} {
		path = filepath.Join(folder, path)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		if f, err := os.Open(path); err == nil {
			f.Close()
			t.Skip("this user may read everything")
		}
		if _, _, err := Create(context.Background(), folder, CreateOptions{}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s unreadable: %v", path, err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that becomes shorter, longer or only newer on the way is an error.
func TestCreateOfChangingFile(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shorter": func(path string) error { return os.Truncate(path, 1<<20) },
		"longer":  func(path string) error { return os.Truncate(path, 5<<20) },
		"newer":   func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		folder := writeFiles(t, map[string]int{"a": 4 << 20})
		var once atomic.Bool
		opt := CreateOptions{Threads: 1, PieceLen: 1 << 20, Progress: func(int64, int64) {
			if once.CompareAndSwap(false, true) {
				if err := change(filepath.Join(folder, "a")); err != nil {
					t.Error(err)
				}
			}
		}}
		if _, _, err := Create(context.Background(), folder, opt); err == nil || !strings.Contains(err.Error(), "changed while") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCreateProgressAndCancel(t *testing.T) {
	folder := writeFiles(t, map[string]int{"a": 5<<20 + 1, "b": 3})
	var calls, most atomic.Int64
	opt := CreateOptions{Threads: 2, Progress: func(hashed, total int64) {
		calls.Add(1)
		for old := most.Load(); old < hashed && !most.CompareAndSwap(old, hashed); old = most.Load() {
		}
		if total != 5<<20+4 {
			t.Errorf("total %d", total)
		}
	}}
	create(t, folder, opt)
	if most.Load() != 5<<20+4 || calls.Load() != 6 {
		t.Errorf("%d calls, up to %d", calls.Load(), most.Load())
	}
	ctx, cancel := context.WithCancel(context.Background())
	opt.Progress = func(int64, int64) { cancel() }
	if _, _, err := Create(ctx, folder, opt); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, _, err := Create(ctx, folder, CreateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
}

func TestPieceLenFor(t *testing.T) {
	for _, test := range []struct{ totalLen, want int64 }{
		{1, 16 << 10}, {1 << 20, 16 << 10}, {30 << 20, 16 << 10}, {256 << 20, 128 << 10}, {1 << 30, 512 << 10},
		{24 << 30, 16 << 20}, {1 << 40, 16 << 20},
	} {
		got := pieceLenFor(0, test.totalLen)
		if got != test.want {
			t.Errorf("%d bytes: %d, want %d", test.totalLen, got, test.want)
		}
		if pieces := test.totalLen / got; got > 16<<10 && got < 16<<20 && (pieces < 1060 || pieces > 2122) {
			t.Errorf("%d bytes make %d pieces", test.totalLen, pieces)
		}
	}
}

// BenchmarkCreate says how the hashing of a file in the page cache compares
// with SHA-1 alone on one core. With two cores the ideal is 2.
func BenchmarkCreate(b *testing.B) {
	const size = 256 << 20
	folder := writeFiles(b, map[string]int{"f": size})
	unit := randomBytes(1 << 20)
	start := time.Now()
	for range size >> 20 {
		sha1.Sum(unit)
	}
	oneCore := time.Since(start)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		create(b, filepath.Join(folder, "f"), CreateOptions{})
	}
	b.ReportMetric(oneCore.Seconds()*float64(b.N)/b.Elapsed().Seconds(), "x-one-core-sha1")
}
