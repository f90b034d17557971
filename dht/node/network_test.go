package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// last returns the last output of a kind.
func (h *host) last(kind OutputKind) *Output {
	for i := len(h.outs) - 1; i >= 0; i-- {
		if h.outs[i].Kind == kind {
			return &h.outs[i]
		}
	}
	return nil
}

// do runs one lookup to its end.
func (w *world) do(h *host, req Request) (done *Output) {
	w.t.Helper()
	h.forget()
	w.receive(h, Input{Kind: InLookup, Lookup: LookupID(w.rnd.Uint32() >> 1), Request: &req})
	w.run(15 * time.Second)
	if done = h.last(OutDone); done == nil {
		w.t.Fatal("the lookup does not end")
	}
	return done
}

// The same seed gives the same packets, byte for byte and in the same order.
func TestDeterminism(t *testing.T) {
	trace := func(seed uint64) [sha256.Size]byte {
		w, sum := newWorld(t, seed), sha256.New()
		w.loss = 0.05
		w.trace = func(from, to netip.AddrPort, packet []byte) {
			fmt.Fprintf(sum, "%d %v %v %x\n", w.now, from, to, packet)
		}
		w.populate(25, false)
		w.do(w.alive(), Request{Method: krpc.GetPeers, Target: idM, Store: true, Port: 1})
		w.do(w.alive(), Request{Method: krpc.SampleInfohashes, Target: idM})
		return [sha256.Size]byte(sum.Sum(nil))
	}
	first := trace(1)
	if again := trace(1); again != first {
		t.Error("two runs of one seed differ")
	}
	if first == trace(2) {
		t.Error("the seed makes no difference")
	}
}

// Everything that a lookup can be for, over IPv6.
func TestLookupKinds(t *testing.T) {
	w := newWorld(t, 3)
	w.populate(40, true)
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	mutable := &Item{Value: []byte("i7e"), Key: private.Public().(ed25519.PublicKey), Salt: []byte("s"), Seq: 3}
	mutable.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, mutable.Salt, mutable.Seq, mutable.Value))
	mutableTarget := krpc.MutableTarget(mutable.Key, mutable.Salt)
	immutable := &Item{Value: []byte("5:hello")}
	immutableTarget := krpc.ImmutableTarget(immutable.Value)
	a, b := w.hosts[5], w.hosts[30]

	for i, req := range []Request{
		{Method: krpc.GetPeers, Target: idM, Store: true, ImpliedPort: true, Seed: true},
		{Method: krpc.Get, Target: mutableTarget, Store: true, Item: mutable},
		{Method: krpc.Get, Target: immutableTarget, Store: true, Item: immutable},
	} {
		if done := w.do(a, req); done.Result.Stored != numClosest || done.Result.Refused != 0 {
			t.Errorf("request %d: stored on %d nodes, refused by %d", i, done.Result.Stored, done.Result.Refused)
		}
	}
	stale := &Item{Value: []byte("i8e"), Key: mutable.Key, Salt: mutable.Salt, Seq: 2}
	stale.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, stale.Salt, stale.Seq, stale.Value))
	if done := w.do(a, Request{Method: krpc.Get, Target: mutableTarget, Store: true, Item: stale}); done.Result.Refused != numClosest || done.Result.Refusal.Code != krpc.CodeSeqTooLow {
		t.Errorf("an old seq was refused by %d nodes: %v", done.Result.Refused, done.Result.Refusal)
	}

	late := &Item{Value: []byte("i9e"), Key: mutable.Key, Salt: mutable.Salt, Seq: 4, CAS: 2, HasCAS: true}
	late.Sig = ed25519.Sign(private, krpc.AppendSigned(nil, late.Salt, late.Seq, late.Value))
	if done := w.do(a, Request{Method: krpc.Get, Target: mutableTarget, Store: true, Item: late}); done.Result.Refused != numClosest || done.Result.Refusal.Code != krpc.CodeCASMismatch {
		t.Errorf("a wrong cas was refused by %d nodes: %v", done.Result.Refused, done.Result.Refusal)
	}

	done := w.do(b, Request{Method: krpc.GetPeers, Target: idM, Scrape: true})
	if r := b.last(OutReply); r == nil || !slices.Equal(r.Reply.Peers, []netip.AddrPort{a.addr}) {
		t.Errorf("peers: %+v", r)
	}
	if seeds := done.Result.Seeds.Estimate(); seeds < 0.9 || seeds > 1.5 {
		t.Errorf("%.1f seeds", seeds)
	}
	w.do(b, Request{Method: krpc.Get, Target: mutableTarget, Item: &Item{Salt: mutable.Salt}})
	if r := b.last(OutReply); r == nil || string(r.Reply.Item.Value) != "i7e" || r.Reply.Item.Seq != 3 {
		t.Errorf("mutable item: %+v", r)
	}
	w.do(b, Request{Method: krpc.Get, Target: mutableTarget})
	if r := b.last(OutReply); r != nil {
		t.Errorf("an item whose target cannot be checked: %+v", r)
	}
	w.do(b, Request{Method: krpc.Get, Target: immutableTarget})
	if r := b.last(OutReply); r == nil || string(r.Reply.Item.Value) != "5:hello" {
		t.Errorf("immutable item: %+v", r)
	}
	w.do(b, Request{Method: krpc.SampleInfohashes, Target: idM})
	if r := b.last(OutReply); r == nil || !slices.Equal(r.Reply.Samples, []krpc.ID{idM}) || r.Reply.NumSamples != 1 {
		t.Errorf("samples: %+v", r)
	}
	want := w.trueClosest(idM, b)
	var got []krpc.ID
	for _, n := range w.do(b, Request{Method: krpc.FindNode, Target: idM}).Result.Closest {
		got = append(got, n.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("closest %v, want %v", got, want)
	}
}

