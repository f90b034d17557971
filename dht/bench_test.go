package dht

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// BenchmarkServeGetPeers counts the queries that a node answers through its
// socket: Shoal's and anacrolix's, of one load generator, in one process. Both
// know nodes enough for a full answer. The generator shares the cores with the node.
func BenchmarkServeGetPeers(b *testing.B) {
	others := startNetwork(b, loopback4, 16)
	b.Run("shoal", func(b *testing.B) {
		s := startShoal(b, Config{Bind: loopback4, MaxReplies: -1}, others[0].Addrs()[0])
		awaitNodes(b, func() int { return s.Stats().IPv4.NumNodes }, 8)
		benchmarkGetPeers(b, s.Addrs()[0])
	})
	b.Run("anacrolix", func(b *testing.B) {
		s := startAnacrolix(b, loopback4, others[0].Addrs()[0])
		awaitNodes(b, s.NumNodes, 8)
		benchmarkGetPeers(b, theirAddr(s))
	})
}

// benchmarkGetPeers keeps a number of queries outstanding, each from another
// address and for another info-hash, and waits for the answers.
func benchmarkGetPeers(b *testing.B, node netip.AddrPort) {
	g := newGenerator(b, node)
	sent, answered, lost := 0, 0, 0
	for b.Loop() {
		// One iteration is one answer; a batch of queries goes when there is
		// room for all of it.
		for g.spare == 0 {
			if sent-answered-lost <= maxOutstanding-queriesPerBatch {
				g.send()
				sent += queriesPerBatch
			}
			if !g.receive() {
				lost = sent - answered
			}
		}
		g.spare--
		answered++
	}
	b.ReportMetric(float64(answered)/b.Elapsed().Seconds(), "queries/s")
	b.ReportMetric(float64(lost)/float64(sent), "lost")
	if answered == 0 {
		b.Fatal("no query was answered")
	}
}

const (
	queriesPerBatch = 32
	maxOutstanding  = 128 // fewer than the smallest receive buffer has room for

	// numSources is more than a node's bound of the bytes that it sends to one
	// source could be felt with.
	numSources = 1 << 16
)

// generator sends get_peers queries and receives the answers.
type generator struct {
	tb      testing.TB
	udp     *net.UDPConn
	packets *ipv4.PacketConn
	queries []ipv4.Message
	answers []ipv4.Message
	sources [][]byte // ancillary data that sets where a query comes from
	count   uint32
	spare   int // answers received and not counted yet
}

// templateQuery has a node id from byte 12, an info-hash from byte 46, and a
// transaction id of four bytes from byte 86.
var templateQuery = "d1:ad2:id20:" + strings.Repeat("i", 20) + "9:info_hash20:" + strings.Repeat("h", 20) +
	"e1:q9:get_peers1:t4:tttt1:y1:qe"

func newGenerator(tb testing.TB, to netip.AddrPort) *generator {
	tb.Helper()
	udp, err := net.ListenUDP("udp4", nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { udp.Close() })
	udp.SetReadBuffer(4 << 20)
	g := &generator{
		tb: tb, udp: udp, packets: ipv4.NewPacketConn(udp),
		queries: make([]ipv4.Message, queriesPerBatch), answers: make([]ipv4.Message, queriesPerBatch),
	}
	for i := range g.queries {
		g.queries[i] = ipv4.Message{Buffers: [][]byte{[]byte(templateQuery)}, Addr: net.UDPAddrFromAddrPort(to)}
		g.answers[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}}
	}
	for i := range numSources {
		source := ipv4.ControlMessage{Src: net.IPv4(127, 1, byte(i>>8), byte(i))} // all of 127.0.0.0/8 is ours
		g.sources = append(g.sources, source.Marshal())
	}
	return g
}

// send sends a batch of queries.
func (g *generator) send() {
	for i := range g.queries {
		g.count++
		query := g.queries[i].Buffers[0]
		spread := g.count * 2654435761 // Knuth's multiplicative hash: bits that look random
		binary.BigEndian.PutUint32(query[12:], spread)
		binary.BigEndian.PutUint32(query[46:], ^spread)
		binary.BigEndian.PutUint32(query[86:], g.count)
		g.queries[i].OOB = g.sources[g.count%numSources]
	}
	if _, err := g.packets.WriteBatch(g.queries, 0); err != nil {
		g.tb.Fatal(err)
	}
}

// receive reads a batch, and counts the answers in it. It reports false when
// none comes for a time in which all must have come or be lost.
func (g *generator) receive() bool {
	g.udp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := g.packets.ReadBatch(g.answers, 0)
	if err != nil {
		return false
	}
	for _, answer := range g.answers[:n] {
		if bytes.HasSuffix(answer.Buffers[0][:answer.N], []byte("1:y1:re")) {
			g.spare++
		}
	}
	return true
}
