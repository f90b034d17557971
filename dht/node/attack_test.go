package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// askedNode is a node that has just asked one node for another.
func askedNode(t *testing.T) (n *Node, to krpc.Node, query krpc.Message) {
	n = newNode(t, Config{})
	to = krpc.Node{ID: idA, Addr: publicAddr(1, false)}
	n.table4.answered(0, to, 90*time.Millisecond)
	n.Receive(0, Input{Kind: InLookup, Lookup: 1, Request: &Request{Method: krpc.GetPeers, Target: idM}})
	out, ok := n.Next()
	if !ok || out.Addr != to.Addr || query.Parse(slices.Clone(out.Packet)) != nil {
		t.Fatalf("output %+v", out)
	}
	return n, to, query
}

// A reply counts only from the address that was asked, with the transaction
// of the query, once, and under the id that was expected.
func TestSpoofedReplies(t *testing.T) {
	forged := publicAddr(9, false)
	answer := func(query krpc.Message) *krpc.Message {
		return &krpc.Message{Kind: krpc.Response, Transaction: query.Transaction, ID: idA, Token: []byte("zz"), Values: krpc.Values(nil).Append(forged)}
	}
	for _, test := range []struct {
		name    string
		from    netip.AddrPort
		change  func(*krpc.Message)
		replies int
	}{
		{"genuine", publicAddr(1, false), func(*krpc.Message) {}, 1},
		{"another address", publicAddr(2, false), func(*krpc.Message) {}, 0},
		{"another port", netip.AddrPortFrom(publicAddr(1, false).Addr(), 1), func(*krpc.Message) {}, 0},
		{"another transaction", publicAddr(1, false), func(m *krpc.Message) { m.Transaction = []byte("abcd") }, 0},
		{"a short transaction", publicAddr(1, false), func(m *krpc.Message) { m.Transaction = m.Transaction[:3] }, 0},
		{"a long transaction", publicAddr(1, false), func(m *krpc.Message) { m.Transaction = append(slices.Clone(m.Transaction), 0) }, 0},
		{"another id", publicAddr(1, false), func(m *krpc.Message) { m.ID = idM }, 0},
	} {
		n, _, query := askedNode(t)
		m := answer(query)
		test.change(m)
		replies := 0
		for range 2 {
			n.Receive(50*time.Millisecond, Input{Kind: InPacket, Addr: test.from, Packet: m.Append(nil)})
			for out, ok := n.Next(); ok; out, ok = n.Next() {
				if out.Kind == OutReply {
					replies++
				}
			}
		}
		if replies != test.replies {
			t.Errorf("%s: %d replies", test.name, replies)
		}
	}
}

// An attacker who knows whom we asked, and when, must guess 32 bits within five
// seconds: at 10,000 packets a second he does it once in 85,899 queries. The
// transactions of queries have no pattern that would help him.
func TestGuessedTransactions(t *testing.T) {
	n, to, asked := askedNode(t)
	rnd := rand.New(rand.NewPCG(17, 17))
	const guesses = 50_000
	for range guesses {
		m := krpc.Message{Kind: krpc.Response, ID: idA, Transaction: binary.BigEndian.AppendUint32(nil, rnd.Uint32()), Values: krpc.Values(nil).Append(publicAddr(9, false))}
		n.Receive(time.Second, Input{Kind: InPacket, Addr: to.Addr, Packet: m.Append(nil)})
		if out, ok := n.Next(); ok {
			t.Fatalf("a guess was right: %+v", out)
		}
	}
	genuine := krpc.Message{Kind: krpc.Response, ID: idA, Transaction: asked.Transaction, Values: krpc.Values(nil).Append(publicAddr(9, false))}
	n.Receive(time.Second, Input{Kind: InPacket, Addr: to.Addr, Packet: genuine.Append(nil)})
	if out, ok := n.Next(); !ok || out.Kind != OutReply {
		t.Error("after the guesses the genuine answer does not count")
	}
	t.Logf("%d guesses: none right, expected %.1g", guesses, guesses/math.Pow(2, 8*tidLen))

	const numQueries = 10_000
	seen, ones, steps := map[uint32]bool{}, 0, map[uint32]int{}
	for last := uint32(0); len(seen) < numQueries; {
		n.ask(0, &query{to: to.Addr}, &krpc.Message{Method: krpc.Ping})
		tid := n.queries[len(n.queries)-1].tid
		ones += bits.OnesCount32(tid)
		steps[tid-last]++
		seen[tid], last = true, tid
	}
	for step, count := range steps {
		if count > 2 {
			t.Errorf("%d transactions are %d after the one before", count, step)
		}
	}
	if share := float64(ones) / (32 * numQueries); math.Abs(share-0.5) > 0.01 {
		t.Errorf("%.3f of the bits of transactions are set", share)
	}
}

