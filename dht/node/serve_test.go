package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

var (
	asker  = netip.MustParseAddrPort("81.2.69.142:6881")
	asker6 = netip.MustParseAddrPort("[2a02:1::5]:6881")
	idA    = krpc.ID([]byte("abcdefghij0123456789"))
	idM    = krpc.ID([]byte("mnopqrstuvwxyz123456"))
)

// newNode makes a node of both networks with a table that tests may look
// into.
func newNode(t testing.TB, cfg Config) *Node {
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	cfg.IPv4, cfg.IPv6 = true, true
	n, err := New(0, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fill puts vetted nodes of both families into the tables.
func (n *Node) fill(count int) {
	for i := range count {
		for _, is6 := range [...]bool{false, true} {
			n.table(is6).answered(0, krpc.Node{ID: randomID(n.cfg.Rand), Addr: publicAddr(i+1, is6)}, 90*time.Millisecond)
		}
	}
}

// say delivers a query and returns the answer, nil for silence.
func say(t testing.TB, n *Node, now time.Duration, from netip.AddrPort, query krpc.Message) *krpc.Message {
	t.Helper()
	if query.Kind == 0 {
		query.Kind = krpc.Query
	}
	if query.Transaction == nil {
		query.Transaction = []byte("aa")
	}
	if query.ID == (krpc.ID{}) {
		query.ID = idA
	}
	return sayPacket(t, n, now, from, query.Append(nil))
}

func sayPacket(t testing.TB, n *Node, now time.Duration, from netip.AddrPort, packet []byte) *krpc.Message {
	t.Helper()
	n.Receive(now, Input{Kind: InPacket, Addr: from, Packet: packet})
	var answer *krpc.Message
	for out, ok := n.Next(); ok; out, ok = n.Next() {
		var m krpc.Message
		if out.Kind != OutPacket {
			continue
		}
		limit := maxReplyLen
		r := m.Parse(slices.Clone(out.Packet))
		if r != nil {
			t.Fatalf("sent a bad packet: %v", r)
		}
		if m.Value != nil {
			limit = maxItemReplyLen
		}
		if len(out.Packet) > limit {
			t.Fatalf("sent %d bytes", len(out.Packet))
		}
		if m.Kind != krpc.Query {
			answer = &m
		}
	}
	return answer
}

func token(t testing.TB, n *Node, now time.Duration, from netip.AddrPort) []byte {
	t.Helper()
	return say(t, n, now, from, krpc.Message{Method: krpc.GetPeers, Target: idM}).Token
}

func TestAnswers(t *testing.T) {
	n := newNode(t, Config{Version: "SH01"})
	n.fill(100)
	pong := say(t, n, 0, asker, krpc.Message{Method: krpc.Ping})
	if pong.ID != n.ID() || string(pong.Transaction) != "aa" || string(pong.Version) != "SH01" || pong.External != asker {
		t.Errorf("pong %+v", pong)
	}
	for _, test := range []struct {
		name         string
		from         netip.AddrPort
		query        krpc.Message
		len4, len6   int
		token, other bool
	}{
		{"find_node", asker, krpc.Message{Method: krpc.FindNode, Target: idM}, 8, 0, false, false},
		{"find_node over IPv6", asker6, krpc.Message{Method: krpc.FindNode, Target: idM}, 0, 8, false, false},
		{"find_node wants both", asker, krpc.Message{Method: krpc.FindNode, Target: idM, Want: krpc.WantNodes4 | krpc.WantNodes6}, 8, 8, false, false},
		{"find_node wants the other", asker, krpc.Message{Method: krpc.FindNode, Target: idM, Want: krpc.WantNodes6}, 0, 8, false, false},
		{"find_node wants neither", asker, krpc.Message{Method: krpc.FindNode, Target: idM, Want: krpc.WantOther}, 0, 0, false, false},
		{"get_peers", asker, krpc.Message{Method: krpc.GetPeers, Target: idM}, 8, 0, true, false},
		{"get", asker, krpc.Message{Method: krpc.Get, Target: idM}, 8, 0, true, false},
		{"sample_infohashes", asker, krpc.Message{Method: krpc.SampleInfohashes, Target: idM}, 8, 0, false, true},
		{"a method of the future", asker, krpc.Message{Method: krpc.Unknown, Target: idM}, 8, 0, false, false},
	} {
		m := say(t, n, 0, test.from, test.query)
		if len(m.Nodes) != test.len4*krpc.NodeLen4 || len(m.Nodes6) != test.len6*krpc.NodeLen6 || (m.Token != nil) != test.token || (m.Samples != nil) != test.other {
			t.Errorf("%s: %d and %d bytes of nodes, token %q, samples %v", test.name, len(m.Nodes), len(m.Nodes6), m.Token, m.Samples)
		}
	}
}

func TestRefusals(t *testing.T) {
	n := newNode(t, Config{})
	for packet, code := range map[string]int{
		"d1:ad2:id20:abcdefghij0123456789e1:q3:xyz1:t2:aa1:y1:qe":                                                   krpc.CodeUnknownMethod,
		"d1:q13:announce_peer1:t2:aa1:y1:qe":                                                                        krpc.CodeProtocol,
		"d1:ad2:id20:abcdefghij01234567895:token2:zz1:v997:" + strings.Repeat("v", 997) + "e1:q3:put1:t2:aa1:y1:qe": krpc.CodeValueTooBig,
	} {
		m := sayPacket(t, n, 0, asker, []byte(packet))
		if m == nil || m.Kind != krpc.Error || m.Code != code {
			t.Errorf("%.60q: answer %+v", packet, m)
		}
	}
	for name, m := range map[string]*krpc.Message{
		"garbage":             sayPacket(t, n, 0, asker, []byte("garbage")),
		"a stray response":    say(t, n, 0, asker, krpc.Message{Kind: krpc.Response}),
		"a stray error":       say(t, n, 0, asker, krpc.Message{Kind: krpc.Error, Code: 201, Text: []byte("x")}),
		"ourselves":           say(t, n, 0, asker, krpc.Message{Method: krpc.Ping, ID: n.ID()}),
		"port 0":              say(t, n, 0, netip.AddrPortFrom(asker.Addr(), 0), krpc.Message{Method: krpc.Ping}),
		"a multicast address": say(t, n, 0, netip.MustParseAddrPort("224.0.0.1:1"), krpc.Message{Method: krpc.Ping}),
		"to a read-only node": say(t, newNode(t, Config{ReadOnly: true}), 0, asker, krpc.Message{Method: krpc.Ping}),
	} {
		if m != nil {
			t.Errorf("%s was answered: %+v", name, m)
		}
	}
}

func TestAnnounce(t *testing.T) {
	n := newNode(t, Config{})
	good := token(t, n, 0, asker)
	announce := func(now time.Duration, from netip.AddrPort, token []byte, m krpc.Message) int {
		m.Method, m.Target, m.Token = krpc.AnnouncePeer, idM, token
		return say(t, n, now, from, m).Code
	}
	for name, code := range map[string]int{
		"a wrong token":      announce(0, asker, []byte("12345678"), krpc.Message{Port: 1}),
		"a cut token":        announce(0, asker, good[:7], krpc.Message{Port: 1}),
		"another's token":    announce(0, netip.MustParseAddrPort("81.2.69.143:6881"), good, krpc.Message{Port: 1}),
		"over the other net": announce(0, asker6, good, krpc.Message{Port: 1}),
		"a token too old":    announce(10*time.Minute, asker, good, krpc.Message{Port: 1}),
	} {
		if code != krpc.CodeProtocol {
			t.Errorf("%s: code %d", name, code)
		}
	}
	n = newNode(t, Config{})
	good = token(t, n, 0, asker)
	if code := announce(9*time.Minute, asker, good, krpc.Message{Port: 1000}); code != 0 {
		t.Errorf("a token of nine minutes: code %d", code)
	}
	peers := func(now time.Duration) []netip.AddrPort {
		return slices.Collect(say(t, n, now, asker, krpc.Message{Method: krpc.GetPeers, Target: idM}).Values.All())
	}
	want := func(now time.Duration, what string, want ...string) {
		t.Helper()
		var addrs []netip.AddrPort
		for _, s := range want {
			addrs = append(addrs, netip.MustParseAddrPort(s))
		}
		if got := peers(now); !slices.Equal(got, addrs) {
			t.Errorf("%s: peers %v", what, got)
		}
	}
	want(9*time.Minute, "first", "81.2.69.142:1000")
	announce(10*time.Minute, asker, token(t, n, 10*time.Minute, asker), krpc.Message{Port: 5, ImpliedPort: true})
	want(10*time.Minute, "again, by implied_port", "81.2.69.142:6881") // BEP 33: one entry for one address
	announce(10*time.Minute, asker6, token(t, n, 10*time.Minute, asker6), krpc.Message{Port: 7})
	want(10*time.Minute, "IPv6 stays out of answers over IPv4", "81.2.69.142:6881")
	n.Advance(10*time.Minute + peerExpiry)
	want(10*time.Minute+peerExpiry, "expired")
	if len(n.peers.torrents)+len(n.peers.order)+len(n.peers.byPlace)+len(n.peers.ledger.owners) != 0 {
		t.Errorf("the store keeps something: %+v", n.peers)
	}
}

func TestScrapeAndSample(t *testing.T) {
	n := newNode(t, Config{})
	if m := say(t, n, 0, asker, krpc.Message{Method: krpc.GetPeers, Target: idM, Scrape: true}); m.BFsd != nil {
		t.Error("filters of a torrent that is not known")
	}
	n.fill(50)
	n.peers = newPeerStore(0)
	var seeds, leechers krpc.Filter
	for i := range 300 {
		addr, isSeed := publicAddr(i+1, false), i%3 == 0
		n.peers.announce(0, idM, addr, isSeed)
		if isSeed {
			seeds.Insert(addr.Addr())
		} else {
			leechers.Insert(addr.Addr())
		}
	}
	m := say(t, n, 0, asker, krpc.Message{Method: krpc.GetPeers, Target: idM, Scrape: true, Want: krpc.WantNodes4 | krpc.WantNodes6})
	if !bytes.Equal(m.BFsd, seeds[:]) || !bytes.Equal(m.BFpe, leechers[:]) || len(m.Nodes) == 0 {
		t.Errorf("filters %x %x", m.BFsd, m.BFpe)
	}
	m = say(t, n, 0, asker, krpc.Message{Method: krpc.GetPeers, Target: idM, NoSeed: true})
	count := 0
	for addr := range m.Values.All() {
		if count++; n.peers.byPlace[placeOf(idM, addr)].value.seed {
			t.Errorf("a seed in spite of noseed: %v", addr)
		}
	}
	if count < 50 {
		t.Errorf("%d peers in a reply", count)
	}
	for range 99 {
		n.peers.announce(0, randomID(n.cfg.Rand), publicAddr(1, false), false)
	}
	first := say(t, n, 0, asker, krpc.Message{Method: krpc.SampleInfohashes, Target: idM})
	again := say(t, n, time.Second, asker, krpc.Message{Method: krpc.SampleInfohashes, Target: idM})
	later := say(t, n, sampleEvery, asker, krpc.Message{Method: krpc.SampleInfohashes, Target: idM})
	if first.Num != 100 || len(first.Samples) != maxSamples*20 || first.Interval != 300 || again.Interval != 299 {
		t.Errorf("num %d, %d bytes, intervals %d and %d", first.Num, len(first.Samples), first.Interval, again.Interval)
	}
	if !bytes.Equal(first.Samples, again.Samples) || bytes.Equal(first.Samples, later.Samples) {
		t.Error("the sample changes within its interval, or not after it")
	}
}

// A torrent that has as many peers as are kept: nobody new gets a token, one
// that was given before is refused by an error, and those that are stored may
// renew themselves (BEP 33).
func TestFullTorrent(t *testing.T) {
	n := newNode(t, Config{})
	early := token(t, n, 0, asker)
	n.peers = newPeerStore(0)
	for i := range peersPerTorrent {
		n.peers.announce(0, idM, publicAddr(i, false), false)
	}
	known := publicAddr(7, false)
	for _, test := range []struct {
		name   string
		from   netip.AddrPort
		target krpc.ID
		token  bool
		code   int
	}{
		{"a newcomer", asker, idM, false, krpc.CodeServer},
		{"a peer of it", known, idM, true, 0},
		{"a newcomer over IPv6", asker6, idM, true, 0},
		{"a newcomer to another torrent", asker, idA, true, 0},
	} {
		given := say(t, n, 0, test.from, krpc.Message{Method: krpc.GetPeers, Target: test.target}).Token
		if (given != nil) != test.token {
			t.Errorf("%s: token %q", test.name, given)
		}
		if given == nil {
			given = early
		}
		m := say(t, n, 0, test.from, krpc.Message{Method: krpc.AnnouncePeer, Target: test.target, Token: given, Port: 6881})
		if m.Code != test.code {
			t.Errorf("%s: code %d %s, want %d", test.name, m.Code, m.Text, test.code)
		}
	}
	if got := len(n.peers.torrents[idM].family[0]); got != peersPerTorrent {
		t.Errorf("%d peers", got)
	}
	n.Advance(peerExpiry)
	if m := say(t, n, peerExpiry, asker, krpc.Message{Method: krpc.GetPeers, Target: idM}); m.Token == nil {
		t.Error("no token after the peers have expired")
	}
}

// The vectors of BEP 44, put and got.
func TestItems(t *testing.T) {
	n := newNode(t, Config{})
	value := []byte("12:Hello World!")
	key, _ := hex.DecodeString("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
	sig, _ := hex.DecodeString("305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01")
	salted, _ := hex.DecodeString("6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08")
	write := token(t, n, 0, asker)
	for _, put := range []krpc.Message{
		{Value: value},
		{Value: value, Key: key, Sig: sig, HasSeq: true, Seq: 1},
		{Value: value, Key: key, Sig: salted, HasSeq: true, Seq: 1, Salt: []byte("foobar")},
	} {
		put.Method, put.Token = krpc.Put, write
		if m := say(t, n, 0, asker, put); m.Kind != krpc.Response {
			t.Errorf("put %+v: %d %s", put, m.Code, m.Text)
		}
	}
	for target, want := range map[string][]byte{
		"e5f96f6f38320f0f33959cb4d3d656452117aadb": nil,
		"4a533d47ec9c7d95b1ad75f576cffc641853b750": sig,
		"411eba73b6f087ca51a3795d9c8c938d365e32c1": salted,
	} {
		var id krpc.ID
		_, _ = hex.Decode(id[:], []byte(target))
		m := say(t, n, 0, asker, krpc.Message{Method: krpc.Get, Target: id})
		if !bytes.Equal(m.Value, value) || !bytes.Equal(m.Sig, want) || m.HasSeq != (want != nil) || m.Token == nil {
			t.Errorf("%s: %+v", target, m)
		}
		m = say(t, n, 0, asker, krpc.Message{Method: krpc.Get, Target: id, HasSeq: true, Seq: 1})
		if (m.Value == nil) != (want != nil) || want != nil && m.Seq != 1 {
			t.Errorf("%s: not newer than seq 1, yet %+v", target, m)
		}
	}
	n.Advance(itemExpiry)
	if len(n.items.items)+n.items.ledger.all.Len() != 0 {
		t.Error("items did not expire")
	}
}

func TestMutableItems(t *testing.T) {
	n := newNode(t, Config{})
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	key := private.Public().(ed25519.PublicKey)
	write := token(t, n, 0, asker)
	put := func(seq int64, value string, change func(*krpc.Message)) int {
		m := krpc.Message{Method: krpc.Put, Token: write, Key: key, HasSeq: true, Seq: seq, Value: []byte(value)}
		m.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, nil, seq, m.Value))
		if change != nil {
			change(&m)
		}
		return say(t, n, 0, asker, m).Code
	}
	cas := func(seq int64) func(*krpc.Message) {
		return func(m *krpc.Message) { m.HasCAS, m.CAS = true, seq }
	}
	for i, step := range []struct {
		got, want int
	}{
		{put(5, "i1e", func(m *krpc.Message) { m.Sig[3] ^= 1 }), krpc.CodeSignature},
		{put(5, "i1e", func(m *krpc.Message) { m.Seq++ }), krpc.CodeSignature},
		{put(5, "i1e", func(m *krpc.Message) { m.Salt = []byte("x") }), krpc.CodeSignature},
		{put(5, "i1e", func(m *krpc.Message) { m.Token = []byte("none") }), krpc.CodeProtocol},
		{put(5, "i1e", cas(99)), 0}, // "If there is no current value, the cas field SHOULD be ignored."
		{put(5, "i1e", nil), 0},
		{put(5, "i2e", nil), krpc.CodeSeqTooLow},
		{put(4, "i2e", nil), krpc.CodeSeqTooLow},
		{put(6, "i2e", cas(4)), krpc.CodeCASMismatch},
		{put(6, "i2e", cas(5)), 0},
		{put(1<<62, "i3e", nil), 0},
	} {
		if step.got != step.want {
			t.Errorf("step %d: code %d, want %d", i, step.got, step.want)
		}
	}
	if v := n.items.get(krpc.MutableTarget(key, nil)); string(v.value) != "i3e" || v.seq != 1<<62 {
		t.Errorf("stored %+v", v)
	}
}

// An item that is put again, though it is nothing new, lives on; others expire.
func TestItemsAreRenewed(t *testing.T) {
	n := newNode(t, Config{})
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	mutable := krpc.Message{Value: []byte("i1e"), Key: private.Public().(ed25519.PublicKey), HasSeq: true, Seq: 1}
	mutable.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, nil, 1, mutable.Value))
	const again = itemExpiry / 2
	put := func(now time.Duration, m krpc.Message) {
		t.Helper()
		m.Method, m.Token = krpc.Put, token(t, n, now, asker)
		if answer := say(t, n, now, asker, m); answer.Kind != krpc.Response {
			t.Errorf("put of %s at %v: %s", m.Value, now, answer.Text)
		}
	}
	immutable, abandoned := krpc.Message{Value: []byte("i2e")}, krpc.Message{Value: []byte("i3e")}
	put(0, mutable)
	put(0, immutable)
	put(0, abandoned)
	put(again, mutable)
	put(again, immutable)
	n.Advance(itemExpiry)
	if len(n.items.items) != 2 {
		t.Errorf("%d items left, two were put again", len(n.items.items))
	}
	n.Advance(again + itemExpiry)
	if len(n.items.items) != 0 {
		t.Errorf("%d items left after their time", len(n.items.items))
	}
}

