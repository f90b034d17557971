package node

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// The flood of the attack runs: 10,000 packets a second for a virtual minute.
const (
	floodInterval = 100 * time.Microsecond
	floodLen      = time.Minute
	honestEvery   = 100 // packets of the flood between two honest queries
)

// flood is what a flood did to a node.
type flood struct {
	node                  *Node
	packets               int
	sentPackets           int // to the sources of the flood
	sentBytes             int
	askerBytes            int // of them, to asker
	sentQueries           int // to anybody: what the flood made the node do
	honest, served        int
	mostQueries           int // that waited at a time
	mostUpkeep            int // of them, to vet a node
	mostOutputBytes       int
	heapBefore, heapAfter int64
}

// runFlood sends the packets that query makes, and between them honest queries
// of other nodes.
func runFlood(t testing.TB, cfg Config, duration time.Duration, query func(i int) (from netip.AddrPort, packet []byte)) *flood {
	f := &flood{node: newNode(t, cfg)}
	f.node.fill(2000)
	f.honestQuery(0, 0) // what the first query allocates is not the flood's
	f.honest, f.served = 0, 0
	f.heapBefore = heapBytes()
	for now := time.Duration(0); now < duration; now += floodInterval {
		from, packet := query(f.packets)
		f.node.Receive(now, Input{Kind: InPacket, Addr: from, Packet: packet})
		f.drain(from)
		if due, _ := f.node.NextTimeout(); due <= now {
			f.node.Advance(now)
			f.drain(from)
		}
		if f.packets++; f.packets%honestEvery == 0 {
			f.honestQuery(now, f.packets/honestEvery)
		}
	}
	f.heapAfter = heapBytes()
	return f
}

func (f *flood) drain(source netip.AddrPort) {
	f.mostQueries = max(f.mostQueries, len(f.node.queries))
	f.mostUpkeep = max(f.mostUpkeep, f.node.upkeep)
	f.mostOutputBytes = max(f.mostOutputBytes, cap(f.node.arena))
	for out, ok := f.node.Next(); ok; out, ok = f.node.Next() {
		switch {
		case out.Kind != OutPacket:
		case out.Packet[1] == '1' && out.Packet[3] == 'a': // d1:a: a query
			f.sentQueries++
		case out.Addr == source:
			f.sentPackets++
			f.sentBytes += len(out.Packet)
			if out.Addr == asker {
				f.askerBytes += len(out.Packet)
			}
		}
	}
}

// honestQuery asks like one of a thousand nodes, each of which asks every ten
// seconds.
func (f *flood) honestQuery(now time.Duration, i int) {
	m := krpc.Message{Kind: krpc.Query, Method: krpc.GetPeers, ID: idM, Target: idA, Transaction: []byte("ho"), ReadOnly: true}
	from := publicAddr(10_000+i%1000, false)
	f.honest++
	f.node.Receive(now, Input{Kind: InPacket, Addr: from, Packet: m.Append(nil)})
	for out, ok := f.node.Next(); ok; out, ok = f.node.Next() {
		if out.Kind == OutPacket && out.Addr == from {
			f.served++
		}
	}
}

// floodQuery writes a query of its own for each packet of a flood.
func floodQuery(method krpc.Method) func(i int) []byte {
	m := krpc.Message{Kind: krpc.Query, Method: method, ID: idA, Target: idM, Transaction: []byte("aaaa"), Token: []byte("12345678"), Port: 1}
	var b []byte
	return func(i int) []byte {
		binary.BigEndian.PutUint32(m.ID[:], uint32(i)*2654435761)
		binary.BigEndian.PutUint32(m.Target[:], uint32(i)*2246822519)
		b = m.Append(b[:0])
		return b
	}
}

// forged is a random public address.
func forged(rnd *rand.Rand) netip.AddrPort {
	for {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], rnd.Uint32())
		if addr := netip.AddrPortFrom(netip.AddrFrom4(ip), 6881); reachable(addr) && !local(addr.Addr()) {
			return addr
		}
	}
}

