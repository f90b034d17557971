package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// chokeWorld is an engine with interested peers; it adds up for how long each
// address is unchoked.
type chokeWorld struct {
	t        *testing.T
	e        *Engine
	now      time.Duration
	numPeers int
	served   map[netip.Addr]time.Duration
}

func newChokeWorld(t *testing.T, seed bool, cfg Config) *chokeWorld {
	if cfg.Geometry.IsZero() {
		cfg.Geometry = geometryOf(t, 100*16384, 16384)
	}
	cfg.Grants = new(freeGrants)
	cfg.Rand = rand.New(rand.NewPCG(3, 3))
	cfg.Have = bitfield.New(cfg.Geometry.NumPieces())
	cfg.Have.Add(0)
	if seed {
		cfg.Have.Fill()
	}
	e, err := New(0, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &chokeWorld{t: t, e: e, served: make(map[netip.Addr]time.Duration)}
}

func geometryOf(t *testing.T, totalLen, pieceLen int64) metainfo.Geometry {
	geo, err := metainfo.NewGeometry(totalLen, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	return geo
}

// join connects a peer from an address and makes it interested.
func (w *chokeWorld) join(ip netip.Addr) *Conn {
	w.numPeers++
	in := Input{Kind: InConnUp, Conn: new(Conn), Addr: netip.AddrPortFrom(ip, 6881), Incoming: true}
	copy(in.PeerID[:], fmt.Sprint("peer", w.numPeers))
	w.e.Receive(w.now, &in)
	w.say(in.Conn, wire.Interested)
	return in.Conn
}

func (w *chokeWorld) say(c *Conn, kind wire.Type) {
	w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{Type: kind}})
	w.drain()
}

func (w *chokeWorld) drain() {
	for _, ok := w.e.Next(); ok; _, ok = w.e.Next() {
	}
}

// run lets time go on second by second. Each second every peer is heard of.
func (w *chokeWorld) run(until time.Duration, each func()) {
	for ; w.now < until; w.now += time.Second {
		if at, ok := w.e.NextTimeout(); ok && at <= w.now {
			w.e.Advance(w.now)
		}
		for _, c := range w.e.conns {
			c.lastHeard = w.now
			if c.unchoked {
				w.served[c.addr.Addr()] += time.Second
			}
		}
		if each != nil {
			each()
		}
		w.drain()
	}
}

func ip(i int) netip.Addr { return netip.AddrFrom4([4]byte{20, 0, byte(i >> 8), byte(i)}) }

// TestIdlePeersAreTreatedAlike: over 1,800 s, 20 peers that send nothing get
// the same time within 2 %, from a seed and from a leecher.
func TestIdlePeersAreTreatedAlike(t *testing.T) {
	for _, seed := range []bool{true, false} {
		w := newChokeWorld(t, seed, Config{UploadSlots: 4})
		for i := range 20 {
			w.join(ip(i))
		}
		w.run(1800*time.Second, nil)
		var sum, least, most time.Duration
		for i := range 20 {
			d := w.served[ip(i)]
			if i == 0 || d < least {
				least = d
			}
			most, sum = max(most, d), sum+d
		}
		mean := sum / 20
		if most-mean > mean/50 || mean-least > mean/50 {
			t.Errorf("seed=%v: between %v and %v around %v", seed, least, most, mean)
		}
		if full := 4 * 1790 * time.Second; sum < full {
			t.Errorf("seed=%v: the slots were used for %v, want %v", seed, sum, full)
		}
	}
}

// TestReconnectingGainsNothing: three of twenty peers leave and come back
// whenever they are choked; they get no more than their share.
func TestReconnectingGainsNothing(t *testing.T) {
	w := newChokeWorld(t, true, Config{UploadSlots: 4})
	conns := make([]*Conn, 20)
	for i := range conns {
		conns[i] = w.join(ip(i))
	}
	w.run(1800*time.Second, func() {
		for i := range 3 {
			if c := conns[i]; !c.unchoked && w.now%(5*time.Second) == 0 {
				w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: conns[i]})
				conns[i] = w.join(ip(i))
			}
		}
	})
	var honest time.Duration
	for i := 3; i < 20; i++ {
		honest += w.served[ip(i)] / 17
	}
	for i := range 3 {
		if got := w.served[ip(i)]; got > honest*105/100 {
			t.Errorf("peer %d reconnects and gets %v, the honest get %v", i, got, honest)
		}
	}
}

// TestNewcomersStartInFrontThreeTimesAsOften: BEP 3 of where a new connection
// enters the rotation.
func TestNewcomersStartInFrontThreeTimesAsOften(t *testing.T) {
	const runs, others = 4000, 5
	front := 0
	w := newChokeWorld(t, true, Config{UploadSlots: 1})
	for i := range others {
		w.join(ip(i))
		w.e.choker.toEnd(w.e.conns[i])
	}
	for i := range runs {
		c, first := w.join(ip(1000+i)), true
		for _, other := range w.e.conns {
			first = first && (other == c || c.turn < other.turn)
		}
		if first {
			front++
		}
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: c})
	}
	// 3 chances in 8, give or take five standard deviations.
	if want := runs * 3 / (others + 3); front < want-155 || front > want+155 {
		t.Errorf("%d of %d newcomers stand in front, want about %d", front, runs, want)
	}
}

