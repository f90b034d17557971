package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// runningNode starts "shoal dht run" on a free port of the loopback interface.
func runningNode(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{
		cancel: cancel, result: make(chan result, 1),
		begun: map[string]chan string{"dht": make(chan string, 1), "metrics": make(chan string, 1), "joined": make(chan string, 1)},
	}
	var stdout, stderr bytes.Buffer
	e := &env{stdout: &stdout, stderr: &stderr, listening: func(what, addr string) { r.begun[what] <- addr }}
	go func() {
		code := run(ctx, e, append([]string{"dht", "run", "--addr", "127.0.0.1:0"}, args...))
		r.result <- result{code, stdout.String(), stderr.String()}
	}()
	t.Cleanup(func() { r.stop() })
	return r
}

func TestDHTRunAndItsState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "made", "dht.state")
	first := runningNode(t)
	second := runningNode(t, "--bootstrap", first.addr(t, "dht"), "--state", state)
	addr := second.addr(t, "joined")
	// A node that asks through it knows both.
	if r := mustSucceed(t, "dht", "find-node", "--addr", "127.0.0.1", "--bootstrap", addr, aHash); strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("find-node says\n%s", r.stdout)
	}
	r := second.stop()
	if r.code != exitInterrupted || !strings.HasPrefix(r.stderr, "DHT node on "+addr+"\njoined: 1 IPv4 node\n") || r.stdout != "" {
		t.Errorf("it ends with %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	saved, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	// The next command needs no --bootstrap, and leaves the file as it is.
	if r := mustSucceed(t, "dht", "find-node", "--addr", "127.0.0.1", "--state", state, aHash); strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("from saved nodes, find-node says\n%s", r.stdout)
	}
	if after, err := os.Stat(state); err != nil || !os.SameFile(after, saved) {
		t.Errorf("the state file was written anew, or %v", err)
	}
}

