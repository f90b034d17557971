package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/swarm"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// The load of the benchmarks over real sockets: a million peers in a hundred
// thousand torrents, who announce again.
const (
	loadTorrents = 100_000
	loadPeers    = 10 // of each torrent
	loadNumWant  = 30
	// How long the largest rate is looked for, and half of it kept up.
	loadSearch, loadRun = 4 * time.Second, 8 * time.Second
	// loadTick is the time between two bursts of a sender; it is far below the
	// latency that is looked for.
	loadTick = time.Millisecond
)

func loadHash(torrent int) (h metainfo.InfoHash) {
	r := rand.NewPCG(uint64(torrent), 7)
	binary.BigEndian.PutUint64(h[:], r.Uint64())
	binary.BigEndian.PutUint64(h[8:], r.Uint64())
	binary.BigEndian.PutUint32(h[16:], uint32(r.Uint64()))
	return h
}

// newLoaded returns a tracker with all peers, which have the address of the
// senders.
func newLoaded(b *testing.B) *Server {
	s := newServer(b, Config{})
	var peers swarm.Peers
	for torrent := range loadTorrents {
		h := loadHash(torrent)
		for port := range uint16(loadPeers) {
			peers.Reset()
			s.store.announce(s.now(), &tracker.Request{InfoHash: h, Left: int64(port % 5), NumWant: 0,
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port+1)}, &peers)
		}
	}
	if st := s.Stats(); st.Torrents != loadTorrents || st.Peers4 != loadTorrents*loadPeers {
		b.Fatalf("%+v", st)
	}
	return s
}

// load sends requests by several senders.
type load struct {
	numSenders int
	bytes      atomic.Int64 // of the answers
}

// schedule says when a sender is to send. Without rate it sends as soon as
// there is room.
type schedule struct {
	begin time.Time
	end   time.Time
	rate  float64 // a second, of this sender
}

// due is how many requests are to be sent up to a time.
func (s *schedule) due(now time.Time) int { return int(now.Sub(s.begin).Seconds() * s.rate) }

// at is when the nth request is to be sent, to the tick.
func (s *schedule) at(n int) time.Time {
	at := time.Duration(float64(n) / s.rate * float64(time.Second))
	return s.begin.Add((at + loadTick - 1).Truncate(loadTick))
}

// measure runs senders at their largest rate and then at half of it, and reports
// the rates, the latencies at half, and the longest pause for the collector,
// which works all the time.
func (l *load) measure(b *testing.B, send func(schedule) []time.Duration) {
	defer collectAlways()()
	before := gcPauses()
	for b.Loop() {
		most := l.run(0, loadSearch, send)
		rate := float64(len(most)) / loadSearch.Seconds()
		l.bytes.Store(0)
		half := l.run(rate/2, loadRun, send)
		if len(half) == 0 {
			b.Fatal("no answers")
		}
		slices.Sort(half)
		quantile := func(q float64) float64 { return half[min(int(q*float64(len(half))), len(half)-1)].Seconds() * 1000 }
		b.ReportMetric(rate, "max/s")
		b.ReportMetric(float64(len(half))/loadRun.Seconds(), "half/s")
		b.ReportMetric(quantile(0.5), "p50-ms")
		b.ReportMetric(quantile(0.99), "p99-ms")
		b.ReportMetric(quantile(0.999), "p99.9-ms")
		b.ReportMetric(float64(l.bytes.Load())/float64(len(half)), "B/response")
	}
	b.ReportMetric(longestSince(before)*1000, "pause-ms")
	b.ReportMetric(0, "ns/op")
}

func (l *load) run(rate float64, length time.Duration, send func(schedule) []time.Duration) (all []time.Duration) {
	begin := time.Now()
	s := schedule{begin: begin, end: begin.Add(length), rate: rate / float64(l.numSenders)}
	latencies := make([][]time.Duration, l.numSenders)
	var sending sync.WaitGroup
	for i := range l.numSenders {
		sending.Go(func() { latencies[i] = send(s) })
	}
	sending.Wait()
	return slices.Concat(latencies...)
}

// collectAlways has the memory collected again and again until the function that
// it returns is called: a tracker at rest allocates too little for that.
func collectAlways() (stop func()) {
	done := make(chan struct{})
	var collecting sync.WaitGroup
	collecting.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				runtime.GC()
			}
		}
	})
	return func() { close(done); collecting.Wait() }
}

func gcPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// longestSince is the upper end, in seconds, of the highest bucket in which
// there are more pauses now.
func longestSince(before *metrics.Float64Histogram) (longest float64) {
	now := gcPauses()
	for i, count := range now.Counts {
		if count > before.Counts[i] {
			longest = now.Buckets[i+1]
		}
	}
	if math.IsInf(longest, 1) {
		longest = now.Buckets[len(now.Buckets)-2]
	}
	return longest
}

