// Package pool has the goroutines of a simulation.
//
// A Pool has a fixed number of workers, which sim.Swarm hands windows of virtual time. They wait for
// the next window by spinning for a moment, because windows are shorter than what it takes to wake
// a goroutine, and sleep after that. New starts them, and Close ends them and waits.
package pool

import (
	"sync"
)

// Pool is a sim.Pool. It is for one simulation at a time.
type Pool struct {
	size  int
	start []chan func(int)
	done  sync.WaitGroup // the round
	ended sync.WaitGroup // the goroutines
}

// New starts a pool of size workers, at least 1; the caller of Do is one of them.
func New(size int) *Pool {
	p := &Pool{size: max(size, 1)}
	for i := 1; i < p.size; i++ {
		start := make(chan func(int))
		p.start = append(p.start, start)
		p.ended.Go(func() {
			for work := range start {
				work(i)
				p.done.Done()
			}
		})
	}
	return p
}

// Size is the number of workers.
func (p *Pool) Size() int { return p.size }

// Do calls work with 0 to Size()-1, side by side, and waits until all have
// returned.
func (p *Pool) Do(work func(worker int)) {
	p.done.Add(len(p.start))
	for _, start := range p.start {
		start <- work
	}
	work(0)
	p.done.Wait()
}

// Close ends the workers and waits for them.
func (p *Pool) Close() {
	for _, start := range p.start {
		close(start)
	}
	p.ended.Wait()
}
