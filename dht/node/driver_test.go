package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// A single query gets the answer of whom it was sent to, whatever that is.
func TestSingleQuery(t *testing.T) {
	w := newWorld(t, 1)
	w.populate(10, false)
	h, other := w.hosts[2], w.hosts[7]
	h.forget()
	w.receive(h, Input{Kind: InQuery, Lookup: 5, Addr: other.addr, Query: &krpc.Message{Method: krpc.Ping}})
	w.receive(h, Input{Kind: InQuery, Lookup: 6, Addr: other.addr, Query: &krpc.Message{Method: krpc.AnnouncePeer, Token: []byte("bad"), Port: 1}})
	w.receive(h, Input{Kind: InQuery, Lookup: 7, Addr: publicAddr(999, false), Query: &krpc.Message{Method: krpc.Ping}})
	w.run(forgetAfter)
	answers := map[LookupID]*Answer{}
	for _, out := range h.outs {
		if out.Kind == OutAnswer {
			answers[out.Lookup] = out.Answer
		}
	}
	if a := answers[5]; a == nil || a.Message.Kind != krpc.Response || a.Message.ID != other.node.ID() || a.RTT != 2*(roundTrip(h.addr, other.addr)/2) {
		t.Errorf("ping: %+v", a)
	}
	if a := answers[6]; a == nil || a.Message.Kind != krpc.Error || a.Message.Code != krpc.CodeProtocol {
		t.Errorf("announce with a bad token: %+v", a)
	}
	if a, ok := answers[7]; !ok || a != nil {
		t.Errorf("ping of nobody: %+v, %v", a, ok)
	}
	if h.node.asking != 0 || h.node.upkeep < 0 {
		t.Errorf("%d queries are counted, %d for upkeep", h.node.asking, h.node.upkeep)
	}
}

// A query that cannot be sent is answered at once, and so is one too many.
func TestSingleQueryBounds(t *testing.T) {
	n := newNode(t, Config{})
	outputs := func(in Input) (kinds []OutputKind) {
		in.Kind = InQuery
		n.Receive(0, in)
		for out, ok := n.Next(); ok; out, ok = n.Next() {
			kinds = append(kinds, out.Kind)
		}
		return kinds
	}
	ping := &krpc.Message{Method: krpc.Ping}
	for name, in := range map[string]Input{
		"no name":       {Addr: asker, Query: ping},
		"no query":      {Lookup: 1, Addr: asker},
		"no method":     {Lookup: 1, Addr: asker, Query: &krpc.Message{}},
		"a wild method": {Lookup: 1, Addr: asker, Query: &krpc.Message{Method: 255}},
		"no address":    {Lookup: 1, Query: ping},
	} {
		if kinds := outputs(in); len(kinds) != 1 || kinds[0] != OutAnswer {
			t.Errorf("%s: %v", name, kinds)
		}
	}
	for i := range MaxAsking {
		if kinds := outputs(Input{Lookup: LookupID(i + 1), Addr: asker, Query: ping}); len(kinds) != 1 || kinds[0] != OutPacket {
			t.Fatalf("query %d: %v", i, kinds)
		}
	}
	if kinds := outputs(Input{Lookup: 1000, Addr: asker, Query: ping}); len(kinds) != 1 || kinds[0] != OutAnswer {
		t.Errorf("one too many: %v", kinds)
	}
	n.Receive(0, Input{Kind: InCancel, Lookup: 3})
	if kinds := outputs(Input{Lookup: 1000, Addr: asker, Query: ping}); len(kinds) != 1 || kinds[0] != OutPacket {
		t.Errorf("after one was cancelled: %v", kinds)
	}
}

// Saved nodes lead back into the network though half of them are gone, and do
// not enter the table before they have answered.
func TestSavedNodes(t *testing.T) {
	w := newWorld(t, 2)
	w.populate(60, false)
	old := w.hosts[20]
	saved := old.node.AppendNodes(nil)
	id := old.node.ID()
	for i, each := range saved {
		w.byAddr[each.Addr].dead = i%2 == 0
	}
	old.dead = true
	w.run(time.Minute)

	again := w.add(Config{ID: id, External: old.addr.Addr()}, old.addr)
	w.receive(again, Input{Kind: InSaved, Nodes: saved})
	if num, _ := again.node.NumNodes(); num != 0 {
		t.Errorf("%d nodes are in the table unseen", num)
	}
	w.run(time.Minute)
	if again.last(OutReady) == nil {
		t.Fatal("the node has not joined")
	}
	num, _ := again.node.NumNodes()
	if num < len(saved)/2 || again.node.saved != nil {
		t.Errorf("%d of %d living nodes are in the table, %d wait", num, len(saved)/2, len(again.node.saved))
	}
	// A lookup at once, before the node has joined, starts from them as well.
	w.hosts[21].dead = true
	early := w.add(Config{External: w.hosts[21].addr.Addr()}, w.hosts[21].addr)
	w.receive(early, Input{Kind: InSaved, Nodes: saved})
	if done := w.do(early, Request{Method: krpc.FindNode, Target: idM}); len(done.Result.Closest) != numClosest {
		t.Errorf("an early lookup found %d nodes", len(done.Result.Closest))
	}
}

