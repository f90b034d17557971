package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Peers that know only one other find all by peer exchange, at one message a
// minute for each connection.
func TestPEXFindsTheSwarm(t *testing.T) {
	const numPeers = 12
	for _, noPEX := range []bool{false, true} {
		w := newTestNet(t)
		for range numPeers {
			have := bitfield.NewFull(w.geo.NumPieces() - 1) // nobody has the last piece, so nobody ever leaves
			all := bitfield.New(w.geo.NumPieces())
			for piece := range have.Members() {
				all.Add(piece)
			}
			w.add(Config{Have: all, NoPEX: noPEX}, false)
		}
		for _, n := range w.nodes[1:] {
			w.connect(n, w.nodes[0])
		}
		const minutes = 4
		w.run(minutes*time.Minute, nil)
		for i, n := range w.nodes {
			if want := numPeers - 1; !noPEX && len(n.conns) != want {
				t.Errorf("peer %d has %d connections, want %d", i, len(n.conns), want)
			} else if noPEX && i > 0 && len(n.conns) != 1 {
				t.Errorf("peer %d has %d connections without PEX", i, len(n.conns))
			}
			if most := (minutes + 1) * (numPeers - 1); n.sent["pex"] > most || noPEX && n.sent["pex"] > 0 {
				t.Errorf("peer %d sent %d PEX messages, at most %d may be", i, n.sent["pex"], most)
			}
		}
	}
}

// pexWorld is an engine with many connections, whose PEX messages are kept.
type pexWorld struct {
	e     *Engine
	now   time.Duration
	conns []*Conn
	heard map[*Conn][]wire.PEX
}

func newPEXWorld(t testing.TB) *pexWorld {
	geo, err := metainfo.NewGeometry(16384, 16384)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(0, Config{Rand: rand.New(rand.NewPCG(1, 1)), Grants: new(freeGrants), Geometry: geo, MaxPeers: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return &pexWorld{e: e, heard: make(map[*Conn][]wire.PEX)}
}

// dialled adds a connection to a peer; with PEX if it announces that.
func (w *pexWorld) dialled(pex bool) *Conn {
	c := new(Conn)
	w.conns = append(w.conns, c)
	in := Input{Kind: InConnUp, Conn: c, Addr: netip.AddrPortFrom(ip(len(w.conns)), 6881), Extended: true}
	copy(in.PeerID[:], fmt.Sprint("peer", len(w.conns)))
	w.e.Receive(w.now, &in)
	if pex {
		w.say(c, wire.ExtHandshakeID, []byte("d1:md6:ut_pexi4eee"))
	}
	return c
}

func (w *pexWorld) say(c *Conn, extID uint8, payload []byte) {
	m := wire.Message{Type: wire.Extended, ExtID: extID, Payload: payload}
	w.e.Receive(w.now, &Input{Kind: InMessage, Conn: c, Message: m})
}

// run lets time go on; everybody is heard of.
func (w *pexWorld) run(until time.Duration) {
	for ; w.now <= until; w.now += rechokeEvery {
		for _, c := range w.e.conns {
			c.lastHeard = w.now
		}
		w.e.Advance(w.now)
		for out, ok := w.e.Next(); ok; out, ok = w.e.Next() {
			if out.Kind == OutMessage && out.Message.ExtID == 4 {
				p, _ := wire.ParsePEX(out.Message.Payload)
				w.heard[out.Conn] = append(w.heard[out.Conn], p)
			}
		}
	}
}

// BEP 11: fifty added and fifty dropped in a message, more in the first; what
// does not fit comes a minute later, and nothing twice.
func TestPEXMessagesAreBounded(t *testing.T) {
	w := newPEXWorld(t)
	listener := w.dialled(true)
	for range 170 {
		w.dialled(false)
	}
	w.run(3 * time.Minute)
	for _, c := range w.conns[1:121] {
		w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: c})
	}
	w.run(10 * time.Minute)
	var sizes []string
	known := make(map[netip.AddrPort]bool)
	for _, p := range w.heard[listener] {
		sizes = append(sizes, fmt.Sprintf("+%d -%d", len(p.Added), len(p.Dropped)))
		for _, peer := range p.Added {
			if known[peer.Addr] {
				t.Errorf("%v is added twice", peer.Addr)
			}
			known[peer.Addr] = true
		}
		for _, addr := range p.Dropped {
			if !known[addr] {
				t.Errorf("%v is dropped and was not there", addr)
			}
			delete(known, addr)
		}
	}
	if want := []string{"+100 -0", "+50 -0", "+20 -0", "+0 -50", "+0 -50", "+0 -20"}; !slices.Equal(sizes, want) {
		t.Errorf("the messages are %v, want %v", sizes, want)
	}
	if len(known) != 50 {
		t.Errorf("%d are known in the end, want 50", len(known))
	}
}

