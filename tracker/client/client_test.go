package client

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

const okBody = "d8:intervali1800e5:peers6:\x0a\x00\x00\x01\x1a\xe1e"

// trackerFunc serves f on loopback and returns the base URL.
func trackerFunc(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return srv.URL
}

// nobodyListens returns an address of network ("tcp" or "udp") at which nobody
// listens, nor will before the test ends: a connection has it. A port that was
// let go could be another test's by the time that it is asked.
func nobodyListens(t *testing.T, network string) string {
	t.Helper()
	other := "127.0.0.1:9" // of UDP, nothing is sent there
	if network == "tcp" {
		ln, err := net.Listen(network, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		other = ln.Addr().String()
	}
	conn, err := net.Dial(network, other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

func announceTo(t *testing.T, u string) (*tracker.Response, error) {
	t.Helper()
	return New(Config{}).Announce(t.Context(), u, &tracker.Request{Left: 1})
}

func TestAnnounceQuery(t *testing.T) {
	req := &tracker.Request{
		InfoHash: metainfo.InfoHash([]byte("\x00 +&%~.-_azAZ09\xff;=/?")),
		PeerID:   metainfo.PeerID([]byte("-SH0100-aaaaaaaaaaaa")),
		Addr:     netip.AddrPortFrom(netip.Addr{}, 6881),
		Uploaded: 1, Downloaded: 2, Left: 3, Event: tracker.Started, NumWant: 0, Key: 0xbeef, TrackerID: "a b",
		Compact: true, NoPeerID: true,
	}
	want := "passkey=secret&info_hash=%00%20%2B%26%25~.-_azAZ09%FF%3B%3D%2F%3F&peer_id=-SH0100-aaaaaaaaaaaa&port=6881" +
		"&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1&numwant=0&key=0000beef&trackerid=a%20b&event=started"
	if got := announceQuery("passkey=secret", req); got != want {
		t.Errorf("query\n %s, want\n %s", got, want)
	}
	req = &tracker.Request{Left: -1, NumWant: tracker.NumWantDefault, Addr: netip.MustParseAddrPort("[2001:db8::1]:1")}
	zeros := strings.Repeat("%00", 20)
	want = "info_hash=" + zeros + "&peer_id=" + zeros + "&ip=2001%3Adb8%3A%3A1&port=1&uploaded=0&downloaded=0&left=16384&compact=0"
	if got := announceQuery("", req); got != want {
		t.Errorf("query\n %s, want\n %s", got, want)
	}
}

func TestScrapeURL(t *testing.T) {
	for announce, want := range map[string]string{
		"http://t/announce":                        "http://t/scrape",
		"http://t/x/announce.php?passkey=announce": "http://t/x/scrape.php?passkey=announce",
		"http://t/announce/k%2Fey":                 "http://t/scrape/k%2Fey",
		"http://t/announcements/announce":          "http://t/announcements/scrape",
		"http://t/a":                               "",
		"http://t/x?announce=/announce":            "",
	} {
		u, err := url.Parse(announce)
		if err != nil {
			t.Fatal(err)
		}
		err = toScrape(u)
		if want == "" && !errors.Is(err, ErrNoScrape) || want != "" && (err != nil || u.String() != want) {
			t.Errorf("%s becomes %s, %v", announce, u, err)
		}
	}
}

func TestRequestOverHTTP(t *testing.T) {
	base := trackerFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if ua := r.UserAgent(); ua != "Shoal/1.2.3" {
			t.Errorf("User-Agent %q", ua)
		}
		if r.URL.Path != "/key/announce" || !strings.HasPrefix(r.URL.RawQuery, "passkey=secret&info_hash=%00") || strings.Contains(r.URL.RawQuery, "#") {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, okBody)
		z.Close()
	})
	c := New(Config{Version: "1.2.3", LocalAddr: netip.MustParseAddr("127.0.0.1")})
	resp, err := c.Announce(t.Context(), base+"/key/announce?passkey=secret#x", &tracker.Request{})
	if err != nil || len(resp.Peers) != 1 {
		t.Fatalf("%+v, %v", resp, err)
	}
}

func TestScrapeOverHTTP(t *testing.T) {
	h := metainfo.InfoHash([]byte("xxxxxxxxxxxxxxxxxxxx"))
	base := trackerFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/scrape?info_hash=xxxxxxxxxxxxxxxxxxxx&info_hash=" + strings.Repeat("%00", 20); r.URL.String() != want {
			t.Errorf("asked for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, "d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei1eeee")
	})
	stats, err := New(Config{}).Scrape(t.Context(), base+"/announce", []metainfo.InfoHash{h, {}})
	if err != nil || len(stats) != 2 || stats[0].Complete != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	if _, err := New(Config{}).Scrape(t.Context(), base, nil); !errors.Is(err, ErrNoScrape) {
		t.Errorf("without /announce: %v", err)
	}
	if _, err := New(Config{}).Scrape(t.Context(), base+"/announce", make([]metainfo.InfoHash, MaxScrape+1)); err == nil {
		t.Error("too many were scraped")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	answer := func(status int, body string) string {
		return trackerFunc(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) })
	}
	for name, c := range map[string]struct{ url, want string }{
		"not running":     {"http://" + nobodyListens(t, "tcp"), "connection refused; is it running?"},
		"not found":       {answer(404, "<html>"), "it answers 404 Not Found instead of as a tracker; check the URL"},
		"a web page":      {answer(200, "<html>"), "its answer is not that of a tracker; check the URL"},
		"endless":         {answer(200, strings.Repeat("x", MaxBody+1)), "its answer is longer than 1024 KiB"},
		"refused":         {answer(200, "d14:failure reason4:nonee"), "the tracker refuses: none"},
		"refused by 403":  {answer(403, "d14:failure reason4:nonee"), "the tracker refuses: none"},
		"hangs up":        {trackerFunc(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "it closed the connection without an answer"},
		"redirects round": {trackerFunc(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }), "it redirects more than 5 times"},
		"redirects badly": {trackerFunc(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://[secretkey&"+r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		}), "(hidden)"},
		"wss":       {"wss://t:1/secretkey", "wss://t:1: wss trackers are not supported yet"},
		"ftp":       {"ftp://t/secretkey", "begins with none of http://, https:// and udp://"},
		"no port":   {"udp://t/secretkey", "has no port between 1 and 65535"},
		"port 0":    {"udp://t:0/secretkey", "has no port between 1 and 65535"},
		"long path": {"udp://t:1/secretkey" + strings.Repeat("x", maxURLData), "is longer than 1000 bytes"},
		"no host":   {"http:///secretkey", "has no host"},
		"malformed": {"http://t:x/secretkey\x01", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			u := c.url
			if strings.HasPrefix(u, "http://127") {
				u += "/secretkey/announce?passkey=secretkey"
			}
			_, err := announceTo(t, u)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "secretkey") || strings.Contains(err.Error(), "info_hash") {
				t.Errorf("the error gives the key away: %v", err)
			}
		})
	}
}

