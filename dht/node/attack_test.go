package node

import (
	"crypto/ed25519"
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

// Ten thousand queries in a second from one source, and from one network, get
// no more bytes than their quota, and do not cost others their answers.
func TestFlood(t *testing.T) {
	for name, source := range map[string]func(int) netip.AddrPort{
		"one address": func(int) netip.AddrPort { return asker },
		"one port after the other": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(asker.Addr(), uint16(i+1))
		},
		"one network": func(i int) netip.AddrPort {
			ip := asker.Addr().As4()
			ip[3] = byte(i)
			return netip.AddrPortFrom(netip.AddrFrom4(ip), 6881)
		},
		"one /64": func(i int) netip.AddrPort {
			ip := asker6.Addr().As16()
			ip[12], ip[13] = byte(i>>8), byte(i)
			return netip.AddrPortFrom(netip.AddrFrom16(ip), 6881)
		},
	} {
		n := newNode(t, Config{})
		n.fill(100)
		m := krpc.Message{Kind: krpc.Query, Method: krpc.FindNode, ReadOnly: true, ID: idA, Target: idM, Transaction: []byte("aa")}
		packet, sent, served := m.Append(nil), 0, 0
		for i := range 10_000 {
			now := time.Duration(i) * 100 * time.Microsecond
			n.Receive(now, Input{Kind: InPacket, Addr: source(i), Packet: packet})
			for out, ok := n.Next(); ok; out, ok = n.Next() {
				sent += len(out.Packet)
			}
			if i%100 == 0 && say(t, n, now, publicAddr(i+1, false), krpc.Message{Method: krpc.Ping, ReadOnly: true}) != nil {
				served++
			}
		}
		if limit := networkAllowance * (sourceBurst + 2*sourceRate); sent > limit || sent == 0 {
			t.Errorf("%s: %d bytes sent, limit %d", name, sent, limit)
		}
		if served != 100 {
			t.Errorf("%s: %d of 100 others were served", name, served)
		}
	}
}

// Nothing that arrives makes it panic, and what it keeps is bounded.
func TestMalformedPackets(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 11))
	n := newNode(t, Config{})
	n.fill(50)
	seeds := [][]byte{
		(&krpc.Message{Kind: krpc.Query, Method: krpc.GetPeers, ID: idA, Target: idM, Transaction: []byte("aa"), Want: 3, Scrape: true}).Append(nil),
		(&krpc.Message{Kind: krpc.Query, Method: krpc.AnnouncePeer, ID: idA, Target: idM, Transaction: []byte("aa"), Token: []byte("12345678"), Port: 1}).Append(nil),
		(&krpc.Message{Kind: krpc.Query, Method: krpc.Put, ID: idA, Transaction: []byte("aa"), Token: []byte("12345678"), Value: []byte("i1e")}).Append(nil),
		(&krpc.Message{Kind: krpc.Response, ID: idA, Transaction: []byte("abcd"), Nodes: krpc.AppendNode(nil, krpc.Node{ID: idM, Addr: asker})}).Append(nil),
	}
	for i := range 20_000 {
		packet := slices.Clone(seeds[i%len(seeds)])
		for range 1 + rnd.IntN(4) {
			packet[rnd.IntN(len(packet))] = byte(rnd.Uint32())
		}
		if rnd.IntN(4) == 0 {
			packet = packet[:rnd.IntN(len(packet))]
		}
		now := time.Duration(i) * time.Millisecond
		n.Receive(now, Input{Kind: InPacket, Addr: publicAddr(rnd.IntN(5000), i%3 == 0), Packet: packet})
		if due, ok := n.NextTimeout(); ok && due <= now {
			n.Advance(now)
		}
	}
	// Two lookups of its own in two families, and what the last ones left.
	if len(n.queries) > maxUpkeep+4*maxUnanswered+8*alpha || len(n.lookups) > 2 {
		t.Errorf("%d queries, %d lookups", len(n.queries), len(n.lookups))
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
		w.hear(krpc.Node{ID: randomNear(idM, 100, n.cfg.Rand), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, 6, 6, byte(i)}), 1)})
	}
	if len(w.candidates) != maxPerNetwork {
		t.Errorf("%d candidates of one network", len(w.candidates))
	}
	for i := range 1000 {
		w.hear(krpc.Node{ID: randomID(n.cfg.Rand), Addr: publicAddr(i, false)})
	}
	if len(w.candidates) != maxCandidates {
		t.Errorf("%d candidates", len(w.candidates))
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
