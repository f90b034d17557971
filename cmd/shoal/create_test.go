package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeTorrent writes files below a new folder called name, makes a torrent of
// it with further flags, and returns the paths of both.
func makeTorrent(t *testing.T, name string, files map[string]string, flags ...string) (torrent, data string) {
	t.Helper()
	dir := t.TempDir()
	data = filepath.Join(dir, name)
	writeFiles(t, data, files)
	torrent = filepath.Join(dir, "made.torrent")
	mustSucceed(t, append([]string{"create", "-o", torrent, "--piece-length", "16KiB", data}, flags...)...)
	return torrent, data
}

// someFiles are three pieces of 16 KiB: the second lies in two files.
func someFiles() map[string]string {
	return map[string]string{
		"a.txt":       strings.Repeat("a", 20_000),
		"b/c.bin":     strings.Repeat("c", 20_000),
		"b/empty.txt": "",
	}
}

func TestCreateShowVerifyRoundTrip(t *testing.T) {
	torrent, data := makeTorrent(t, "three pieces", someFiles(),
		"--announce", "http://one.example/announce,http://two.example/announce", "--announce", "http://three.example/announce",
		"--comment", "for a test", "--private", "--source", "here", "--web-seed", "http://four.example/", "--format", "v1")

	shown := mustSucceed(t, "show", "--files", torrent).stdout
	for _, want := range []string{
		"name       three pieces\n", "size       39.1 KiB in 3 files\n", "pieces     3 of 16.0 KiB\n", "private    yes\n",
		"source     here\n", "comment    for a test\n", "tier 1     http://two.example/announce\n",
		"tier 2     http://three.example/announce\n", "web seed   http://four.example/\n",
		"    19.5 KiB  b/c.bin\n", "         0 B  b/empty.txt\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("show lacks %q:\n%s", want, shown)
		}
	}

	for _, path := range []string{data, filepath.Dir(data)} {
		if got := mustSucceed(t, "verify", torrent, path).stdout; got != "three pieces: all of 3 pieces are right\n" {
			t.Errorf("verify %s says %q", path, got)
		}
	}
}

func TestVerifyOfOneFileUnderAnyName(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"one.bin": strings.Repeat("x", 100_000)})
	one, torrent := filepath.Join(dir, "one.bin"), filepath.Join(dir, "one.torrent")
	mustSucceed(t, "create", "-o", torrent, one)
	mustSucceed(t, "verify", torrent, dir)
	renamed := filepath.Join(dir, "renamed.bin")
	if err := os.Rename(one, renamed); err != nil {
		t.Fatal(err)
	}
	mustSucceed(t, "verify", torrent, renamed)
	if r := shoal(t, "verify", torrent, dir); r.code != exitMismatch || !strings.Contains(r.stdout, "missing    one.bin (7 pieces bad)\n") {
		t.Errorf("verify without the file: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// A name that no Windows disk takes is another one after a download, but data
// made here lies under the torrent's own words.
func TestVerifyFindsDataUnderTheTorrentsOwnNames(t *testing.T) {
	torrent, data := makeTorrent(t, "names", map[string]string{"aux.c": "int x;", "Makefile": "all:", "makefile": "none:"})
	mustSucceed(t, "verify", torrent, data)
}

func TestVerifyNamesBadPiecesAndFiles(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	writeFiles(t, data, map[string]string{"b/c.bin": strings.Repeat("c", 19_000) + strings.Repeat("X", 1000)})
	if err := os.Remove(filepath.Join(data, "b", "empty.txt")); err != nil {
		t.Fatal(err)
	}
	r := shoal(t, "verify", torrent, data)
	want := "damaged    b/c.bin (1 piece bad)\nmissing    b/empty.txt (0 pieces bad)\nbad pieces: 2\n"
	if r.code != exitMismatch || r.stdout != want {
		t.Errorf("exit %d\n%swant\n%s", r.code, r.stdout, want)
	}
	if want := "shoal: verify: 1 of 3 pieces and 2 of 3 files are not as the torrent says\n"; !strings.HasSuffix(r.stderr, want) {
		t.Errorf("stderr %q", r.stderr)
	}

	r = shoal(t, "verify", "--json", torrent, data)
	var got verifyJSON
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	if r.code != exitMismatch || got.OK || !slices.Equal(got.BadPieces, []int{2}) || len(got.BadFiles) != 2 ||
		got.BadFiles[0] != (badFileJSON{"b/c.bin", "damaged", 1}) || got.BytesOK != 2*16<<10 {
		t.Errorf("exit %d, %+v", r.code, got)
	}
}

func TestVerifySeesFilesOfTheWrongSize(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	writeFiles(t, data, map[string]string{"a.txt": "short", "b/c.bin": strings.Repeat("c", 20_001)})
	r := shoal(t, "verify", torrent, data)
	for _, want := range []string{"too short  a.txt (2 pieces bad)\n", "too long   b/c.bin (1 piece bad)\n", "bad pieces: 0-1\n"} {
		if r.code != exitMismatch || !strings.Contains(r.stdout, want) {
			t.Errorf("exit %d, no %q in\n%s", r.code, want, r.stdout)
		}
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	before, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	r := shoal(t, "create", "-o", torrent, "--comment", "another", data)
	if r.code != exitFailed || !strings.Contains(r.stderr, "exists already; choose another name with -o") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	after, err := os.ReadFile(torrent)
	if err != nil || string(after) != string(before) {
		t.Errorf("the torrent has changed, or is gone: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(torrent), ".shoal-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCreateNamesTheTorrentAfterThePath(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"photos/one.jpg": "1"})
	t.Chdir(dir)
	if got := mustSucceed(t, "create", "photos/").stdout; !strings.HasPrefix(got, "torrent    photos.torrent\n") {
		t.Errorf("create says\n%s", got)
	}
	mustSucceed(t, "verify", "photos.torrent", "photos")
}

func TestCreateIsReproducible(t *testing.T) {
	first, data := makeTorrent(t, "data", someFiles(), "--no-date")
	second := filepath.Join(t.TempDir(), "second.torrent")
	mustSucceed(t, "create", "-o", second, "--no-date", "--threads", "1", "--piece-length", "16KiB", data)
	a, errA := os.ReadFile(first)
	b, errB := os.ReadFile(second)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("two torrents of the same data differ (%v, %v)", errA, errB)
	}
}

func TestBadTorrentsAndPaths(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	whole, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"truncated.torrent": string(whole[:len(whole)/2]), "text.torrent": "hello", "empty.torrent": ""})
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"show", filepath.Join(dir, "truncated.torrent")}, "truncated.torrent"},
		{[]string{"show", filepath.Join(dir, "text.torrent")}, "text.torrent"},
		{[]string{"show", filepath.Join(dir, "empty.torrent")}, "empty.torrent"},
		{[]string{"show", filepath.Join(dir, "none.torrent")}, "no such file"},
		{[]string{"show", dir}, "is a folder: name a .torrent file"},
		{[]string{"seed", "--data", filepath.Join(dir, "none"), dir}, "--data names the one that holds the data"},
		{[]string{"tracker", "run", "--whitelist", torrent}, "of .torrent files, give their folder"},
		{[]string{"show", "magnet:?dn=nothing"}, "names no torrent"},
		{[]string{"show", strings.Repeat("ab", 20)}, "write the magnet link magnet:?xt=urn:btih:abab"},
		{[]string{"share", "--bind", "127.0.0.1", "-o", filepath.Join(dir, "none", "x.torrent"), torrent}, "none to write the torrent to; make it"},
		{[]string{"verify", torrent, filepath.Join(dir, "none")}, "no such file"},
		{[]string{"verify", torrent, torrent}, "is a file, but the torrent is of a folder"},
		{[]string{"create", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"create", "-o", filepath.Join(dir, "none", "x.torrent"), data}, "there is no folder"},
	} {
		r := shoal(t, test.args...)
		if r.code != exitFailed || !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("shoal %v: exit %d\n%swant one line with %q", test.args, r.code, r.stderr, test.want)
		}
	}
}

