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
			q.push(&ev)
			all.push(&ev)
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

// TestTheQueueForgetsBursts: a queue in which each slice of time was full for once keeps
// little memory.
func TestTheQueueForgetsBursts(t *testing.T) {
	var q queue
	const perSlice = 3000
	for at := time.Duration(0); at < 4*numBuckets<<sliceBits; at += 1 << sliceBits {
		for order := range uint64(perSlice) {
			q.push(&Event{at: at + time.Second, order: order})
		}
		for first := q.first(); first != nil && first.at <= at; first = q.first() {
			q.pop()
		}
	}
	for q.first() != nil {
		q.pop()
	}
	ev := Event{at: time.Hour}
	q.push(&ev)
	if got := q.pop(); got != ev {
		t.Fatalf("popped %+v", got)
	}
	for _, b := range q.buckets {
		if b != nil {
			t.Fatal("an empty bucket holds memory")
		}
	}
	numFree := 0
	for b := q.free; b != nil; b = b.next {
		numFree++
	}
	if numFree != q.numFree || numFree > maxFree || cap(q.near) > perSlice {
		t.Errorf("%d batches are free, %d counted, and there is room for %d events of now", numFree, q.numFree, cap(q.near))
	}
}
