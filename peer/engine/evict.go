package engine

import "time"

// makeRoomFor closes a connection that is of no use, when a newcomer finds all
// places taken, and reports whether it did. Without that, who came first keeps
// the newcomer out for good: in a swarm larger than MaxPeers the last leechers
// would have only each other, while the uplink of an origin that they never met idles.
//
// A newcomer may be a stranger who wants our peers gone. So places are given up
// slowly, and only by a connection that had minutes and did nothing in the last one.
func (e *Engine) makeRoomFor(now time.Duration) bool {
	if e.evictedAt > 0 && now-e.evictedAt < evictEvery {
		return false
	}
	var idlest *Conn
	for _, c := range e.conns {
		if e.isIdle(now, c) && (idlest == nil || c.lessUse(idlest)) {
			idlest = c
		}
	}
	if idlest == nil {
		return false
	}
	e.evictedAt = now
	e.close(idlest, "idle, and another peer wants its place")
	return true
}

// isIdle reports whether a connection may lose its place. Who waits for a slot
// of a seed is not idle: it would come back and wait again. The user's own peers stay.
func (e *Engine) isIdle(now time.Duration, c *Conn) bool {
	if c.closing || c.webSeed || now-c.up < evictGrace || now-c.lastMoved() < evictIdle {
		return false
	}
	if k := e.book.find(c.addr); k != nil && k.source == SourceUser {
		return false
	}
	return e.lacking() || !c.peerInterested
}

// lessUse orders idle connections: first those between two that want nothing of
// each other, then by the time of the last block.
func (c *Conn) lessUse(d *Conn) bool {
	if none, other := c.wantsNothing(), d.wantsNothing(); none != other {
		return none
	}
	return c.lastMoved() < d.lastMoved()
}

func (c *Conn) wantsNothing() bool { return !c.interested && !c.peerInterested }

// lastMoved is when a block last came or went, 0 for never.
func (c *Conn) lastMoved() time.Duration { return max(c.lastBlock, c.lastSentBlock) }
