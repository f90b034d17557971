package krpc

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	oracle "github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
)

// FuzzParse holds the codec against itself (what was parsed, appended and
// parsed again is the same) and against an independent one: where both accept
// a packet, they read the same from it.
func FuzzParse(f *testing.F) {
	for _, test := range examples {
		f.Add([]byte(test.packet))
	}
	for _, test := range refused {
		if len(test.packet) < 2000 {
			f.Add([]byte(test.packet))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var m Message
		if r := m.Parse(packet); r != nil {
			if r.Code < CodeGeneric || r.Text == "" {
				t.Fatalf("refusal %+v", r)
			}
			return
		}
		if m.Method != Unknown {
			roundTrip(t, &m)
		}
		compareOracle(t, packet, &m)
	})
}

// FuzzTorrentValue holds what a mutable torrent's value says against what
// would be written for it.
func FuzzTorrentValue(f *testing.F) {
	f.Add([]byte("d2:ih20:abcdefghij0123456789e"))
	f.Add([]byte("d2:ih20:abcdefghij01234567893:new3:keye"))
	f.Add([]byte("d1:b0:1:a0:e"))
	f.Fuzz(func(t *testing.T, value []byte) {
		infoHash, ok := ParseTorrentValue(value)
		again, okAgain := ParseTorrentValue(AppendTorrentValue(nil, infoHash))
		if !okAgain || again != infoHash || ok && !bytes.Contains(value, infoHash[:]) {
			t.Fatalf("%q: %v, %v", value, infoHash, again)
		}
	})
}

func roundTrip(t *testing.T, m *Message) {
	first := m.Append(nil)
	var again Message
	if r := again.Parse(first); r != nil {
		t.Fatalf("%q: refused on the way back: %v", first, r)
	}
	if second := again.Append(nil); !bytes.Equal(first, second) {
		t.Fatalf("%q became %q", first, second)
	}
	for range m.AllNodes() {
	}
	for addr := range m.Values.All() {
		if !addr.IsValid() {
			t.Fatal("an invalid peer")
		}
	}
}

// unmarshalOracle is the oracle without its panics, of which it has some.
func unmarshalOracle(packet []byte) (msg oracle.Msg, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	err = bencode.Unmarshal(packet, &msg)
	return msg, err
}

func compareOracle(t *testing.T, packet []byte, m *Message) {
	theirs, err := unmarshalOracle(packet)
	if err != nil {
		return
	}
	same(t, "t", string(m.Transaction), theirs.T)
	same(t, "v", string(m.Version), theirs.ClientId)
	same(t, "y", kindLetters[m.Kind], theirs.Y)
	switch m.Kind {
	case Query:
		compareQuery(t, m, theirs.Q, theirs.A)
	case Response:
		compareResponse(t, m, theirs.R)
	case Error:
		same(t, "code", m.Code, theirs.E.Code)
		same(t, "text", string(m.Text), theirs.E.Msg)
	}
	if theirs.IP.IP != nil {
		same(t, "ip", m.External, fromOracle(theirs.IP))
	}
}

func compareQuery(t *testing.T, m *Message, method string, args *oracle.MsgArgs) {
	same(t, "id", m.ID, ID(args.ID))
	if m.Method == Unknown {
		return
	}
	same(t, "q", m.Method.String(), method)
	switch m.Method {
	case FindNode, Get, SampleInfohashes:
		same(t, "target", m.Target, ID(args.Target))
	case GetPeers, AnnouncePeer:
		same(t, "info_hash", m.Target, ID(args.InfoHash))
	}
	if m.Method == AnnouncePeer && !m.ImpliedPort {
		same(t, "port", int(m.Port), *args.Port)
	}
	same(t, "token", string(m.Token), args.Token)
	same(t, "want 4", m.Want&WantNodes4 != 0, slices.Contains(args.Want, oracle.WantNodes))
	same(t, "want 6", m.Want&WantNodes6 != 0, slices.Contains(args.Want, oracle.WantNodes6))
	same(t, "noseed", m.NoSeed, args.NoSeed == 1)
	same(t, "scrape", m.Scrape, args.Scrape == 1)
	same(t, "cas", m.CAS, args.Cas)
	same(t, "salt", string(m.Salt), string(args.Salt))
	if m.Key != nil {
		same(t, "k", string(m.Key), string(args.K[:]))
		same(t, "sig", string(m.Sig), string(args.Sig[:]))
	}
	same(t, "has seq", m.HasSeq, args.Seq != nil)
	if m.HasSeq {
		same(t, "seq", m.Seq, *args.Seq)
	}
	if m.Value != nil && args.V != nil {
		v, err := bencode.Marshal(args.V)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "v", string(m.Value), string(v))
	}
}

