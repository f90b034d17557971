package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/client"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testNode is a tracker whose signals and watches are calls.
type testNode struct {
	*trackerNode
	t    *testing.T
	log  *lockedBuffer
	dir  string
	once sync.Once
}

// end is Ctrl-C.
func (n *testNode) end() {
	n.once.Do(func() {
		if err := n.stop(context.Canceled); !errors.Is(err, context.Canceled) {
			n.t.Error(err)
		}
	})
}

// startNode runs a tracker by a configuration, in which DIR is a folder.
func startNode(t *testing.T, dir, config string, flags ...string) *testNode {
	t.Helper()
	n := &testNode{t: t, log: new(lockedBuffer), dir: dir}
	r := mustConfigure(t, "", append(flags, "--http", "127.0.0.1:0")...)
	r.config = filepath.Join(dir, "tracker.toml")
	n.configure(config)
	if err := r.readFile(); err != nil {
		t.Fatal(err)
	}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	n.trackerNode = newTrackerNode(&env{stdout: io.Discard, stderr: n.log}, r)
	err := n.start(t.Context())
	t.Cleanup(n.end)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *testNode) configure(config string) {
	n.t.Helper()
	writeFiles(n.t, n.dir, map[string]string{"tracker.toml": strings.ReplaceAll(config, "DIR", n.dir)})
}

// reloadWith is a SIGHUP after a change.
func (n *testNode) reloadWith(config string) {
	n.t.Helper()
	n.configure(config)
	n.reload(n.t.Context())
}

func (n *testNode) announce(hash byte) string {
	n.t.Helper()
	return fetchBody(n.t, fmt.Sprintf("http://%s/announce?info_hash=%s&peer_id=aaaaaaaaaaaaaaaaaaaa&port=%d", n.tracker.addr, strings.Repeat(string(hash), 20), hash))
}

func (n *testNode) wantLog(text string, times int) {
	n.t.Helper()
	if got := strings.Count(n.log.String(), text); got != times {
		n.t.Errorf("%q is in the log %d times, want %d:\n%s", text, got, times, n.log)
	}
}

// A reload holds for the next announce, without a loss of peers or of a
// connection; what is wrong changes nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"black": strings.Repeat("62", 20) + "\n"})
	n := startNode(t, dir, "torrents.open = true\nannounce.interval = \"10m\"\n")
	conn, err := net.Dial("tcp", n.tracker.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := n.announce('a'); !strings.Contains(got, "8:intervali600e") {
		t.Error(got)
	}
	n.reloadWith("torrents.blacklist = \"DIR/black\"\nannounce.interval = \"20m\"\nlimits.peers = 5\nlog.level = \"warn\"\n")
	if got := n.announce('a'); !strings.Contains(got, "8:completei0e") || !strings.Contains(got, "10:incompletei1e") || !strings.Contains(got, "8:intervali1200e") {
		t.Errorf("a peer of before: %s", got)
	}
	if got := n.announce('b'); !strings.Contains(got, "blacklist") {
		t.Error(got)
	}
	n.wantLog("need a restart\" keys=[limits.peers]", 1)
	n.wantLog("msg=reloaded", 0) // which is no warning
	for _, bad := range []string{"torrents.open = 1\n", "torrents.open = true\nx = 1\n", "torrents.whitelist = \"DIR/none\"\n", "", "torrents.open = true\nannounce.interval = \"1ms\"\n"} {
		n.reloadWith(bad)
		if got := n.announce('b'); !strings.Contains(got, "blacklist") {
			t.Errorf("after %q: %s", bad, got)
		}
	}
	n.wantLog("nothing was reloaded", 5)
	if st := n.tracker.Stats(); st.Leechers != 1 {
		t.Errorf("%+v", st)
	}
	io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "ok\n") {
		t.Errorf("the connection of before: %q, %v", answer, err)
	}
}

// Files that come into the folder of a whitelist and go are noticed.
func TestWhitelistOfAFolder(t *testing.T) {
	dir := t.TempDir()
	torrent, _ := makeTorrent(t, "data", someFiles())
	b, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "drop"), 0o777); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, dir, "torrents.whitelist = \"DIR/drop\"\n")
	n.wantLog("tracking 0 torrents", 1)
	dropped, broken := filepath.Join(dir, "drop", "a.torrent"), filepath.Join(dir, "drop", "b.torrent")
	for path, content := range map[string][]byte{dropped: b, broken: []byte("no torrent")} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		n.watch(t.Context())
	}
	n.wantLog("the list of torrents has changed\" torrents=1", 1)
	n.wantLog("b.torrent", 1)
	if err := os.RemoveAll(filepath.Join(dir, "drop")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n.watch(t.Context())
	}
	n.wantLog("cannot be read", 1)
	if n.lists.white.Len() != 1 {
		t.Errorf("%d torrents without the folder", n.lists.white.Len())
	}
}