func TestStrictFailsOnFindings(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", someFiles())
	mustSucceed(t, "show", "--strict", torrent)
	whole, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Dir(torrent), map[string]string{"odd.torrent": string(whole) + "and more"})
	odd := filepath.Join(filepath.Dir(torrent), "odd.torrent")
	if got := mustSucceed(t, "show", odd).stdout; !strings.Contains(got, "\nfindings:\n  trailing-bytes: ") {
		t.Errorf("show does not tell the finding:\n%s", got)
	}
	if r := shoal(t, "show", "--strict", odd); r.code != exitFailed || !strings.Contains(r.stderr, "1 finding with --strict") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
}

func TestNamesReachTheTerminalEscaped(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", map[string]string{"red\x1b[31m\u202e.txt": "x"}, "--comment", "bell\a", "--name", "na\x1bme")
	for _, args := range [][]string{{"show", "--files", torrent}, {"show", "--json", torrent}, {"verify", torrent, filepath.Dir(torrent)}} {
		r := shoal(t, args...)
		if i := strings.IndexAny(r.stdout+r.stderr, "\x1b\a\u202e"); i >= 0 {
			t.Errorf("shoal %v prints a control character:\n%q", args, r.stdout+r.stderr)
		}
	}
}

func TestShowOfMagnetLinks(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", someFiles(), "--announce", "http://one.example/announce")
	link := strings.TrimSpace(mustSucceed(t, "show", "--magnet", torrent).stdout)
	if !strings.HasPrefix(link, "magnet:?xt=urn:btih:") {
		t.Fatalf("not a magnet link: %s", link)
	}
	got := mustSucceed(t, "show", link).stdout
	for _, want := range []string{"name       data\n", "tracker    http://one.example/announce\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("show lacks %q:\n%s", want, got)
		}
	}
	if again := strings.TrimSpace(mustSucceed(t, "show", "--magnet", link).stdout); again != link {
		t.Errorf("the link %s comes back as %s", link, again)
	}
}

// A space is taken by net/url, but no tracker is found by such a URL.
func TestCreateRefusesSpacesInURLs(t *testing.T) {
	for _, flag := range []string{"--announce", "--web-seed"} {
		if r := shoal(t, "create", flag, "http://x/a b", "data"); r.code != exitUsage || !strings.Contains(r.stderr, `"http://x/a b" is not a `) {
			t.Errorf("%s: exit %d\n%s", flag, r.code, r.stderr)
		}
	}
}
