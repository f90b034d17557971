package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/peer/engine"
)

// TestGetFromWebSeed downloads with no peer at all, from the server that the torrent names, and
// from one that the user names.
func TestGetFromWebSeed(t *testing.T) {
	torrent, data := makeTorrent(t, "data", randomFiles(31, mixedFiles))
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(data))))
	t.Cleanup(server.Close)
	named := filepath.Join(t.TempDir(), "named.torrent")
	if r := shoal(t, "create", "--web-seed", server.URL, "-o", named, data); r.code != 0 {
		t.Fatalf("create: exit %d\n%s", r.code, r.stderr)
	}
	for _, args := range [][]string{{named}, {"--web-seed", server.URL + "/", torrent}} {
		got := getJSONOf(t, append([]string{"--no-dht", "-o", t.TempDir()}, args...)...)
		if got.Status != "complete" || got.WebSeeds != got.Downloaded || got.WebSeeds == 0 {
			t.Errorf("get %v says %+v", args, got)
		}
	}
	for args, want := range map[string]string{
		"--web-seed ftp://example.org/ a.torrent":            `--web-seed "ftp://example.org/": the scheme "ftp" is not supported`,
		"--web-seed http://example.org/ a.torrent b.torrent": "--web-seed is of one torrent, and 2 are named",
	} {
		r := shoal(t, append([]string{"get"}, strings.Fields(args)...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d\n%s", args, r.code, r.stderr)
		}
	}
}

// TestFailingWebSeedsAreNamed: once each, with what is wrong, and whether they are asked again.
func TestFailingWebSeedsAreNamed(t *testing.T) {
	torrent, _ := makeTorrent(t, "data", randomFiles(32, mixedFiles))
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	refused := "web seed http://user:xxxxx@127.0.0.1:1/x: connect: connection refused; trying again later\n"
	useless := "web seed " + server.URL + ": 404 Not Found; it is not asked again\n"
	told := func(_ []progress, stderr string) bool {
		return strings.Contains(stderr, refused) && strings.Contains(stderr, useless)
	}
	r := shoalUntil(t, told, "get", "--bind", "127.0.0.1", "--no-tracker", "--no-dht", "-o", t.TempDir(),
		"--web-seed", "http://user:secret@127.0.0.1:1/x", "--web-seed", server.URL, torrent)
	if r.code != exitNotFound || !told(nil, r.stderr) || strings.Count(r.stderr, "web seed") != 2 {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestWebSeedBelow: without the flag it is the default, and 0 is never.
func TestWebSeedBelow(t *testing.T) {
	for args, want := range map[string]int{
		"":                         engine.DefaultWebSeedBelow,
		"--web-seed-below=0":       -1,
		"--web-seed-below=1B/s":    1,
		"--web-seed-below=8Mbit/s": 1_000_000,
	} {
		r := new(getRun)
		fs := pflag.NewFlagSet("get", pflag.ContinueOnError)
		r.flags(fs)
		err := fs.Parse(strings.Fields(args))
		if err != nil || r.belowRate() != want {
			t.Errorf("%q: %d, %v, want %d", args, r.belowRate(), err, want)
		}
	}
}
