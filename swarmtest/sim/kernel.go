package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// maxEventsPerInstant bounds the events of one instant. The largest honest
// burst is a swarm that starts at once: 10,000 peers that announce and dial, a
// hundred events each. More than that several times over is a run that would never end.
const maxEventsPerInstant = 5_000_000

// Entity is what lives in a kernel: a peer, a tracker, a web server, a node of
// a DHT. Handle is called with each of its events; it may call the kernel.
type Entity interface {
	Handle(now time.Duration, ev Event)
}

// Kernel delivers events in the order of virtual time. It is for one
// goroutine.
type Kernel struct {
	seed      uint64
	now       time.Duration
	seq       uint64
	queue     queue
	nodes     []node
	flows     []flow
	freeFlows []FlowID
	slowStart bool
	script    transcript

	numEvents    uint64
	thisInstant  int
	lastProgress time.Duration
	stopped      string

	// watch sees every block at the end of each of its stays on a link. Tests
	// of the links use it.
	watch func(passage)
}

// passage is the stay of a block on a link.
type passage struct {
	host     ID
	up       bool
	from, to time.Duration
	numBytes int64 // of the block and of the messages that went in front of it
}

// node is an entity and its host's access link.
type node struct {
	entity Entity
	up     uplink
	down   downlink
}

// New returns a kernel at time zero. All randomness of its entities comes
// from seed.
func New(seed uint64) *Kernel { return &Kernel{seed: seed, script: newTranscript()} }

// Add puts an entity on a host with the given access link. IDs are handed out
// in order, from 0.
func (k *Kernel) Add(e Entity, link Link) ID {
	k.nodes = append(k.nodes, node{
		entity: e,
		up:     uplink{rate: int64(link.Up), head: noFlow, tail: noFlow},
		down:   downlink{rate: int64(link.Down)},
	})
	return ID(len(k.nodes) - 1)
}

// Now is the virtual time.
func (k *Kernel) Now() time.Duration { return k.now }

// Events is the number of events delivered so far.
func (k *Kernel) Events() uint64 { return k.numEvents }

// Rand returns the beginning of a random stream that belongs to one entity:
// it depends on the kernel's seed, id and stream alone. So one more entity
// does not shift the draws of the others.
func (k *Kernel) Rand(id ID, stream uint32) *rand.Rand {
	return rand.New(rand.NewPCG(scramble(k.seed), scramble(uint64(stream)<<32|uint64(id))))
}

// scramble spreads neighbouring numbers over all 64 bits: PCGs that are seeded
// with neighbours begin alike. It is the output function of splitmix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// At schedules ev, whose Kind must be KindUser or greater, to be handed to
// ev.To at t. A time that has passed means now, behind what is already due.
func (k *Kernel) At(t time.Duration, ev Event) {
	if ev.Kind < KindUser {
		panic(fmt.Sprintf("sim: event of the kernel's own kind %d scheduled", ev.Kind))
	}
	k.push(t, ev)
}

func (k *Kernel) push(t time.Duration, ev Event) {
	ev.at = max(t, k.now)
	ev.seq = k.seq
	k.seq++
	k.queue.push(ev)
}

// Progress tells the kernel that the run came closer to its end. See
// Run.
func (k *Kernel) Progress() { k.lastProgress = k.now }

// Stop ends Run after the event that is being handled. The reason is
// what Run returns; the first one counts.
func (k *Kernel) Stop(reason string) {
	if k.stopped == "" {
		k.stopped = reason
	}
}

// Run delivers events until Stop is called, none is left, the virtual
// time would pass limit, or Progress was not called for patience of virtual time
// (entities with timers are never out of events). It returns the reason. It
// may be called again to go on with a later limit.
func (k *Kernel) Run(limit, patience time.Duration) (reason string) {
	for reason == "" && !k.passed(limit) {
		reason = k.advance(limit, patience, math.MaxInt)
	}
	if reason == "" {
		reason = limitReached(limit)
	}
	return reason
}

func limitReached(limit time.Duration) string {
	return fmt.Sprintf("the time limit of %v was reached", limit)
}

// advance delivers events until the virtual time until has passed, or numEvents of them. The
// reason is why the run ends, "" if it can go on.
func (k *Kernel) advance(until, patience time.Duration, numEvents int) (reason string) {
	for ; k.stopped == "" && numEvents > 0; numEvents-- {
		switch {
		case len(k.queue) == 0:
			return "nothing left to happen"
		case k.queue[0].at > until:
			k.now = max(k.now, until)
			return ""
		case k.queue[0].at-k.lastProgress > patience:
			return fmt.Sprintf("no progress since %v", k.lastProgress)
		case k.thisInstant > maxEventsPerInstant:
			return fmt.Sprintf("more than %d events at %v", maxEventsPerInstant, k.now)
		}
		k.step()
	}
	reason = k.stopped
	k.stopped = ""
	return reason
}

// passed reports whether all events up to t have been delivered.
func (k *Kernel) passed(t time.Duration) bool {
	return k.now >= t && (len(k.queue) == 0 || k.queue[0].at > t)
}

// step delivers the next event.
func (k *Kernel) step() {
	ev := k.queue.pop()
	if ev.at > k.now {
		k.now = ev.at
		k.thisInstant = 0
	}
	k.thisInstant++
	k.numEvents++
	k.script.add(&ev)
	switch ev.Kind {
	case kindUplink:
		k.throughUplink(ev)
	case kindArrive:
		k.arrive(ev)
	case kindPace:
		k.paced(ev)
	case KindMessage:
		k.deliverMessage(ev)
	case KindBlock:
		k.deliverBlock(ev)
	default:
		k.nodes[ev.To].entity.Handle(k.now, ev)
	}
}

// Hash is the SHA-256 of the transcript: of every event delivered so far, in
// order.
func (k *Kernel) Hash() [32]byte { return k.script.sum() }
