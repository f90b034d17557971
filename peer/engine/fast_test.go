package engine

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// TestAllowedFastSet holds the algorithm to the example results of BEP 6.
func TestAllowedFastSet(t *testing.T) {
	var infoHash metainfo.InfoHash
	for i := range infoHash {
		infoHash[i] = 0xaa
	}
	ip := netip.MustParseAddr("80.4.4.200")
	want := []int32{1059, 431, 808, 1217, 287, 376, 1188, 353, 508}
	for _, k := range []int{7, 9} {
		if got := allowedFastSet(infoHash, ip, k, 1313); !slices.Equal(got, want[:k]) {
			t.Errorf("k=%d: %v, want %v", k, got, want[:k])
		}
	}
	if got := allowedFastSet(infoHash, ip, 10, 3); len(got) != 3 {
		t.Errorf("three pieces: %v, want each once", got)
	}
	if got := allowedFastSet(infoHash, netip.MustParseAddr("2001:db8::1"), 10, 1313); got != nil {
		t.Errorf("IPv6: %v, want none", got)
	}
	if got := allowedFastSet(infoHash, netip.MustParseAddr("::ffff:80.4.4.200"), 7, 1313); !slices.Equal(got, want[:7]) {
		t.Errorf("IPv4 in IPv6: %v, want %v", got, want[:7])
	}
}

// TestACrowdIsNotOfferedPiecesWhileChoked: by a seed. Two of those who come at once are,
// and the next one when a starter has got what it needs.
func TestACrowdIsNotOfferedPiecesWhileChoked(t *testing.T) {
	testCrowd(t, true, 0)
	testCrowd(t, false, allowedFastPieces)
}

// testCrowd: the third of a crowd is offered so many pieces.
func testCrowd(t *testing.T, seed bool, ofThird int) {
	w := newChokeWorld(t, seed, Config{UploadSlots: 1})
	join := func(i int) *Conn {
		in := Input{Kind: InConnUp, Conn: new(Conn), Addr: netip.AddrPortFrom(ip(i), 6881), Incoming: true, Fast: true}
		in.PeerID[0] = byte(i + 1)
		w.e.Receive(w.now, &in)
		w.say(in.Conn, wire.HaveNone)
		return in.Conn
	}
	offered := func(c *Conn) int { return len(c.seldomUsed().offered) }
	first, second, third := join(0), join(1), join(2)
	if offered(first) != allowedFastPieces || offered(second) != allowedFastPieces || offered(third) != ofThird {
		t.Fatalf("seed=%v: offered %d, %d and %d pieces", seed, offered(first), offered(second), offered(third))
	}
	for piece := range uint32(allowedFastPieces + 1) {
		w.e.Receive(w.now, &Input{Kind: InMessage, Conn: first, Message: wire.Message{Type: wire.Have, Index: piece}})
	}
	if fourth := join(3); offered(fourth) != allowedFastPieces {
		t.Error("the first has all it needs, and the next is offered nothing")
	}
}
