package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/shoal-bt/shoal/tracker/udp"
)

// BenchmarkUDPAnnounce is a packet and its answer without the sockets, at the
// load of the bars: 10,000 torrents, 100,000 peers, 30 peers wanted.
func BenchmarkUDPAnnounce(b *testing.B) {
	s := newServer(b, Config{})
	u := newUDPHandlers(s, 1)[0]
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 8, 9999)
	from := netip.MustParseAddrPort("127.0.0.1:5000")
	id := u.ids.issue(0, from.Addr())
	reply := make([]byte, 0, maxUDPReply)
	packets := make([][]byte, 200_000)
	for i := range packets {
		announce := udp.AnnounceRequest{NumWant: 30, Port: uint16(1024 + r.IntN(60000)), Left: int64(r.IntN(5))}
		binary.BigEndian.PutUint64(announce.InfoHash[:], rand.NewPCG(zipf.Uint64(), 0).Uint64())
		announce.InfoHash[19] = announce.InfoHash[0]
		h := udp.RequestHeader{ConnectionID: id, Action: udp.Announce}
		packets[i] = udp.AppendAnnounceRequest(udp.AppendRequestHeader(nil, h), &announce)
		u.handle(0, packets[i], from, reply)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if len(u.handle(0, packets[i%len(packets)], from, reply)) == 0 {
			b.Fatal("no answer")
		}
	}
}
