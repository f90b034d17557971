//go:build unix

package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
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

// load is what a generator of requests is to do. It is a process of its own:
// its processor time, and the pauses of its collector, are not the tracker's.
type load struct {
	Over       string // udp or http
	To         netip.AddrPort
	NumSenders int
	Rate       float64 // requests a second of all senders; 0 is the largest rate
	Length     time.Duration
	Report     string // the file to write a loadReport to
}

// loadReport is what came of it.
type loadReport struct {
	NumAnswers, NumBytes int
	P50, P99, P999       time.Duration // from when a request was due to its answer
	LateP99              time.Duration // of what the generator itself was late by
}

// sender is what one sender found.
type sender struct {
	latencies []time.Duration
	late      []time.Duration // how late requests were sent, for no fault of the tracker's
	numBytes  int             // of the answers
}

// loadEnv has a load, as JSON, in the environment of a generator.
const loadEnv = "SHOAL_TRACKER_LOAD"

// TestLoadGenerator is not a test but the generator, if it is told what to do.
func TestLoadGenerator(t *testing.T) {
	plan := os.Getenv(loadEnv)
	if plan == "" {
		t.Skip("this is the other process of the Load benchmarks")
	}
	debug.SetGCPercent(-1) // for a few seconds there is memory enough
	var l load
	if err := json.Unmarshal([]byte(plan), &l); err != nil {
		t.Fatal(err)
	}
	report, err := json.Marshal(l.generate(t))
	if err == nil {
		err = os.WriteFile(l.Report, report, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (l *load) generate(t *testing.T) (r loadReport) {
	begin := time.Now()
	plan := schedule{begin: begin, end: begin.Add(l.Length), rate: l.Rate / float64(l.NumSenders)}
	senders := make([]sender, l.NumSenders)
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			if l.Over == "udp" {
				senders[i].sendUDP(t, l.To.String(), plan)
			} else {
				senders[i].sendHTTP(t, l.To.String(), plan)
			}
		})
	}
	sending.Wait()
	var latencies, late []time.Duration
	for _, s := range senders {
		latencies, late = append(latencies, s.latencies...), append(late, s.late...)
		r.NumBytes += s.numBytes
	}
	r.NumAnswers = len(latencies)
	r.P50, r.P99, r.P999 = quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 0.999)
	r.LateP99 = quantile(late, 0.99)
	return r
}