// newPrivateDir is a folder with the database of a private tracker.
func newPrivateDir(t *testing.T) string {
	dir := t.TempDir()
	mustSucceed(t, "tracker", "init", "--db", filepath.Join(dir, "tracker.db"), "--url", "http://127.0.0.1:1", "--source", "TEST")
	return dir
}

const privateConfig = "torrents.private = true\nusers.database = \"DIR/tracker.db\"\nusers.write_every = \"20ms\"\n"

// Torrents that are put into the folder of a private tracker are added to it,
// also into one that is named by a reload.
func TestDropFolder(t *testing.T) {
	dir := newPrivateDir(t)
	torrent, _ := makeTorrent(t, "data", someFiles(), "--announce", "http://foreign.example/announce")
	drop := filepath.Dir(torrent)
	n := startNode(t, dir, privateConfig+"users.drop = \""+drop+"\"\n")
	for range 2 { // once is enough
		n.watch(t.Context())
	}
	n.wantLog("torrents were added\" torrents=1", 1)
	st, err := n.accounts.store.Torrents(t.Context())
	if err != nil || len(st) != 1 || st[0].Name != "data" {
		t.Errorf("%+v, %v", st, err)
	}
	other, _ := makeTorrent(t, "other", someFiles())
	n.reloadWith(privateConfig + "users.drop = \"" + filepath.Dir(other) + "\"\nusers.slots = 1\n")
	n.wantLog("torrents were added\" torrents=1", 2)
	n.wantLog("broken", 0)
}

// A user's key comes over UDP, too, and neither it nor a wrong one is in the
// log, whatever its level.
func TestKeysStayOutOfTheLog(t *testing.T) {
	dir := newPrivateDir(t)
	db := filepath.Join(dir, "tracker.db")
	torrent, _ := makeTorrent(t, "data", someFiles())
	mustSucceed(t, "tracker", "torrent", "add", torrent, "--db", db)
	url := mustSucceed(t, "tracker", "user", "add", "anna", "--db", db).stdout
	_, url, _ = strings.Cut(url, "http://127.0.0.1:1/")
	key, _, _ := strings.Cut(url, "/")
	wrong := strings.Repeat("f", len(key))
	for _, format := range []string{"text", "json"} {
		n := startNode(t, dir, privateConfig+"log.format = \""+format+"\"\nlog.level = \"debug\"\nusers.announce_log = \"DIR/announces\"\n")
		torrents, err := n.accounts.store.Torrents(t.Context())
		if err != nil || len(torrents) != 1 {
			t.Fatal(torrents, err)
		}
		req := tracker.Request{InfoHash: torrents[0].InfoHash, Left: 1, NumWant: 1, Event: tracker.Started}
		c := client.New(client.Config{})
		for scheme, addr := range map[string]string{"http": n.tracker.addr.String(), "udp": n.tracker.udp.String()} {
			if _, err := c.Announce(t.Context(), scheme+"://"+addr+"/"+key+"/announce", &req); err != nil {
				t.Errorf("%s: %v", scheme, err)
			}
			for _, path := range []string{"/" + wrong + "/announce", "/announce"} {
				if _, err := c.Announce(t.Context(), scheme+"://"+addr+path, &req); err == nil || !strings.Contains(err.Error(), "announce") {
					t.Errorf("%s%s: %v", scheme, path, err)
				}
			}
		}
		n.reloadWith(privateConfig + "key = \"" + key + "\"\n") // a mistake
		n.reload(t.Context())
		n.end()
		for _, secret := range []string{key, wrong} {
			if strings.Contains(n.log.String(), secret) {
				t.Errorf("%s: a key is in the log:\n%s", format, n.log)
			}
		}
		if format == "json" && !strings.HasPrefix(n.log.String(), `{"time":`) {
			t.Errorf("no JSON: %s", n.log)
		}
		n.wantLog("counts", 1)
	}
}

