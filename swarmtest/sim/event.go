package sim

import "time"

// ID names an entity of a kernel, and the host it sits on.
type ID uint32

// FlowID names a flow. It is used again when the flow is closed and nothing
// of it is under way any more.
type FlowID uint32

// Kind says what an event is.
type Kind uint8

// The kinds that an Entity is handed. The comments name the fields they use
// beside To. Kinds from KindUser on are the entities' own.
const (
	// KindMessage: a message arrived. Flow, Sub, A, B, C as it was sent.
	KindMessage Kind = iota + 1
	// KindBlock: a block arrived. Flow, A, B, and C, its length in bytes.
	KindBlock
	// KindSent: a block left the uplink. Flow, A, B, C. It is handed to the
	// sender.
	KindSent
	// KindLost: what would have arrived did not, for its flow is closed. Sub is
	// the kind, KindMessage or KindBlock; the rest as there, but for a
	// message's own Sub.
	KindLost

	// The kernel's own.
	kindUplink // a block is through the uplink
	kindArrive // its last byte is at the downlink
	kindPace   // slow start lets the flow send again

	// KindUser is the first kind that entities may use between themselves.
	KindUser Kind = 32
)

// Event is something that happens to one entity at one time. It is a small
// value without pointers: millions of them are moved a second, and the
// garbage collector need not look at those that wait.
type Event struct {
	at  time.Duration
	seq uint64

	To   ID
	Kind Kind
	Sub  uint8
	size uint16 // bytes of a message, at most maxMessageLen
	Flow FlowID

	A, B, C uint32
}

// before orders events by time, and those of one instant by the order in which they
// were scheduled.
func (e *Event) before(f *Event) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// queue is a heap of events with four children to a node: half as deep as a
// binary one, and the children of a node are neighbours in memory.
type queue []Event

func (q *queue) push(ev Event) {
	h := append(*q, ev)
	*q = h
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

// pop removes the first event. The queue must not be empty.
func (q *queue) pop() Event {
	h := *q
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	if len(h) > 0 {
		h.sink(last)
	}
	return first
}

// sink puts ev at the root's place and lets it down to where it belongs.
func (q queue) sink(ev Event) {
	i := 0
	for {
		child := 4*i + 1
		if child >= len(q) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(q)); c++ {
			if q[c].before(&q[least]) {
				least = c
			}
		}
		if !q[least].before(&ev) {
			break
		}
		q[i] = q[least]
		i = least
	}
	q[i] = ev
}
