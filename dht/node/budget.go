package node

import (
	"slices"
	"time"
)

// budget paces queries. Nearly each goes to another destination, for which a
// home router keeps an entry for minutes; bursts of them make such routers
// drop connections. A burst may go at once, what is beyond it waits.
type budget struct {
	packets      pace
	destinations pace   // queries that are not to somebody who was just asked
	turn         uint32 // the lookup that goes first when there is budget again
	starved      bool   // a walk waits
}

func newBudget(cfg *Config) budget {
	destinations := orDefault(cfg.MaxDestinations, defaultDestinations)
	if destinations > 0 {
		// Half of them at once and as many over the time, so that there are
		// never more within it.
		destinations = max(destinations/2, 1)
	}
	return budget{
		packets:      newPace(orDefault(cfg.MaxQueries, defaultQueries), time.Second, burstOf*time.Second),
		destinations: newPace(destinations, destinationLife, destinationLife),
	}
}

// orDefault obeys what Config says of 0.
func orDefault(configured, otherwise int) int {
	if configured == 0 {
		return otherwise
	}
	return configured
}

func (b *budget) allows(now time.Duration) bool {
	return b.packets.allows(now) && b.destinations.allows(now)
}

// spend counts a query; again says that it is to somebody who was just asked.
func (b *budget) spend(now time.Duration, again bool) {
	b.packets.spend(now)
	if !again {
		b.destinations.spend(now)
	}
}

// ready is when allows will be true again.
func (b *budget) ready() time.Duration { return max(b.packets.ready(), b.destinations.ready()) }

// pace lets things happen so often in the long run, and some of them at once.
// The zero pace has no bound.
type pace struct {
	interval time.Duration // in the long run; 0 means no bound
	slack    time.Duration // by how much next may be ahead of the clock
	next     time.Duration // when what happened so far would have at the interval
}

// newPace allows count in each period, and as many as a time of burst allows at
// once. A negative count means no bound.
func newPace(count int, period, burst time.Duration) pace {
	if count < 0 {
		return pace{}
	}
	return pace{interval: period / time.Duration(count), slack: burst}
}

func (p *pace) allows(now time.Duration) bool {
	return p.interval == 0 || p.next-now <= p.slack-p.interval
}

func (p *pace) spend(now time.Duration) { p.next = max(p.next, now) + p.interval }

// ready is when allows will be true again.
func (p *pace) ready() time.Duration { return p.next - p.slack + p.interval }

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
		for _, w := range waiting[(i+int(n.budget.turn))%len(waiting)].walks {
			w.step(now)
		}
	}
}
