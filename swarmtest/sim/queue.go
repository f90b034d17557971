package sim

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
