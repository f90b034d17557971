package cdn

import "time"

// push and pop keep the marks of a bundle as a heap.
func (b *bundle) push(m mark) {
	b.marks = append(b.marks, m)
	i := len(b.marks) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !m.before(&b.marks[up]) {
			break
		}
		b.marks[i] = b.marks[up]
		i = up
	}
	b.marks[i] = m
}

func (b *bundle) pop() {
	last := len(b.marks) - 1
	m := b.marks[last]
	b.marks = b.marks[:last]
	if last == 0 {
		return
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && b.marks[child+1].before(&b.marks[child]) {
			child++
		}
		if !b.marks[child].before(&m) {
			break
		}
		b.marks[i] = b.marks[child]
		i = child
	}
	b.marks[i] = m
}

// move puts a bundle into the heap of those that are due, or where its new
// finish belongs in it. Without a finish it is taken out.
func (n *network) move(id int32, finish time.Duration) {
	b := &n.bundles[id]
	b.finish = finish
	switch {
	case b.place < 0 && finish == never:
		return
	case b.place < 0:
		b.place = len(n.due)
		n.due = append(n.due, id)
	case finish == never:
		last := len(n.due) - 1
		at, moved := b.place, n.due[last]
		n.due = n.due[:last]
		b.place = -1
		if at == last {
			return
		}
		n.due[at] = moved
		n.bundles[moved].place = at
		id = moved
	}
	n.sift(id)
}

func (n *network) earlier(a, b int32) bool {
	x, y := &n.bundles[a], &n.bundles[b]
	return x.finish < y.finish || x.finish == y.finish && a < b
}

// sift brings a bundle to its place in the heap.
func (n *network) sift(id int32) {
	i := n.bundles[id].place
	for i > 0 && n.earlier(id, n.due[(i-1)/2]) {
		i = n.swap(i, (i-1)/2)
	}
	for {
		child := 2*i + 1
		if child >= len(n.due) {
			return
		}
		if child+1 < len(n.due) && n.earlier(n.due[child+1], n.due[child]) {
			child++
		}
		if !n.earlier(n.due[child], id) {
			return
		}
		i = n.swap(i, child)
	}
}

func (n *network) swap(i, j int) int {
	n.due[i], n.due[j] = n.due[j], n.due[i]
	n.bundles[n.due[i]].place = i
	n.bundles[n.due[j]].place = j
	return j
}

// event is something that happens at a time to a client, a request or the whole
// system. Gen tells one that is no longer meant.
type event struct {
	at   time.Duration
	seq  uint64
	kind kind
	who  int32
	gen  uint32
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// events is a heap with four children a node, which needs half the steps of one
// with two.
type events []event

func (h *events) push(e event) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = e
}

func (h *events) pop() event {
	s := *h
	top, last := s[0], len(s)-1
	e := s[last]
	s = s[:last]
	*h = s
	if last == 0 {
		return top
	}
	i := 0
	for {
		first := 4*i + 1
		if first >= last {
			break
		}
		child := first
		for c := first + 1; c < min(first+4, last); c++ {
			if s[c].before(&s[child]) {
				child = c
			}
		}
		if !s[child].before(&e) {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = e
	return top
}
