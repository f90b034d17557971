package sim

import (
	"math"
	"time"
)

// Link is the access link of a host. Both rates are bytes/s, 0 for unlimited.
type Link struct {
	Up, Down int
}

// maxMessageLen is the greatest length in bytes that a message is charged
// for.
const maxMessageLen = math.MaxUint16

// uplink sends one block at a time, for each of the flows in its list in
// turn.
type uplink struct {
	rate       int64         // bytes/s, 0 for unlimited
	sending    *flow         // whose block is on the link
	debt       int64         // bytes of messages that went meanwhile
	free       time.Duration // when nothing is sent: until when messages occupy it
	lane       time.Duration // when the last message is through
	head, tail *flow         // the flows that may send
	paced      []*flow       // those that slow start holds back

	blockBytes, cutBytes, messageBytes int64
	occupied                           time.Duration
}

// downlink takes blocks in the order in which their last byte arrives.
type downlink struct {
	rate                     int64
	free                     time.Duration // when it will have done, or had done, what came
	blockBytes, messageBytes int64
}

// Charge puts numBytes of messages on a host's uplink and returns when they
// are through. It is for what is no flow: see ChargeDown.
func (k *Kernel) Charge(id ID, numBytes int) time.Duration { return k.charge(k.hosts[id], numBytes) }

func (k *Kernel) charge(h *host, numBytes int) time.Duration {
	up := &h.up
	up.messageBytes += int64(numBytes)
	if up.rate == 0 {
		return k.now
	}
	up.lane = max(up.lane, k.now) + transferTime(int64(numBytes), up.rate)
	if up.sending != nil {
		up.debt += int64(numBytes)
	} else {
		up.free = max(up.free, up.lane)
	}
	return up.lane
}

// ChargeDown puts numBytes of messages on a host's downlink; they delay the
// blocks behind them. KindMessage events have done so already.
func (k *Kernel) ChargeDown(id ID, numBytes int) { k.chargeDown(k.hosts[id], numBytes) }

func (k *Kernel) chargeDown(h *host, numBytes int) {
	down := &h.down
	down.messageBytes += int64(numBytes)
	if down.rate != 0 {
		down.free += transferTime(int64(numBytes), down.rate) // if it was idle, that did not matter
	}
}

// transferTime rounds up, so that no link exceeds its rate.
func transferTime(numBytes, rate int64) time.Duration {
	return time.Duration((numBytes*int64(time.Second) + rate - 1) / rate)
}

// list puts a flow in the list of its uplink if it has a block and its window
// has room.
func (k *Kernel) list(h *host, f *flow) {
	if f.listed || f.queue.empty() || f.inFlight >= f.window {
		return // takeAcks lists it when the window opens
	}
	f.listed = true
	if f.pacing != nil && f.pacing.until > k.now {
		h.up.paced = append(h.up.paced, f)
		k.push(h, f.pacing.until, Event{To: h.id, Kind: kindPace}, nil)
		return
	}
	h.up.append(f)
}

// append puts a flow at the end of the list.
func (up *uplink) append(f *flow) {
	f.next = nil
	if up.tail == nil {
		up.head = f
	} else {
		up.tail.next = f
	}
	up.tail = f
}

// paced lists the flows that slow start held back until now.
func (k *Kernel) paced(h *host) {
	waiting := h.up.paced[:0]
	for _, f := range h.up.paced {
		if f.pacing == nil || f.pacing.until <= k.now {
			h.up.append(f)
		} else {
			waiting = append(waiting, f)
		}
	}
	clear(h.up.paced[len(waiting):])
	h.up.paced = waiting
	k.startUplink(h)
}

// startUplink starts the next block, if the uplink is idle and there is one.
func (k *Kernel) startUplink(h *host) {
	up := &h.up
	for up.sending == nil && up.head != nil {
		f := up.head
		if up.head = f.next; up.head == nil {
			up.tail = nil
		}
		f.next = nil
		f.listed = false
		if f.state == flowing {
			k.startBlock(h, f)
		}
	}
}

// startBlock puts the first block of a flow on the idle uplink.
func (k *Kernel) startBlock(h *host, f *flow) {
	up := &h.up
	c := f.queue.pop()
	f.inFlight++
	up.sending = f
	began := max(k.now, up.free)
	numBytes := int64(c.n)
	var stay time.Duration
	if up.rate > 0 {
		stay = transferTime(numBytes+up.debt, up.rate)
	}
	k.watchBlock(h, true, began, began+stay, numBytes+up.debt)
	up.debt = 0
	up.blockBytes += numBytes
	up.occupied += stay
	k.push(h, began+stay, Event{To: h.id, Kind: kindUplink, Flow: f.number, A: c.a, B: c.b, C: c.n}, nil)
	f.grow(k.now, numBytes)
	k.list(h, f)
}

