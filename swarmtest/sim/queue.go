package sim

// The time ahead is cut into slices of 4.2 ms, each with a bucket for the next
// 2.1 s. In a slice a swarm of 1,000 has some fifty events, which fit into the
// nearest cache, and its blocks and messages are mostly done within that time.
// Both numbers are powers of two, and otherwise arbitrary.
const (
	sliceBits  = 22 // of nanoseconds
	numBuckets = 512
)

// queue holds the events that are to come. Those of the current slice of time
// are in a small heap; those of the next slices in buckets, in no order; and
// those beyond in a large heap. So most events are only ever in a heap that
// stays small however large the swarm is.
type queue struct {
	slice     int64 // the current one
	near      heap  // of the current slice, or of one that has passed
	buckets   [numBuckets]*batch
	inBuckets int
	far       heap
	free      *batch
	numFree   int
}

// batch is a part of a bucket, or of an outbox. Buckets made of such parts need memory for the events
// that wait, not for the most that any bucket ever held: where a swarm starts at once, each
// bucket is full for once, and never again.
type batch struct {
	next   *batch // the one that was filled before it, or is free as well
	len    int
	events [batchLen]Event
}

// batchLen makes a batch as long as a size of the allocator, 3 KiB, and is otherwise
// arbitrary: 512 buckets waste half a batch each. maxFree keeps 3 MB for the next events.
const (
	batchLen = 63
	maxFree  = 1024
)

func sliceOf(ev *Event) int64 { return int64(ev.at) >> sliceBits }

func (q *queue) push(ev *Event) {
	switch ahead := sliceOf(ev) - q.slice; {
	case ahead <= 0:
		q.near.push(ev)
	case ahead < numBuckets:
		q.put(ev)
	default:
		q.far.push(ev)
	}
}

// put puts an event of one of the next slices into its bucket.
func (q *queue) put(ev *Event) {
	q.add(&q.buckets[sliceOf(ev)%numBuckets], ev)
	q.inBuckets++
}

// add puts an event into the last of some batches.
func (q *queue) add(last **batch, ev *Event) {
	b := *last
	if b == nil || b.len == batchLen {
		b = q.newBatch(b)
		*last = b
	}
	b.events[b.len] = *ev
	b.len++
}

// newBatch returns an empty batch, in front of next.
func (q *queue) newBatch(next *batch) *batch {
	b := q.free
	if b == nil {
		return &batch{next: next}
	}
	q.free = b.next
	q.numFree--
	b.next, b.len = next, 0
	return b
}

// drop frees a batch, and returns the one before it.
func (q *queue) drop(b *batch) (next *batch) {
	next = b.next
	if q.numFree < maxFree {
		b.next, q.free = q.free, b
		q.numFree++
	}
	return next
}

// first returns the first event, or nil. It is valid until the queue changes.
func (q *queue) first() *Event {
	for len(q.near) == 0 {
		switch {
		case q.inBuckets > 0:
			q.enter(q.slice + 1)
		case len(q.far) > 0:
			q.enter(sliceOf(&q.far[0]))
		default:
			return nil
		}
	}
	return &q.near[0]
}

// pop removes the first event, which there must be.
func (q *queue) pop() Event {
	q.first()
	return q.near.pop()
}

// enter goes on to a slice. Those before it have no events left.
func (q *queue) enter(slice int64) {
	q.slice = slice
	for len(q.far) > 0 && sliceOf(&q.far[0])-slice < numBuckets {
		ev := q.far.pop()
		q.put(&ev)
	}
	b := q.buckets[slice%numBuckets]
	q.buckets[slice%numBuckets] = nil
	q.near = q.near.forNext(b)
	for ; b != nil; b = q.drop(b) {
		for i := range b.events[:b.len] {
			q.near.push(&b.events[i])
		}
		q.inBuckets -= b.len
	}
}

// heap is a heap of events with four children to a node: half as deep as a
// binary one, and the children of a node are neighbours in memory.
type heap []Event

// forNext returns an empty heap for the events of a bucket: h, unless that is too small
// or much too large for them.
func (h heap) forNext(b *batch) heap {
	n := batchLen
	for ; b != nil; b = b.next {
		n += b.len
	}
	if cap(h) < n || cap(h) > 16*n {
		return make(heap, 0, 2*n)
	}
	return h
}

func (p *heap) push(ev *Event) {
	h := append(*p, *ev)
	*p = h
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !ev.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = *ev
}

// pop removes the first event. The heap must not be empty.
func (p *heap) pop() Event {
	h := *p
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*p = h
	if len(h) > 0 {
		h.sink(last)
	}
	return first
}

// sink puts ev at the root's place and lets it down to where it belongs.
func (h heap) sink(ev Event) {
	i := 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&ev) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = ev
}
