package node

import (
	"container/heap"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// query is one of ours that waits for its answer.
type query struct {
	tid     uint32
	heapAt  int           // its place in the heap
	due     time.Duration // when it expires; once it has, when it is forgotten
	sent    time.Duration
	to      netip.AddrPort
	id      krpc.ID // of the node asked, if hasID
	hasID   bool
	expired bool
	set     uint8 // of the walk, that the answer is for
	store   bool  // an announce or a put, at the end of a lookup
	again   bool  // a retry
	walk    *walk
	asker   LookupID // of a single query of the driver
}

// node is who was asked.
func (q *query) node() krpc.Node { return krpc.Node{ID: q.id, Addr: q.to} }

// queries are those that wait, by when something is due.
type queries []*query

func (q queries) Len() int           { return len(q) }
func (q queries) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queries) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapAt, q[j].heapAt = i, j
}
func (q *queries) Push(x any) {
	x.(*query).heapAt = len(*q)
	*q = append(*q, x.(*query))
}
func (q *queries) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	return last
}

// find returns the query with the transaction id that was sent to from. The
// address must match as well as the id, which is random: whoever does not see
// our packets cannot answer for another node.
func (q queries) find(transaction []byte, from netip.AddrPort) *query {
	if len(transaction) != tidLen {
		return nil
	}
	tid := binary.BigEndian.Uint32(transaction)
	for _, each := range q {
		if each.tid == tid && each.to == from {
			return each
		}
	}
	return nil
}

// asked reports whether a query to addr waits.
func (q queries) asked(addr netip.AddrPort) bool {
	return slices.ContainsFunc(q, func(each *query) bool { return each.to == addr })
}

const tidLen = 4 // bytes of a transaction id: too many to guess within a time-out

// ask sends a query, to the node of the id if hasID. msg needs no
// transaction and no id of ours.
func (n *Node) ask(now time.Duration, q *query, msg *krpc.Message) {
	q.tid, q.sent, q.due = n.cfg.Rand.Uint32(), now, now+n.timeouts.timeout()
	if q.store {
		q.due = now + maxTimeout // no slot to free, and whether it was stored is worth knowing
	} else {
		n.budget.spend(now, q.again) // a store query goes where one has just been
	}
	var tid [tidLen]byte
	msg.Kind, msg.Transaction, msg.ID, msg.ReadOnly = krpc.Query, binary.BigEndian.AppendUint32(tid[:0], q.tid), n.id, n.cfg.ReadOnly
	heap.Push(&n.queries, q)
	n.send(q.to, msg)
}

// expire handles the queries whose time has come.
func (n *Node) expire(now time.Duration) {
	for len(n.queries) > 0 && n.queries[0].due <= now {
		q := n.queries[0]
		if q.expired {
			heap.Pop(&n.queries)
			n.forget(now, q)
			continue
		}
		q.expired, q.due = true, q.sent+forgetAfter
		heap.Fix(&n.queries, 0)
		if q.walk != nil {
			q.walk.expired(now, q)
		}
	}
}

// forget gives up on a query.
func (n *Node) forget(now time.Duration, q *query) {
	if q.hasID {
		n.tableOf(q.to.Addr()).failed(q.node(), n.lastAnswer > q.sent)
	}
	n.settled(q)
	switch {
	case q.walk != nil:
		q.walk.forgotten(now)
	case q.asker != 0:
		n.answerAsker(now, q, nil)
	}
}

// timeouts learns from the last round trips how long to wait for an answer.
type timeouts struct {
	samples [numSamples]uint16 // milliseconds
	count   int
	current time.Duration
}

// timeout is the 95th percentile of recent round trips, late ones included:
// waiting longer for the slowest twentieth would cost more than asking
// somebody else.
func (t *timeouts) timeout() time.Duration {
	if t.count < minSamples {
		return defaultTimeout
	}
	if t.current == 0 {
		p95 := time.Duration(t.percentile95()) * time.Millisecond
		t.current = min(max(p95, minTimeout), maxTimeout)
	}
	return t.current
}

// percentile95 returns the least of the slowest twentieth of the samples.
func (t *timeouts) percentile95() uint16 {
	recent := t.samples[:min(t.count, numSamples)]
	var slowest [numSamples/20 + 1]uint16 // the slowest first
	slow := slowest[:len(recent)-(len(recent)*95-1)/100]
	for _, sample := range recent {
		for i := range slow {
			if sample > slow[i] {
				sample, slow[i] = slow[i], sample
			}
		}
	}
	return slow[len(slow)-1]
}

func (t *timeouts) add(rtt time.Duration) {
	t.samples[t.count%numSamples] = millis(rtt)
	t.count++
	if t.count >= 2*numSamples {
		t.count -= numSamples // the ring is full all the same
	}
	t.current = 0
}