// throughUplink handles a block whose last byte left: it goes on to the
// receiver, and the sender may hand over the next before the uplink chooses.
func (k *Kernel) throughUplink(h *host, ev *Event) {
	f, up := h.up.sending, &h.up
	if f.state == flowing {
		k.push(h, k.now+f.latency, Event{
			To: f.dst, Kind: kindArrive, Sub: f.wantsAck(), Flow: f.remote, A: ev.A, B: ev.B, C: ev.C,
		}, nil)
		ev.Kind = KindSent
		k.through = f
		h.entity.Handle(k.now, *ev)
	} else {
		up.cutBytes += int64(ev.C)
	}
	up.sending = nil
	k.startUplink(h)
	if up.sending == nil && up.debt > 0 {
		up.free = k.now + transferTime(up.debt, up.rate)
		up.debt = 0
	}
}

// arrive handles a block whose last byte reached the receiver's downlink. The
// downlink could work on the block from its first byte on, in the time that the
// blocks before it left: those of several senders come at the same time, and
// while they do not exceed the rate together, none has to wait.
func (k *Kernel) arrive(h *host, ev *Event) {
	down := &h.down
	ev.Kind = KindBlock
	f := h.flow(ev.Flow)
	if down.rate == 0 || f == nil {
		k.deliverBlock(h, ev)
		return
	}
	numBytes := int64(ev.C)
	firstByte := k.now
	if f.peerRate > 0 {
		firstByte -= transferTime(numBytes, f.peerRate)
	}
	began := max(firstByte, down.free)
	down.free = began + transferTime(numBytes, down.rate)
	k.watchBlock(h, false, began, down.free, numBytes)
	if down.free > k.now {
		k.push(h, down.free, *ev, nil)
		return
	}
	k.deliverBlock(h, ev)
}

// deliverBlock hands a block to the receiver. What the receiver sends back tells
// the sender that it was taken, or an event of its own.
func (k *Kernel) deliverBlock(h *host, ev *Event) {
	f := h.flow(ev.Flow)
	if f == nil {
		ev.Kind = KindLost
		h.entity.Handle(k.now, *ev)
		return
	}
	f.unacked++
	h.down.blockBytes += int64(ev.C)
	k.through = f
	h.entity.Handle(k.now, *ev)
	if f.unacked > 0 && ev.Sub == ackWanted && f.state == flowing {
		k.push(h, k.now+f.latency, Event{To: f.dst, Kind: kindAck, Flow: f.remote, acks: f.takeUnacked()}, nil)
	}
}

// takeAcks makes room in the window of a flow for as many blocks as the receiver
// took.
func (k *Kernel) takeAcks(h *host, f *flow, acks uint16) {
	if f == nil || acks == 0 {
		return
	}
	f.inFlight -= int32(acks)
	k.list(h, f)
	k.startUplink(h)
}

func (k *Kernel) deliverMessage(h *host, ev *Event) {
	f := h.flow(ev.Flow)
	if f == nil {
		return
	}
	k.hearFrom(h, f)
	k.takeAcks(h, f, ev.acks)
	k.handMessage(h, f, ev)
}

// handMessage hands a message to the receiver.
func (k *Kernel) handMessage(h *host, f *flow, ev *Event) {
	k.chargeDown(h, int(ev.size))
	k.through = f
	h.entity.Handle(k.now, *ev)
}

func (k *Kernel) watchBlock(h *host, up bool, from, to time.Duration, numBytes int64) {
	if k.watch != nil {
		k.watch(passage{host: h.id, up: up, from: from, to: to, numBytes: numBytes})
	}
}

// Traffic is what passed a host's access link, in bytes.
type Traffic struct {
	BlocksUp, MessagesUp     int64
	BlocksDown, MessagesDown int64
	// BlocksCut is the part of BlocksUp that was not sent to its end, because
	// the flow was closed meanwhile.
	BlocksCut int64
	// Occupied is how long the uplink carried blocks, and the messages in front
	// of them.
	Occupied time.Duration
}

// Traffic returns what passed the access link of a host so far. Blocks up
// include the one that is being sent.
func (w *world) Traffic(id ID) Traffic {
	h := w.hosts[id]
	return Traffic{
		BlocksUp: h.up.blockBytes, MessagesUp: h.up.messageBytes,
		BlocksDown: h.down.blockBytes, MessagesDown: h.down.messageBytes,
		BlocksCut: h.up.cutBytes, Occupied: h.up.occupied,
	}
}
