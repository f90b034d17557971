package node

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// validPackets are one of every kind and method. The responses have a
// transaction id of the right length.
func validPackets() (packets [][]byte) {
	key, sig, salt := make([]byte, krpc.KeyLen), make([]byte, krpc.SignatureLen), []byte("salt")
	value, filter := []byte("12:Hello World!"), make([]byte, krpc.FilterLen)
	nodes := krpc.AppendNode(nil, krpc.Node{ID: idM, Addr: asker})
	nodes6 := krpc.AppendNode(nil, krpc.Node{ID: idM, Addr: asker6})
	both := krpc.WantNodes4 | krpc.WantNodes6
	for _, m := range []krpc.Message{
		{Kind: krpc.Query, Method: krpc.Ping},
		{Kind: krpc.Query, Method: krpc.FindNode, Target: idM, Want: both},
		{Kind: krpc.Query, Method: krpc.GetPeers, Target: idM, Want: both, Scrape: true, NoSeed: true},
		{Kind: krpc.Query, Method: krpc.AnnouncePeer, Target: idM, Token: []byte("12345678"), Port: 1, ImpliedPort: true, Seed: true},
		{Kind: krpc.Query, Method: krpc.Get, Target: idM, Seq: 3, HasSeq: true},
		{Kind: krpc.Query, Method: krpc.Put, Token: []byte("12345678"), Value: value},
		{Kind: krpc.Query, Method: krpc.Put, Token: []byte("12345678"), Value: value, Key: key, Sig: sig, Salt: salt, Seq: 3, HasSeq: true, CAS: 2, HasCAS: true},
		{Kind: krpc.Query, Method: krpc.SampleInfohashes, Target: idM},
		{Kind: krpc.Query, Method: krpc.Unknown, Target: idM},
		{Kind: krpc.Response},
		{Kind: krpc.Response, Nodes: nodes, Nodes6: nodes6, Token: []byte("token"), Values: krpc.Values(nil).Append(asker).Append(asker6), BFsd: filter, BFpe: filter},
		{Kind: krpc.Response, Nodes: nodes, Token: []byte("token"), Value: value, Key: key, Sig: sig, Seq: 3, HasSeq: true},
		{Kind: krpc.Response, Nodes: nodes, Samples: idM[:], Num: 1, Interval: 300},
		{Kind: krpc.Error, Code: 203, Text: []byte("no")},
	} {
		m.Transaction, m.ID, m.Version, m.External = []byte("abcd"), idA, []byte("XX01"), asker
		packets = append(packets, m.Append(nil))
	}
	return packets
}

// mutator makes malformed packets out of valid ones: bytes that are changed,
// cut off, doubled or moved.
type mutator struct {
	rnd   *rand.Rand
	valid [][]byte
	b     []byte
}

func newMutator(seed uint64) *mutator {
	return &mutator{rnd: rand.New(rand.NewPCG(seed, seed)), valid: validPackets()}
}

// next returns a packet that is valid until the next call.
func (m *mutator) next() []byte {
	m.b = append(m.b[:0], m.valid[m.rnd.IntN(len(m.valid))]...)
	random := m.rnd.Uint64()
	at := int(uint32(random)) % len(m.b)
	switch random >> 60 {
	case 0:
		m.b = m.b[:at]
	case 1:
		m.b = append(m.b, m.b[at:]...)
	case 2:
		copy(m.b[at:], m.b[at/2:])
	case 3, 4, 5: // what the syntax is made of
		m.b[at] = "dlie:0123456789-"[random>>32&15]
	default:
		for range 1 + random>>58&3 {
			m.b[m.rnd.IntN(len(m.b))] = byte(m.rnd.Uint32())
		}
	}
	return m.b
}

// A million malformed packets from all over: none makes the node panic, and
// what it keeps is bounded.
func TestMalformedPackets(t *testing.T) {
	count := 1_000_000
	if testing.Short() {
		count /= 10
	}
	n, m := newNode(t, Config{}), newMutator(11)
	n.fill(50)
	accepted, refused := 0, 0
	start := time.Now()
	for i := range count {
		now := time.Duration(i) * 100 * time.Microsecond
		packet := m.next()
		n.Receive(now, Input{Kind: InPacket, Addr: publicAddr(i%50_000, i%3 == 0), Packet: packet})
		switch {
		case n.scratch.parsed.Kind == 0 || len(n.outputs) == 0:
		case len(n.outputs[0].Packet) > 3 && n.outputs[0].Packet[3] == 'e':
			refused++
		default:
			accepted++
		}
		if due, _ := n.NextTimeout(); due <= now {
			n.Advance(now)
		}
	}
	elapsed := time.Since(start)
	t.Logf("%d packets in %v, %.0f a second; %d answered, %d by an error", count, elapsed.Round(time.Millisecond), float64(count)/elapsed.Seconds(), accepted+refused, refused)
	if accepted == 0 || refused == 0 {
		t.Error("the packets are all of one sort")
	}
	if most := maxUpkeep + 4*(maxUnanswered+alpha); len(n.queries) > most || len(n.lookups) > 2 || n.peers != nil || n.items != nil {
		t.Errorf("%d queries, at most %d; %d lookups, peers %v, items %v", len(n.queries), most, len(n.lookups), n.peers, n.items)
	}
}