// A node that asks is not told of itself, and a stranger not of local nodes.
func TestNotToldOfItself(t *testing.T) {
	n := newNode(t, Config{})
	n.table4.answered(0, krpc.Node{ID: idA, Addr: asker}, time.Second)
	for i := range 20 {
		n.table4.answered(0, krpc.Node{ID: randomNear(idA, i, n.cfg.Rand), Addr: publicAddr(i, false)}, time.Second)
	}
	n.table4.answered(0, krpc.Node{ID: idM, Addr: netip.MustParseAddrPort("192.168.1.1:1")}, time.Second)
	for _, target := range []krpc.ID{idA, idM} {
		answer := say(t, n, 0, asker, krpc.Message{Method: krpc.FindNode, Target: target})
		for node := range answer.AllNodes() {
			if node.Addr == asker || node.ID == idM {
				t.Errorf("told of %v", node)
			}
		}
		if len(answer.Nodes) < (numClosest-1)*krpc.NodeLen4 {
			t.Errorf("%d bytes of nodes", len(answer.Nodes))
		}
	}
}

// The largest signed value and the longest transaction stay within a packet.
func TestLargestItem(t *testing.T) {
	n := newNode(t, Config{Version: "SH01"})
	n.fill(100)
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	value := []byte("996:" + strings.Repeat("v", 996))
	const seq = 1<<63 - 1
	put := krpc.Message{Method: krpc.Put, Token: token(t, n, 0, asker), HasSeq: true, Seq: seq, Value: value,
		Key: private.Public().(ed25519.PublicKey), Sig: ed25519.Sign(private, krpc.AppendSigned(nil, nil, seq, value))}
	if m := say(t, n, 0, asker, put); m.Kind != krpc.Response {
		t.Fatalf("%s", m.Text)
	}
	for tidLen, whole := range map[int]bool{2: true, 4: true, 32: false} {
		m := say(t, n, 0, asker, krpc.Message{Method: krpc.Get, Target: krpc.MutableTarget(put.Key, nil), Transaction: bytes.Repeat([]byte("t"), tidLen)})
		if (m.Value != nil) != whole || m.Seq != seq {
			t.Errorf("transaction of %d bytes: %d bytes of v", tidLen, len(m.Value))
		}
	}
}