// Ten thousand queries a second for a minute: from one source, from one
// network, and from forged addresses. Honest queries are answered, the sources
// get their quota and no more, and nothing grows.
func TestFlood(t *testing.T) {
	duration := floodLen
	if testing.Short() {
		duration /= 10
	}
	rnd := rand.New(rand.NewPCG(13, 13))
	seconds := int(duration / time.Second)
	quota := sourceBurst + seconds*sourceRate + maxReplyLen
	for _, test := range []struct {
		name   string
		source func(i int) netip.AddrPort
		most   int // bytes to the sources
	}{
		{"one address", func(int) netip.AddrPort { return asker }, quota},
		{"one address, a port after the other", func(i int) netip.AddrPort { return netip.AddrPortFrom(asker.Addr(), uint16(i%65535+1)) }, quota},
		{"one /24", func(i int) netip.AddrPort {
			ip := asker.Addr().As4()
			ip[3] = byte(i)
			return netip.AddrPortFrom(netip.AddrFrom4(ip), 6881)
		}, networkAllowance * quota},
		{"one /64", func(i int) netip.AddrPort {
			ip := asker6.Addr().As16()
			binary.BigEndian.PutUint32(ip[12:], uint32(i))
			return netip.AddrPortFrom(netip.AddrFrom16(ip), 6881)
		}, networkAllowance * quota},
		{"forged addresses all over", func(int) netip.AddrPort { return forged(rnd) }, seconds * 10_000 * maxReplyLen},
	} {
		query := floodQuery(krpc.GetPeers)
		start := time.Now()
		f := runFlood(t, Config{}, duration, func(i int) (netip.AddrPort, []byte) { return test.source(i), query(i) })
		t.Logf("%s: %d packets, %.2f us each; %d of %d honest queries answered; %d bytes and %d queries sent; heap %+d bytes",
			test.name, f.packets, time.Since(start).Seconds()*1e6/float64(f.packets), f.served, f.honest, f.sentBytes, f.sentQueries, f.heapAfter-f.heapBefore)
		if f.served*100 < f.honest*99 {
			t.Errorf("%s: %d of %d honest queries were answered", test.name, f.served, f.honest)
		}
		if f.sentBytes > test.most || f.sentBytes == 0 {
			t.Errorf("%s: %d bytes sent, at most %d", test.name, f.sentBytes, test.most)
		}
		f.checkBounds(t, test.name, duration)
	}
}

// checkBounds holds what a flood made the node keep and do against the bounds.
func (f *flood) checkBounds(t *testing.T, name string, duration time.Duration) {
	t.Helper()
	n := f.node
	if f.mostUpkeep > maxUpkeep {
		t.Errorf("%s: %d nodes were vetted at a time, at most %d", name, f.mostUpkeep, maxUpkeep)
	}
	// The node's own lookups, and what is asked because of the flood.
	if most := maxUpkeep + 4*(maxUnanswered+alpha); f.mostQueries > most {
		t.Errorf("%s: %d queries waited, at most %d", name, f.mostQueries, most)
	}
	if most := int(duration/time.Second+burstOf) * defaultQueries; f.sentQueries > most {
		t.Errorf("%s: %d queries sent, at most %d", name, f.sentQueries, most)
	}
	if len(n.quota.cells) != defaultSources || n.peers != nil || n.items != nil || f.mostOutputBytes > 4*maxReplyLen {
		t.Errorf("%s: %d cells of the quota, peers %v, items %v, %d bytes of packets", name, len(n.quota.cells), n.peers, n.items, f.mostOutputBytes)
	}
	const slack = 64 << 10 // the runtime's own
	if grown := f.heapAfter - f.heapBefore; grown > slack {
		t.Errorf("%s: the heap grew by %d bytes", name, grown)
	}
}

// A node is no gun: of 5,000 queries a second in the name of a victim it sends
// him his quota, even while as many other forged addresses try to make it
// forget that.
func TestReflection(t *testing.T) {
	rnd := rand.New(rand.NewPCG(14, 14))
	const duration = 10 * time.Second
	query := floodQuery(krpc.GetPeers)
	f := runFlood(t, Config{}, duration, func(i int) (netip.AddrPort, []byte) {
		if i%2 == 0 {
			return asker, query(i)
		}
		return forged(rnd), query(i)
	})
	most := sourceBurst + int(duration/time.Second)*sourceRate
	t.Logf("%d bytes to the victim in %v, quota %d", f.askerBytes, duration, most)
	if f.askerBytes > 2*most || f.askerBytes == 0 {
		t.Errorf("%d bytes to the victim, quota %d", f.askerBytes, most)
	}
}

// All sources together get no more answers than the node is willing to send.
func TestReplyBudget(t *testing.T) {
	const perSecond, seconds = 100, 10
	rnd := rand.New(rand.NewPCG(15, 15))
	query := floodQuery(krpc.FindNode)
	for most, sent := range map[int]int{
		perSecond: perSecond * (seconds + 1), // one second's worth at once
		-1:        seconds * 10_100,
	} {
		f := runFlood(t, Config{MaxReplies: most}, seconds*time.Second, func(i int) (netip.AddrPort, []byte) { return forged(rnd), query(i) })
		if got := f.sentPackets + f.served; got > sent || got < sent/2 {
			t.Errorf("MaxReplies %d: %d answers in %d seconds, want about %d", most, got, seconds, sent)
		}
	}
}

// What a flood costs in memory and time, a minute of it an iteration.
func BenchmarkFlood(b *testing.B) {
	rnd := rand.New(rand.NewPCG(16, 16))
	for name, source := range map[string]func() netip.AddrPort{
		"source=one": func() netip.AddrPort { return asker },
		"source=all": func() netip.AddrPort { return forged(rnd) },
	} {
		b.Run(name, func(b *testing.B) {
			query := floodQuery(krpc.GetPeers)
			var f *flood
			for b.Loop() {
				f = runFlood(b, Config{}, floodLen, func(i int) (netip.AddrPort, []byte) { return source(), query(i) })
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*f.packets), "ns/packet")
			b.ReportMetric(float64(f.heapAfter-f.heapBefore), "heap-growth-bytes")
			b.ReportMetric(100*float64(f.served)/float64(f.honest), "%honest-served")
		})
	}
}
