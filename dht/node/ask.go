package node

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// Answer is what a node said to an InQuery.
type Answer struct {
	Message krpc.Message // a Response or an Error; its slices are the driver's to keep
	RTT     time.Duration
}

// question sends a single query for the driver. Nothing holds it back: it is
// up to the driver not to send many, and the budget of lookups pays for it.
func (n *Node) question(now time.Duration, in Input) {
	addr := netip.AddrPortFrom(in.Addr.Addr().Unmap(), in.Addr.Port())
	if !in.asks() || n.asking >= MaxAsking || !reachable(addr) || n.tableOf(addr.Addr()) == nil {
		n.out(Output{Kind: OutAnswer, Lookup: in.Lookup, Addr: addr})
		return
	}
	n.asking++
	msg := *in.Query
	n.ask(now, &query{to: addr, asker: in.Lookup}, &msg)
}

// asks reports whether an InQuery has a name and a method.
func (in *Input) asks() bool {
	return in.Lookup != 0 && in.Query != nil && in.Query.Method >= krpc.Ping && in.Query.Method <= krpc.Unknown
}

// answerAsker gives the driver the answer to its query; a nil packet is none.
func (n *Node) answerAsker(now time.Duration, q *query, packet []byte) {
	n.asking--
	out := Output{Kind: OutAnswer, Lookup: q.asker, Addr: q.to}
	if packet != nil {
		out.Answer = &Answer{RTT: now - q.sent}
		out.Answer.Message.Parse(slices.Clone(packet)) // it was parsed before, without a refusal
	}
	n.out(out)
}

// cancelQuery forgets a query of the driver.
func (n *Node) cancelQuery(id LookupID) {
	for i, q := range n.queries {
		if q.asker == id && id != 0 {
			heap.Remove(&n.queries, i)
			n.asking--
			return
		}
	}
}

// settled takes a query that is answered or forgotten out of the counts.
func (n *Node) settled(q *query) {
	if q.walk == nil && q.asker == 0 {
		n.upkeep--
	}
}
