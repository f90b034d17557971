package peer

import (
	"sync"

	"github.com/shoal-bt/shoal/peer/engine"
)

// event is one thing that a torrent's loop has to know. The loop runs do first,
// if it is set, then hands in to the engine, if it has a kind.
type event struct {
	in engine.Input
	do func()
}

// inbox is where everyone but the loop leaves what the loop has to know. One
// wake-up of the loop takes everything that has arrived by then.
type inbox struct {
	wake chan struct{} // has a value when there is something to take

	mu     sync.Mutex
	room   sync.Cond // signalled when the loop took everything
	queue  []event
	closed bool
}

func newInbox() *inbox {
	b := &inbox{wake: make(chan struct{}, 1)}
	b.room.L = &b.mu
	return b
}

// put appends events and wakes the loop. It is false if the loop has ended,
// and the events are lost.
func (b *inbox) put(events ...event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.append(events)
}

// putWhenRoom is put for readers, whose peers could otherwise fill the inbox
// without end: it waits while maxInbox events are there. Nobody the loop waits
// for may call it.
func (b *inbox) putWhenRoom(events []event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) >= maxInbox && !b.closed {
		b.room.Wait()
	}
	return b.append(events)
}

func (b *inbox) append(events []event) bool {
	if b.closed {
		return false
	}
	b.queue = append(b.queue, events...)
	signal(b.wake)
	return true
}

// take returns all events, and takes over the memory of those that the caller
// is done with.
func (b *inbox) take(done []event) []event {
	clear(done) // they hold payloads
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.queue
	b.queue = done[:0]
	b.room.Broadcast()
	return events
}

// close makes every later put fail, and returns what was left.
func (b *inbox) close() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.room.Broadcast()
	return b.queue
}

// signal puts a value into a channel of one slot, unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
