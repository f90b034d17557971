package pool

import (
	"sync/atomic"
	"testing"
)

func TestEachWorkerIsCalledOncePerRound(t *testing.T) {
	for size := range 5 {
		p := New(size)
		calls := make([]atomic.Int64, p.Size())
		const rounds = 200
		for round := range int64(rounds) {
			p.Do(func(worker int) { calls[worker].Add(1) })
			for i := range calls {
				if n := calls[i].Load(); n != round+1 {
					t.Fatalf("size %d: worker %d was called %d times in %d rounds", size, i, n, round+1)
				}
			}
		}
		p.Close()
	}
}
