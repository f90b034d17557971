// Package pool has the goroutines of a simulation.
//
// A Pool has a fixed number of workers, to which sim.Swarm hands windows of
// virtual time. A worker waits for the next window by looking again and again
// for a moment, because windows are often shorter than what it takes to wake a
// goroutine, and sleeps after that. New starts them; Close ends them and waits.
package pool

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A worker that waits looks maxLooks times, some tens of microseconds, yields
// the processor maxYields times, and then sleeps. Both are arbitrary.
const (
	maxLooks  = 20_000
	maxYields = 100
)

// Pool is a sim.Pool. It is for one simulation at a time.
type Pool struct {
	workers []*worker // but the caller of Do
	looks   int       // how often they look before they yield
	work    func(worker int)
	round   atomic.Uint64 // a new one begins with each Do
	busy    atomic.Int64  // workers that have not finished the round
	closed  bool
	ended   sync.WaitGroup
}

// worker is one goroutine.
type worker struct {
	index  int
	asleep atomic.Bool
	wake   chan struct{}
}

// New starts a pool of size workers, at least 1; the caller of Do is one of them.
func New(size int) *Pool {
	p := &Pool{looks: maxLooks}
	if size > runtime.GOMAXPROCS(0) {
		p.looks = 0 // to look would keep the others from their work
	}
	for i := 1; i < size; i++ {
		w := &worker{index: i, wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.ended.Go(func() { p.run(w) })
	}
	return p
}

// Size is the number of workers.
func (p *Pool) Size() int { return 1 + len(p.workers) }

// Do calls work with 0 to Size()-1, side by side, and waits until all have
// returned.
func (p *Pool) Do(work func(worker int)) {
	p.work = work
	p.begin()
	work(0)
	for looks := 0; p.busy.Load() > 0; looks++ {
		if looks >= p.looks {
			runtime.Gosched()
		}
	}
	p.work = nil
}

// Close ends the workers and waits for them.
func (p *Pool) Close() {
	p.closed = true
	p.begin()
	p.ended.Wait()
}

// begin begins a round.
func (p *Pool) begin() {
	p.busy.Store(int64(len(p.workers)))
	p.round.Add(1)
	for _, w := range p.workers {
		if w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

func (p *Pool) run(w *worker) {
	for round := uint64(1); ; round++ {
		p.await(w, round)
		if p.closed {
			return
		}
		p.work(w.index)
		p.busy.Add(-1)
	}
}

// await returns when a round has begun.
func (p *Pool) await(w *worker, round uint64) {
	for looks := 0; p.round.Load() < round; looks++ {
		switch {
		case looks < p.looks:
		case looks < p.looks+maxYields:
			runtime.Gosched()
		default:
			p.sleep(w, round)
		}
	}
}

// sleep waits to be woken, unless a round has begun. It may be woken for a
// round that it has done already.
func (p *Pool) sleep(w *worker, round uint64) {
	w.asleep.Store(true)
	if p.round.Load() >= round && w.asleep.CompareAndSwap(true, false) {
		return
	}
	<-w.wake
}
