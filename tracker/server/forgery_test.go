package server

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker/udp"
)

// replyTo sends a whole announce with some connection id from an address,
// and returns the reply.
func (a *asker) replyTo(id uint64, from netip.AddrPort) []byte {
	h := udp.RequestHeader{ConnectionID: id, Action: udp.Announce, TransactionID: 7}
	packet := udp.AppendAnnounceRequest(udp.AppendRequestHeader(nil, h), &udp.AnnounceRequest{InfoHash: [20]byte([]byte(hashA)), Port: 1, Left: 1})
	return a.u.answer(a.now, packet, from, make([]byte, 0, maxUDPReply))
}

var (
	forger = netip.MustParseAddrPort("192.0.2.66:6881")
	victim = netip.MustParseAddrPort("192.0.2.1:6881")
)

// Who announces in the name of another address needs an id that was issued to
// it. He cannot guess one: not at random, not near one of his own, not one of
// another address, another time or another tracker.
func TestForgedConnectionIDs(t *testing.T) {
	a, other := newAsker(t, Config{}), newAsker(t, Config{})
	a.now = time.Hour
	own := a.u.ids.issue(a.now, forger.Addr())
	if len(a.replyTo(own, forger)) == 0 {
		t.Fatal("his own id is refused")
	}
	guesses := map[string]uint64{
		"none": 0, "the protocol's": udp.ProtocolID, "his own": own,
		"another tracker's": other.u.ids.issue(a.now, victim.Addr()),
		"of the future":     a.u.ids.issue(a.now+idTick, victim.Addr()),
		"too old":           a.u.ids.issue(a.now-(maxIDAge+1)*idTick, victim.Addr()),
		"of 256 ticks ago":  a.u.ids.issue(a.now-256*idTick, victim.Addr()),
		"of the mapped":     a.u.ids.issue(a.now, netip.AddrFrom16(netip.MustParseAddr("::ffff:0:192.0.2.1").As16())),
	}
	for what, id := range guesses {
		if reply := a.replyTo(id, victim); len(reply) > 0 {
			t.Errorf("%s: %x", what, reply)
		}
	}
	for bit := range 64 {
		if reply := a.replyTo(own^1<<bit, victim); len(reply) > 0 {
			t.Errorf("his own with bit %d flipped: %x", bit, reply)
		}
		if reply := a.replyTo(own^1<<bit, forger); len(reply) > 0 {
			t.Errorf("his own with bit %d flipped, from himself: %x", bit, reply)
		}
	}
	r := rand.New(rand.NewPCG(2, 3))
	const numGuesses = 500_000
	for range numGuesses {
		id := r.Uint64()&^0xff | uint64(uint8(tickOf(a.now))) // the last byte is no secret
		if reply := a.replyTo(id, victim); len(reply) > 0 {
			t.Fatalf("guessed %x: %x", id, reply)
		}
	}
	if n := a.u.server.Stats().Leechers; n != 1 {
		t.Errorf("%d peers are listed, not the forger alone", n)
	}
}

// An id that is replayed by its owner is good for as long as clients keep one,
// and no longer; from the same address with another port it is good, too, for
// there are NATs that change it.
func TestReplayedConnectionIDs(t *testing.T) {
	a := newAsker(t, Config{})
	id := a.u.ids.issue(0, victim.Addr())
	for minute := range 12 {
		a.now = time.Duration(minute) * idTick
		if got, want := len(a.replyTo(id, victim)) > 0, minute <= maxIDAge; got != want {
			t.Errorf("after %d minutes: answered %v", minute, got)
		}
	}
	a.now = 0
	if len(a.replyTo(id, netip.AddrPortFrom(victim.Addr(), 9))) == 0 {
		t.Error("from another port it is refused")
	}
}