func TestContextEndsARequest(t *testing.T) {
	hang := make(chan struct{})
	base := trackerFunc(t, func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err := New(Config{}).Announce(ctx, base, &tracker.Request{})
	if err == nil || !strings.Contains(err.Error(), "no answer in time") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	_, err = New(Config{Timeout: 1}).Announce(t.Context(), base, &tracker.Request{})
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
}

// A client that thinks of an address as a public one must not be led to a
// local one, by a redirect or by a name.
func TestPublicTrackerCannotLeadIntoTheLocalNetwork(t *testing.T) {
	reached := false
	inside := trackerFunc(t, func(http.ResponseWriter, *http.Request) { reached = true })
	c := newHTTPClient(netip.Addr{}, true)
	// What a name that resolves to loopback comes to: the dialer sees the
	// address alone.
	_, err := c.Get(inside)
	var local *localError
	if !errors.As(err, &local) || reached {
		t.Errorf("connected to loopback: %v", err)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "10.0.0.1", "169.254.169.254", "[fe80::1]", "[::ffff:192.168.0.1]"} {
		u, _ := url.Parse("http://" + host + ":80/")
		err := c.CheckRedirect(&http.Request{URL: u, Header: http.Header{}}, nil)
		if !errors.As(err, &local) {
			t.Errorf("redirect to %s: %v", host, err)
		}
	}
	u, _ := url.Parse("http://example.com/")
	r := &http.Request{URL: u, Header: http.Header{"Referer": {"http://t/secret"}}}
	if err := c.CheckRedirect(r, nil); err != nil || r.Header.Get("Referer") != "" {
		t.Errorf("redirect to a public name: %v, %v", err, r.Header)
	}
	// Named explicitly, loopback may redirect to loopback.
	base := trackerFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announce" {
			http.Redirect(w, r, "/moved", http.StatusFound)
			return
		}
		fmt.Fprint(w, okBody)
	})
	if _, err := announceTo(t, base+"/announce"); err != nil {
		t.Error(err)
	}
}

func TestLocalAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true,
		"100.64.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "255.255.255.255": true, "224.0.0.1": true,
		"::": true, "::1": true, "fe80::1%eth0": true, "fc00::1": true, "ff02::1": true, "::ffff:127.0.0.1": true,
		"64:ff9b::7f00:1": true, "2002:7f00:1::": true,
		"1.1.1.1": false, "100.128.0.1": false, "172.32.0.1": false, "2606:4700::1111": false, "64:ff9b::101:101": false,
	} {
		if got := isLocal(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: local is %v", addr, got)
		}
	}
}

func TestBindsToItsLocalAddress(t *testing.T) {
	base := trackerFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if host, _, _ := net.SplitHostPort(r.RemoteAddr); host != "127.0.0.2" {
			t.Errorf("asked from %s", host)
		}
		fmt.Fprint(w, okBody)
	})
	_, err := New(Config{LocalAddr: netip.MustParseAddr("127.0.0.2")}).Announce(t.Context(), base, &tracker.Request{})
	if err != nil {
		t.Skip("this system has no 127.0.0.2: ", err)
	}
}
