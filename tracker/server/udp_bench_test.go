package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

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
		if len(u.answer(0, packets[i%len(packets)], from, reply)) == 0 {
			b.Fatal("no answer")
		}
	}
}

// BenchmarkMillionPeers fills a tracker with 1,000,000 IPv4 peers in 100,000
// torrents, and then lets them announce again and again, while the memory is
// collected all the time. It reports the memory of a peer, the time that 99 % of
// the answers take at most, and the longest pause.
func BenchmarkMillionPeers(b *testing.B) {
	const numPeers, numTorrents = 1_000_000, 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newServer(b, Config{})
	u := newUDPHandlers(s, 1)[0]
	reply := make([]byte, 0, maxUDPReply)
	packet := make([]byte, 0, udp.AnnounceRequestLen)
	announce := func(peer uint32) {
		r := udp.AnnounceRequest{NumWant: 30, Port: 6881, Left: int64(peer % 5)}
		hash := rand.NewPCG(uint64(peer%numTorrents), 0)
		for i := range 2 {
			binary.BigEndian.PutUint64(r.InfoHash[4+8*i:], hash.Uint64())
		}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(peer >> 16), byte(peer >> 8), byte(peer)}), 6881)
		h := udp.RequestHeader{ConnectionID: u.ids.issue(0, from.Addr()), Action: udp.Announce}
		if len(u.handle(0, udp.AppendAnnounceRequest(udp.AppendRequestHeader(packet, h), &r), from, reply)) == 0 {
			b.Fatal("no answer")
		}
	}
	for peer := range uint32(numPeers) {
		announce(peer)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytesPerPeer := float64(after.HeapAlloc-before.HeapAlloc) / numPeers

	stop, collected := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(collected)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	took := make([]time.Duration, 1<<18) // of the last; to let it grow would be a pause itself
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; b.Loop(); i++ {
		peer, begin := r.Uint32N(numPeers), time.Now()
		announce(peer)
		took[i%len(took)] = time.Since(begin)
	}
	close(stop)
	<-collected
	var paused debug.GCStats
	debug.ReadGCStats(&paused) // the newest 256
	slices.Sort(took)
	b.ReportMetric(bytesPerPeer, "B/peer")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-us")
	slices.Sort(paused.Pause)
	b.ReportMetric(float64(paused.Pause[len(paused.Pause)/2])/1e3, "median-pause-us")
	b.ReportMetric(float64(paused.Pause[len(paused.Pause)-1])/1e3, "longest-pause-us")
}
