package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// upload is a block that a peer asked for.
type upload struct {
	piece, begin, length uint32
}

// queue holds what a peer asked for, first come first served.
type queue struct {
	items []upload
	head  int
}

func (q *queue) len() int      { return len(q.items) - q.head }
func (q *queue) front() upload { return q.items[q.head] }
func (q *queue) all() []upload { return q.items[q.head:] }
func (q *queue) clear()        { q.items, q.head = q.items[:0], 0 }

func (q *queue) push(u upload) {
	if q.head > 0 && len(q.items) == cap(q.items) { // reuse what was sent
		q.items = q.items[:copy(q.items, q.items[q.head:])]
		q.head = 0
	}
	q.items = append(q.items, u)
}

func (q *queue) pop() {
	if q.head++; q.head == len(q.items) {
		q.clear()
	}
}

// trim gives up memory that is not needed.
func (q *queue) trim() {
	if q.head == 0 {
		q.items = shrink(q.items)
	} else if cap(q.items) > 4*q.len() {
		q.items, q.head = slices.Clone(q.all()), 0
	}
}

// remove takes out the first upload equal to u and reports whether there was
// one.
func (q *queue) remove(u upload) bool {
	i := slices.Index(q.all(), u)
	if i < 0 {
		return false
	}
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
	return true
}

// requested handles "request".
func (e *Engine) requested(now time.Duration, c *Conn, m wire.Message) {
	u := upload{m.Index, m.Begin, m.Length}
	switch {
	case e.have == nil || !e.geo.Contains(u.piece, u.begin, u.length) || u.length > maxRequestLen:
		e.close(c, "a request that no piece can answer")
	case !e.have.Has(int(u.piece)):
		e.reject(now, c, u)
	case !c.unchoked && !e.isOffered(c, u):
		e.rejectChoked(now, c, u)
	case c.queue.len() >= maxQueued:
		e.reject(now, c, u)
	default:
		if !c.unchoked {
			c.seldom.offeredBytes += int64(u.length)
		}
		c.queue.push(u)
		e.enterBacklog(c)
		e.serve(now)
	}
}

// rejectChoked answers a request of a peer that we choke. BEP 6: "If a peer
// receives an excessive number of requests from a peer it is choking, the peer
// receiving the requests MAY close the connection".
func (e *Engine) rejectChoked(now time.Duration, c *Conn, u upload) {
	if c.chokedRequests++; c.chokedRequests > maxChokedRequests {
		e.close(c, "too many requests while choked")
		return
	}
	e.reject(now, c, u)
}

// reject says that a request will not be answered. Without the Fast Extension
// there are no words for it.
func (e *Engine) reject(now time.Duration, c *Conn, u upload) {
	if c.fast {
		e.send(now, c, wire.Message{Type: wire.Reject, Index: u.piece, Begin: u.begin, Length: u.length})
	}
}

// cancelledByPeer handles "cancel": what has not been released to the
// transport is not sent. BEP 6: "Even when a request is cancelled, the peer
// receiving the cancel should respond with either the corresponding reject or
// the corresponding piece".
func (e *Engine) cancelledByPeer(now time.Duration, c *Conn, m wire.Message) {
	u := upload{m.Index, m.Begin, m.Length}
	if c.queue.remove(u) {
		e.reject(now, c, u)
		if c.queue.len() == 0 {
			e.unbacklog(c)
		}
	}
}

// credit handles what a connection's transport can take.
func (e *Engine) credit(now time.Duration, c *Conn, n int) {
	c.credit += n
	e.enterBacklog(c)
	if len(e.askers) > 0 {
		e.serveMetadata(now)
	}
	e.serve(now)
}

// enterBacklog lines a connection up for sending, if it has something to send
// and credit for it.
func (e *Engine) enterBacklog(c *Conn) {
	if !c.inBacklog && c.credit > 0 && c.queue.len() > 0 && !c.closing {
		c.inBacklog = true
		e.backlog = append(e.backlog, c)
	}
}

func (e *Engine) unbacklog(c *Conn) {
	if !c.inBacklog {
		return
	}
	c.inBacklog = false
	i := slices.Index(e.backlog, c)
	e.backlog = slices.Delete(e.backlog, i, i+1)
}

// serve releases blocks to the transports, one for each connection in turn, as
// long as the Grants let it.
func (e *Engine) serve(now time.Duration) {
	if e.uploadAt > now {
		return
	}
	e.uploadAt = 0
	for len(e.backlog) > 0 {
		c := e.backlog[0]
		if c.overdue && c.queue.front().piece != c.sending-1 {
			e.choke(now, c)
			e.fillSlots(now)
			continue
		}
		length := int(c.queue.front().length)
		if granted, again := e.cfg.Grants.Upload(now, length); granted < length {
			e.uploadAt = max(again, now+1)
			e.choker.throttled = true
			return
		}
		e.backlog = e.backlog[:copy(e.backlog, e.backlog[1:])]
		c.inBacklog = false
		e.release(now, c)
		e.enterBacklog(c)
	}
}

// release sends the first block of c's queue. Credit may go below zero by a
// part of a block, so that a small credit never stops a connection.
func (e *Engine) release(now time.Duration, c *Conn) {
	u := c.queue.front()
	c.queue.pop()
	n := int(u.length)
	c.sending = u.piece + 1
	if int(u.begin)+n == e.geo.PieceLen(int(u.piece)) {
		c.sending = 0
		c.overdue = c.overdue || c.optimistic && e.starterWaits()
	}
	c.credit -= n
	c.uploaded += int64(n)
	c.lastSentBlock, e.served = now, now
	c.upMeter.add(now, n)
	c.lastSent = now
	e.uploaded += int64(n)
	e.up.add(now, n)
	e.choker.sent += int64(n)
	e.out.push(Output{Kind: OutBlock, Conn: c, Piece: int(u.piece), Begin: int(u.begin), Length: n})
}

// setChoke chokes or unchokes a peer. A choke drops what it asked for. BEP 6:
// "A peer SHOULD choke first and then reject requests so that the peer
// receiving the choke does not re-request the pieces", and pieces of the
// allowed-fast set are not rejected.
func (e *Engine) setChoke(now time.Duration, c *Conn, choke bool) {
	if c.unchoked != choke || c.closing {
		return
	}
	c.unchoked = !choke
	if !choke {
		c.unchokedAt, c.chokedRequests = now, 0
		e.send(now, c, wire.Message{Type: wire.Unchoke})
		return
	}
	e.send(now, c, wire.Message{Type: wire.Choke})
	dropped := slices.Clone(c.queue.all())
	c.queue.clear()
	for _, u := range dropped {
		if e.isOffered(c, u) {
			c.seldom.offeredBytes += int64(u.length)
			c.queue.push(u)
		} else {
			e.reject(now, c, u)
		}
	}
	if c.queue.len() == 0 {
		e.unbacklog(c)
	}
}