// BenchmarkLoadUDP needs a machine that does nothing else:
//
//	go test -run=^$ -bench=Load -benchtime=1x ./tracker/server
func BenchmarkLoadUDP(b *testing.B) {
	s := newLoaded(b)
	l, err := ListenUDP(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.RunUDP(ctx, l) }()
	load := load{numSenders: 4}
	load.measure(b, func(plan schedule) []time.Duration { return load.sendUDP(b, l.Addr(), plan) })
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// udpWindow is how many requests of a sender without a rate wait for their
// answers.
const udpWindow = 64

// udpSender is a socket. A transaction id is the number of its request. With a
// rate, one goroutine sends and another receives; without, each answer has the
// next request sent.
type udpSender struct {
	conn   net.Conn
	id     uint64
	rand   *rand.Rand
	packet []byte
	sentAt []atomic.Int64 // in a ring, by transaction, in nanoseconds after the beginning
	plan   schedule
}

func (l *load) sendUDP(b *testing.B, to netip.AddrPort, plan schedule) (latencies []time.Duration) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		b.Error(err)
		return nil
	}
	defer conn.Close()
	conn.Write(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID}))
	reply := make([]byte, 2048)
	// The last answers come within a second, or are lost.
	conn.SetReadDeadline(plan.end.Add(time.Second))
	if n, err := conn.Read(reply); err != nil || n != udp.ConnectResponseLen {
		b.Errorf("connect: %x, %v", reply[:n], err)
		return nil
	}
	u := &udpSender{conn: conn, id: binary.BigEndian.Uint64(reply[8:]), rand: rand.New(rand.NewPCG(rand.Uint64(), 0)),
		sentAt: make([]atomic.Int64, 1<<16), plan: plan}
	var sending sync.WaitGroup
	defer sending.Wait()
	numSent := udpWindow
	if plan.rate > 0 {
		sending.Go(u.sendAtRate)
	} else {
		u.sendUpTo(0, numSent)
	}
	for {
		n, err := conn.Read(reply)
		now := time.Now()
		if err != nil || plan.rate == 0 && now.After(plan.end) {
			return latencies
		}
		sent := u.sentAt[binary.BigEndian.Uint32(reply[4:])%uint32(len(u.sentAt))].Load()
		latencies = append(latencies, now.Sub(plan.begin)-time.Duration(sent))
		l.bytes.Add(int64(n))
		if plan.rate == 0 {
			u.sendUpTo(numSent, numSent+1)
			numSent++
		}
	}
}

// sendAtRate sends what is due at each tick.
func (u *udpSender) sendAtRate() {
	ticker := time.NewTicker(loadTick)
	defer ticker.Stop()
	for n := 0; ; <-ticker.C {
		now := time.Now()
		if now.After(u.plan.end) {
			return
		}
		due := max(n, u.plan.due(now))
		u.sendUpTo(n, due)
		n = due
	}
}

// sendUpTo sends the requests from n to before end.
func (u *udpSender) sendUpTo(n, end int) {
	for ; n < end; n++ {
		at := time.Now()
		if u.plan.rate > 0 {
			at = u.plan.at(n)
		}
		u.sentAt[uint32(n)%uint32(len(u.sentAt))].Store(int64(at.Sub(u.plan.begin)))
		h := udp.RequestHeader{ConnectionID: u.id, Action: udp.Announce, TransactionID: uint32(n)}
		port := uint16(u.rand.IntN(loadPeers))
		u.packet = udp.AppendAnnounceRequest(udp.AppendRequestHeader(u.packet[:0], h), &udp.AnnounceRequest{
			InfoHash: loadHash(u.rand.IntN(loadTorrents)), Port: port + 1, Left: int64(port % 5), NumWant: loadNumWant})
		u.conn.Write(u.packet)
	}
}

// BenchmarkLoadHTTP is the same over HTTP, on connections that are kept.
func BenchmarkLoadHTTP(b *testing.B) {
	s := newLoaded(b)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	load := load{numSenders: 32}
	load.measure(b, func(plan schedule) []time.Duration { return load.sendHTTP(b, ln.Addr().String(), plan) })
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

func (l *load) sendHTTP(b *testing.B, to string, plan schedule) (latencies []time.Duration) {
	conn, err := net.Dial("tcp", to)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer conn.Close()
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	answers := bufio.NewReader(conn)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var request []byte
	for n := 0; ; n++ {
		at := time.Now()
		if plan.rate > 0 {
			at = plan.at(n)
			timer.Reset(time.Until(at))
			<-timer.C
		}
		if at.After(plan.end) {
			return latencies
		}
		h, port := loadHash(r.IntN(loadTorrents)), r.IntN(loadPeers)
		request = append(request[:0], "GET /announce?info_hash="...)
		for _, c := range h {
			request = fmt.Appendf(request, "%%%02x", c)
		}
		request = fmt.Appendf(request, "&peer_id=-SH0000-aaaaaaaaaaaa&port=%d&left=%d&numwant=%d&compact=1 HTTP/1.1\r\nHost: tracker\r\n\r\n", port+1, port%5, loadNumWant)
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return latencies
		}
		numBytes, err := skipResponse(answers)
		if err != nil {
			b.Error(err)
			return latencies
		}
		latencies = append(latencies, time.Since(at))
		l.bytes.Add(int64(numBytes))
	}
}

// skipResponse reads a response and returns the length of its body.
func skipResponse(r *bufio.Reader) (bodyLen int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if bodyLen, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	if _, err := r.Discard(bodyLen); err != nil {
		return 0, err
	}
	return bodyLen, nil
}
