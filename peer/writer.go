package peer

import (
	"errors"
	"os"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// writer sends the messages and blocks of one connection. It answers many
// requests with one vectored write, of blocks that lie in the cache.
type writer struct {
	c      *conn
	batch  sendBatch
	window sendWindow

	sent   int // bytes of batch.control that were sent
	bufs   [][]byte
	blocks []piecestore.CachedBlock
}

// write sends until the connection is closed, and closes it if it fails.
func (c *conn) write() {
	w := &writer{c: c, window: newSendWindow()}
	for {
		select {
		case <-c.closed:
			return
		case <-c.out.wake:
		}
		c.out.take(&w.batch)
		if err := w.send(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errNoReading
			}
			c.close(err)
			return
		}
	}
}

// send sends the batch, in groups of as many blocks as half the window holds:
// while one group is on its way, the credit of the one before brings the next.
func (w *writer) send() error {
	w.sent = 0
	for blocks := w.batch.blocks; len(blocks) > 0; {
		n := w.groupLen(blocks)
		if err := w.sendGroup(blocks[:n]); err != nil {
			return err
		}
		blocks = blocks[n:]
	}
	if w.sent < len(w.batch.control) {
		if err := writeAll(w.c.tr, append(w.bufs[:0], w.batch.control[w.sent:])); err != nil {
			return err
		}
	}
	if w.batch.paid > 0 {
		w.giveCredit(w.batch.paid)
	}
	return nil
}

// giveCredit tells the engine that the transport took so many bytes.
func (w *writer) giveCredit(length int) {
	if credit := w.window.drained(length, time.Now()); credit > 0 {
		w.c.t.inbox.put(event{in: engine.Input{Kind: engine.InCredit, Conn: &w.c.state, Length: credit}})
	}
}

// groupLen is how many of the blocks are sent together, at least one.
func (w *writer) groupLen(blocks []blockRef) (n int) {
	for length := 0; n < len(blocks) && length < w.window.size/2; n++ {
		length += blocks[n].length
	}
	return n
}

// sendGroup sends blocks and the messages before them, then gives the engine
// credit for as many bytes.
func (w *writer) sendGroup(refs []blockRef) error {
	defer w.release()
	length := 0
	for _, ref := range refs {
		block, err := w.c.t.content().cache.Block(ref.pieceIndex, ref.begin, ref.length)
		if err != nil {
			w.c.t.storeReadFailed(err)
			return err
		}
		w.blocks = append(w.blocks, block)
		w.bufs = append(w.bufs, w.batch.control[w.sent:ref.after], block.Bytes())
		w.sent = ref.after
		length += ref.length
	}
	w.c.t.storeReadWorked()
	if err := writeAll(w.c.tr, w.bufs); err != nil {
		return err
	}
	w.giveCredit(length)
	return nil
}

// release gives the blocks of a group back to the cache.
func (w *writer) release() {
	for _, block := range w.blocks {
		block.Release()
	}
	clear(w.blocks)
	clear(w.bufs)
	w.blocks, w.bufs = w.blocks[:0], w.bufs[:0]
}