func BenchmarkMalformed(b *testing.B) {
	n, m := newNode(b, Config{}), newMutator(11)
	n.fill(50)
	packets := make([][]byte, 1<<14)
	for i := range packets {
		packets[i] = slices.Clone(m.next())
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n.Receive(0, Input{Kind: InPacket, Addr: publicAddr(i%50_000, false), Packet: packets[i%len(packets)]})
		i++
	}
}

// oddities are what a field is replaced by.
var oddities = []any{
	int64(-1 << 63), int64(-1), int64(0), int64(7), int64(1<<63 - 1), bencode.Bytes("i9223372036854775808e"), bencode.Bytes("i-0e"),
	"", "x", string(make([]byte, 19)), string(make([]byte, 20)), string(make([]byte, 21)), string(make([]byte, 2000)),
	[]any{}, []any{int64(1)}, []any{"x", "y"}, []any{[]any{}}, map[string]any{}, map[string]any{"id": "x"},
}

// variants yields copies of the dictionary, each with one field missing or
// replaced, at every depth.
func variants(dict map[string]any, yield func(map[string]any)) {
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		without := maps.Clone(dict)
		delete(without, key)
		yield(without)
		with := func(value any) {
			changed := maps.Clone(dict)
			changed[key] = value
			yield(changed)
		}
		for _, odd := range oddities {
			with(odd)
		}
		if inner, ok := dict[key].(map[string]any); ok {
			variants(inner, func(changed map[string]any) { with(changed) })
		}
	}
}

// Every field of every message missing or replaced, given to a node that waits
// for just that answer: no panic, answers to queries alone, and an honest
// answer still counts. What may be refused, and why, is the codec's test.
func TestEveryField(t *testing.T) {
	count := 0
	for _, method := range []krpc.Method{krpc.FindNode, krpc.GetPeers, krpc.Get, krpc.SampleInfohashes} {
		for _, packet := range validPackets() {
			var dict map[string]any
			if err := bencode.Unmarshal(packet, &dict); err != nil {
				t.Fatal(err)
			}
			variants(dict, func(changed map[string]any) {
				count++
				n, query := waitingNode(t, method)
				if changed["t"] == "abcd" && changed["y"] != "q" {
					changed["t"] = string(query.Transaction)
				}
				n.Receive(time.Millisecond, Input{Kind: InPacket, Addr: publicAddr(1, false), Packet: bencode.MustMarshal(changed)})
				checkAfter(t, n, changed["y"] == "q")
				if t.Failed() {
					t.Fatalf("the packet: %v", changed)
				}
			})
		}
	}
	t.Logf("%d packets", count)
}

// waitingNode is a node that has just asked another.
func waitingNode(t testing.TB, method krpc.Method) (n *Node, query krpc.Message) {
	n, err := New(0, Config{Rand: rand.New(rand.NewPCG(1, 2)), MaxSources: 16})
	if err != nil {
		t.Fatal(err)
	}
	n.table4.answered(0, krpc.Node{ID: idA, Addr: publicAddr(1, false)}, 90*time.Millisecond)
	n.Receive(0, Input{Kind: InLookup, Lookup: 1, Request: &Request{Method: method, Target: idM, Scrape: method == krpc.GetPeers}})
	if out, ok := n.Next(); !ok || query.Parse(slices.Clone(out.Packet)) != nil {
		t.Fatal("no query")
	}
	return n, query
}

// checkAfter looks at what a node did about one packet, which was a query or
// not.
func checkAfter(t *testing.T, n *Node, wasQuery bool) {
	t.Helper()
	for out, ok := n.Next(); ok; out, ok = n.Next() {
		var m krpc.Message
		switch {
		case out.Kind == OutPacket && m.Parse(out.Packet) != nil:
			t.Errorf("sent %q", out.Packet)
		case out.Kind == OutPacket && (len(out.Packet) > maxItemReplyLen || m.Kind != krpc.Query && !wasQuery):
			t.Errorf("answered by %q", out.Packet)
		}
	}
	if n.table4.size > 1 || n.peers != nil || n.items != nil || len(n.queries) > 1+maxUpkeep+alpha {
		t.Errorf("%d nodes, %d queries", n.table4.size, len(n.queries))
	}
	for now := 10 * time.Second; len(n.lookups) > 1 && now < time.Minute; now += 10 * time.Second {
		n.Advance(now)
	}
	if len(n.lookups) > 1 {
		t.Error("the lookup does not end")
	}
}

// FuzzReceive gives a packet to a node that waits for an answer to its query:
// it must neither panic nor send what others could not read.
func FuzzReceive(f *testing.F) {
	for _, packet := range validPackets() {
		f.Add(packet, uint8(krpc.GetPeers))
	}
	for _, method := range []krpc.Method{krpc.FindNode, krpc.GetPeers, krpc.Get, krpc.SampleInfohashes} {
		_, query := waitingNode(f, method)
		for _, packet := range validPackets() {
			f.Add(bytes.Replace(packet, []byte("4:abcd"), append([]byte("4:"), query.Transaction...), 1), uint8(method))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, method uint8) {
		switch krpc.Method(method) {
		case krpc.FindNode, krpc.GetPeers, krpc.Get, krpc.SampleInfohashes:
		default:
			method = uint8(krpc.GetPeers)
		}
		n, _ := waitingNode(t, krpc.Method(method))
		n.Receive(time.Millisecond, Input{Kind: InPacket, Addr: publicAddr(1, false), Packet: packet})
		var m krpc.Message
		_ = m.Parse(packet) // a refused packet has its kind all the same
		checkAfter(t, n, m.Kind == krpc.Query)
	})
}
