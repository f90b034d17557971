package peer

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// errNotNeeded is why a web seed is let go that did nothing wrong.
var errNotNeeded = &webSeedError{useless: true, reason: "it is not needed any more"}

// webConn is a web seed as a connection of the engine. One goroutine makes ranges of the
// blocks that it is asked for, and reads them into the assembly as a reader does.
type webConn struct {
	t      *Torrent
	seed   *webSeed
	ctx    context.Context
	cancel context.CancelCauseFunc

	// These belong to the loop.
	state  engine.Conn
	staged []wire.Message
	dirty  bool

	wake    chan struct{} // has a value when something was queued
	mu      sync.Mutex
	queue   []askedBlock // at most what the engine's window allows
	current []askedBlock // what is being read

	batch   []event // of the goroutine
	flushed time.Time
}

// askedBlock is a block that a web seed was asked for.
type askedBlock struct {
	piece, begin, length int
	cancelled            bool
}

// Blocks that arrive within webBatchTime are handed to the loop together, webBatch at most.
// Arbitrary: of a slow server, each block is handed over at once.
const (
	webBatch     = 16
	webBatchTime = 20 * time.Millisecond
)

func newWebConn(t *Torrent, seed *webSeed) *webConn {
	c := &webConn{t: t, seed: seed, wake: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancelCause(t.dialing)
	return c
}

// run is the connection, from its beginning to its end, and returns why it ended.
func (c *webConn) run() error {
	defer c.cancel(nil)
	c.t.inbox.put(event{do: func() { c.t.webSeedUp(c) }})
	err := c.serve()
	c.t.inbox.put(event{do: func() { c.t.webSeedDown(c) }})
	return err
}

// webSeedUp tells the engine of a web seed, in the loop.
func (t *Torrent) webSeedUp(c *webConn) {
	if t.stopping {
		return
	}
	t.webConns[&c.state] = c
	t.tell(engine.Input{Kind: engine.InConnUp, Conn: &c.state, WebSeed: true, PeerID: c.seed.id})
}

// webSeedDown tells the engine that what it asked for does not come.
func (t *Torrent) webSeedDown(c *webConn) {
	if t.webConns[&c.state] == c {
		delete(t.webConns, &c.state)
		t.tell(engine.Input{Kind: engine.InConnDown, Conn: &c.state})
	}
}

// close ends the connection because the engine wants that.
func (c *webConn) close(reason string) {
	if strings.HasPrefix(reason, "banned") {
		c.cancel(useless("%s", reason))
	} else {
		c.cancel(errNotNeeded)
	}
}

// stage keeps a request or cancel until the end of the loop's turn: the goroutine must
// not make a range of the first of many.
func (c *webConn) stage(m wire.Message) {
	c.staged = append(c.staged, m)
	if !c.dirty {
		c.dirty = true
		c.t.dirtyWeb = append(c.t.dirtyWeb, c)
	}
}

// flush hands over what was staged.
func (c *webConn) flush() {
	c.dirty = false
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.staged {
		m := &c.staged[i]
		b := askedBlock{piece: int(m.Index), begin: int(m.Begin), length: int(m.Length)}
		if m.Type == wire.Request {
			c.queue = append(c.queue, b)
		} else if m.Type == wire.Cancel {
			c.cancelBlock(b)
		}
	}
	c.staged = c.staged[:0]
	signal(c.wake)
}

// cancelBlock takes a block out of the queue, or marks it as no longer wanted. c.mu is held.
func (c *webConn) cancelBlock(b askedBlock) {
	if i := slices.Index(c.queue, b); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
		c.reject(b)
	} else if i := slices.Index(c.current, b); i >= 0 {
		c.current[i].cancelled = true
	}
}

// reject tells the engine that a cancelled block does not come.
func (c *webConn) reject(b askedBlock) {
	c.t.inbox.put(event{in: engine.Input{Kind: engine.InMessage, Conn: &c.state, Message: wire.Message{
		Type: wire.Reject, Index: uint32(b.piece), Begin: uint32(b.begin), Length: uint32(b.length),
	}}})
}

// serve fetches what is asked for until the connection is closed or the server fails.
func (c *webConn) serve() error {
	for {
		select {
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-c.wake:
		}
		for run := c.takeRun(); len(run) > 0; run = c.takeRun() {
			if err := c.fetch(run); err != nil {
				if c.ctx.Err() != nil {
					err = context.Cause(c.ctx)
				}
				return err
			}
		}
	}
}

// takeRun takes from the queue the blocks that follow each other: a range.
func (c *webConn) takeRun() []askedBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.queue) && (n == 0 || c.offset(c.queue[n]) == c.offset(c.queue[n-1])+int64(c.queue[n-1].length)) {
		n++
	}
	c.current = slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return slices.Clone(c.current) // a cancel may mark what is in the other
}

// offset is where a block begins, in bytes from the start of the torrent.
func (c *webConn) offset(b askedBlock) int64 {
	return int64(b.piece)*int64(c.geometry().StdPieceLen()) + int64(b.begin)
}

func (c *webConn) geometry() *metainfo.Geometry { return &c.t.content().info.Geometry }

// fetch reads a run of blocks. Each has as much time as one of a peer.
func (c *webConn) fetch(run []askedBlock) error {
	info := c.t.content().info
	last := run[len(run)-1]
	begin := c.offset(run[0])
	r := &rangeReader{
		ctx: c.ctx, client: c.t.client.web, userAgent: c.t.client.cfg.Client, base: c.seed.url, info: info,
		spans: slices.Collect(info.Spans(begin, c.offset(last)+int64(last.length)-begin)),
	}
	defer r.close()
	defer c.hand()
	slow := time.AfterFunc(blockTimeout, func() { c.cancel(errSlowBlock) })
	defer slow.Stop()
	for i, b := range run {
		if c.rejectRest(i) {
			return nil
		}
		slow.Reset(blockTimeout)
		if err := c.block(r, b); err != nil {
			return err
		}
		c.seed.backoff.Served()
	}
	return nil
}

// rejectRest ends a run of which nothing is wanted any more.
func (c *webConn) rejectRest(from int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.current[from:]
	if slices.ContainsFunc(rest, func(b askedBlock) bool { return !b.cancelled }) {
		return false
	}
	for _, b := range rest {
		c.reject(b)
	}
	return true
}

// block reads a block into its slot.
func (c *webConn) block(r io.Reader, b askedBlock) error {
	in := engine.Input{Kind: engine.InBlock, Conn: &c.state, Piece: b.piece, Begin: b.begin, Length: b.length}
	slot, claimed := c.t.content().assembly.Claim(b.piece, b.begin, b.length)
	if claimed {
		if _, err := io.ReadFull(r, slot.Bytes()); err != nil {
			slot.Release()
			return err
		}
		in.Claimed = slot.Fill()
	} else if _, err := io.CopyN(io.Discard, r, int64(b.length)); err != nil {
		return err
	}
	c.batch = append(c.batch, event{in: in})
	if len(c.batch) < webBatch && time.Since(c.flushed) < webBatchTime {
		return nil
	}
	return c.hand()
}

// hand gives the blocks that were read to the loop.
func (c *webConn) hand() error {
	if len(c.batch) > 0 && !c.t.inbox.putWhenRoom(c.batch) {
		return errStopped
	}
	clear(c.batch)
	c.batch, c.flushed = c.batch[:0], time.Now()
	return nil
}