func compareResponse(t *testing.T, m *Message, ret *oracle.Return) {
	same(t, "id", m.ID, ID(ret.ID))
	var nodes []Node
	ret.ForAllNodes(func(n oracle.NodeInfo) {
		node := Node{ID(n.ID), fromOracle(n.Addr)}
		if len(n.Addr.IP) == 4 || !node.Addr.Addr().Is4In6() {
			nodes = append(nodes, node)
		}
	})
	if ours := slices.Collect(m.AllNodes()); !slices.Equal(ours, nodes) {
		t.Fatalf("nodes %v, theirs %v", ours, nodes)
	}
	var peers []netip.AddrPort
	for _, addr := range ret.Values {
		peer := fromOracle(addr)
		peers = append(peers, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()))
	}
	if ours := slices.Collect(m.Values.All()); !slices.Equal(ours, peers) {
		t.Fatalf("peers %v, theirs %v", ours, peers)
	}
	if ret.Token != nil {
		same(t, "token", string(m.Token), *ret.Token)
	}
	same(t, "v", string(m.Value), string(ret.V))
	if m.BFsd != nil {
		same(t, "BFsd", string(m.BFsd), string(ret.BFsd[:]))
	}
	if m.Samples != nil {
		same(t, "samples", len(m.Samples)/20, len(*ret.Samples))
	}
	if m.HasSeq {
		same(t, "seq", m.Seq, *ret.Seq)
	}
}

// fromOracle keeps the length that the address had in the packet.
func fromOracle(addr oracle.NodeAddr) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(addr.IP)
	return netip.AddrPortFrom(ip, uint16(addr.Port))
}

func same[T comparable](t *testing.T, field string, ours, theirs T) {
	t.Helper()
	if ours != theirs {
		t.Fatalf("%s: ours %v, theirs %v", field, ours, theirs)
	}
}

// What the oracle writes, we read: the round trip through another codec.
func TestOracleWrites(t *testing.T) {
	port, seq := 6881, int64(4)
	packet := bencode.MustMarshal(oracle.Msg{Y: "q", Q: "put", T: "xy", A: &oracle.MsgArgs{
		ID: oracle.ID(idA), Token: "zz", V: "Hello World!", Seq: &seq, Cas: 3, K: [32]byte{1}, Sig: [64]byte{2}, Salt: []byte("foobar"), Port: &port,
	}})
	var m Message
	if r := m.Parse(packet); r != nil || m.CAS != 3 || m.Seq != 4 || string(m.Value) != "12:Hello World!" || m.Key[0] != 1 {
		t.Fatalf("%v, %+v", r, m)
	}
}

// A packet of the kind that each node gets thousands of.
var busiest = []byte("d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:wantl2:n4ee1:q9:get_peers1:t2:aa1:v4:LT011:y1:qe")

func fullAnswer() *Message {
	m := &Message{Kind: Response, Transaction: aa, ID: idA, Token: []byte("12345678")}
	for i := range 8 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 6881)
		m.Nodes = AppendNode(m.Nodes, Node{idM, addr})
		m.Values = m.Values.Append(addr)
	}
	return m
}

func TestNoAllocations(t *testing.T) {
	var m Message
	packet := fullAnswer().Append(nil)
	buf := make([]byte, 0, 1500)
	bad := []byte(strings.Replace(string(busiest), "9:info_hash20:", "9:info_hask20:", 1))
	if n := testing.AllocsPerRun(100, func() {
		_ = m.Parse(busiest)
		_ = m.Parse(bad)
		_ = m.Parse(packet)
		for range m.AllNodes() {
		}
		for range m.Values.All() {
		}
		buf = m.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseQuery(b *testing.B) {
	b.ReportAllocs()
	var m Message
	for b.Loop() {
		if m.Parse(busiest) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	b.ReportAllocs()
	packet := fullAnswer().Append(nil)
	var m Message
	for b.Loop() {
		if m.Parse(packet) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	b.ReportAllocs()
	m, buf := fullAnswer(), make([]byte, 0, 1500)
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}
