package cdn

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// lru is the plainest cache that evicts the least recently used, for
// comparison.
type lru struct {
	disk     int64
	byObject bool
	ids      []sliceID // least recently used first
}

const testSliceLen = 10

func (l *lru) same(a, b sliceID) bool {
	return a == b || l.byObject && a.content() == b.content()
}

func (l *lru) get(id sliceID) bool {
	there := slices.Contains(l.ids, id)
	if there {
		l.use(id)
	}
	return there
}

func (l *lru) use(id sliceID) {
	var others, same []sliceID
	for _, other := range l.ids {
		if l.same(other, id) {
			same = append(same, other)
		} else {
			others = append(others, other)
		}
	}
	l.ids = append(others, same...)
}

func (l *lru) put(id sliceID) {
	together := int64(1)
	for _, other := range l.ids {
		if l.same(other, id) {
			together++
		}
	}
	if together*testSliceLen > l.disk {
		return
	}
	l.use(id)
	l.ids = append(l.ids, id)
	for int64(len(l.ids))*testSliceLen > l.disk {
		first := l.ids[0]
		l.ids = slices.DeleteFunc(l.ids, func(other sliceID) bool { return l.same(other, first) })
	}
}

func TestCacheIsLRU(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		disk := testSliceLen * random.Int64N(12)
		if disk == 0 {
			disk = -1
		}
		byObject := seed%2 == 1
		c, want := newCache(Cache{Disk: disk, ByObject: byObject, TTL: -1}), &lru{disk: disk, byObject: byObject}
		for step := range 2000 {
			id := idOf(random.Int32N(6), random.Int32N(4))
			_, there := c.get(id)
			if expected := want.get(id); there != expected {
				t.Fatalf("seed %d, step %d: slice %x is there: %v, want %v", seed, step, id, there, expected)
			}
			if !there {
				c.put(id, testSliceLen, 0)
				want.put(id)
			}
			if c.used != int64(len(want.ids))*testSliceLen || len(c.slices) != len(want.ids) {
				t.Fatalf("seed %d, step %d: %d bytes in %d slices, want %d slices", seed, step, c.used, len(c.slices), len(want.ids))
			}
		}
	}
}
