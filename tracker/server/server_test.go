package server

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get sends raw bytes as a GET for target from an address and returns the
// body; header are further lines of the request.
func get(t testing.TB, s http.Handler, from, target string, header ...string) string {
	t.Helper()
	raw := "GET " + target + " HTTP/1.1\r\nHost: tracker\r\n" + strings.Join(append(header, "\r\n"), "\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%q: status %d", target, w.Code)
	}
	return w.Body.String()
}

const (
	hashA = "aaaaaaaaaaaaaaaaaaaa"
	idA   = "-SH0100-aaaaaaaaaaaa"
	idB   = "-SH0100-bbbbbbbbbbbb"
)

// announceOf is an announce of hashA by peer id on port with more parameters.
func announceOf(id string, port int, more string) string {
	return fmt.Sprintf("/announce?info_hash=%s&peer_id=%s&port=%d&uploaded=0&downloaded=0&left=1%s", hashA, id, port, more)
}

func wantBody(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("answer\n %q, want\n %q", got, want)
	}
}

func wantFailure(t *testing.T, got string, reason error) {
	t.Helper()
	wantBody(t, got, string(appendFailure(nil, reason.Error())))
}

func TestAnnounceAndScrape(t *testing.T) {
	s := newServer(t, Config{})
	wantBody(t, get(t, s, "10.0.0.1:4000", announceOf(idA, 0x1ae1, "&event=started&compact=1")),
		"d8:completei0e10:downloadedi0e11:external ip4:\n\x00\x00\x0110:incompletei1e8:intervali1800e12:min intervali60e5:peers0:e")
	wantBody(t, get(t, s, "10.0.0.2:4000", announceOf(idB, 7, "&left=0&event=completed")),
		"d8:completei1e10:downloadedi1e11:external ip4:\n\x00\x00\x0210:incompletei1e8:intervali1800e12:min intervali60e"+
			"5:peers6:\n\x00\x00\x01\x1a\xe1e")
	wantBody(t, get(t, s, "10.0.0.9:1", "/scrape?info_hash="+hashA+"&info_hash=bbbbbbbbbbbbbbbbbbbb&info_hash="+hashA),
		"d5:filesd20:"+hashA+"d8:completei1e10:downloadedi1e10:incompletei1eeee")
	get(t, s, "10.0.0.2:4000", announceOf(idB, 7, "&event=stopped"))
	if st := s.Stats(); st.Seeds != 0 || st.Leechers != 1 || st.Announces != 3 || st.Scrapes != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestIPv6PeersComeInPeers6(t *testing.T) {
	s := newServer(t, Config{})
	get(t, s, "[2001:db8::1]:4000", announceOf(idA, 0x1ae1, ""))
	body := get(t, s, "[::ffff:10.0.0.2]:4000", announceOf(idB, 7, ""))
	if !strings.HasSuffix(body, "5:peers0:6:peers618:\x20\x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1e") {
		t.Errorf("answer %q", body)
	}
	if !strings.Contains(body, "11:external ip4:\n\x00\x00\x02") {
		t.Errorf("an IPv4-mapped address was not unmapped: %q", body)
	}
	body = get(t, s, "[2001:db8::1%25eth0]:4000", announceOf(idA, 0x1ae1, ""))
	if !strings.HasSuffix(body, "5:peers6:\n\x00\x00\x02\x00\x07e") {
		t.Errorf("answer %q", body)
	}
}

func TestPeersThatAreNotCompact(t *testing.T) {
	for _, keep := range []bool{true, false} {
		s := newServer(t, Config{KeepPeerIDs: keep})
		get(t, s, "10.0.0.1:4000", announceOf(idA, 6881, ""))
		get(t, s, "[2001:db8::1]:4000", announceOf(idB, 6882, ""))
		id1, id2 := "7:peer id20:"+idA, "7:peer id20:"+idB
		if !keep {
			id1, id2 = "", ""
		}
		body := get(t, s, "10.0.0.3:4000", announceOf(idA, 6883, "&compact=0"))
		if want := "5:peersl" + "d2:ip8:10.0.0.1" + id1 + "4:porti6881ee" + "d2:ip11:2001:db8::1" + id2 + "4:porti6882ee" + "ee"; !strings.HasSuffix(body, want) {
			t.Errorf("keep ids %v: answer %q, want it to end with %q", keep, body, want)
		}
		body = get(t, s, "10.0.0.3:4000", announceOf(idA, 6883, "&compact=0&no_peer_id=1"))
		if strings.Contains(body, "peer id") {
			t.Errorf("no_peer_id: answer %q", body)
		}
	}
}

// What real clients send, of the odd kind, must be taken.
func TestOddAnnouncesAreTaken(t *testing.T) {
	s := newServer(t, Config{})
	for name, target := range map[string]string{
		"a raw plus, semicolon and high byte": "/announce?info_hash=+;%26aaaaaaaaaaaaaaaa\xff&peer_id=" + idA + "&port=1",
		"lower-case hexadecimal":              "/announce?info_hash=%aa%bb%cc%dd%ee%ff%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d&peer_id=" + idA + "&port=1",
		"numwant -1":                          announceOf(idA, 1, "&numwant=-1"),
		"stopped with port 0":                 announceOf(idA, 0, "&event=stopped"),
		"stopped without port":                "/announce?info_hash=" + hashA + "&peer_id=" + idA + "&event=stopped",
		"left 2^64-1":                         announceOf(idA, 1, "&left=18446744073709551615"),
		"negative left":                       announceOf(idA, 1, "&left=-1"),
		"unknown parameters":                  announceOf(idA, 1, "&supportcrypto=1&redundant=0&x&=&&"),
		"an unknown event":                    announceOf(idA, 1, "&event=paused"),
		"a key that is not hexadecimal":       announceOf(idA, 1, "&key=xyzzy"),
	} {
		if body := get(t, s, "10.0.0.1:1", target, "Want-Digest: SHA-512;q=1", "User-Agent: aria2/1.37.0"); !strings.HasPrefix(body, "d8:complete") {
			t.Errorf("%s: %q", name, body)
		}
	}
	if body := get(t, s, "10.0.0.1:1", "/scrape?info_hash=%2B%3B&info_hash=x"); !strings.Contains(body, "failure") {
		t.Errorf("a short hash was scraped: %q", body)
	}
	if body := get(t, s, "10.0.0.1:1", "/scrape?info_hash=%2B%3b&x=1&info_hash=+;%26aaaaaaaaaaaaaaaa%ff"); !strings.Contains(body, "failure") {
		t.Errorf("a short hash was scraped: %q", body)
	}
	if body := get(t, s, "10.0.0.1:1", "/scrape?info_hash=%2B%3b%26aaaaaaaaaaaaaaaa%fF"); !strings.Contains(body, "20:+;&aaaaaaaaaaaaaaaa\xff") {
		t.Errorf("the bytes of the info-hash were changed on the way: %q", body)
	}
}

func TestHostileRequestsAreRefused(t *testing.T) {
	s := newServer(t, Config{MaxScrape: 2})
	for name, c := range map[string]struct {
		target string
		want   error
	}{
		"nothing":             {"/announce", errNoInfoHash},
		"19 bytes":            {"/announce?info_hash=" + hashA[1:], errInfoHash},
		"21 bytes":            {"/announce?info_hash=" + hashA + "%00", errInfoHash},
		"40 hex digits":       {"/announce?info_hash=" + hashA + hashA, errInfoHash},
		"a cut escape":        {"/announce?info_hash=" + hashA[1:] + "%6", errInfoHash},
		"a false escape":      {"/announce?info_hash=" + hashA[1:] + "%6g", errInfoHash},
		"two torrents":        {announceOf(idA, 1, "&info_hash="+hashA), errTwoHashes},
		"no peer id":          {"/announce?info_hash=" + hashA + "&port=1", errNoPeerID},
		"short peer id":       {"/announce?info_hash=" + hashA + "&peer_id=1&port=1", errPeerID},
		"no port":             {"/announce?info_hash=" + hashA + "&peer_id=" + idA, errNoPort},
		"port 65536":          {announceOf(idA, 65536, ""), errPort},
		"port -1":             {announceOf(idA, -1, ""), errPort},
		"left is no number":   {announceOf(idA, 1, "&left=0x10"), errNumber},
		"uploaded is empty":   {announceOf(idA, 1, "&uploaded="), errNumber},
		"full scrape":         {"/scrape", errFullScrape},
		"full scrape, padded": {"/scrape?info_hashes=" + hashA, errFullScrape},
		"a scrape of many":    {"/scrape?" + strings.Repeat("&info_hash="+hashA, 3), errManyHashes},
		"a scrape of a stub":  {"/scrape?info_hash=", errInfoHash},
	} {
		t.Run(name, func(t *testing.T) { wantFailure(t, get(t, s, "10.0.0.1:1", c.target), c.want) })
	}
	if st := s.Stats(); st.Torrents != 0 || st.Refused != 18 {
		t.Errorf("stats %+v", st)
	}
}

func TestWhoAsks(t *testing.T) {
	net := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	proxied := Config{TrustedProxies: net("10.0.0.0/8")}
	for name, c := range map[string]struct {
		cfg             Config
		from, xff, more string
		want            string // its external ip, or none if refused
	}{
		"connection":                {Config{}, "1.2.3.4:5", "", "", "1.2.3.4"},
		"ip= of a stranger":         {Config{}, "1.2.3.4:5", "", "&ip=9.9.9.9", "1.2.3.4"},
		"ip= of a trusted network":  {Config{TrustedIP: net("1.2.3.0/24")}, "1.2.3.4:5", "", "&ip=9.9.9.9", "9.9.9.9"},
		"ip= in IPv6":               {Config{TrustedIP: net("1.2.3.0/24")}, "1.2.3.4:5", "", "&ip=2001%3Adb8%3a%3A1", "2001:db8::1"},
		"ip= is a name":             {Config{TrustedIP: net("1.2.3.0/24")}, "1.2.3.4:5", "", "&ip=example.com", "1.2.3.4"},
		"ip= is nowhere":            {Config{TrustedIP: net("1.2.3.0/24")}, "1.2.3.4:5", "", "&ip=0.0.0.0", "1.2.3.4"},
		"header of a stranger":      {proxied, "1.2.3.4:5", "9.9.9.9", "", "1.2.3.4"},
		"header of a proxy":         {proxied, "10.0.0.1:5", "9.9.9.9", "", "9.9.9.9"},
		"spoofed in front":          {proxied, "10.0.0.1:5", "8.8.8.8, 9.9.9.9, 10.0.0.2", "", "9.9.9.9"},
		"with a port":               {proxied, "10.0.0.1:5", "9.9.9.9:1234", "", "9.9.9.9"},
		"IPv6 with a port":          {proxied, "10.0.0.1:5", "[2001:db8::1]:1234", "", "2001:db8::1"},
		"a proxy that says nothing": {proxied, "10.0.0.1:5", "", "", ""},
		"a proxy that says rubbish": {proxied, "10.0.0.1:5", "unknown", "", ""},
		"only proxies":              {proxied, "10.0.0.1:5", "10.0.0.7, 10.0.0.2", "", "10.0.0.7"},
	} {
		t.Run(name, func(t *testing.T) {
			body := get(t, newServer(t, c.cfg), c.from, announceOf(idA, 1, c.more), "X-Forwarded-For: "+c.xff)
			if c.want == "" {
				wantFailure(t, body, errUnknownAddr)
				return
			}
			ip := netip.MustParseAddr(c.want).AsSlice()
			if want := fmt.Sprintf("11:external ip%d:%s10:", len(ip), ip); !strings.Contains(body, want) {
				t.Errorf("answer %q lacks %q", body, want)
			}
		})
	}
}

func TestWhitelist(t *testing.T) {
	s := newServer(t, Config{Whitelist: NewTorrentList(metainfo.InfoHash([]byte("bbbbbbbbbbbbbbbbbbbb")))})
	wantFailure(t, get(t, s, "10.0.0.1:1", announceOf(idA, 1, "")), errNotTracked)
	change(t, s, Config{Whitelist: NewTorrentList(metainfo.InfoHash([]byte(hashA)))})
	if body := get(t, s, "10.0.0.1:1", announceOf(idA, 1, "")); !strings.HasPrefix(body, "d8:complete") {
		t.Errorf("refused: %q", body)
	}
	change(t, s, Config{Whitelist: NewTorrentList()})
	wantBody(t, get(t, s, "10.0.0.1:1", "/scrape?info_hash="+hashA), "d5:filesdee")
}

func TestFullTrackerWarns(t *testing.T) {
	s := newServer(t, Config{MaxPeers: 1}) // in each shard
	get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
	body := get(t, s, "10.0.0.2:1", announceOf(idB, 2, ""))
	if !strings.Contains(body, "5:peers6:\n\x00\x00\x01\x00\x01") || !strings.HasSuffix(body, fullWarning+"e") {
		t.Errorf("answer %q", body)
	}
}

func TestPagesForPeople(t *testing.T) {
	s := newServer(t, Config{})
	get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
	for target, want := range map[string]string{
		"/":        "leechers  1\n",
		"/stats":   `{"torrents":1,"seeds":0,"leechers":1,"ipv4_peers":1,"ipv6_peers":0,"announces":1,"scrapes":0,"refused":0,"udp_connects":0,"udp_malformed":0,"udp_bad_connection_ids":0,"udp_late_connection_ids":0,"faults":0,"uptime_seconds":0}`,
		"/healthz": "ok\n",
	} {
		if body := get(t, s, "10.0.0.1:1", target); !strings.Contains(body, want) {
			t.Errorf("%s is %q", target, body)
		}
	}
	for _, c := range []struct {
		method, target string
		want           int
	}{{"GET", "/announce.php", 404}, {"GET", "/admin", 404}, {"POST", "/announce", 405}} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, w.Code, c.want)
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	for name, cfg := range map[string]Config{
		"interval":     {Interval: 1},
		"min interval": {Interval: time.Minute, MinInterval: time.Hour},
		"max scrape":   {MaxScrape: -1},
		"numwant":      {NumWant: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// fakeListener accepts nobody, so that the sweeping can be seen in fake time.
type fakeListener struct{ closed chan struct{} }

func (l *fakeListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *fakeListener) Addr() net.Addr            { return &net.TCPAddr{} }
func (l *fakeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func TestRunSweepsOutSilentPeersAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		ln := &fakeListener{make(chan struct{})}
		serveUntilEnd(t, func(ctx context.Context) error { return s.Run(ctx, ln) })
		get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
		time.Sleep(time.Hour)
		if st := s.Stats(); st.Leechers != 1 {
			t.Errorf("after two intervals: %+v", st)
		}
		time.Sleep(20 * time.Minute)
		if st := s.Stats(); st.Leechers != 0 {
			t.Errorf("after 1.25 times two intervals: %+v", st)
		}
	})
}

func TestWhitelistFiles(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/hashes.txt"
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "# ours\n\n  0123456789abcdef0123456789ABCDEF01234567\r\n")
	w, _, err := LoadTorrentList(file)
	if err != nil || w.Len() != 1 || !w.Has(metainfo.InfoHash{1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67}) {
		t.Fatalf("%v, %v", w, err)
	}
	write(file, "0123456789abcdef0123456789abcdef01234567\nnot a hash\n")
	if _, err := w.Reload(); err == nil || !strings.Contains(err.Error(), "line 2") || w.Len() != 1 {
		t.Errorf("a bad line: %v, %d torrents", err, w.Len())
	}
	write(file, strings.Repeat("x", 10_000))
	if _, err := w.Reload(); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a long line: %v", err)
	}
	if _, _, err := LoadTorrentList(dir + "/missing"); err == nil {
		t.Error("a missing file was loaded")
	}
	drop := t.TempDir()
	write(drop+"/notes.txt", "not read")
	write(drop+"/one.torrent", "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:"+hashA+"ee")
	w, broken, err := LoadTorrentList(drop)
	if err != nil || w.Len() != 1 || len(broken) != 0 {
		t.Fatalf("a directory: %v, %v", broken, err)
	}
	write(drop+"/two.torrent", "d4:info")
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(drop+"/two.torrent", old, old); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} { // it is named once
		if broken, err := w.Reload(); err != nil || len(broken) != want || w.Len() != 1 {
			t.Errorf("a broken torrent: %v, %v, %d torrents", broken, err, w.Len())
		}
	}
	if err := os.Remove(drop + "/one.torrent"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reload(); err != nil || w.Len() != 0 {
		t.Errorf("the torrent has gone: %v, %d torrents", err, w.Len())
	}
}