// writeCertificate writes a certificate for tracker.test and its key.
func writeCertificate(t *testing.T, dir string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"tracker.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	})
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// Announces go over HTTPS, and a certificate that was replaced is used, by a
// reload or because it is noticed.
func TestTrackerOverHTTPS(t *testing.T) {
	dir := t.TempDir()
	leaf := writeCertificate(t, dir, 1)
	config := "torrents.open = true\n[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"DIR/cert.pem\"\nkey = \"DIR/key.pem\"\n"
	n := startNode(t, dir, config)
	want := func(what string) {
		t.Helper()
		roots := x509.NewCertPool()
		roots.AddCert(leaf)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "tracker.test"}, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + n.tracker.tls.String() + "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "d8:complete") {
			t.Errorf("%s: %q, %v", what, body, err)
		}
	}
	want("the first")
	leaf = writeCertificate(t, dir, 1<<60) // whose file is longer, so it is noticed within the resolution of the clock
	n.watch(t.Context())
	want("one that is noticed")
	leaf = writeCertificate(t, dir, 3)
	n.reloadWith(config)
	want("one that is reloaded")
	writeFiles(t, dir, map[string]string{"key.pem": "no key"})
	n.reloadWith(config)
	n.watch(t.Context())
	want("after a broken one")
	n.wantLog("nothing was reloaded", 1)
}

// A proxy on this machine comes by a Unix socket; one that was left behind by a
// crash is no obstacle.
func TestTrackerOnAUnixSocket(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	tracker := start(t, "tracker", "run", "--open", "--http", "unix:"+socket, "--udp", "off")
	select {
	case <-tracker.begun["tracker"]:
	case got := <-tracker.result:
		tracker.finished = &got
		t.Fatal(got.stderr)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequest("GET", "http://tracker/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "9.9.9.9")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "external ip4:\x09\x09\x09\x09") {
		t.Errorf("%q, %v", body, err)
	}
	transport.CloseIdleConnections()
	if r := tracker.stop(); r.code != exitInterrupted {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// To the kernel, to connect to an ordinary file is refused as it is by a socket
// that nobody listens on.
func TestUnixSocketRemovesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "photos.zip")
	writeFiles(t, filepath.Dir(path), map[string]string{"photos.zip": "precious"})
	ln, err := listenTracker(t.Context(), unixPrefix+path)
	if err == nil {
		ln.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no socket; choose another path with --http") {
		t.Errorf("it listens: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file now: %q, %v", b, err)
	}
}

// At the end /readyz turns first, and announces are answered until the drain is
// over.
func TestReadinessTurnsFirst(t *testing.T) {
	n := startNode(t, t.TempDir(), "torrents.open = true\nstop.drain = \"1m\"\nmetrics.listen = \"127.0.0.1:0\"\n")
	ready := func() int {
		resp, err := http.Get("http://" + n.oversight.scrape.String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for begin := time.Now(); ready() != http.StatusOK; { // its sockets are served soon
		if time.Since(begin) > patience {
			t.Fatal("it does not become ready")
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); n.end() }()
	for begin := time.Now(); ready() != http.StatusServiceUnavailable; {
		if time.Since(begin) > patience {
			t.Fatal("it stays ready")
		}
	}
	if got := n.announce('a'); !strings.HasPrefix(got, "d8:complete") {
		t.Errorf("while it drains: %q", got)
	}
	n.tracker.failed <- errors.New("enough") // which ends the drain
	<-ended
}

// A port that the system chooses is free for TCP; where another program has it
// for UDP, the tracker takes the next one.
func TestTrackerOnAnyPort(t *testing.T) {
	for addr, want := range map[string]int{":0": 3, "127.0.0.1:": 3, "[::1]:00": 3, ":6969": 1, "127.0.0.1:http": 1, "x": 1} {
		tries := 0
		err := untilFree(addr, func() error {
			if tries++; tries < 3 {
				return &udpInUseError{addr}
			}
			return nil
		})
		if tries != want || (err == nil) != (want == 3) {
			t.Errorf("%s: %d tries, %v", addr, tries, err)
		}
	}
	ln, udp, err := listenBoth(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	defer udp.Close()
	if ln.Addr().String() != udp.Addr().String() {
		t.Errorf("HTTP on %v, UDP on %v", ln.Addr(), udp.Addr())
	}
	taken := busyUDP(t)
	if _, _, err := listenBoth(t.Context(), taken); err == nil || !strings.Contains(err.Error(), "UDP "+taken+" is in use; choose another address with --udp") {
		t.Errorf("a port that was asked for: %v", err)
	}
}