// A swarm of liars cannot fill the book: what the tracker says has its place.
func TestPEXCannotFillTheBook(t *testing.T) {
	w := newPEXWorld(t)
	flooders := make([]*Conn, 40)
	for i := range flooders {
		flooders[i] = w.dialled(true)
	}
	next := uint32(0)
	for minute := range 60 {
		for _, c := range flooders {
			var p wire.PEX
			for range wire.MaxPEXPeers {
				next++
				addr := netip.AddrFrom4([4]byte{99, byte(next >> 16), byte(next >> 8), byte(next)})
				p.Added = append(p.Added, wire.PEXPeer{Addr: netip.AddrPortFrom(addr, 6881)})
			}
			w.say(c, pexExtID, wire.AppendPEX(nil, p))
		}
		w.run(time.Duration(minute+1) * time.Minute)
	}
	checkBook(t, w.e)
	if n := w.e.book.numOf[SourcePEX]; n != maxKnownUnvouched {
		t.Errorf("%d addresses from PEX, want %d", n, maxKnownUnvouched)
	}
	var addrs []netip.AddrPort
	for i := range maxKnownPerSource {
		addrs = append(addrs, netip.AddrPortFrom(ip(10_000+i), 1))
	}
	w.e.Receive(w.now, &Input{Kind: InPeers, Addrs: addrs, Source: SourceTracker})
	if n := w.e.book.numOf[SourceTracker]; n != maxKnownPerSource {
		t.Errorf("%d addresses of the tracker found a place, want %d", n, maxKnownPerSource)
	}
	if found := w.e.Stats(0).Found; found[SourcePEX] != maxKnownUnvouched || found[SourceTracker] != maxKnownPerSource {
		t.Errorf("%v addresses were found, by their sources", found)
	}
	// One that failed makes room for another.
	for _, k := range w.e.book.entries {
		if k.source == SourcePEX && k.state == knownDialing {
			w.e.Receive(w.now, &Input{Kind: InDialFailed, Addr: w.e.book.addrOf(&k)})
			break
		}
	}
	fresh := netip.MustParseAddrPort("98.1.1.1:1")
	w.now += time.Minute
	w.say(flooders[0], pexExtID, wire.AppendPEX(nil, wire.PEX{Added: []wire.PEXPeer{{Addr: fresh}}}))
	if w.e.book.find(fresh) == nil || w.e.book.numOf[SourcePEX] != maxKnownUnvouched {
		t.Errorf("no room was made: %d addresses from PEX", w.e.book.numOf[SourcePEX])
	}
}

// BenchmarkPEX is what a minute of peer exchange costs with 200 connections,
// of which ten have changed: 200 messages.
func BenchmarkPEX(b *testing.B) {
	w := newPEXWorld(b)
	for range 200 {
		w.dialled(true)
	}
	w.run(time.Minute)
	messages := 0
	for b.Loop() {
		for range 10 {
			w.e.Receive(w.now, &Input{Kind: InConnDown, Conn: w.e.conns[0]})
			w.dialled(true)
		}
		clear(w.heard)
		w.run(w.now + time.Minute)
		for _, list := range w.heard {
			messages += len(list)
		}
	}
	b.ReportMetric(float64(messages)/float64(b.N), "messages/op")
}
