package node

import "github.com/shoal-bt/shoal/dht/krpc"

// maxClosest bounds what closest returns.
const maxClosest = 16

// closest appends to dst the count nodes that are closest to target, the
// closest first, of those that answered the last query that they were sent.
func (t *table) closest(dst []krpc.Node, target *krpc.ID, count int) []krpc.Node {
	s := selection{target: target, count: min(count, maxClosest)}
	at := min(sharedBits(&t.own, target), len(t.buckets))
	// The nodes of bucket at share at least one bit more with the target than
	// those deeper, and those more than any of the buckets before.
	if at < len(t.buckets) {
		s.take(&t.buckets[at])
	}
	if !s.full() {
		for i := at + 1; i < len(t.buckets); i++ {
			s.take(&t.buckets[i])
		}
	}
	for i := at - 1; i >= 0 && !s.full(); i-- {
		s.take(&t.buckets[i])
	}
	for _, p := range s.picks[:s.len] {
		dst = append(dst, p.bucket.node(p.index))
	}
	return dst
}

// selection is the closest nodes seen so far, in order.
type selection struct {
	target *krpc.ID
	count  int
	len    int
	picks  [maxClosest]pick
}

type pick struct {
	bucket *bucket
	index  int
}

func (p pick) id() *krpc.ID { return &p.bucket.nodes[p.index].id }

func (s *selection) full() bool { return s.len == s.count }

func (s *selection) take(b *bucket) {
	for i := range b.nodes {
		e := &b.nodes[i]
		if e.fails > 0 || s.full() && compareDistance(s.target, &e.id, s.picks[s.len-1].id()) > 0 {
			continue
		}
		s.insert(pick{b, i})
	}
}

func (s *selection) insert(p pick) {
	if !s.full() {
		s.len++
	}
	i := s.len - 1
	for ; i > 0 && compareDistance(s.target, p.id(), s.picks[i-1].id()) < 0; i-- {
		s.picks[i] = s.picks[i-1]
	}
	s.picks[i] = p
}