// Tokens that were given to another address, to one that shares its /24 or its
// network, long ago, by another node, or never: none stores anything.
func TestForeignTokens(t *testing.T) {
	n, other := newNode(t, Config{MaxSources: 2}), newNode(t, Config{})
	other.cfg.Rand = rand.New(rand.NewPCG(18, 18))
	const late = 3 * rotateEvery
	n.replies = pace{}
	neighbour := netip.AddrPortFrom(asker.Addr().Next(), asker.Port())
	mapped := netip.AddrPortFrom(netip.AddrFrom16(asker.Addr().As16()), 1)
	fresh := token(t, n, late, asker)
	stolen := map[string][]byte{
		"another node's":            token(t, other, late, asker),
		"the neighbour's":           token(t, n, late, neighbour),
		"one of the other net":      token(t, n, late, asker6),
		"one byte more":             append(slices.Clone(fresh), 0),
		"one byte less":             fresh[:tokenLen-1],
		"one bit off":               append(slices.Clone(fresh[:tokenLen-1]), fresh[tokenLen-1]^1),
		"zeros":                     make([]byte, tokenLen),
		"one that was libtorrent's": []byte("aoeu"),
	}
	old := newNode(t, Config{})
	stolen["an old one"] = token(t, old, 0, asker)
	rnd := rand.New(rand.NewPCG(19, 19))
	tried := 0
	try := func(n *Node, name string, token []byte) {
		t.Helper()
		for _, method := range []krpc.Method{krpc.AnnouncePeer, krpc.Put} {
			tried++
			m := krpc.Message{Kind: krpc.Query, Method: method, ID: idA, Target: idM, Transaction: []byte("aa"), Token: token, Port: 1, Value: []byte("i1e")}
			clear(n.quota.cells) // it is not the quota that is to help here
			n.Receive(late, Input{Kind: InPacket, Addr: asker, Packet: m.Append(nil)})
			if out, ok := n.Next(); !ok || !bytes.HasPrefix(out.Packet, []byte("d1:eli203e")) {
				t.Fatalf("%s: answer %q", name, out.Packet)
			}
		}
		if n.peers != nil || n.items != nil {
			t.Errorf("%s: something was stored", name)
		}
	}
	for name, token := range stolen {
		if name == "an old one" {
			try(old, name, token)
			continue
		}
		try(n, name, token)
	}
	for range 50_000 {
		guess := binary.BigEndian.AppendUint64(nil, rnd.Uint64())
		try(n, "a guess", guess)
	}
	t.Logf("%d announces and puts with tokens that are not theirs: none stored", tried)
	if m := say(t, n, 20*time.Minute, mapped, krpc.Message{Method: krpc.AnnouncePeer, Target: idM, Token: token(t, n, 20*time.Minute, asker), Port: 1}); m == nil || m.Kind != krpc.Response {
		t.Errorf("the token of the same address, mapped into IPv6: %+v", m)
	}
}

// Whoever owns one network can announce peers for as many torrents as he
// likes: what he holds of the store, and of one torrent, is his share, and
// what others announced stays.
func TestPoisonedPeers(t *testing.T) {
	for name, source := range map[string]func(i int) netip.Addr{
		"one /24": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{66, 6, 6, byte(i)}) },
		"one /48": func(i int) netip.Addr {
			ip := [16]byte{0x20, 1, 0x0d, 0xb8, 6, 6}
			binary.BigEndian.PutUint16(ip[6:], uint16(i))
			return netip.AddrFrom16(ip)
		},
	} {
		rnd := rand.New(rand.NewPCG(20, 20))
		s, victim := newPeerStore(0), randomID(rnd)
		for i := range 1000 {
			s.announce(0, victim, publicAddr(i, false), false)
			s.announce(0, victim, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x2a, 1, 0, byte(i >> 8), 0, byte(i), 15: 1}), 6881), false)
		}
		const announces = 40_000
		for i := range announces {
			hash := victim
			if i%2 == 0 {
				hash = randomID(rnd)
			}
			s.announce(0, hash, netip.AddrPortFrom(source(i/2), 6881), false)
		}
		owner := ownerOf(source(0))
		held, inTorrent := s.ledger.owners[owner].Len(), 0
		for r := range s.ledger.of(owner) {
			if r.value.torrent.hash == victim {
				inTorrent++
			}
		}
		honest := len(s.torrents[victim].family[0]) + len(s.torrents[victim].family[1]) - inTorrent
		t.Logf("%s: %d announces, %d of %d records held, %d of the torrent; %d of 2000 honest peers left", name, announces, held, s.ledger.max, inTorrent, honest)
		if held > s.ledger.max/ownerShare || inTorrent > peersPerTorrent/ownerShare || honest != 2000 {
			t.Errorf("%s: %d records, %d of the torrent, %d honest peers", name, held, inTorrent, honest)
		}
	}
}

