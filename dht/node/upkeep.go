package node

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// meet gets acquainted with nodes that are known by address alone.
func (n *Node) meet(now time.Duration, addrs []netip.AddrPort) {
	for _, addr := range addrs {
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if !reachable(addr) || n.tableOf(addr.Addr()) == nil {
			continue
		}
		if !slices.Contains(n.bootstraps, addr) {
			if len(n.bootstraps) == maxBootstraps {
				n.bootstraps = slices.Delete(n.bootstraps, 0, 1)
			}
			n.bootstraps = append(n.bootstraps, addr)
		}
		if n.ready {
			n.probe(now, krpc.Node{Addr: addr}, n.id)
		} else if n.joining {
			n.joinThrough(now, addr)
		}
	}
	if !n.ready && !n.joining {
		n.join(now)
	}
}

// join looks up our own id. BEP 5: "the node should attempt to find the
// closest nodes in the DHT to itself."
func (n *Node) join(now time.Duration) {
	n.joining, n.selfAt = true, now+selfEvery
	n.startLookup(now, joinLookup, Request{Method: krpc.FindNode, Target: n.id}, n.bootstraps)
}

// lookupEnded goes on with what waits for a lookup of the table's own: after
// the first of our own id, one in the range of each bucket.
func (n *Node) lookupEnded(now time.Duration, l *lookup) {
	switch l.id {
	case joinLookup:
		n.joining = false
		if num4, num6 := n.NumNodes(); num4+num6 < numClosest {
			n.selfAt = min(n.selfAt, now+retrySparse)
		}
	case refreshLookup:
		n.refreshing = false
	default:
		return
	}
	if n.isEmpty() {
		n.selfAt = now + retryJoin
		return
	}
	n.becomeReady()
	if n.filling < min(n.numBuckets(), maxRefreshed) {
		n.filling++
		n.refresh(now, n.filling-1)
	}
}

// becomeReady tells that the node has joined. It does not wait for retries behind
// the end of the join.
func (n *Node) becomeReady() {
	if !n.ready && !n.isEmpty() {
		n.ready = true
		n.out(Output{Kind: OutReady})
	}
}

func (n *Node) isEmpty() bool {
	num4, num6 := n.NumNodes()
	return num4+num6 == 0
}

func (n *Node) numBuckets() (count int) {
	for _, t := range n.tables() {
		count = max(count, len(t.buckets))
	}
	return count
}

// refresh looks up a random id in the range of bucket at.
func (n *Node) refresh(now time.Duration, at int) {
	n.refreshing = true
	for _, t := range n.tables() {
		if at < len(t.buckets) {
			t.buckets[at].changed = now
		}
	}
	n.startLookup(now, refreshLookup, Request{Method: krpc.FindNode, Target: randomNear(n.id, at, n.cfg.Rand)}, nil)
}

// keepUp looks over the tables: joins if they are empty, asks who was silent
// for long, and refreshes buckets.
func (n *Node) keepUp(now time.Duration) {
	if n.joining || n.refreshing {
		return
	}
	if now >= n.selfAt && (len(n.bootstraps) > 0 || !n.isEmpty()) {
		n.join(now)
		return
	}
	for _, t := range n.tables() {
		if spare, ok := t.takeSpare(); ok {
			n.consider(now, spare, maxUpkeep)
		}
		if old, at, ok := t.questionable(now); ok {
			n.probe(now, old, randomNear(n.id, at, n.cfg.Rand))
		}
		if at, ok := t.stale(now); ok && !n.refreshing {
			n.refresh(now, at)
		}
	}
}

// consider asks a node that we heard of, if its table has room: only those
// that answer get in. At most limit queries for upkeep wait then.
func (n *Node) consider(now time.Duration, node krpc.Node, limit int) {
	if t := n.tableOf(node.Addr.Addr()); t != nil && n.upkeep < limit && node.ID != n.id && t.wants(node) {
		n.probe(now, node, randomNear(n.id, sharedBits(&n.id, &node.ID), n.cfg.Rand))
	}
}

// asked considers a node that sent us a query. One that has a new id is asked
// under that: its answer clears the old one away, which others would be told
// in vain.
func (n *Node) asked(now time.Duration, node krpc.Node) {
	if n.tableOf(node.Addr.Addr()).renamed(node) && n.upkeep < maxUpkeepAsked {
		n.probe(now, node, node.ID)
		return
	}
	n.consider(now, node, maxUpkeepAsked)
}

// probe sends a query whose answer vets the node and brings more nodes near
// target, so that it serves BEP 5's ping and its refresh. A node without an id
// is known by address alone.
func (n *Node) probe(now time.Duration, node krpc.Node, target krpc.ID) {
	if n.upkeep >= maxUpkeep || !n.budget.allows(now) || n.queries.asked(node.Addr) {
		return
	}
	n.upkeep++
	q := &query{to: node.Addr, id: node.ID, hasID: node.ID != krpc.ID{}}
	n.ask(now, q, &krpc.Message{Method: krpc.FindNode, Target: target, Want: n.want()})
}

// want asks for nodes of both families as long as one of them has few (BEP
// 32: "Once bootstrap is successful, a node should normally only request IPv4
// node information from IPv4 nodes").
func (n *Node) want() krpc.Want {
	num4, num6 := n.NumNodes()
	if n.table4 == nil || n.table6 == nil || min(num4, num6) >= numClosest {
		return 0
	}
	return krpc.WantNodes4 | krpc.WantNodes6
}
