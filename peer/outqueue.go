package peer

import "sync"

// sendBatch is what a connection has to send: encoded messages, and blocks
// that go in between them.
type sendBatch struct {
	control []byte     // messages, and the headers of the blocks
	blocks  []blockRef // in the order of after
	paid    int        // bytes of messages that were paid from the credit
}

// blockRef is a block to be sent when the bytes of control before after were.
type blockRef struct {
	after                     int
	pieceIndex, begin, length int
}

// reset empties the batch and keeps its memory, unless that is unusually
// large: one bitfield should not stay for the length of a connection.
func (b *sendBatch) reset() {
	if cap(b.control) > 64<<10 {
		b.control = nil
	}
	b.control, b.blocks, b.paid = b.control[:0], b.blocks[:0], 0
}

// appendBatch moves all of more behind what is in b.
func (b *sendBatch) appendBatch(more *sendBatch) {
	before := len(b.control)
	b.control = append(b.control, more.control...)
	b.paid += more.paid
	for _, ref := range more.blocks {
		ref.after += before
		b.blocks = append(b.blocks, ref)
	}
	more.reset()
}

// outQueue is where the loop leaves what a connection's writer is to send. The
// blocks and paid messages in it are bounded by the connection's credit, the
// rest by maxQueuedControl.
type outQueue struct {
	wake chan struct{} // has a value when there is something to take

	mu     sync.Mutex
	queued sendBatch
}

func newOutQueue() *outQueue { return &outQueue{wake: make(chan struct{}, 1)} }

// put moves everything from staged to the queue. It is false if more is queued
// than a peer that reads would leave.
func (q *outQueue) put(staged *sendBatch) bool {
	q.mu.Lock()
	q.queued.appendBatch(staged)
	fits := len(q.queued.control)-q.queued.paid <= maxQueuedControl
	q.mu.Unlock()
	signal(q.wake)
	return fits
}

// take exchanges what is queued for sent, an earlier batch that is done.
func (q *outQueue) take(sent *sendBatch) {
	sent.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued, *sent = *sent, q.queued
}
