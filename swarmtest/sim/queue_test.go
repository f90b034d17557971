package sim

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTheQueueIsInOrder pushes events of now, of soon and of much later while it pops, and
// compares with a heap of all.
func TestTheQueueIsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var q queue
	var all heap
	now := time.Duration(0)
	for order := range uint64(200_000) {
		if r.IntN(2) == 0 || len(all) == 0 {
			reach := time.Duration(1) << r.IntN(44) // up to five hours
			ev := Event{at: now + time.Duration(r.Int64N(int64(reach))), order: order}
			q.push(ev)
			all.push(ev)
			continue
		}
		want := all.pop()
		if first := q.first(); first == nil || *first != want {
			t.Fatalf("first is %+v, want %+v", first, want)
		}
		if got := q.pop(); got != want {
			t.Fatalf("popped %+v, want %+v", got, want)
		}
		now = want.at
	}
	for len(all) > 0 {
		if got, want := q.pop(), all.pop(); got != want {
			t.Fatalf("popped %+v, want %+v", got, want)
		}
	}
	if q.first() != nil {
		t.Error("the queue is not empty")
	}
}