// The largest answers to everything, over both networks: sayPacket holds them
// against the bound.
func TestLargestReplies(t *testing.T) {
	n := newNode(t, Config{Version: "SH01"})
	n.fill(1000)
	n.peers = newPeerStore(0)
	for i := range 500 {
		n.peers.announce(0, idM, publicAddr(i, false), false)
		n.peers.announce(0, idM, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x2a, 1, byte(i >> 8), byte(i)}), 1), true)
		n.peers.announce(0, randomID(n.cfg.Rand), publicAddr(i, true), false)
	}
	longest := bytes.Repeat([]byte("t"), krpc.MaxTransactionLen)
	most, now := 0, time.Duration(0)
	for _, from := range []netip.AddrPort{asker, asker6} {
		for _, want := range []krpc.Want{0, krpc.WantNodes4, krpc.WantNodes6, krpc.WantNodes4 | krpc.WantNodes6} {
			for _, m := range []krpc.Message{
				{Method: krpc.FindNode}, {Method: krpc.GetPeers}, {Method: krpc.GetPeers, Scrape: true}, {Method: krpc.GetPeers, NoSeed: true, Scrape: true},
				{Method: krpc.Get}, {Method: krpc.SampleInfohashes}, {Method: krpc.Unknown},
			} {
				now += time.Minute // for the quota
				m.Want, m.Target, m.Transaction = want, idM, longest
				answer := say(t, n, now, from, m)
				if answer == nil || len(answer.Nodes) > numClosest*krpc.NodeLen4 || len(answer.Nodes6) > numClosest*krpc.NodeLen6 {
					t.Fatalf("%v from %v: %+v", m.Method, from, answer)
				}
				if m.Method == krpc.GetPeers && answer.Values == nil && !m.NoSeed || m.Scrape && answer.BFpe == nil {
					t.Errorf("%+v from %v: %d bytes of values, %d of filters", m, from, len(answer.Values), len(answer.BFpe))
				}
				most = max(most, len(answer.Append(nil)))
			}
		}
	}
	if most < maxReplyLen*9/10 {
		t.Errorf("the largest answer has %d bytes: that is no test of %d", most, maxReplyLen)
	}
}

