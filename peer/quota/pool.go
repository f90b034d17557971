package quota

import (
	"slices"
	"time"
)

// hungerLasts is how long something is kept for a torrent that was refused: as
// long as an engine may take to ask again, a few rounds of its choker.
const hungerLasts = time.Minute

// pool is a number of things that are taken, held and given back.
type pool struct {
	max    int64 // 0 for no limit
	used   int64
	hungry []*part // who was refused, longest first
}

// part is what one torrent holds of a pool.
type part struct {
	max         int64 // 0 for no limit of its own
	used        int64
	wanted      int64 // when it was refused
	hungryUntil time.Duration
}

// take takes n things at once. Those that were refused and hold less go
// first; among equals, the one that was refused earlier.
//
// A want greater than the whole pool is granted when the pool is empty: waiting
// for it would not end.
func (p *pool) take(now time.Duration, mine *part, n int64) bool {
	if mine.max > 0 && mine.used+n > mine.max {
		return false // others could not help
	}
	if kept := p.kept(now, mine); p.max > 0 && p.used+kept > 0 && p.used+kept+n > p.max {
		p.starve(now, mine, n)
		return false
	}
	p.feed(mine)
	p.used += n
	mine.used += n
	return true
}

// kept is how much of what is free is kept for those who go before mine.
func (p *pool) kept(now time.Duration, mine *part) (n int64) {
	p.hungry = slices.DeleteFunc(p.hungry, func(other *part) bool { return other.hungryUntil < now })
	isBefore := true // other was refused before mine, who perhaps never was
	for _, other := range p.hungry {
		switch {
		case other == mine:
			isBefore = false
		case other.used < mine.used, other.used == mine.used && isBefore:
			n += other.wanted
		}
	}
	return n
}

// starve notes that a torrent was refused. Its place is that of the first
// refusal.
func (p *pool) starve(now time.Duration, mine *part, n int64) {
	if !slices.Contains(p.hungry, mine) {
		p.hungry = append(p.hungry, mine)
	}
	mine.wanted = n
	mine.hungryUntil = now + hungerLasts
}

func (p *pool) feed(mine *part) {
	if i := slices.Index(p.hungry, mine); i >= 0 {
		p.hungry = slices.Delete(p.hungry, i, i+1)
	}
}

// giveBack returns n things, and false if fewer were held: then it returns those.
func (p *pool) giveBack(mine *part, n int64) bool {
	held := max(0, min(n, mine.used))
	p.used -= held
	mine.used -= held
	return held == n
}

func (p *pool) leave(mine *part) {
	p.giveBack(mine, mine.used)
	p.feed(mine)
}
