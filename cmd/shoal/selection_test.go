package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestGlobs(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"*.mkv", "film.mkv", true},
		{"*.mkv", "season 1/film.mkv", true}, // one component: in any folder
		{"*.mkv", "film.MKV", false},         // case counts
		{"season 1/*.mkv", "season 1/film.mkv", true},
		{"season 1/*.mkv", "season 2/film.mkv", false},
		{"season 1/*.mkv", "extra/season 1/film.mkv", false},
		{"**/season 1/*.mkv", "extra/season 1/film.mkv", true},
		{"**/season 1/*.mkv", "season 1/film.mkv", true},
		{"season 1", "season 1/deep/film.mkv", true}, // a folder takes what is in it
		{"season 1/", "season 1/film.mkv", true},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**/z", "b/z", false},
		{"**", "anything/at all", true},
		{"a/*", "a/b/c", true}, // a/b is a folder
		{"a/?.txt", "a/b.txt", true},
		{"[ab].txt", "c.txt", false},
		{"film.mkv/x", "film.mkv", false},
	} {
		g, err := parseGlob(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		if got := g.match(strings.Split(test.path, "/")); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.path, got, test.want)
		}
	}
	for _, pattern := range []string{"", "/", "a//b", "[a"} {
		if _, err := parseGlob(pattern); err == nil {
			t.Errorf("%q is taken as a pattern", pattern)
		}
	}
}

func TestSelectionNeedsThePiecesOfItsFiles(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", someFiles())
	m, err := metainfo.Load(torrent)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		patterns []string
		want     []int
		bytes    int64
	}{
		{nil, []int{0, 1, 2}, 40_000},
		{[]string{"a.txt"}, []int{0, 1}, 32 << 10},
		{[]string{"b/c.bin"}, []int{1, 2}, 40_000 - 16<<10},
		{[]string{"empty.txt"}, nil, 0},
		{[]string{"empty.txt", "b"}, []int{1, 2}, 40_000 - 16<<10},
	} {
		s, err := selectFiles(&m.Info, test.patterns)
		if err != nil {
			t.Errorf("%q: %v", test.patterns, err)
			continue
		}
		if got := slices.Collect(s.want.Members()); !slices.Equal(got, test.want) || s.bytes != test.bytes {
			t.Errorf("%q wants pieces %v of %d bytes, expected %v of %d", test.patterns, got, s.bytes, test.want, test.bytes)
		}
	}
}

func TestSelectionThatMatchesNothingListsNames(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", someFiles())
	m, err := metainfo.Load(torrent)
	if err != nil {
		t.Fatal(err)
	}
	_, err = selectFiles(&m.Info, []string{"*.mkv"})
	var usage *usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "it has a.txt, b/c.bin, b/empty.txt") {
		t.Errorf("error: %v", err)
	}
}

// Nothing was begun in a folder that cannot be written, so nothing goes on from there. Nobody
// may make files in /proc, not even root.
func TestGetIntoAFolderThatCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("it takes /proc")
	}
	torrent, _ := makeTorrent(t, "data", someFiles())
	r := shoal(t, "get", "--no-dht", "--bind", "127.0.0.1", "-o", "/proc/self", torrent)
	if r.code != exitFailed || r.stdout != "" || !strings.HasPrefix(r.stderr, "shoal: get: ") {
		t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
