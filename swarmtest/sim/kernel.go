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
//
// A swarm has several, which share the hosts out among themselves: see shards.
type Kernel struct {
	*world
	index   int // among world.kernels
	now     time.Duration
	queue   queue
	current *host // whose event is being handled
	through *flow // on which the message or block came, or the block left, that is being handled

	numEvents   uint64
	thisInstant int

	// ask, if not nil, is asked now and then whether the run is to end.
	ask          func() bool
	askedAt      uint64 // events
	interrupted  bool
	lastProgress time.Duration
	stopped      string

	payloads     [][]byte // of messages that wait in queue, by their slot less one
	freePayloads []uint32
	listeners    [][]listener // who sits here and hears the broadcasts of a host, by its ID
	casting      ID           // whose broadcast is being delivered, or nobody

	exchange // with the other kernels

	touched uint64 // is read by nobody: see touch.go

	// watch sees every block at the end of each of its stays on a link. Tests
	// of the links use it.
	watch func(passage)
}

// world is what kernels share. It does not change while they run.
type world struct {
	seed      uint64
	hosts     []*host
	kernels   []*Kernel
	slowStart bool
	cuts      []cut
	outside   host // schedules what nobody's event did
}

// passage is the stay of a block on a link.
type passage struct {
	host     ID
	up       bool
	from, to time.Duration
	numBytes int64 // of the block and of the messages that went in front of it
}

// host is an entity, its access link and its flows.
type host struct {
	entity    Entity
	id        ID
	scheduled uint32 // events so far
	digest    digest
	up        uplink
	down      downlink
	flows     []*flow  // by their places, nil for those that were closed; the first is nil
	vacant    []uint32 // the next numbers of places that are free
	open      []*flow  // those that may send, in the order in which they began
	classes   []class  // of open
}

// nobody is no entity's ID.
const nobody ID = math.MaxUint32

// New returns a kernel at time zero. All randomness of its entities comes
// from seed.
func New(seed uint64) *Kernel { return newKernels(seed, 1)[0] }

// newKernels returns kernels with one world. Hosts are dealt out to them in
// turn.
func newKernels(seed uint64, n int) []*Kernel {
	w := &world{seed: seed, outside: host{id: nobody}}
	for i := range n {
		w.kernels = append(w.kernels, &Kernel{world: w, index: i, current: &w.outside, casting: nobody})
	}
	for _, k := range w.kernels {
		k.exchange.init(n)
	}
	return w.kernels
}

// Add puts an entity on a host with the given access link. IDs are handed out
// in order, from 0.
func (k *Kernel) Add(e Entity, link Link) ID {
	h := new(host)
	k.add(h, e, link)
	return h.id
}

// add is Add with the memory of the host, which the caller may have close to
// what else it needs for the entity.
func (w *world) add(h *host, e Entity, link Link) {
	*h = host{
		entity: e, id: ID(len(w.hosts)), flows: make([]*flow, 1),
		up: uplink{rate: int64(link.Up)}, down: downlink{rate: int64(link.Down)},
	}
	w.hosts = append(w.hosts, h)
}

// kernelOf is the kernel that delivers the events of a host.
func (w *world) kernelOf(id ID) *Kernel { return w.kernels[w.shardOf(id)] }

func (w *world) shardOf(id ID) int { return int(id) % len(w.kernels) }

// Now is the virtual time.
func (k *Kernel) Now() time.Duration { return k.now }

// Events is the number of events delivered so far.
func (k *Kernel) Events() uint64 { return k.numEvents }

