package engine

import "time"

// makeRoomFor closes a connection that gives its place up to a newcomer, when all places are
// taken, and reports whether it did.
//
// Without that, who came first keeps the newcomer out for good: the first hundred of a crowd
// know only each other, what the origin gives them reaches the last by many hops, and later the last
// leechers have only each other, while the uplink of an origin that they never met idles. But
// a newcomer may be a stranger who wants our peers gone.
func (e *Engine) makeRoomFor(now time.Duration, newcomer *Conn) bool {
	if c := e.idlest(now); c != nil {
		e.evictedAt = now
		e.close(c, "idle, and another peer wants its place")
		return true
	}
	if c := e.leastPreferred(now, newcomer); c != nil {
		e.close(c, "another peer has a higher priority")
		return true
	}
	return false
}

// idlest returns a connection of no use: one that had minutes, and did nothing in the last one.
// Such places are given up slowly.
func (e *Engine) idlest(now time.Duration) (idlest *Conn) {
	if e.evictedAt > 0 && now-e.evictedAt < evictEvery {
		return nil
	}
	for _, c := range e.conns {
		if e.isIdle(now, c) && (idlest == nil || c.lessUse(idlest)) {
			idlest = c
		}
	}
	return idlest
}

// isIdle reports whether a connection may lose its place to anybody. Who waits for a slot
// of a seed is not idle: it would come back and wait again. The user's own peers stay.
func (e *Engine) isIdle(now time.Duration, c *Conn) bool {
	if c.closing || c.webSeed || now-c.up < evictGrace || now-c.lastMoved() < evictIdle || e.isOfUser(c) {
		return false
	}
	return e.lacking() || !c.peerInterested
}

// leastPreferred returns the connection of the lowest canonical priority, if that of the newcomer is
// higher (BEP 40). Both ends agree on the order, so that after a while everybody has the neighbours
// that rank highest with him, which are as good as random ones, and the churn ends. Nobody
// loses a place while blocks come or go.
func (e *Engine) leastPreferred(now time.Duration, newcomer *Conn) (least *Conn) {
	lowest, ok := e.priority(newcomer)
	if !ok || !e.aloneInItsNetwork(newcomer) {
		return nil
	}
	for _, c := range e.conns {
		if c.closing || c.webSeed || e.isTrading(now, c) || e.isOfUser(c) {
			continue
		}
		if p, ok := e.priority(c); ok && p < lowest {
			least, lowest = c, p
		}
	}
	return least
}

// isTrading reports whether a connection has a slot or requests, or brought a block within a minute.
func (e *Engine) isTrading(now time.Duration, c *Conn) bool {
	return c.unchoked && c.peerInterested || len(c.pending) > 0 || c.lastBlock > 0 && now-c.lastBlock < evictIdle
}

// isOfUser reports whether the user named the peer.
func (e *Engine) isOfUser(c *Conn) bool {
	k := e.book.find(c.addr)
	return k != nil && k.source == SourceUser
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
