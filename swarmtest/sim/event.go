package sim

import "time"

// ID names an entity of a kernel, and the host it sits on.
type ID uint32

// Kind says what an event is.
type Kind uint8

// The kinds that an Entity is handed. The comments name the fields they use
// beside To. Kinds from KindUser on are the entities' own.
const (
	// KindMessage: a message arrived. Flow, Sub, A, B, C as it was sent.
	KindMessage Kind = iota + 1
	// KindBlock: a block arrived. Flow, A, B, and C, its length in bytes.
	KindBlock
	// KindSent: a block left the uplink. Flow, A, B, C. It is handed to the
	// sender.
	KindSent
	// KindLost: a block came on a flow that the receiver has closed. C.
	KindLost

	// The kernel's own.
	kindUplink // a block is through the uplink
	kindArrive // its last byte is at the downlink
	kindAck    // blocks were taken: acks
	kindPace   // slow start lets a flow send again
	kindCast   // a message arrives at all who listen to host To: size, Sub, A; B: latency

	// KindUser is the first kind that entities may use between themselves.
	KindUser Kind = 32
)

// Event is something that happens to one entity at one time. It is a small
// value without pointers: millions of them are moved a second, and the
// garbage collector need not look at those that wait.
type Event struct {
	at    time.Duration
	order uint64 // the host that scheduled it, and how many it had scheduled before

	To   ID
	Flow uint32 // the number of the flow at the host To

	A, B, C uint32
	payload uint32 // its slot in the kernel, 0 for none

	Kind Kind
	Sub  uint8
	size uint16 // bytes of a message, at most maxMessageLen
	acks uint16 // blocks of the flow that the other host has taken since it last said so
}

// from is the host that scheduled the event.
func (e *Event) from() ID { return ID(e.order >> 32) }

// before orders events by time; those of one instant by the host that scheduled
// them, and those of one host as it did. No two events are equal in that, and
// the order of two events that one host is handed does not depend on where the
// hosts of a run are simulated.
func (e *Event) before(f *Event) bool {
	return e.at < f.at || e.at == f.at && e.order < f.order
}
