package node

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// restore takes the nodes of an earlier session. None of them is in the table
// before it has answered again: lookups that lack other nodes start from them,
// the one that joins first of all, and when that is done the others are asked.
func (n *Node) restore(now time.Duration, nodes []krpc.Node) {
	for _, node := range nodes {
		if len(n.saved) < maxSaved && reachable(node.Addr) && n.tableOf(node.Addr.Addr()) != nil {
			n.saved = append(n.saved, node)
		}
	}
	if !n.ready && !n.joining {
		n.join(now)
	}
}

// warm asks the saved nodes that the table has room for, few at a time.
func (n *Node) warm(now time.Duration) {
	for n.ready && len(n.saved) > 0 && n.upkeep < maxUpkeep && n.budget.allows(now) {
		last := len(n.saved) - 1
		n.consider(now, n.saved[last], maxUpkeep)
		if n.saved = n.saved[:last]; last == 0 {
			n.saved = nil
		}
	}
}

// hearSaved makes candidates of the saved nodes that are closest to the
// target.
func (w *walk) hearSaved() {
	var own []krpc.Node
	for _, node := range w.n.saved {
		if node.Addr.Addr().Is6() == w.is6 {
			own = append(own, node)
		}
	}
	slices.SortFunc(own, func(a, b krpc.Node) int { return compareDistance(&w.lookup.req.Target, &a.ID, &b.ID) })
	for i, node := range own[:min(len(own), maxSavedHeard)] {
		w.hear(node, 1<<(i%numSets))
	}
}

// joinThrough asks a node that becomes known while the lookup that joins is
// under way, which may be lost among saved nodes that are gone.
func (n *Node) joinThrough(now time.Duration, addr netip.AddrPort) {
	at := slices.IndexFunc(n.lookups, func(l *lookup) bool { return l.id == joinLookup })
	if at < 0 || n.tableOf(addr.Addr()).size > 0 || n.queries.asked(addr) {
		return
	}
	for _, w := range n.lookups[at].walks {
		if w.is6 == addr.Addr().Is6() && len(w.seeds) < maxBootstraps && !slices.Contains(w.seeds, addr) {
			w.seeds = append(w.seeds, addr)
			w.step(now)
		}
	}
}
