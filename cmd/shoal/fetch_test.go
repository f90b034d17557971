package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestTorrentFromURL(t *testing.T) {
	torrent, data := makeTorrent(t, "data", someFiles())
	content, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/a.torrent", func(w http.ResponseWriter, r *http.Request) { w.Write(content) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>\x1b[31m") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, zeros{r.Context()}) })
	mux.Handle("/elsewhere", http.RedirectHandler("/a.torrent", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, path := range []string{"/a.torrent", "/elsewhere"} {
		mustSucceed(t, "verify", server.URL+path, data)
	}
	for path, want := range map[string]string{
		"/none":    `the server answers "404 Not Found"; check the address`,
		"/page":    "is not a torrent",
		"/endless": "more than 64.0 MiB: that is no .torrent file",
		"/loop":    "more than 5 redirects",
	} {
		r := shoal(t, "show", server.URL+path)
		if r.code != exitFailed || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "\x1b") {
			t.Errorf("%s: exit %d, %q", path, r.code, r.stderr)
		}
	}
	if r := shoal(t, "show", "ftp://server.example/a.torrent"); r.code != exitFailed || !strings.Contains(r.stderr, "neither a file nor an http(s) URL") {
		t.Errorf("ftp: exit %d, %q", r.code, r.stderr)
	}
	// Nobody listens where a connection begins, and nobody else can while it is
	// open.
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if r := shoal(t, "show", "http://"+conn.LocalAddr().String()+"/a.torrent"); r.code != exitFailed || !strings.Contains(r.stderr, "refused") {
		t.Errorf("server gone: exit %d, %q", r.code, r.stderr)
	}
}

// zeros is an endless body.
type zeros struct{ ctx context.Context }

func (z zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), z.ctx.Err()
}

func TestPublicServersCannotRedirectIntoTheLocalNetwork(t *testing.T) {
	for _, test := range []struct {
		from, to string
		refused  bool
	}{
		{"93.184.216.34:80", "127.0.0.1:80", true},
		{"93.184.216.34:80", "192.168.1.1:80", true},
		{"93.184.216.34:80", "[::1]:80", true},
		{"93.184.216.34:80", "[::ffff:10.0.0.1]:80", true},
		{"93.184.216.34:80", "169.254.169.254:80", true},
		{"93.184.216.34:80", "100.64.0.1:80", true},
		{"93.184.216.34:80", "[64:ff9b::a00:1]:80", true},
		{"93.184.216.34:80", "[2606:2800:220:1::1]:443", false},
		{"192.168.1.1:80", "192.168.1.2:80", false}, // the user named a local address
		{"192.168.1.1:80", "93.184.216.34:80", false},
	} {
		var guard redirectGuard
		if err := guard.checkDial("tcp", test.from, nil); err != nil {
			t.Errorf("%s, named by the user, is refused: %v", test.from, err)
		}
		if err := guard.checkRedirect(nil, nil); err != nil {
			t.Error(err)
		}
		if err := guard.checkDial("tcp", test.to, nil); (err != nil) != test.refused {
			t.Errorf("from %s to %s: %v", test.from, test.to, err)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "0.1.2.3": false, "240.0.0.1": false, "255.255.255.255": false,
		"fe80::1%eth0": false, "fd00::1": false, "2002:7f00:1::": false, "224.0.0.1": false,
	} {
		if got := isPublic(netip.MustParseAddr(addr)); got != want {
			t.Errorf("isPublic(%s) = %v", addr, got)
		}
	}
}

func TestLongLinksAreShortened(t *testing.T) {
	if got := shorten("magnet:?" + strings.Repeat("x", 10_000)); len(got) > 100 || !strings.HasSuffix(got, "...") {
		t.Errorf("%d characters", len(got))
	}
	if got, want := fmt.Sprint(metainfo.MaxTorrentLen>>20), "64"; got != want {
		t.Errorf("a .torrent may have %s MiB; the messages of TestTorrentFromURL say %s", got, want)
	}
}
