package node

import "github.com/shoal-bt/shoal/dht/krpc"

// Counts are the packets of a node since it was made. Arrays are indexed by
// krpc.Method.
type Counts struct {
	QueriesIn  [krpc.Unknown + 1]uint64 // that make sense, answered or not
	QueriesOut [krpc.Unknown + 1]uint64

	ResponsesIn, ResponsesOut uint64 // Unsolicited ones included
	ErrorsIn, ErrorsOut       uint64

	Malformed   uint64 // refused by the codec; queries among them may have been answered by an error
	Unsolicited uint64 // responses and errors that no query of ours waits for
	OverQuota   uint64 // queries of a source that is sent too much already
	Ignored     uint64 // queries to a read-only node, or under our own id
	Unreachable uint64 // from an address that cannot be answered, or of another family
}

// Stored is how much a node keeps for others.
type Stored struct {
	Torrents, Peers, Items int
}

// received counts a packet that arrived.
func (c *Counts) received(m *krpc.Message, refusal *krpc.Refusal) {
	switch {
	case refusal != nil:
		c.Malformed++
	case m.Kind == krpc.Query:
		c.QueriesIn[m.Method]++
	case m.Kind == krpc.Response:
		c.ResponsesIn++
	default:
		c.ErrorsIn++
	}
}

func (c *Counts) sent(m *krpc.Message) {
	switch m.Kind {
	case krpc.Query:
		c.QueriesOut[m.Method]++
	case krpc.Response:
		c.ResponsesOut++
	default:
		c.ErrorsOut++
	}
}

// Counts returns the counts so far.
func (n *Node) Counts() Counts { return n.counts }

// Stored returns how much is in store.
func (n *Node) Stored() (s Stored) {
	if n.peers != nil {
		s.Torrents, s.Peers = len(n.peers.torrents), n.peers.ledger.all.Len()
	}
	if n.items != nil {
		s.Items = n.items.ledger.all.Len()
	}
	return s
}