// TestTitForTat: the peers that send most hold the regular slots, and one slot
// goes round among the others.
func TestTitForTat(t *testing.T) {
	w := newChokeWorld(t, false, Config{UploadSlots: 4})
	conns := make([]*Conn, 12)
	for i := range conns {
		conns[i] = w.join(ip(i))
	}
	w.run(900*time.Second, func() {
		for i := range 5 { // peer 0 sends most, peer 5 and the rest nothing
			conns[i].down.add(w.now, 1000*(5-i))
		}
	})
	for i := range 3 {
		if got := w.served[ip(i)]; got < 850*time.Second {
			t.Errorf("peer %d, one of the three best, was served %v of 900s", i, got)
		}
	}
	for i := 3; i < 12; i++ {
		if got := w.served[ip(i)]; got < 60*time.Second || got > 200*time.Second {
			t.Errorf("peer %d, which takes turns with eight others, was served %v of 900s", i, got)
		}
	}
}

// TestATurnEndsWithAPiece: who is in the middle of a piece when its time is over
// gets the rest of it, and nothing of the next; but not for ever.
func TestATurnEndsWithAPiece(t *testing.T) {
	for _, takes := range []bool{true, false} {
		w := newChokeWorld(t, true, Config{UploadSlots: 1, Geometry: geometryOf(t, 8*65536, 65536)})
		a := w.join(ip(0))
		w.join(ip(1))
		if !a.unchoked {
			t.Fatal("the first peer is not unchoked")
		}
		for block := range uint32(6) {
			w.e.Receive(w.now, &Input{Kind: InMessage, Conn: a, Message: wire.Message{
				Type: wire.Request, Index: block / 4, Begin: block % 4 * 16384, Length: 16384}})
		}
		credit := func() { w.e.Receive(w.now, &Input{Kind: InCredit, Conn: a, Length: 16384}) }
		credit()
		w.run(45*time.Second, nil)
		if !a.unchoked || a.uploaded != 16384 {
			t.Fatalf("after its time: unchoked=%v, it has got %d bytes", a.unchoked, a.uploaded)
		}
		for range 5 {
			if takes {
				credit()
			}
		}
		w.run(130*time.Second, nil)
		if want := map[bool]int64{true: 65536, false: 16384}[takes]; a.uploaded != want {
			t.Errorf("takes=%v: it got %d bytes, want %d", takes, a.uploaded, want)
		}
		if got := w.served[ip(1)]; takes && got < 50*time.Second || got == 0 {
			t.Errorf("takes=%v: the other was served for %v", takes, got)
		}
	}
}

// TestAStarterWaitsForAPieceOnly: while somebody waits who has nothing, a turn is a
// piece. When all had one, turns are as long as ever.
func TestAStarterWaitsForAPieceOnly(t *testing.T) {
	w := newChokeWorld(t, true, Config{UploadSlots: 1, Geometry: geometryOf(t, 8*65536, 65536)})
	a, b := w.join(ip(0)), w.join(ip(1))
	take := func(c *Conn) {
		for block := range uint32(8) {
			w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: wire.Message{
				Type: wire.Request, Index: block / 4, Begin: block % 4 * 16384, Length: 16384}})
			w.e.Receive(w.now, &Input{Kind: InCredit, Conn: c, Length: 16384})
		}
		w.drain()
	}
	if take(a); a.unchoked || !b.unchoked || a.uploaded != 65536 {
		t.Fatalf("after a piece: unchoked %v and %v, %d bytes", a.unchoked, b.unchoked, a.uploaded)
	}
	if take(b); !b.unchoked || b.uploaded != 2*65536 {
		t.Errorf("the other has had a piece: unchoked %v, %d bytes", b.unchoked, b.uploaded)
	}
}

// TestSlotsAdapt: with receivers that take little, slots are opened until the
// uplink is filled; then no more.
func TestSlotsAdapt(t *testing.T) {
	const capacity, each = 100_000, 10_000 // bytes/s
	w := newChokeWorld(t, true, Config{UploadCapacity: capacity})
	for i := range 60 {
		w.join(ip(i))
	}
	if n := w.e.usedSlots(); n != slotsFor(capacity) {
		t.Fatalf("%d slots to begin with, want %d", n, slotsFor(capacity))
	}
	w.run(300*time.Second, func() {
		w.e.choker.sent += int64(min(capacity, each*w.e.usedSlots()))
	})
	if n := w.e.usedSlots(); n < 9 || n > 12 {
		t.Errorf("%d slots, want about 10", n)
	}
}

// TestFasterUninterestedPeerTakesTheWorstSlot: BEP 3's rule for peers that
// send well and want nothing yet.
func TestFasterUninterestedPeerTakesTheWorstSlot(t *testing.T) {
	w := newChokeWorld(t, false, Config{UploadSlots: 3})
	conns := []*Conn{w.join(ip(0)), w.join(ip(1)), w.join(ip(2)), w.join(ip(3))}
	w.say(conns[3], wire.NotInterested)
	w.run(25*time.Second, func() {
		for i, rate := range []int{500, 400, 0, 1000} {
			conns[i].down.add(w.now, rate)
		}
	})
	if !conns[3].unchoked {
		t.Fatal("the fastest peer, not interested, is choked")
	}
	w.say(conns[3], wire.Interested)
	if conns[1].unchoked || !conns[0].unchoked || !conns[3].unchoked {
		t.Error("it became interested: the slowest of the regular slots should be choked")
	}
}

// TestMemoryOfPlacesIsBounded: the places of addresses that left are.
func TestMemoryOfPlacesIsBounded(t *testing.T) {
	w := newChokeWorld(t, true, Config{UploadSlots: 1})
	for i := range maxRemembered + 500 {
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: w.join(ip(i))})
		w.drain()
	}
	if n := len(w.e.choker.memory); n != maxRemembered {
		t.Errorf("%d places are remembered, want %d", n, maxRemembered)
	}
}
