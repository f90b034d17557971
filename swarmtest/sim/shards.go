package sim

import (
	"math"
	"slices"
	"time"
)

// shards are kernels that run side by side. Nothing that a host does reaches
// another in less than a latency, so in a window of virtual time as long as the
// least latency the hosts of one kernel are independent of those of the others.
// Between two windows the kernels exchange what they have for each other.
//
// Windows are the same whoever runs them, and events are ordered in the same way, so
// nothing depends on the number of kernels.
type shards struct {
	kernels []*Kernel
	pool    Pool          // nil: one after the other
	window  time.Duration // the length of one
	horizon time.Duration // the end of the last one
	parity  int
	lively  bool // the last window was worth the workers' while
}

// minParallelEvents is the number of events in a window below which one
// goroutine handles it alone: waking the others takes about as long as ten
// events.
const minParallelEvents = 32

// exchange is what a kernel has for others, and how far it may go alone.
type exchange struct {
	parity  int           // of the window
	horizon time.Duration // the end of the window: no event for another host may be earlier
	least   time.Duration // the least latency of a flow so far
	outMin  time.Duration // the earliest event of out
	out     [2][]outbox   // of this window and of the one before, by the other's index
	ahead   [touchAhead]Event
}

// outbox holds events for another kernel, and the payloads of those that have one.
type outbox struct {
	events   *batch
	payloads [][]byte
}

// never is later than everything.
const never = time.Duration(math.MaxInt64)

func (x *exchange) init(numKernels int) {
	x.least, x.outMin = never, never
	for parity := range x.out {
		x.out[parity] = make([]outbox, numKernels)
	}
}

// route puts an event into the queue of a kernel.
func (k *Kernel) route(shard int, ev Event, payload []byte) {
	if shard == k.index {
		if payload != nil {
			ev.payload = k.keep(payload)
		}
		k.queue.push(&ev)
		return
	}
	box := &k.out[k.parity][shard]
	if payload != nil {
		box.payloads = append(box.payloads, payload)
		ev.payload = uint32(len(box.payloads)) // the receiver chooses another slot
	}
	k.queue.add(&box.events, &ev)
	k.outMin = min(k.outMin, ev.at)
}

// collect takes what the other kernels left in the window before.
func (k *Kernel) collect() {
	for _, other := range k.kernels {
		box := &other.out[1-k.parity][k.index]
		for ; box.events != nil; box.events = k.queue.drop(box.events) {
			events := box.events.events[:box.events.len]
			for i := range events {
				ev := &events[i]
				if ev.payload != 0 {
					ev.payload = k.keep(box.payloads[ev.payload-1])
				}
				k.queue.push(ev)
			}
		}
		clear(box.payloads)
		box.payloads = reuse(box.payloads)
	}
}

// reuse returns the memory of a slice that has been dealt with, for the next one like it. What a
// burst needed, as when all join at once, is given up.
func reuse[T any](s []T) []T {
	const little = 1024
	if cap(s) > little && cap(s) > 8*len(s) {
		return nil
	}
	return s[:0]
}

// runWindow delivers the events before end, which is not later than the
// horizon.
func (k *Kernel) runWindow(parity int, end, horizon time.Duration) {
	k.parity, k.horizon, k.outMin = parity, horizon, never
	k.collect()
	for at, ok := k.next(); ok && at < end && k.thisInstant <= maxEventsPerInstant && !k.isInterrupted(); at, ok = k.next() {
		k.runAhead(end)
	}
}

// askEvents is the number of events of a kernel between two calls of its ask: some
// milliseconds, and in a crowd that joins at once, a second.
const askEvents = 1 << 12

// isInterrupted reports whether the run is to end in the middle of a window. One in which a hundred thousand peers
// join takes a minute.
func (k *Kernel) isInterrupted() bool {
	if k.ask != nil && k.numEvents-k.askedAt >= askEvents {
		k.askedAt = k.numEvents
		k.interrupted = k.interrupted || k.ask()
	}
	return k.interrupted
}

// interrupted reports whether a kernel left a window in the middle.
func (s *shards) interrupted() bool {
	return slices.ContainsFunc(s.kernels, func(k *Kernel) bool { return k.interrupted })
}

// runAhead takes the next few events before end out of the queue, looks at what
// they need, and delivers them, with those before end that they schedule in
// between.
func (k *Kernel) runAhead(end time.Duration) {
	ahead := k.ahead[:0]
	for at, ok := k.next(); ok && at < end && len(ahead) < touchAhead; at, ok = k.next() {
		ahead = append(ahead, k.queue.pop())
	}
	k.touchEvents(ahead)
	for i := range ahead {
		for first := k.queue.first(); first != nil && first.before(&ahead[i]); first = k.queue.first() {
			k.step()
		}
		k.handle(&ahead[i])
	}
}

// next is the time of the next event of all kernels.
func (s *shards) next() (at time.Duration, ok bool) {
	at = never
	for _, k := range s.kernels {
		if t, ok := k.next(); ok {
			at = min(at, t)
		}
		at = min(at, k.outMin)
	}
	return at, at < never
}

// run delivers the events of the window that next is in, but for those after
// until.
func (s *shards) run(next, until time.Duration) {
	if s.ended(next) {
		for _, k := range s.kernels {
			s.window = min(s.window, k.least)
		}
		s.horizon = endOfWindow(next, s.window)
	}
	end := s.horizon
	if until < end {
		end = until + 1
	}
	s.parity = 1 - s.parity
	before := s.events()
	s.each(func(k *Kernel) { k.runWindow(s.parity, end, s.horizon) })
	s.lively = s.events()-before >= minParallelEvents
}

// endOfWindow is the end of the window that a time is in. The time may be negative.
func endOfWindow(at, window time.Duration) time.Duration {
	begin := at.Truncate(window)
	if begin > at {
		begin -= window // Truncate goes towards zero
	}
	return begin + window
}

// ended reports whether the last window is at its end, if the next event is at next.
func (s *shards) ended(next time.Duration) bool { return next >= s.horizon }

// each calls f with each kernel, side by side if that pays.
func (s *shards) each(f func(*Kernel)) {
	if s.pool != nil && s.lively {
		s.pool.Do(func(worker int) { f(s.kernels[worker]) })
		return
	}
	for _, k := range s.kernels {
		f(k)
	}
}

func (s *shards) events() (n uint64) {
	for _, k := range s.kernels {
		n += k.numEvents
	}
	return n
}

// now is the time of the last event, and lastProgress that of the last that was
// progress.
func (s *shards) now() (at, lastProgress time.Duration) {
	for _, k := range s.kernels {
		at, lastProgress = max(at, k.now), max(lastProgress, k.lastProgress)
	}
	return at, lastProgress
}

// stuck reports whether a kernel cannot get over an instant.
func (s *shards) stuck() bool {
	for _, k := range s.kernels {
		if k.thisInstant > maxEventsPerInstant {
			return true
		}
	}
	return false
}