// Rand returns the beginning of a random stream that belongs to one entity:
// it depends on the kernel's seed, id and stream alone. So one more entity
// does not shift the draws of the others.
func (w *world) Rand(id ID, stream uint32) *rand.Rand {
	return rand.New(rand.NewPCG(scramble(w.seed), scramble(uint64(stream)<<32|uint64(id))))
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
// ev.To at t. A time that has passed means now.
func (k *Kernel) At(t time.Duration, ev Event) { k.atWith(t, ev, nil) }

// atWith is At with a payload, which Payload returns while the event is handled.
func (k *Kernel) atWith(t time.Duration, ev Event, payload []byte) {
	if ev.Kind < KindUser {
		panic(fmt.Sprintf("sim: event of the kernel's own kind %d scheduled", ev.Kind))
	}
	k.push(k.current, t, ev, payload)
}

// push schedules an event of the host from.
func (k *Kernel) push(from *host, t time.Duration, ev Event, payload []byte) {
	k.stamp(from, t, &ev)
	k.route(k.shardOf(ev.To), ev, payload)
}

// stamp gives an event its place in the order of all.
func (k *Kernel) stamp(from *host, t time.Duration, ev *Event) {
	ev.at = max(t, k.now)
	if ev.To != from.id {
		ev.at = max(ev.at, k.horizon)
	}
	ev.order = uint64(from.id)<<32 | uint64(from.scheduled)
	from.scheduled++
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
	for k.stopped == "" {
		next, ok := k.next()
		reason = whyEnd(next, ok, limit, k.lastProgress, patience)
		switch {
		case reason == "" && k.thisInstant > maxEventsPerInstant:
			return tooMany(k.now)
		case reason != "" && ok && next > limit:
			k.now = max(k.now, limit)
			return reason
		case reason != "":
			return reason
		}
		k.step()
	}
	reason = k.stopped
	k.stopped = ""
	return reason
}

// whyEnd says why a run ends whose next event is at next, if there is one; "" if it
// goes on.
func whyEnd(next time.Duration, ok bool, limit, lastProgress, patience time.Duration) (reason string) {
	switch {
	case !ok:
		return "nothing left to happen"
	case next > limit:
		return fmt.Sprintf("the time limit of %v was reached", limit)
	case next-lastProgress > patience:
		return fmt.Sprintf("no progress since %v", lastProgress)
	}
	return ""
}

func tooMany(at time.Duration) string {
	return fmt.Sprintf("more than %d events at %v", maxEventsPerInstant, at)
}

// next is the time of the next event, if there is one.
func (k *Kernel) next() (at time.Duration, ok bool) {
	first := k.queue.first()
	if first == nil {
		return 0, false
	}
	return first.at, true
}

// step delivers the next event.
func (k *Kernel) step() {
	ev := k.queue.pop()
	k.handle(&ev)
}

// handle delivers an event.
func (k *Kernel) handle(ev *Event) {
	if ev.at > k.now {
		k.now = ev.at
		k.thisInstant = 0
	}
	k.thisInstant++
	if ev.Kind == kindCast {
		k.deliverCast(ev)
	} else {
		k.deliver(k.hosts[ev.To], ev)
	}
	k.current = &k.outside
	if ev.payload != 0 {
		k.drop(ev.payload)
	}
}

// deliver handles an event of one host.
func (k *Kernel) deliver(h *host, ev *Event) {
	k.begin(h, ev)
	if k.held(h, ev) {
		return
	}
	switch ev.Kind {
	case kindUplink:
		k.throughUplink(h, ev)
	case kindArrive:
		k.arrive(h, ev)
	case KindBlock:
		k.deliverBlock(h, ev)
	case KindMessage:
		k.deliverMessage(h, ev)
	case kindAck:
		k.takeAcks(h, h.flow(ev.Flow), ev.acks)
	case kindPace:
		k.paced(h)
	default:
		h.entity.Handle(k.now, *ev)
	}
}

// begin notes that a host is handed an event.
func (k *Kernel) begin(h *host, ev *Event) {
	k.numEvents++
	h.digest.add(ev)
	k.current = h
}

// keep stores a payload until its event is handled.
func (k *Kernel) keep(payload []byte) (slot uint32) {
	if n := len(k.freePayloads); n > 0 {
		slot = k.freePayloads[n-1]
		k.freePayloads = k.freePayloads[:n-1]
		k.payloads[slot-1] = payload
		return slot
	}
	k.payloads = append(k.payloads, payload)
	return uint32(len(k.payloads))
}

func (k *Kernel) drop(slot uint32) {
	k.payloads[slot-1] = nil
	k.freePayloads = append(k.freePayloads, slot)
}

// payloadOf is the payload of an event that is being handled, or nil.
func (k *Kernel) payloadOf(ev *Event) []byte {
	if ev.payload == 0 {
		return nil
	}
	return k.payloads[ev.payload-1]
}