func TestServeAllocations(t *testing.T) {
	n, packets, from := servedNode(t)
	i := 0
	if allocs := testing.AllocsPerRun(1000, func() { serveOne(n, packets, from, &i) }); allocs != 0 {
		t.Errorf("%v allocations for a get_peers", allocs)
	}
}

// servedNode is a node with a full table and peers, and queries for it from
// many sources.
func servedNode(t testing.TB) (n *Node, packets [][]byte, from []netip.AddrPort) {
	n = newNode(t, Config{})
	n.fill(2000)
	n.peers = newPeerStore(0)
	for i := range 1024 {
		target := randomID(n.cfg.Rand)
		for j := range 8 {
			n.peers.announce(0, target, publicAddr(8*i+j, false), false)
		}
		m := krpc.Message{Kind: krpc.Query, Method: krpc.GetPeers, ID: randomID(n.cfg.Rand), Target: target, Transaction: []byte("aa"), Version: []byte("LT01"), ReadOnly: true}
		packets = append(packets, m.Append(nil))
		from = append(from, publicAddr(20_000+i, false))
	}
	return n, packets, from
}

func serveOne(n *Node, packets [][]byte, from []netip.AddrPort, i *int) bool {
	*i++
	at := *i % len(packets)
	n.Receive(time.Duration(*i)*time.Millisecond, Input{Kind: InPacket, Addr: from[at], Packet: packets[at]})
	out, ok := n.Next()
	return ok && out.Kind == OutPacket
}

func BenchmarkServeGetPeers(b *testing.B) {
	n, packets, from := servedNode(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if !serveOne(n, packets, from, &i) {
			b.Fatal("no answer")
		}
	}
}
