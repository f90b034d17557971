package krpc

import (
	"bytes"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var (
	idA = ID([]byte("abcdefghij0123456789"))
	idM = ID([]byte("mnopqrstuvwxyz123456"))
	id0 = ID([]byte("0123456789abcdefghij"))
	aa  = []byte("aa")
)

// examples are the packets of the BEPs, and their like for the extensions
// that show none. cut says that the BEP's own packet is an ellipsis that a
// node must refuse.
var examples = []struct {
	name, packet string
	m            Message
	cut          *Refusal
}{
	{"BEP 5 error", "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
		Message{Kind: Error, Code: CodeGeneric, Text: []byte("A Generic Error Ocurred")}, nil},
	{"BEP 5 ping", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Ping, ID: idA}, nil},
	{"BEP 5 pong", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idM}, nil},
	{"BEP 5 find_node", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: FindNode, ID: idA, Target: idM}, nil},
	{"BEP 5 nodes", "d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: id0, Nodes: []byte("def456...")}, RefuseNodes},
	{"BEP 5 get_peers", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: GetPeers, ID: idA, Target: idM}, nil},
	{"BEP 5 peers", "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idA, Token: []byte("aoeusnth"), Values: Values("6:axje.u6:idhtnm")}, nil},
	{"BEP 5 no peers", "d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idA, Token: []byte("aoeusnth"), Nodes: []byte("def456...")}, RefuseNodes},
	{"BEP 5 announce_peer", "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: AnnouncePeer, ID: idA, Target: idM, ImpliedPort: true, Port: 6881, Token: []byte("aoeusnth")}, nil},
	{"BEP 32 want", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: FindNode, ID: idA, Target: idM, Want: WantNodes4 | WantNodes6}, nil},
	{"BEP 33 seed", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e4:seedi1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: AnnouncePeer, ID: idA, Target: idM, Port: 6881, Seed: true, Token: []byte("aoeusnth")}, nil},
	{"BEP 33 scrape", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseedi1e6:scrapei1ee1:q9:get_peers1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: GetPeers, ID: idA, Target: idM, NoSeed: true, Scrape: true}, nil},
	{"BEP 33 filters", "d1:rd4:BFpe256:" + strings.Repeat("p", 256) + "4:BFsd256:" + strings.Repeat("s", 256) + "2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idM, BFpe: bytes.Repeat([]byte("p"), 256), BFsd: bytes.Repeat([]byte("s"), 256)}, nil},
	{"BEP 42 ip", "d2:ip6:\x01\x02\x03\x04\x1a\xe11:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idM, External: netip.MustParseAddrPort("1.2.3.4:6881")}, nil},
	{"BEP 43 ro", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:v4:SH011:y1:qe",
		Message{Kind: Query, Method: Ping, ID: idA, ReadOnly: true, Version: []byte("SH01")}, nil},
	{"BEP 44 immutable put", "d1:ad2:id20:abcdefghij01234567895:token8:aoeusnth1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Put, ID: idA, Token: []byte("aoeusnth"), Value: []byte("12:Hello World!")}, nil},
	{"BEP 44 mutable put", "d1:ad3:casi3e2:id20:abcdefghij01234567891:k32:" + strings.Repeat("k", 32) + "4:salt6:foobar3:seqi4e3:sig64:" + strings.Repeat("s", 64) + "5:token8:aoeusnth1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Put, ID: idA, HasCAS: true, CAS: 3, Key: bytes.Repeat([]byte("k"), 32), Salt: []byte("foobar"), HasSeq: true, Seq: 4, Sig: bytes.Repeat([]byte("s"), 64), Token: []byte("aoeusnth"), Value: []byte("12:Hello World!")}, nil},
	{"BEP 44 get", "d1:ad2:id20:abcdefghij01234567893:seqi4e6:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Get, ID: idA, HasSeq: true, Seq: 4, Target: idM}, nil},
	{"BEP 51 query", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: SampleInfohashes, ID: idA, Target: idM}, nil},
	{"BEP 51 samples", "d1:rd2:id20:abcdefghij01234567898:intervali21600e3:numi7e7:samples20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idA, Interval: MaxInterval, Num: 7, Samples: idM[:]}, nil},
	{"BEP 51 no samples", "d1:rd2:id20:abcdefghij01234567898:intervali0e3:numi0e7:samples0:e1:t2:aa1:y1:re",
		Message{Kind: Response, ID: idA, Samples: []byte{}}, nil},
}

func TestExamples(t *testing.T) {
	for _, test := range examples {
		test.m.Transaction = aa
		if got := test.m.Append(nil); string(got) != test.packet {
			t.Errorf("%s: appended\n%q, want\n%q", test.name, got, test.packet)
		}
		var m Message
		r := m.Parse([]byte(test.packet))
		if r != test.cut {
			t.Errorf("%s: parsed: %v, want %v", test.name, r, test.cut)
			continue
		}
		if got := m.Append(nil); r == nil && string(got) != test.packet {
			t.Errorf("%s: became %q", test.name, got)
		}
	}
}

// The vectors of BEP 44: targets and the bytes that are signed.
func TestItemVectors(t *testing.T) {
	key, _ := hex.DecodeString("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
	value, salt := []byte("12:Hello World!"), []byte("foobar")
	for got, want := range map[string]string{
		MutableTarget(key, nil).String():          "4a533d47ec9c7d95b1ad75f576cffc641853b750",
		MutableTarget(key, salt).String():         "411eba73b6f087ca51a3795d9c8c938d365e32c1",
		ImmutableTarget(value).String():           "e5f96f6f38320f0f33959cb4d3d656452117aadb",
		string(AppendSigned(nil, nil, 1, value)):  "3:seqi1e1:v12:Hello World!",
		string(AppendSigned(nil, salt, 1, value)): "4:salt6:foobar3:seqi1e1:v12:Hello World!",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The vectors of BEP 46: the targets of two magnet links. The salt is the byte
// that the link has in hexadecimal.
func TestMutableTorrentVectors(t *testing.T) {
	key, _ := hex.DecodeString("8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e")
	for salt, want := range map[string]string{
		"":   "cc3f9d90b572172053626f9980ce261a850d050b",
		"6e": "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f",
	} {
		raw, _ := hex.DecodeString(salt)
		if got := MutableTarget(key, raw).String(); got != want {
			t.Errorf("salt %q: target %s, want %s", salt, got, want)
		}
	}
}

func TestTorrentValue(t *testing.T) {
	value := AppendTorrentValue(nil, idA)
	if string(value) != "d2:ih20:abcdefghij0123456789e" {
		t.Errorf("value %q", value)
	}
	for value, want := range map[string]bool{
		string(value): true,
		"d2:ih20:abcdefghij01234567893:new3:keye": true,
		"":                               false,
		"de":                             false,
		"20:abcdefghij0123456789":        false,
		"l20:abcdefghij0123456789e":      false,
		"d2:ihi1ee":                      false,
		"d2:ih19:abcdefghij012345678e":   false,
		"d2:ih21:abcdefghij0123456789Ze": false,
		"d2:ih20:abcdefghij0123456789":   false,
		"d2:ih20:abcdefghij0123456789ee": false,
		"d2:ih40:" + strings.Repeat("61", 20) + "e": false,
	} {
		if got, ok := ParseTorrentValue([]byte(value)); ok != want || ok && got != idA || !ok && got != (ID{}) {
			t.Errorf("%q: %v, %v", value, got, ok)
		}
	}
}

// The vector of BEP 33: 256 IPv4 and 1,000 IPv6 addresses.
func TestFilterVector(t *testing.T) {
	const want = "f6c3f5eaa07ffd91bde89f777f26fb2bff37bdb8fb2bbaa2fd3ddde7bacfff75ee7ccbae" +
		"fe5eedb1fbfaff67f6abff5e43ddbca3fd9b9ffdf4ffd3e9dff12d1bdf59db53dbe9fa5b" +
		"7ff3b8fdfcde1afb8bedd7be2f3ee71ebbbfe93bcdeefe148246c2bc5dbff7e7efdcf24f" +
		"d8dc7adffd8fffdfddfff7a4bbeedf5cb95ce81fc7fcff1ff4ffffdfe5f7fdcbb7fd79b3" +
		"fa1fc77bfe07fff905b7b7ffc7fefeffe0b8370bb0cd3f5b7f2bd93feb4386cfdd6f7fd5" +
		"bfaf2e9ebffffeecd67adbf7c67f17efd5d75eba6ffeba7fff47a91eb1bfbb53e8abfb57" +
		"62abe8ff237279bfefbfeef5ffc5febfdfe5adffadfee1fb737ffffbfd9f6aeffeee76b6" +
		"fd8f72ef"
	var f4, f6 Filter
	ip := netip.MustParseAddr("192.0.2.0")
	for range 256 {
		f4.Insert(netip.AddrFrom16(ip.As16())) // mapped: counts as the IPv4 address
		ip = ip.Next()
	}
	ip = netip.MustParseAddr("2001:db8::")
	for range 1000 {
		f6.Insert(ip)
		ip = ip.Next()
	}
	f4.Union(f6[:])
	if got := hex.EncodeToString(f4[:]); got != want {
		t.Errorf("filter %s", got)
	}
	if e := f4.Estimate(); math.Abs(e-1224.9308) > 0.0001 {
		t.Errorf("estimate %.4f, want 1224.9308", e)
	}
	if !f4.Contains(netip.MustParseAddr("192.0.2.77")) || !f4.Contains(netip.MustParseAddr("2001:db8::3e7")) {
		t.Error("an address that was inserted is not in the filter")
	}
	var empty, full Filter
	if empty.Contains(ip) {
		t.Error("an empty filter contains an address")
	}
	for i := range full {
		full[i] = 0xff
	}
	if e := empty.Estimate(); e < 0 || e > 1 {
		t.Errorf("an empty filter counts %f", e)
	}
	if e := full.Estimate(); math.IsInf(e, 0) || math.IsNaN(e) {
		t.Errorf("a full filter counts %f", e)
	}
}

func TestNodesAndValues(t *testing.T) {
	n4 := Node{idA, netip.MustParseAddrPort("10.1.2.3:6881")}
	n6 := Node{idM, netip.MustParseAddrPort("[2001:db8::1]:51413")}
	leak := Node{id0, netip.AddrPortFrom(netip.AddrFrom16(n4.Addr.Addr().As16()), 1)}
	m := Message{Nodes: AppendNode(nil, n4), Nodes6: AppendNode(nil, n6)}
	raw := leak.Addr.Addr().As16()
	m.Nodes6 = append(append(append(m.Nodes6, leak.ID[:]...), raw[:]...), 0, 1)
	if got := slices.Collect(m.AllNodes()); !slices.Equal(got, []Node{n4, n6}) {
		t.Errorf("nodes %v", got)
	}
	if len(m.Nodes) != NodeLen4 || len(m.Nodes6) != 2*NodeLen6 {
		t.Errorf("%d and %d bytes", len(m.Nodes), len(m.Nodes6))
	}
	v := Values(nil).Append(n4.Addr).Append(n6.Addr).Append(leak.Addr).Append(netip.AddrPort{})
	want := []netip.AddrPort{n4.Addr, n6.Addr, netip.MustParseAddrPort("10.1.2.3:1")}
	if got := slices.Collect(v.All()); !slices.Equal(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
}