// The last snapshot is of the end, not of when the one before was due.
func TestDHTRunEndsWithItsLastMoment(t *testing.T) {
	first := runningNode(t)
	second := runningNode(t, "--bootstrap", first.addr(t, "dht"), "--json")
	addr := second.addr(t, "joined")
	joined := time.Now()
	for range 20 {
		mustSucceed(t, "dht", "find-node", "--addr", "127.0.0.1", "--bootstrap", addr, aHash)
	}
	passed := time.Since(joined)
	r := second.stop()
	var last struct {
		Uptime float64 `json:"uptime_seconds"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &last); err != nil || last.Uptime < passed.Seconds() {
		t.Errorf("it was up for %v and says (%v)\n%s", passed, err, r.stdout)
	}
}

func TestDHTRunOnAPortInUse(t *testing.T) {
	addr := runningNode(t).addr(t, "dht")
	r := shoal(t, "dht", "run", "--addr", addr)
	if r.code != exitFailed || !strings.Contains(r.stderr, "in use; choose another one with --addr") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

func TestDHTRunTakesTheFirstFreePort(t *testing.T) {
	ports := map[uint16]bool{}
	for range 2 {
		r := runningNode(t, "--addr", "127.0.0.1") // the last --addr counts
		addr := netip.MustParseAddrPort(r.addr(t, "dht"))
		if addr.Port() < firstDHTPort || addr.Port() > lastDHTPort || ports[addr.Port()] {
			t.Errorf("a node on %v, besides those on %v", addr, ports)
		}
		ports[addr.Port()] = true
	}
}

func TestDHTRunSaysWhatIsNotSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFiles(t, filepath.Dir(file), map[string]string{"file": ""})
	r := runningNode(t, "--bootstrap", newDHT(t)[0].Addrs()[0].String(), "--state", filepath.Join(file, "dht.state"))
	r.addr(t, "joined")
	if got := r.stop(); got.code != exitInterrupted || !strings.Contains(got.stderr, "save the DHT state: ") {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
}

func TestDHTMetrics(t *testing.T) {
	first := runningNode(t, "--metrics", ":0")
	metrics := first.addr(t, "metrics")
	if !strings.HasPrefix(metrics, "127.0.0.1:") {
		t.Errorf("a port alone listens on %s", metrics)
	}
	if status, _ := ask(t, "http://"+metrics+"/healthz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a node that is alone is healthy: %d", status)
	}
	second := runningNode(t, "--bootstrap", first.addr(t, "dht"), "--metrics", "127.0.0.1:0")
	metrics = second.addr(t, "metrics")
	mustSucceed(t, "dht", "find-node", "--addr", "127.0.0.1", "--bootstrap", second.addr(t, "joined"), aHash)
	status, page := ask(t, "http://"+metrics+"/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("status %d\n%s", status, page)
	}
	var series []string
	for line := range strings.Lines(page) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "shoal_") {
			series = append(series, name)
		}
	}
	golden(t, "dht-metrics.txt", strings.Join(slices.Sorted(slices.Values(series)), "\n")+"\n")
	if !regexp.MustCompile(`(?m)^shoal_dht_queries_total{direction="in",method="find_node"} [1-9]`).MatchString(page) {
		t.Errorf("no find_node was counted:\n%s", page)
	}
	if !strings.Contains(page, "\ngo_goroutines ") {
		t.Error("the metrics of Go are missing")
	}
}

func TestDHTHealth(t *testing.T) {
	nodes := newDHT(t)
	m, err := startMetrics(t.Context(), ":0", nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	if status, body := ask(t, "http://"+m.addr.String()+"/healthz", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("a node that has joined: %d %q", status, body)
	}
	if err := m.stop(); err != nil {
		t.Error(err)
	}
}

// twoSnapshots are a node at two moments, two seconds apart.
func twoSnapshots() (last, next snapshot) {
	last = snapshot{
		uptime: time.Minute, listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:6881"), netip.MustParseAddrPort("[::]:6881")},
		Stats: dht.Stats{ID: krpc.ID{0xab}, IPv4: dht.TableStats{On: true}, IPv6: dht.TableStats{On: true}},
	}
	next = last
	next.uptime += 2 * time.Second
	next.Ready, next.External = true, netip.MustParseAddr("203.0.113.7")
	next.IPv4 = dht.TableStats{On: true, NumNodes: 212, Buckets: []int{128, 64, 12, 0, 8}}
	next.IPv6 = dht.TableStats{On: true, NumNodes: 1, Buckets: []int{0, 1}}
	next.In, next.Out = dht.Traffic{Packets: 30, Bytes: 4096}, dht.Traffic{Packets: 20, Bytes: 2048}
	next.Counts.QueriesIn[krpc.Ping], next.Counts.QueriesOut[krpc.GetPeers] = 5, 7
	next.Counts.ResponsesIn, next.Counts.ErrorsOut, next.Counts.OverQuota = 9, 1, 3
	next.Stored = node.Stored{Torrents: 2, Peers: 5, Items: 1}
	next.Lookups = 1
	return last, next
}

func TestDHTViews(t *testing.T) {
	last, next := twoSnapshots()
	golden(t, "dht-view.txt", strings.Join(viewLines(last, next), "\n")+"\n")

	var stderr strings.Builder
	v := lineView{notes{&env{stderr: &stderr}}, time.Minute}
	v.joined(next)
	v.show(last, next)
	v.show(next, next)
	want := "joined: 212 IPv4 nodes and 1 IPv6 node\n" +
		"212 IPv4 nodes and 1 IPv6 node; 5 peers of 2 torrents and 1 value in store; in 2.0 KiB/s, out 1.0 KiB/s\n"
	if stderr.String() != want {
		t.Errorf("the lines are\n%swant\n%s", &stderr, want)
	}
}

// A frame begins where the last one began, fits the terminal, and has the
// notes above it.
func TestDHTScreen(t *testing.T) {
	var out strings.Builder
	v := &screenView{w: &out}
	v.note("first note")
	v.draw([]string{"one", "twotwo", "three", "four"}, 5, 4)
	v.note("second note")
	v.draw([]string{"1"}, 80, 24)
	v.close()
	v.note("last note")
	want := "first note\n" +
		"\r\x1b[Jone\ntwot…\nthree\n" +
		"\x1b[3A\r\x1b[Jsecond note\n1\n" +
		"last note\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestLoggerWritesLines(t *testing.T) {
	var out strings.Builder
	log := newLogger((&env{stderr: &out}).logf).With("file", "a\x1b[2Jb")
	log.Info("not worth a line")
	log.Warn("it cannot be read", "error", io.ErrUnexpectedEOF)
	if want := "it cannot be read; file: a\\x1b[2Jb; error: unexpected EOF\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestDefaultDHTState(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	t.Setenv("HOME", "/var/fish")
	check := func(want string, f dhtNetwork) {
		t.Helper()
		if err := f.check(); err != nil || f.state != filepath.FromSlash(want) {
			t.Errorf("state %q, %v; want %q", f.state, err, want)
		}
	}
	check("/state/shoal/dht.state", dhtNetwork{})
	check("", dhtNetwork{bootstrap: []string{"192.0.2.1:1"}})
	check("", dhtNetwork{dhtSocket: dhtSocket{addr: "127.0.0.1"}})
	check("", dhtNetwork{hasState: true})
	check("x", dhtNetwork{hasState: true, state: "x", bootstrap: []string{"192.0.2.1:1"}})
	t.Setenv("XDG_STATE_HOME", "not/absolute")
	check("/var/fish/.local/state/shoal/dht.state", dhtNetwork{})
}

func TestDHTAddrFlag(t *testing.T) {
	for addr, want := range map[string]dhtSocket{
		"":                 {},
		":6881":            {port: 6881, hasPort: true},
		"127.0.0.1:0":      {bind: netip.MustParseAddr("127.0.0.1"), hasPort: true},
		"192.168.1.5":      {bind: netip.MustParseAddr("192.168.1.5")},
		"[2001:db8::1]:70": {bind: netip.MustParseAddr("2001:db8::1"), port: 70, hasPort: true},
		"2001:db8::1":      {bind: netip.MustParseAddr("2001:db8::1")},
	} {
		got := dhtSocket{addr: addr}
		want.addr = addr
		if err := got.check(); err != nil || got != want {
			t.Errorf("%q: %+v, %v", addr, got, err)
		}
	}
	for _, addr := range []string{"localhost:1", ":", ":-1", "127.0.0.1:65536", "[::1", "x"} {
		if err := (&dhtSocket{addr: addr}).check(); err == nil {
			t.Errorf("%q is taken", addr)
		}
	}
}
