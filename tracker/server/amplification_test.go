package server

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/swarm"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// A source that has shown no connection id may be forged: whatever it sends, it
// gets no byte more than it sent. Packet by packet, over everything that a
// packet may be: well made ones, ones that are cut off, with a bit flipped or
// more behind them, and noise; in a tracker with a full swarm, an open one and a
// private one.
func TestNoAmplification(t *testing.T) {
	const numPackets = 50_000
	for name, cfg := range map[string]Config{
		"open": {}, "private": {Private: &fakePrivate{key: "sesame"}}, "whitelist": {Whitelist: NewTorrentList()},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAsker(t, cfg)
			for port := range uint16(300) {
				req := tracker.Request{InfoHash: [20]byte([]byte(hashA)), Addr: netip.AddrPortFrom(someone4.Addr(), port+1), Left: 1}
				a.u.server.store.announce(a.now, &req, new(swarm.Peers))
			}
			r := rand.New(rand.NewPCG(1, 5))
			numAnswered, worst := 0, 0.0
			for range numPackets {
				packet := strangerPacket(r)
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}), uint16(r.IntN(1<<16)))
				reply := a.u.answer(a.now, packet, from, make([]byte, 0, maxUDPReply))
				if len(reply) > 0 {
					numAnswered++
				}
				if factor := float64(len(reply)) / float64(max(len(packet), 1)); factor > worst {
					worst = factor
				}
				if len(reply) > len(packet) {
					t.Fatalf("%d bytes for %x, which has %d: %x", len(reply), packet, len(packet), reply)
				}
			}
			if numAnswered == 0 {
				t.Error("nothing was answered, not even a connect")
			}
			t.Logf("%d of %d packets answered, the largest factor is %.2f", numAnswered, numPackets, worst)
		})
	}
}

// strangerPacket is what somebody sends who has no connection id.
func strangerPacket(r *rand.Rand) []byte {
	h := udp.RequestHeader{ConnectionID: r.Uint64(), Action: udp.Action(r.IntN(5)), TransactionID: r.Uint32()}
	switch r.IntN(4) {
	case 0:
		h.ConnectionID = udp.ProtocolID
	case 1:
		h.ConnectionID = 0
	}
	packet := udp.AppendRequestHeader(nil, h)
	switch h.Action {
	case udp.Announce:
		packet = udp.AppendAnnounceRequest(packet, &udp.AnnounceRequest{InfoHash: [20]byte([]byte(hashA)), Port: 1, NumWant: -1, Left: 1})
		if r.IntN(2) == 0 {
			packet = udp.AppendURLData(packet, "/sesame/announce")
		}
	case udp.Scrape:
		for range r.IntN(80) {
			packet = append(packet, hashA...)
		}
	}
	switch r.IntN(8) {
	case 0:
		packet = packet[:r.IntN(len(packet)+1)]
	case 1:
		packet[r.IntN(len(packet))] ^= 1 << r.IntN(8)
	case 2:
		packet = append(packet, make([]byte, r.IntN(200))...)
	case 3:
		for i := range packet {
			packet[i] = byte(r.Uint32())
		}
	}
	return packet
}

// The same through the sockets of a tracker that runs: what the kernel brings
// back for a packet is all that is counted. A connect behind each packet, whose
// answer is known by its transaction id, tells when there is nothing more.
func TestNoAmplificationOverSockets(t *testing.T) {
	const numPackets = 2000
	const fence = 0xfe9ce000 // and the number of the packet
	l, err := ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Config{})
	serveUntilEnd(t, func(ctx context.Context) error { return s.RunUDP(ctx, l) })
	conn, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	r := rand.New(rand.NewPCG(6, 7))
	reply := make([]byte, 4096)
	numSent, numReceived := 0, 0
	for i := range uint32(numPackets) {
		packet := strangerPacket(r)
		conn.Write(packet)
		conn.Write(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID, TransactionID: fence + i}))
		replyLen := 0
		for {
			n, err := conn.Read(reply)
			if err != nil {
				t.Fatal(err)
			}
			if h, _, _ := udp.ParseResponseHeader(reply[:n]); h.TransactionID == fence+i {
				break
			}
			replyLen += n
		}
		if replyLen > len(packet) {
			t.Fatalf("%d bytes for %x, which has %d", replyLen, packet, len(packet))
		}
		numSent, numReceived = numSent+len(packet), numReceived+replyLen
	}
	t.Logf("%d bytes sent, %d received: a factor of %.4f", numSent, numReceived, float64(numReceived)/float64(numSent))
}