// A lookup that cannot work ends at once; one that was cancelled says nothing.
func TestLookupEnds(t *testing.T) {
	w := newWorld(t, 4)
	lonely := w.add(Config{}, publicAddr(1, false))
	for name, req := range map[string]*Request{
		"no nodes":           {Method: krpc.FindNode, Target: idM},
		"none":               nil,
		"a ping":             {Method: krpc.Ping},
		"no port":            {Method: krpc.GetPeers, Store: true},
		"no item":            {Method: krpc.Get, Store: true},
		"nothing to store":   {Method: krpc.FindNode, Store: true},
		"an item in no form": {Method: krpc.Get, Store: true, Item: &Item{Value: make([]byte, krpc.MaxValueLen+1)}},
	} {
		lonely.forget()
		if w.receive(lonely, Input{Kind: InLookup, Lookup: 9, Request: req}); lonely.last(OutDone) == nil {
			t.Errorf("%s: the lookup does not end", name)
		}
	}
	w.populate(20, false)
	h := w.hosts[7]
	h.forget()
	w.receive(h, Input{Kind: InLookup, Lookup: 9, Request: &Request{Method: krpc.GetPeers, Target: idM, Store: true, Port: 1}})
	w.run(30 * time.Millisecond)
	w.receive(h, Input{Kind: InCancel, Lookup: 9})
	w.run(15 * time.Second)
	if len(h.outs) != 0 {
		t.Errorf("outputs of a cancelled lookup: %+v", h.outs)
	}
}

// A node that starts before anybody answers joins when somebody does, and says
// once that it is ready.
func TestJoinLater(t *testing.T) {
	w := newWorld(t, 5)
	w.populate(20, false)
	router := w.hosts[0]
	router.dead = true
	h := w.add(Config{}, publicAddr(900, false))
	w.receive(h, Input{Kind: InNodes, Addrs: []netip.AddrPort{router.addr, netip.MustParseAddrPort("[2001:db8::1]:1"), {}}})
	w.run(time.Minute)
	if h.last(OutReady) != nil {
		t.Fatal("ready without a node")
	}
	router.dead = false
	router.wakeAt = 0
	w.run(time.Minute)
	count := 0
	for _, out := range h.outs {
		if out.Kind == OutReady {
			count++
		}
	}
	if num4, _ := h.node.NumNodes(); count != 1 || num4 < 15 {
		t.Errorf("ready %d times, %d nodes", count, num4)
	}
	if nodes := h.node.AppendNodes(nil); len(nodes) < 15 {
		t.Errorf("%d nodes to save", len(nodes))
	}
}

// A node that does not know its address learns it from others, and takes on
// an id that fits (BEP 42).
func TestIdentity(t *testing.T) {
	w := newWorld(t, 6)
	w.populate(40, false)
	h := w.add(Config{}, publicAddr(900, false))
	before := h.node.ID()
	w.receive(h, Input{Kind: InNodes, Addrs: []netip.AddrPort{w.hosts[0].addr}})
	w.run(time.Minute)
	after := h.node.ID()
	if out := h.last(OutIdentity); out == nil || out.Addr.Addr() != h.addr.Addr() || after == before || !fitsAddress(&after, h.addr.Addr()) {
		t.Errorf("identity %+v, id %s", out, after)
	}
	if num4, _ := h.node.NumNodes(); num4 < 24 {
		t.Errorf("%d nodes after the change", num4)
	}
	liar := newNode(t, Config{})
	for i := range 100 * votesNeeded { // one network has one vote
		liar.vote(0, netip.AddrFrom4([4]byte{66, 6, 6, byte(i)}), asker)
	}
	if liar.votes.accepted.IsValid() {
		t.Error("one network decided on our address")
	}
}

