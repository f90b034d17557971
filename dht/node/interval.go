package node

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// maxIntervals is how many nodes' intervals are remembered: those that a
// lookup can ask in three minutes at the default budget. An indexer that knows
// more of them comes back to none within the six hours of BEP 51, and needs no
// book.
const maxIntervals = 16_384

// intervals are the nodes that gave us a sample and said for how long it will
// not change. BEP 51: "An indexer should not send a new sampling request to
// this node for that period of time."
type intervals struct {
	until map[netip.AddrPort]time.Duration
	order []netip.AddrPort // of until, a ring: the oldest is forgotten
	next  int
}

// note remembers the interval that a node gave.
func (v *intervals) note(now time.Duration, from netip.AddrPort, interval time.Duration) {
	if _, known := v.until[from]; !known {
		if len(v.order) < maxIntervals {
			v.order = append(v.order, from)
		} else {
			delete(v.until, v.order[v.next])
			v.order[v.next] = from
			v.next = (v.next + 1) % maxIntervals
		}
	}
	v.until[from] = now + interval
}

// last reports whether the interval of a node lasts. A nil book has none.
func (v *intervals) last(now time.Duration, of netip.AddrPort) bool {
	return v != nil && now < v.until[of]
}

// heedInterval notes the interval of a sample, if that is what was asked for:
// others cannot fill the book.
func (n *Node) heedInterval(now time.Duration, q *query, m *krpc.Message) {
	if q.walk != nil && q.walk.lookup.req.Method == krpc.SampleInfohashes && m.Samples != nil && m.Interval > 0 {
		if n.intervals == nil {
			n.intervals = &intervals{until: map[netip.AddrPort]time.Duration{}}
		}
		n.intervals.note(now, q.to, time.Duration(m.Interval)*time.Second)
	}
}

// methodFor returns what to ask a node by, in a lookup that asks by method: a
// node that gave a sample is asked for nodes alone as long as that lasts, so
// that the lookup goes on without a break of manners.
func (n *Node) methodFor(now time.Duration, to netip.AddrPort, method krpc.Method) krpc.Method {
	if method == krpc.SampleInfohashes && n.intervals.last(now, to) {
		return krpc.FindNode
	}
	return method
}
