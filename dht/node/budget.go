package node

import (
	"slices"
	"time"
)

// budget paces queries. Nearly each goes to another destination, for which a
// home router keeps an entry for minutes; bursts of them make such routers
// drop connections. A burst may go at once, what is beyond it waits.
type budget struct {
	interval time.Duration // between queries in the long run; 0 means no bound
	slack    time.Duration // by how much next may be ahead of the clock
	next     time.Duration // when the queries so far would have gone at the interval
	turn     int           // the lookup that goes first when there is budget again
	starved  bool          // a walk waits
}

func newBudget(queriesPerSecond int) budget {
	switch {
	case queriesPerSecond < 0:
		return budget{}
	case queriesPerSecond == 0:
		queriesPerSecond = defaultQueries
	}
	interval := time.Second / time.Duration(queriesPerSecond)
	return budget{interval: interval, slack: burstOf * time.Second}
}

func (b *budget) allows(now time.Duration) bool {
	return b.interval == 0 || b.next-now <= b.slack-b.interval
}

func (b *budget) spend(now time.Duration) { b.next = max(b.next, now) + b.interval }

// ready is when allows will be true again.
func (b *budget) ready() time.Duration { return b.next - b.slack + b.interval }

// starves reports whether there is no budget for a query, and if so sees to it
// that the walks go on when there is.
func (n *Node) starves(now time.Duration) bool {
	if n.budget.allows(now) {
		return false
	}
	n.budget.starved = true
	return true
}

// resume lets the walks go on, another one first each time.
func (n *Node) resume(now time.Duration) {
	n.budget.starved = false
	n.budget.turn++
	waiting := slices.Clone(n.lookups)
	for i := range waiting {
		for _, w := range waiting[(i+n.budget.turn)%len(waiting)].walks {
			w.step(now)
		}
	}
}