// A late reply counts; one after the query was forgotten does not.
func TestLateReplies(t *testing.T) {
	for late, want := range map[time.Duration]int{900 * time.Millisecond: 1, 6 * time.Second: 0} {
		n, to, query := askedNode(t)
		for now := time.Duration(0); now < late; now += 100 * time.Millisecond {
			n.Advance(now)
		}
		m := krpc.Message{Kind: krpc.Response, Transaction: query.Transaction, ID: idA}
		n.Receive(late, Input{Kind: InPacket, Addr: to.Addr, Packet: m.Append(nil)})
		done := 0
		for out, ok := n.Next(); ok; out, ok = n.Next() {
			if out.Kind == OutDone {
				done = len(out.Result.Closest)
			}
		}
		if done != want {
			t.Errorf("after %v: %d answers", late, done)
		}
	}
}

// A node must not be made to believe local addresses by a stranger.
func TestLocalAddresses(t *testing.T) {
	for from, want := range map[string]bool{"40.0.1.7:6881": false, "192.168.7.7:6881": true, "127.0.0.1:6881": true} {
		source := netip.MustParseAddrPort(from)
		for _, addr := range []string{"10.0.0.1:1", "127.0.0.1:1", "169.254.0.1:1", "[::1]:1", "[fd00::1]:1"} {
			if mayTell(source, netip.MustParseAddrPort(addr)) != want {
				t.Errorf("%s about %s: want %v", from, addr, want)
			}
		}
		for _, addr := range []string{"8.8.8.8:0", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1"} {
			if mayTell(source, netip.MustParseAddrPort(addr)) {
				t.Errorf("%s about %s: believed", from, addr)
			}
		}
	}
}

// A store that is full stays so, and a flood from one network does not wash
// out what others stored.
func TestFairStores(t *testing.T) {
	rnd := rand.New(rand.NewPCG(12, 12))
	peers, items := newPeerStore(640), newItemStore(640)
	put := func(i int, ip netip.Addr) {
		value := []byte{'4', ':', byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		if r := items.put(0, ip, &krpc.Message{Value: value}); r != nil {
			t.Fatal(r)
		}
		peers.announce(0, randomID(rnd), netip.AddrPortFrom(ip, 1), false)
	}
	for i := range 500 {
		put(i, publicAddr(i+1, false).Addr())
	}
	for i := range 5000 {
		put(1000+i, netip.AddrFrom4([4]byte{66, 6, 6, byte(i)}))
	}
	if got := items.ledger.all.Len(); got != 500+20 || len(items.items) != got {
		t.Errorf("%d items, want 520", got)
	}
	if got := peers.ledger.all.Len(); got != 500+20 || len(peers.byPlace) != got || len(peers.order) != got {
		t.Errorf("%d peers, want 520", got)
	}
	for i := range 2000 {
		put(10_000+i, publicAddr(1000+i, false).Addr())
	}
	if items.ledger.all.Len() != 640 || peers.ledger.all.Len() != 640 {
		t.Errorf("%d items and %d peers, want 640", items.ledger.all.Len(), peers.ledger.all.Len())
	}
	hash := randomID(rnd)
	peers = newPeerStore(0)
	stored := 0
	for i := range 2 * peersPerTorrent {
		if peers.announce(0, hash, publicAddr(i, false), false) {
			stored++
		}
	}
	if got := len(peers.torrents[hash].family[0]); got != peersPerTorrent || stored != got || len(peers.byPlace) != got {
		t.Errorf("%d peers of one torrent", got)
	}
}

// One owner of many addresses in one place cannot fill a lookup.
func TestCrowdedNetwork(t *testing.T) {
	n := newNode(t, Config{})
	w := &walk{n: n, lookup: &lookup{n: n, req: Request{Target: idM}}}
	for i := range 1000 {
		w.hear(krpc.Node{ID: randomNear(idM, 100, n.cfg.Rand), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, 6, 6, byte(i)}), 1)}, startSets)
	}
	if len(w.candidates) != maxPerNetwork {
		t.Errorf("%d candidates of one network", len(w.candidates))
	}
	for i := range 1000 {
		w.hear(krpc.Node{ID: randomID(n.cfg.Rand), Addr: publicAddr(i, false)}, startSets)
	}
	if len(w.candidates) != maxUnfit {
		t.Errorf("%d candidates that do not fit their addresses", len(w.candidates))
	}
	for i := range 1000 {
		addr := publicAddr(1000+i, false)
		w.hear(krpc.Node{ID: idFor(addr.Addr(), n.cfg.Rand), Addr: addr}, startSets)
	}
	unfit := 0
	for i := range w.candidates {
		if w.candidates[i].sets&fitting == 0 {
			unfit++
		}
	}
	if len(w.candidates) != maxCandidates || unfit != w.unfit || unfit == 0 {
		t.Errorf("%d candidates, %d of them do not fit, %d counted", len(w.candidates), unfit, w.unfit)
	}
	if !slices.IsSortedFunc(w.candidates, func(x, y candidate) int { return compareDistance(&idM, &x.ID, &y.ID) }) {
		t.Error("candidates are not sorted")
	}
}

