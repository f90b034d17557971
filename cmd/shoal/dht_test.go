package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
)

// newDHT starts a small DHT on the loopback interface, and returns its nodes
// when all of them know each other.
func newDHT(t *testing.T) []*dht.Server {
	t.Helper()
	const numNodes = 5
	var nodes []*dht.Server
	bootstrap := []string{}
	for range numNodes {
		s, err := dht.New(dht.Config{Bind: netip.MustParseAddr("127.0.0.1"), Bootstrap: bootstrap})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		nodes = append(nodes, s)
		bootstrap = []string{nodes[0].Addrs()[0].String()}
	}
	for _, s := range nodes {
		select {
		case <-s.Ready():
		case <-t.Context().Done():
			t.Fatal("a node does not join")
		}
		for _, other := range nodes {
			if other == s {
				continue
			}
			if _, _, err := s.Query(t.Context(), other.Addrs()[0], krpc.Message{Method: krpc.Ping}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return nodes
}

// through are the flags of a node that joins through another.
func through(addr netip.AddrPort, args ...string) []string {
	return append(args, "--addr", "127.0.0.1", "--bootstrap", addr.String())
}

// asker returns a function that runs "shoal dht" on a small DHT.
func asker(t *testing.T) func(args ...string) result {
	addr := newDHT(t)[2].Addrs()[0]
	return func(args ...string) result {
		t.Helper()
		return shoal(t, through(addr, append([]string{"dht"}, args...)...)...)
	}
}

// fakeNode is a node that answers as it is told; nil is silence. It returns its
// address and a channel with an element for every query.
func fakeNode(t *testing.T, answer func(q *krpc.Message) *krpc.Message) (netip.AddrPort, <-chan krpc.Method) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan krpc.Method, 1000)
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var q krpc.Message
			if q.Parse(b[:n]) != nil {
				continue
			}
			asked <- q.Method
			if m := answer(&q); m != nil {
				m.Transaction = q.Transaction
				conn.WriteToUDPAddrPort(m.Append(nil), from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), asked
}

// silent never answers.
func silent(*krpc.Message) *krpc.Message { return nil }

// hostileText would clear the screen.
const hostileText = "\x1b[2J\u202e"

const aHash = "2c250f2e58ddcf19ff22a29c3d3e5ea7ae52eeb0"

func TestDHTPing(t *testing.T) {
	node := newDHT(t)[1]
	r := mustSucceed(t, "dht", "ping", "--count", "3", "--interval", "0s", node.Addrs()[0].String())
	for _, part := range []string{"3 of 3 pings answered: fastest ", "id         " + node.Stats().ID.String(), `version    SH\x00\x01`, "sees us at 127.0.0.1:"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("ping says nothing of %q:\n%s", part, r.stdout)
		}
	}
	if lines := strings.Count(r.stdout, "\n"); lines != 3+4 {
		t.Errorf("ping says\n%s", r.stdout)
	}
}

func TestDHTPingOfAHostileNode(t *testing.T) {
	addr, _ := fakeNode(t, func(*krpc.Message) *krpc.Message {
		return &krpc.Message{Kind: krpc.Response, ID: krpc.ID{1}, Version: []byte(hostileText)}
	})
	for _, format := range []string{"--json=false", "--json"} {
		r := mustSucceed(t, "dht", "ping", "--count", "1", format, addr.String())
		if strings.ContainsAny(r.stdout, "\x1b\u202e") || !strings.Contains(r.stdout, "x1b[2J") {
			t.Errorf("ping says %q", r.stdout)
		}
	}
}

func TestDHTPingInVain(t *testing.T) {
	addr, _ := fakeNode(t, silent)
	r := shoal(t, "dht", "ping", "--timeout", "50ms", "--json", addr.String())
	if r.code != exitNotFound || !strings.Contains(r.stderr, "does not answer") || !strings.Contains(r.stdout, `"sent":1,"answered":0`) {
		t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestDHTFindNode(t *testing.T) {
	nodes := newDHT(t)
	want := nodes[4].Stats().ID.String()
	r := mustSucceed(t, through(nodes[0].Addrs()[0], "dht", "find-node", want)...)
	if first, _, _ := strings.Cut(r.stdout, "\n"); first != want+"  "+nodes[4].Addrs()[0].String() {
		t.Errorf("the closest is %q", first)
	}
	if strings.Count(r.stdout, "\n") != len(nodes) || !strings.Contains(r.stderr, " queries in ") {
		t.Errorf("find-node says\n%s%s", r.stdout, r.stderr)
	}
}

func TestDHTAnnounceGetPeersAndScrape(t *testing.T) {
	ask := asker(t)
	must := func(args ...string) result {
		t.Helper()
		r := ask(args...)
		if r.code != exitDone {
			t.Fatalf("%v: exit %d\n%s", args, r.code, r.stderr)
		}
		return r
	}
	for _, command := range []string{"get-peers", "scrape"} {
		if r := ask(command, aHash); r.code != exitNotFound {
			t.Errorf("%s before the announce: exit %d\n%s%s", command, r.code, r.stdout, r.stderr)
		}
	}
	if r := must("announce", "--port", "4711", "--seed", aHash); r.stdout != "announced "+aHash+" to 5 nodes\n" {
		t.Errorf("announce says %q", r.stdout)
	}
	for _, torrent := range []string{aHash, strings.ToUpper(aHash), "magnet:?xt=urn:btih:" + aHash} {
		if r := must("get-peers", torrent); r.stdout != "127.0.0.1:4711\n" || !strings.HasPrefix(r.stderr, "1 peer; ") {
			t.Errorf("get-peers %s says %q, %q", torrent, r.stdout, r.stderr)
		}
	}
	if r := must("get-peers", "--verbose", aHash); strings.Count(r.stderr, "\nnode ") != 5 {
		t.Errorf("get-peers --verbose says\n%s", r.stderr)
	}
	if r := must("scrape", aHash); r.stdout != "1 seed, 0 leechers\n" {
		t.Errorf("scrape says %q", r.stdout)
	}
}

func TestDHTAnnounceImpliedPort(t *testing.T) {
	ask := asker(t)
	// The node's own port is free again when the command has ended: it is known
	// from what get-peers finds.
	if r := ask("announce", "--implied-port", aHash); r.code != exitDone {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	r := ask("get-peers", aHash)
	if addr, err := netip.ParseAddrPort(strings.TrimSpace(r.stdout)); err != nil || addr.Port() == 0 {
		t.Errorf("get-peers says %q", r.stdout)
	}
}

func TestDHTTorrentFiles(t *testing.T) {
	ask := asker(t)
	torrent, _ := makeTorrent(t, "data", someFiles())
	if r := ask("announce", "--port", "1", torrent); r.code != exitDone {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	private, _ := makeTorrent(t, "private", someFiles(), "--private", "--announce", "http://127.0.0.1:1/announce")
	if r := ask("announce", "--port", "1", private); r.code != exitFailed || !strings.Contains(r.stderr, "this torrent is private") {
		t.Errorf("a private torrent: exit %d\n%s", r.code, r.stderr)
	}
	if r := ask("get-peers", "nothing-like-it"); r.code != exitFailed || !strings.Contains(r.stderr, "neither an info-hash of 40 hexadecimal digits") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

func TestDHTSample(t *testing.T) {
	nodes := newDHT(t)
	for i := range 3 {
		mustSucceed(t, through(nodes[0].Addrs()[0], "dht", "announce", "--port", "1", fmt.Sprintf("%040x", i+1))...)
	}
	r := mustSucceed(t, through(nodes[0].Addrs()[0], "dht", "sample")...)
	var want []string
	for i := range 3 {
		want = append(want, fmt.Sprintf("%040x", i+1))
	}
	if got := slices.Sorted(strings.FieldsSeq(r.stdout)); !slices.Equal(got, want) {
		t.Errorf("sample says\n%s%s", r.stdout, r.stderr)
	}
	if !strings.HasPrefix(r.stderr, "3 info-hashes in ") || !strings.Contains(r.stderr, ": 5 nodes asked, 5 of them gave samples") {
		t.Errorf("sample says\n%s", r.stderr)
	}
	if r := mustSucceed(t, through(nodes[0].Addrs()[0], "dht", "sample", "--count", "2")...); strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("sample --count 2 says\n%s", r.stdout)
	}
	if r := mustSucceed(t, "dht", "sample", nodes[3].Addrs()[0].String()); strings.Count(r.stdout, "\n") != 3 {
		t.Errorf("a sample of one node is\n%s", r.stdout)
	}
}

// BEP 51: "An indexer should not send a new sampling request to this node for
// that period of time."
func TestDHTSampleObeysTheInterval(t *testing.T) {
	var numAsked byte
	addr, _ := fakeNode(t, func(q *krpc.Message) *krpc.Message {
		m := &krpc.Message{Kind: krpc.Response, ID: krpc.ID{1}}
		if q.Method == krpc.SampleInfohashes {
			numAsked++
			m.Samples, m.Num, m.Interval = bytes.Repeat([]byte{numAsked}, 20), 3, []int64{0, 1800, 0, 0}[numAsked]
		}
		return m
	})
	s := newDHT(t)[0]
	var stdout strings.Builder
	var pauses []time.Duration
	w := &sampler{s: s, once: new(dhtOnce), e: &env{stdout: &stdout}, seen: map[krpc.ID]bool{}, pause: func(_ context.Context, d time.Duration) bool {
		pauses = append(pauses, d)
		return true
	}}
	if err := w.askAgain(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{30 * time.Minute, minSampleInterval}; !slices.Equal(pauses, want) || w.asked != 3 {
		t.Errorf("%d queries with pauses of %v, want %v", w.asked, pauses, want)
	}
	if strings.Count(stdout.String(), "\n") != 3 {
		t.Errorf("the samples are\n%s", &stdout)
	}
}

func TestDHTSampleOfNodesThatDoNotKnowIt(t *testing.T) {
	addr, asked := fakeNode(t, func(q *krpc.Message) *krpc.Message {
		return &krpc.Message{Kind: krpc.Response, ID: krpc.ID{1}, Nodes: []byte{}}
	})
	if r := shoal(t, "dht", "sample", addr.String()); r.code != exitNotFound || !strings.Contains(r.stderr, "it does not know BEP 51") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	countAsked(asked)
	r := shoal(t, through(addr, "dht", "sample")...)
	if n := countAsked(asked); r.code != exitNotFound || n != 1 {
		t.Errorf("a walk asks %d times and ends with %d\n%s", n, r.code, r.stderr)
	}
}

func TestFrontier(t *testing.T) {
	public, private := netip.MustParseAddrPort("8.8.8.8:1"), netip.MustParseAddrPort("192.168.1.1:1")
	public6 := netip.MustParseAddrPort("[2600::1]:1")
	tell := func(addrs ...netip.AddrPort) *krpc.Message {
		m := new(krpc.Message)
		for _, addr := range addrs {
			if addr.Addr().Is4() {
				m.Nodes = krpc.AppendNode(m.Nodes, krpc.Node{Addr: addr})
			} else {
				m.Nodes6 = krpc.AppendNode(m.Nodes6, krpc.Node{Addr: addr})
			}
		}
		return m
	}
	f := &frontier{ipv4: true, known: map[netip.AddrPort]bool{}}
	f.hear(public, tell(public, private, public6, netip.AddrPortFrom(public.Addr(), 0)))
	f.hear(public, tell(public))
	if want := []netip.AddrPort{public}; !slices.Equal(f.next, want) {
		t.Errorf("of a stranger's nodes %v are asked, want %v", f.next, want)
	}
	f.hear(private, tell(private))
	if f.pop() != public || f.pop() != private || len(f.next) > 0 {
		t.Error("a node of the own network cannot tell of another")
	}
}

// countAsked counts the queries for samples that a fake node got since it was
// last called.
func countAsked(asked <-chan krpc.Method) (numSamples int) {
	for len(asked) > 0 {
		if <-asked == krpc.SampleInfohashes {
			numSamples++
		}
	}
	return numSamples
}

func TestDHTGetAndPutImmutable(t *testing.T) {
	ask := asker(t)
	for _, test := range []struct{ put, flag, text, raw string }{
		{"hello, wörld", "--bencode=false", "hello, wörld", "13:hello, wörld"},
		{hostileText, "--bencode=false", `\x1b[2J\u202e`, "7:" + hostileText},
		{"d1:ali1ei-2eee", "--bencode", `{"a": [1, -2]}`, "d1:ali1ei-2eee"},
		{"d0:4:a\"\x1bb1:cle1:dde1:e2:\xff\xfee", "--bencode", `{"": "a\"\x1bb", "c": [], "d": {}, "e": x"fffe"}`, "d0:4:a\"\x1bb1:cle1:dde1:e2:\xff\xfee"},
	} {
		r := ask("put", test.flag, test.put)
		if r.code != exitDone || !strings.Contains(r.stdout, "stored     on 5 nodes\n") {
			t.Fatalf("put %q: exit %d\n%s%s", test.put, r.code, r.stdout, r.stderr)
		}
		target := krpc.ImmutableTarget([]byte(test.raw)).String()
		if !strings.HasPrefix(r.stdout, "target     "+target+"\n") {
			t.Errorf("put %q says\n%s", test.put, r.stdout)
		}
		if r := ask("get", target); r.code != exitDone || r.stdout != test.text+"\n" {
			t.Errorf("get says %q, want %q (exit %d)", r.stdout, test.text, r.code)
		}
		if r := ask("get", "--raw", target); r.code != exitDone || r.stdout != test.raw {
			t.Errorf("get --raw says %q, want %q", r.stdout, test.raw)
		}
		var got dhtGetJSON
		r = ask("get", "--json", target)
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
			t.Fatalf("%v in %q", err, r.stdout)
		}
		if got.ValueHex != hex.EncodeToString([]byte(test.raw)) || strings.Contains(r.stdout, "\x1b") {
			t.Errorf("get --json says %s", r.stdout)
		}
	}
	if r := ask("get", aHash); r.code != exitNotFound {
		t.Errorf("a target that nobody has: exit %d\n%s", r.code, r.stderr)
	}
	if r := ask("put", strings.Repeat("x", 997)); r.code != exitUsage || !strings.Contains(r.stderr, "1001 bytes") {
		t.Errorf("a value that is too long: exit %d\n%s", r.code, r.stderr)
	}
	if r := ask("put", strings.Repeat("x", 996)); r.code != exitDone {
		t.Errorf("the longest value: exit %d\n%s", r.code, r.stderr)
	}
}

// FuzzFormatValue: whatever nodes store, it is one line, safe for a terminal.
func FuzzFormatValue(f *testing.F) {
	for _, value := range []string{"4:text", "i-1e", "d1:ali1e0:ee", "2:\xff\xfe", "l1:\x1be", "", "5:ab", strings.Repeat("l", 90) + strings.Repeat("e", 90)} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		text := formatValue(value)
		if printable(text) != text || strings.Contains(text, "\n") {
			t.Errorf("%q is written as %q", value, text)
		}
	})
}

func TestDHTGetAndPutMutable(t *testing.T) {
	ask := asker(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	put := func(args ...string) (out dhtPutJSON) {
		t.Helper()
		r := ask(append([]string{"put", "--json", "--key-file", keyFile}, args...)...)
		if r.code != exitDone {
			t.Fatalf("put %v: exit %d\n%s", args, r.code, r.stderr)
		}
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	refuse := func(want string, args ...string) {
		t.Helper()
		r := ask(append([]string{"put", "--key-file", keyFile}, args...)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, "5 nodes refused the value: "+want) {
			t.Errorf("put %v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	get := func(args ...string) string {
		t.Helper()
		r := ask(append([]string{"get"}, args...)...)
		if r.code != exitDone {
			t.Fatalf("get %v: exit %d\n%s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	first := put("one")
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v", info.Mode(), err)
	}
	if *first.Seq != 1 || first.Stored != 5 || get("--key", first.Key) != "one\n" || get(first.Target) != "one\n" {
		t.Errorf("the first put: %+v", first)
	}
	if again := put("one"); *again.Seq != 1 {
		t.Errorf("the same value again has seq %d", *again.Seq)
	}
	if second := put("two"); *second.Seq != 2 || second.Key != first.Key || get("--key", first.Key) != "two\n" {
		t.Errorf("the second put: %+v", second)
	}
	if salted := put("--salt", "s", "salted"); *salted.Seq != 1 || salted.Target == first.Target {
		t.Errorf("with a salt: %+v", salted)
	}
	if text := get("--key", first.Key, "--salt", "s"); text != "salted\n" {
		t.Errorf("with a salt there is %q", text)
	}
	refuse("one with a higher seq than 1 is stored", "--seq", "1", "older")
	refuse("the seq of the stored one is not 7 (--cas)", "--cas", "7", "not in time")
	put("--cas", "2", "in time")
	if text := get("--key", first.Key); text != "in time\n" {
		t.Errorf("in the end there is %q", text)
	}
}

// An old value that comes after a new one changes nothing.
func TestDHTGetTakesTheHighestSeq(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	storing := func(id byte, seq int64, value string, others ...krpc.Node) netip.AddrPort {
		addr, _ := fakeNode(t, func(q *krpc.Message) *krpc.Message {
			m := &krpc.Message{Kind: krpc.Response, ID: krpc.ID{id}, Nodes: []byte{}}
			for _, n := range others {
				m.Nodes = krpc.AppendNode(m.Nodes, n)
			}
			if q.Method == krpc.Get {
				m.Value, m.Seq, m.HasSeq = []byte(value), seq, true
				m.Key, m.Sig = key.Public().(ed25519.PublicKey), ed25519.Sign(key, krpc.AppendSigned(nil, nil, seq, m.Value))
			}
			return m
		})
		return addr
	}
	older := storing(2, 1, "3:old")
	newer := storing(1, 5, "3:new", krpc.Node{ID: krpc.ID{2}, Addr: older})
	r := mustSucceed(t, through(newer, "dht", "get", "--key", fmt.Sprintf("%x", key.Public()))...)
	if r.stdout != "new\n" || !strings.HasPrefix(r.stderr, "seq 5, signed by ") {
		t.Errorf("get says %q, %q", r.stdout, r.stderr)
	}
}

func TestDHTKeyFiles(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"wide":     {strings.Repeat("01", 32), 0o644, "chmod 600"},
		"expanded": {strings.Repeat("01", 64), 0o600, "an expanded private key"},
		"short":    {"01", 0o600, "it must hold 64 hexadecimal digits"},
		"text":     {"secret", 0o600, "it must hold 64 hexadecimal digits"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(test.content), test.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		r := shoal(t, "dht", "put", "--addr", "127.0.0.1", "--bootstrap", "127.0.0.1:1", "--key-file", path, "x")
		if r.code != exitFailed || !strings.Contains(r.stderr, test.want) || strings.Contains(r.stderr, "secret") {
			t.Errorf("%s: exit %d\n%s", name, r.code, r.stderr)
		}
	}
}

func TestDHTNobodyAnswers(t *testing.T) {
	addr, _ := fakeNode(t, silent)
	for _, args := range [][]string{
		{"find-node", aHash}, {"get-peers", aHash}, {"announce", "--port", "1", aHash}, {"scrape", aHash},
		{"sample"}, {"get", aHash}, {"put", "x"},
	} {
		r := shoal(t, through(addr, append([]string{"dht"}, append(args, "--timeout", "50ms")...)...)...)
		if r.code != exitNotFound || !strings.Contains(r.stderr, "50ms") {
			t.Errorf("%v: exit %d\n%s%s", args, r.code, r.stdout, r.stderr)
		}
	}
}

func TestDHTInterrupted(t *testing.T) {
	addr, asked := fakeNode(t, silent)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- shoalCtx(ctx, through(addr, "dht", "get-peers", aHash)...) }()
	<-asked
	cancel()
	if r := <-done; r.code != exitInterrupted || r.stderr != "shoal: interrupted\n" {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestDHTJSONKeys holds the keys stable that docs/cli.md documents.
func TestDHTJSONKeys(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, docs, _ = bytes.Cut(docs, []byte("\n## `shoal dht`"))
	nodes := newDHT(t)
	addr := nodes[0].Addrs()[0]
	ask := func(args ...string) string {
		return mustSucceed(t, through(addr, append([]string{"dht", args[0], "--json"}, args[1:]...)...)...).stdout
	}
	keyFile := filepath.Join(t.TempDir(), "key")
	put := ask("put", "--key-file", keyFile, "--salt", "s", "x")
	var stored dhtPutJSON
	if err := json.Unmarshal([]byte(put), &stored); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, of := range []struct{ name, stdout string }{
		{"ping", mustSucceed(t, "dht", "ping", "--json", "--count", "1", addr.String()).stdout},
		{"find-node", ask("find-node", aHash)},
		{"announce", ask("announce", "--port", "1", aHash)},
		{"get-peers", ask("get-peers", aHash)},
		{"scrape", ask("scrape", aHash)},
		{"sample", ask("sample")},
		{"put", put},
		{"get", ask("get", "--salt", "s", "--key", stored.Key)},
		// Last: the others would wait for a node that has gone.
		{"run", runningNode(t, "--bootstrap", addr.String(), "--json").stop().stdout},
	} {
		for line := range strings.Lines(of.stdout) {
			var kind struct{ Type string }
			if err := json.Unmarshal([]byte(line), &kind); err != nil {
				t.Fatal(err)
			}
			found := slices.Sorted(maps.Keys(keys(t, line)))
			fmt.Fprintf(&all, "%s: %s\n", strings.TrimSpace(of.name+" "+kind.Type), strings.Join(found, " "))
			for _, key := range found {
				key = strings.Replace(strings.Replace(key, "out.", "in.", 1), "ipv6.", "ipv4.", 1)
				if !bytes.Contains(docs, []byte("`"+key+"`")) {
					t.Errorf("docs/cli.md does not document the key %s of dht %s", key, of.name)
				}
			}
		}
	}
	golden(t, "dht-json-keys.txt", all.String())
}