// A dual-stack node that knows only an IPv4 node finds the IPv6 network by it
// (BEP 32), and both tables fill.
func TestFamiliesFeedEachOther(t *testing.T) {
	w := newWorld(t, 7)
	for i := range 40 {
		v4, v6 := publicAddr(i+1, false), publicAddr(i+1, true)
		h := w.add(Config{IPv4: true, IPv6: true}, v4)
		w.byAddr[v6], h.addr6 = h, v6
		known := []netip.AddrPort{w.hosts[0].addr}
		if i < 5 { // the seed of the IPv6 network
			known = append(known, w.hosts[0].addr6)
		}
		w.receive(h, Input{Kind: InNodes, Addrs: known})
		w.run(time.Second)
	}
	w.run(5 * time.Minute)
	for i, h := range w.hosts {
		if num4, num6 := h.node.NumNodes(); num4 < 20 || num6 < 20 {
			t.Errorf("host %d has %d IPv4 and %d IPv6 nodes", i, num4, num6)
		}
	}
}

// Many lookups at once share the budget of queries, and all of them end.
func TestBudget(t *testing.T) {
	const perSecond, numLookups = 20, 60
	w := newWorld(t, 9)
	w.populate(60, false)
	h := w.add(Config{MaxQueries: perSecond, ReadOnly: true}, publicAddr(900, false))
	w.receive(h, Input{Kind: InNodes, Addrs: []netip.AddrPort{w.hosts[0].addr}})
	w.run(time.Minute)
	h.forget()
	h.sent = 0
	for i := range numLookups {
		w.receive(h, Input{Kind: InLookup, Lookup: LookupID(i + 1), Request: &Request{Method: krpc.GetPeers, Target: randomID(w.rnd)}})
	}
	for second := 1; second <= 100; second++ {
		w.run(time.Second)
		if most := perSecond * (second + burstOf); h.sent > most {
			t.Fatalf("%d queries in %d seconds", h.sent, second)
		}
	}
	ended := 0
	for _, out := range h.outs {
		if out.Kind == OutDone && len(out.Result.Closest) == numClosest {
			ended++
		}
	}
	if ended != numLookups || h.sent < 7*numLookups {
		t.Errorf("%d of %d lookups ended, with %d queries", ended, numLookups, h.sent)
	}
}

// Others neither keep a read-only node nor get answers from it (BEP 43).
func TestReadOnly(t *testing.T) {
	w := newWorld(t, 8)
	w.populate(20, false)
	h := w.add(Config{ReadOnly: true}, publicAddr(900, false))
	w.receive(h, Input{Kind: InNodes, Addrs: []netip.AddrPort{w.hosts[0].addr}})
	w.run(time.Minute)
	if done := w.do(h, Request{Method: krpc.FindNode, Target: idM}); len(done.Result.Closest) != numClosest {
		t.Errorf("%d nodes found", len(done.Result.Closest))
	}
	for _, other := range w.hosts[:20] {
		if slices.ContainsFunc(other.node.AppendNodes(nil), func(n krpc.Node) bool { return n.Addr == h.addr }) {
			t.Error("a read-only node is in a table")
		}
	}
}

// The memory of a node whose table is that of a network of 10,000.
func TestMemory(t *testing.T) {
	const numNodes, limit = 20, 16 << 10
	rnd := rand.New(rand.NewPCG(10, 10))
	var known []krpc.Node
	for i := range 10_000 {
		known = append(known, krpc.Node{ID: randomID(rnd), Addr: publicAddr(i, false)})
	}
	query := (&krpc.Message{Kind: krpc.Query, Method: krpc.GetPeers, ID: idA, Target: idM, Transaction: []byte("aa"), ReadOnly: true}).Append(nil)
	before := heapBytes()
	nodes := make([]*Node, numNodes)
	total := 0
	for i := range nodes {
		n, err := New(0, Config{Rand: rnd, MaxSources: 16})
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range known {
			if n.table4.wants(each) {
				n.table4.answered(0, each, 90*time.Millisecond)
			}
		}
		n.Receive(0, Input{Kind: InPacket, Addr: asker, Packet: query})
		nodes[i], total = n, total+n.table4.size
	}
	each := (heapBytes() - before) / numNodes
	t.Logf("%d bytes a node, with %d entries", each, total/numNodes)
	if each > limit {
		t.Errorf("%d bytes a node, limit %d", each, limit)
	}
	runtime.KeepAlive(nodes)
	runtime.KeepAlive(known)
}

func heapBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found dead is swept now
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