// A forged value is not passed on: neither one whose hash is not the target,
// nor one whose signature does not fit.
func TestForgedItems(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	salt, value := []byte("s"), []byte("i7e")
	genuine := krpc.Message{Value: value, Key: private.Public().(ed25519.PublicKey), HasSeq: true, Seq: 3}
	genuine.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, salt, 3, value))
	l := lookup{req: Request{Method: krpc.Get, Target: krpc.MutableTarget(genuine.Key, salt), Item: &Item{Salt: salt}}}
	for name, forge := range map[string]func(*krpc.Message){
		"genuine":         nil,
		"another value":   func(m *krpc.Message) { m.Value = []byte("i8e") },
		"another seq":     func(m *krpc.Message) { m.Seq++ },
		"no seq":          func(m *krpc.Message) { m.HasSeq = false },
		"no signature":    func(m *krpc.Message) { m.Sig = nil },
		"no key":          func(m *krpc.Message) { m.Key = nil },
		"another's key":   func(m *krpc.Message) { m.Key = make([]byte, krpc.KeyLen) },
		"a bad signature": func(m *krpc.Message) { m.Sig = make([]byte, krpc.SignatureLen) },
	} {
		m := genuine
		if forge != nil {
			forge(&m)
		}
		if item := l.item(&m); (item != nil) != (forge == nil) {
			t.Errorf("%s: item %+v", name, item)
		}
	}
}

// A flood of askers, all of whom the table has room for, leaves some of the
// queries for upkeep to others.
func TestAskersAreBounded(t *testing.T) {
	n := newNode(t, Config{})
	for i := range 100 {
		say(t, n, 0, publicAddr(i, false), krpc.Message{Method: krpc.Ping, ID: randomID(n.cfg.Rand)})
	}
	if n.upkeep != maxUpkeepAsked || len(n.queries) != maxUpkeepAsked {
		t.Errorf("%d askers are asked at a time, %d queries wait; want %d", n.upkeep, len(n.queries), maxUpkeepAsked)
	}
}

// Who says that it is read-only is not asked (BEP 43); others are, once.
func TestAskerIsConsidered(t *testing.T) {
	for readOnly, want := range map[bool]int{true: 0, false: 1} {
		n := newNode(t, Config{})
		m := krpc.Message{Kind: krpc.Query, Method: krpc.Ping, ID: idA, Transaction: []byte("aa"), ReadOnly: readOnly}
		queries := 0
		for range 3 {
			n.Receive(0, Input{Kind: InPacket, Addr: asker, Packet: m.Append(nil)})
			for out, ok := n.Next(); ok; out, ok = n.Next() {
				var sent krpc.Message
				if sent.Parse(out.Packet) == nil && sent.Kind == krpc.Query {
					queries++
				}
			}
		}
		if queries != want || n.table4.size != 0 {
			t.Errorf("read-only %v: %d queries, %d nodes in the table", readOnly, queries, n.table4.size)
		}
	}
}
