package dht

import (
	"math/bits"
	"net/netip"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// Stats is a snapshot of a Server. Counters count from its start.
type Stats struct {
	ID       krpc.ID
	External netip.Addr // as other nodes agree to see us (BEP 42); not valid while unknown
	Ready    bool

	IPv4, IPv6 TableStats

	In, Out Traffic        // UDP payload of packets received and sent
	Counts  node.Counts    // what the packets were
	Dropped DroppedPackets // packets that never reached the node or the network
	Stored  node.Stored    // what the node keeps for others

	Lookups        int // running, for callers
	WaitingLookups int // that wait for their turn
}

// TableStats is the nodes that answered, of one address family.
type TableStats struct {
	On       bool // the node has a socket of this family
	NumNodes int
	// Buckets counts the nodes by the number of leading bits that their ids
	// share with ours. It ends with the last bucket that has any.
	Buckets []int
}

// Traffic counts packets and their bytes, without headers of IP and UDP.
type Traffic struct {
	Packets, Bytes uint64
}

func (t *Traffic) add(numPackets, numBytes int) {
	t.Packets += uint64(numPackets)
	t.Bytes += uint64(numBytes)
}

// DroppedPackets counts what was lost on our side of the sockets.
type DroppedPackets struct {
	TooLong      uint64 // received, of more than 2,048 bytes
	SendFailed   uint64 // to send: no route, no permission, or no room in the socket's buffer
	ReadFailures uint64 // failed reads; a socket is read again after each
}

// Stats returns a snapshot. On a closed Server it is the last one.
func (s *Server) Stats() Stats {
	stats, err := inLoop(s, s.loop.stats)
	if err != nil {
		<-s.closed
		return s.lastStats
	}
	return stats
}

func (l *loop) stats() Stats {
	stats := Stats{
		ID: l.node.ID(), External: l.external, Ready: l.isReady,
		In: l.in, Out: l.out, Counts: l.node.Counts(), Dropped: l.dropped, Stored: l.node.Stored(),
		Lookups: len(l.lookups), WaitingLookups: int(l.s.lookupSlots.waiting.Load()),
	}
	for _, e := range l.s.endpoints {
		stats.table(e.is6).On = true
	}
	for _, n := range l.node.AppendNodes(nil) {
		stats.table(n.Addr.Addr().Is6()).count(sharedBits(&stats.ID, &n.ID))
	}
	return stats
}

func (s *Stats) table(is6 bool) *TableStats {
	if is6 {
		return &s.IPv6
	}
	return &s.IPv4
}

func (t *TableStats) count(bucket int) {
	t.NumNodes++
	for len(t.Buckets) <= bucket {
		t.Buckets = append(t.Buckets, 0)
	}
	t.Buckets[bucket]++
}

// sharedBits returns the number of leading bits that a and b have in common.
func sharedBits(a, b *krpc.ID) int {
	for i := range a {
		if diff := a[i] ^ b[i]; diff != 0 {
			return 8*i + bits.LeadingZeros8(diff)
		}
	}
	return 8 * len(a)
}