// More nodes than could be saved are not kept.
func TestSavedNodesBound(t *testing.T) {
	n := newNode(t, Config{})
	var saved []krpc.Node
	for i := range 3 * maxSaved {
		saved = append(saved, krpc.Node{ID: randomID(n.cfg.Rand), Addr: publicAddr(i, i%2 == 0)})
	}
	n.Receive(0, Input{Kind: InSaved, Nodes: saved})
	if len(n.saved) > maxSaved {
		t.Errorf("%d nodes are kept", len(n.saved))
	}
}

// A node that nobody told of others joins when one of them finds it.
func TestFirstNodeJoins(t *testing.T) {
	w := newWorld(t, 3)
	first := w.add(Config{}, publicAddr(1, false))
	second := w.add(Config{}, publicAddr(2, false))
	w.run(time.Minute)
	w.receive(second, Input{Kind: InNodes, Addrs: []netip.AddrPort{first.addr}})
	w.run(5 * roundTrip(first.addr, second.addr))
	if first.last(OutReady) == nil || second.last(OutReady) == nil {
		t.Error("the two have not joined")
	}
}

// Each packet is counted for what it is.
func TestCounts(t *testing.T) {
	n := newNode(t, Config{})
	say(t, n, 0, asker, krpc.Message{Method: krpc.Ping})
	say(t, n, 0, asker, krpc.Message{Method: krpc.GetPeers, Target: idM})
	say(t, n, 0, asker, krpc.Message{Method: krpc.Ping, ID: n.ID()})
	sayPacket(t, n, 0, asker, []byte("d1:q4:ping1:t2:aa1:y1:qe"))
	sayPacket(t, n, 0, asker, []byte("spam"))
	response := krpc.Message{Kind: krpc.Response, Transaction: []byte("aaaa"), ID: idA}
	sayPacket(t, n, 0, asker, response.Append(nil))
	n.Receive(0, Input{Kind: InPacket, Packet: []byte("from nowhere")})
	got := n.Counts()
	got.QueriesOut = [krpc.Unknown + 1]uint64{} // it gets to know the asker
	want := Counts{ResponsesOut: 2, ErrorsOut: 1, ResponsesIn: 1, Malformed: 2, Unsolicited: 1, Ignored: 1, Unreachable: 1}
	want.QueriesIn[krpc.Ping], want.QueriesIn[krpc.GetPeers] = 2, 1
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Peers at one local address are told apart by their ports; others are not
// (BEP 33).
func TestLocalPeers(t *testing.T) {
	for ip, want := range map[string]int{"127.0.0.1": 2, "::1": 2, "192.168.1.2": 2, "81.2.69.142": 1, "2a02:1::5": 1} {
		s := newPeerStore(0)
		for port := range uint16(2) {
			for range 2 {
				s.announce(0, idM, netip.AddrPortFrom(netip.MustParseAddr(ip), 6881+port), false)
			}
		}
		if got := s.ledger.all.Len(); got != want {
			t.Errorf("%s: %d peers, want %d", ip, got, want)
		}
	}
}

// A node that joined through one that knew nobody else looks again soon.
func TestSparseTable(t *testing.T) {
	w := newWorld(t, 4)
	lonely := w.add(Config{}, publicAddr(500, false))
	h := w.add(Config{}, publicAddr(501, false))
	w.receive(h, Input{Kind: InNodes, Addrs: []netip.AddrPort{lonely.addr}})
	w.run(10 * time.Second)
	if num, _ := h.node.NumNodes(); num != 1 || h.last(OutReady) == nil {
		t.Fatalf("%d nodes", num)
	}
	w.populate(20, false)
	w.receive(lonely, Input{Kind: InNodes, Addrs: []netip.AddrPort{w.hosts[5].addr}})
	w.run(3 * retrySparse)
	if num, _ := h.node.NumNodes(); num < numClosest {
		t.Errorf("%d nodes", num)
	}
}