// quantile sorts d.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// run has a generator do its work in a process of its own.
func (l load) run(b *testing.B) (r loadReport) {
	l.Report = filepath.Join(b.TempDir(), "report")
	plan, err := json.Marshal(l)
	if err != nil {
		b.Fatal(err)
	}
	generator := exec.Command(os.Args[0], "-test.run=^TestLoadGenerator$")
	generator.Env = append(os.Environ(), loadEnv+"="+string(plan))
	if out, err := generator.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	report, err := os.ReadFile(l.Report)
	if err == nil {
		err = json.Unmarshal(report, &r)
	}
	if err != nil || r.NumAnswers == 0 {
		b.Fatalf("%+v, %v", r, err)
	}
	return r
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

// measure has the largest rate found and then half of it sent, and reports the
// rates, the latencies at half, and what it cost this process, the tracker: its
// processor time, and the longest pause for the collector, which works all the
// time.
func (l load) measure(b *testing.B) {
	defer collectAlways()()
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	for b.Loop() {
		before := gcPauses()
		l.Rate, l.Length = 0, loadSearch
		most := l.run(b)
		b.ReportMetric(longestSince(before)*1000, "pause-at-max-ms")
		rate := float64(most.NumAnswers) / loadSearch.Seconds()
		l.Rate, l.Length = rate/2, loadRun
		before, began := gcPauses(), processorTime(b)
		half := l.run(b)
		b.ReportMetric(float64((processorTime(b)-began).Microseconds())/float64(half.NumAnswers), "us-CPU/response")
		b.ReportMetric(longestSince(before)*1000, "pause-ms")
		b.ReportMetric(rate, "max/s")
		b.ReportMetric(float64(half.NumAnswers)/loadRun.Seconds(), "half/s")
		b.ReportMetric(ms(half.P50), "p50-ms")
		b.ReportMetric(ms(half.P99), "p99-ms")
		b.ReportMetric(ms(half.P999), "p99.9-ms")
		b.ReportMetric(ms(half.LateP99), "generator-late-p99-ms")
		b.ReportMetric(float64(half.NumBytes)/float64(half.NumAnswers), "B/response")
	}
	b.ReportMetric(0, "ns/op")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
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
	serveUntilEnd(b, func(ctx context.Context) error { return s.RunUDP(ctx, l) })
	load{Over: "udp", To: l.Addr(), NumSenders: 4}.measure(b)
}

// udpWindow is how many requests of a sender without a rate wait for their
// answers.
const udpWindow = 64

// udpSender is a socket. A transaction id is the number of its request. With a
// rate, one goroutine sends and another receives; without, each answer has the
// next request sent.
type udpSender struct {
	*sender
	conn   net.Conn
	id     uint64
	rand   *rand.Rand
	packet []byte
	sentAt []atomic.Int64 // in a ring, by transaction, in nanoseconds after the beginning
	plan   schedule
}

func (s *sender) sendUDP(t *testing.T, to string, plan schedule) {
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.Write(udp.AppendRequestHeader(nil, udp.RequestHeader{ConnectionID: udp.ProtocolID}))
	reply := make([]byte, 2048)
	// The last answers come within a second, or are lost.
	conn.SetReadDeadline(plan.end.Add(time.Second))
	if n, err := conn.Read(reply); err != nil || n != udp.ConnectResponseLen {
		t.Errorf("connect: %x, %v", reply[:n], err)
		return
	}
	u := &udpSender{sender: s, conn: conn, id: binary.BigEndian.Uint64(reply[8:]), rand: rand.New(rand.NewPCG(rand.Uint64(), 0)),
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
			return
		}
		sent := u.sentAt[binary.BigEndian.Uint32(reply[4:])%uint32(len(u.sentAt))].Load()
		s.latencies = append(s.latencies, now.Sub(plan.begin)-time.Duration(sent))
		s.numBytes += n
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
		if n < due {
			u.late = append(u.late, now.Sub(u.plan.at(n)))
		}
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
	serveUntilEnd(b, func(ctx context.Context) error { return s.Run(ctx, ln) })
	load{Over: "http", To: ln.Addr().(*net.TCPAddr).AddrPort(), NumSenders: 32}.measure(b)
}

func (s *sender) sendHTTP(t *testing.T, to string, plan schedule) {
	conn, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	answers := bufio.NewReader(conn)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var request []byte
	for n := 0; ; n++ {
		at := time.Now()
		if plan.rate > 0 {
			at = plan.at(n)
			if early := time.Until(at); early > 0 {
				timer.Reset(early)
				<-timer.C
				s.late = append(s.late, time.Since(at))
			}
		}
		if at.After(plan.end) {
			return
		}
		h, port := loadHash(r.IntN(loadTorrents)), r.IntN(loadPeers)
		request = append(request[:0], "GET /announce?info_hash="...)
		for _, c := range h {
			request = fmt.Appendf(request, "%%%02x", c)
		}
		request = fmt.Appendf(request, "&peer_id=-SH0000-aaaaaaaaaaaa&port=%d&left=%d&numwant=%d&compact=1 HTTP/1.1\r\nHost: tracker\r\n\r\n", port+1, port%5, loadNumWant)
		if _, err := conn.Write(request); err != nil {
			t.Error(err)
			return
		}
		numBytes, err := skipResponse(answers)
		if err != nil {
			t.Error(err)
			return
		}
		s.latencies = append(s.latencies, time.Since(at))
		s.numBytes += numBytes
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
