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
	buckets   [numBuckets][]Event
	inBuckets int
	far       heap
}

func sliceOf(ev *Event) int64 { return int64(ev.at) >> sliceBits }

func (q *queue) push(ev Event) {
	switch ahead := sliceOf(&ev) - q.slice; {
	case ahead <= 0:
		q.near.push(ev)
	case ahead < numBuckets:
		q.put(ev)
	default:
		q.far.push(ev)
	}
}

// put puts an event of one of the next slices into its bucket.
func (q *queue) put(ev Event) {
	b := &q.buckets[sliceOf(&ev)%numBuckets]
	*b = append(*b, ev)
	q.inBuckets++
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
		q.put(q.far.pop())
	}
	b := &q.buckets[slice%numBuckets]
	for i := range *b {
		q.near.push((*b)[i])
	}
	q.inBuckets -= len(*b)
	*b = (*b)[:0]
}

// heap is a heap of events with four children to a node: half as deep as a
// binary one, and the children of a node are neighbours in memory.
type heap []Event

func (p *heap) push(ev Event) {
	h := append(*p, ev)
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
	h[i] = ev
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
