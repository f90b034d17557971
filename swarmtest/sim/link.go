package sim

import (
	"math"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// Link is the access link of a host. Both rates are bytes/s, 0 for unlimited.
type Link struct {
	Up, Down int
}

// maxMessageLen is the greatest length in bytes that a message is charged
// for.
const maxMessageLen = math.MaxUint16

const (
	// minWindow is the window of a flow in bytes beyond what its latency
	// needs: one block that is being read and one that arrives meanwhile.
	minWindow = 2 * metainfo.BlockLen
	// maxWindow is the window of a flow whose links are both unlimited: what
	// systems give to a fast TCP connection by default is of this order.
	maxWindow = 4 << 20
	// initialWindow is where slow start begins, in bytes. RFC 6928: "The upper
	// bound for the initial window will be [...] min (10*MSS, max (2*MSS, 14600))".
	initialWindow = 14600
)

// noFlow ends the list of an uplink.
const noFlow FlowID = math.MaxUint32

// uplink sends one block at a time, for each of the flows in its list in
// turn.
type uplink struct {
	rate       int64 // bytes/s, 0 for unlimited
	busy       bool  // a block is on the link
	began      time.Duration
	debt       int64         // bytes of messages that went while it was busy
	free       time.Duration // when it is not busy: until when messages occupy it
	lane       time.Duration // when the last message is through
	head, tail FlowID        // the flows that may send

	blockBytes, messageBytes int64
	occupied                 time.Duration
}

// downlink takes blocks in the order in which their last byte arrives.
type downlink struct {
	rate                     int64
	free                     time.Duration
	blockBytes, messageBytes int64
}

// chunk is a block that waits for the uplink.
type chunk struct{ a, b, n uint32 }

// flow is a stream of blocks and messages from one host to another. A TCP
// connection is two of them.
type flow struct {
	src, dst ID
	open     bool
	listed   bool // in the list of the uplink, or paced
	pending  int32
	next     FlowID
	latency  time.Duration
	window   int64
	inFlight int64 // bytes of blocks between the uplink's queue and the receiver

	queue []chunk
	head  int

	cwnd int64 // of slow start; 0 once it no longer binds
	pace time.Duration
}

// SlowStart makes flows that are opened from now on begin slowly, as TCP
// does: they double what they send in each round trip until their window is
// open.
func (k *Kernel) SlowStart(on bool) { k.slowStart = on }

// Open opens a flow from src to dst whose messages and blocks need latency
// beside their time on the links.
func (k *Kernel) Open(src, dst ID, latency time.Duration) FlowID {
	var id FlowID
	if n := len(k.freeFlows); n > 0 {
		id = k.freeFlows[n-1]
		k.freeFlows = k.freeFlows[:n-1]
	} else {
		id = FlowID(len(k.flows))
		k.flows = append(k.flows, flow{})
	}
	f := flow{src: src, dst: dst, open: true, latency: latency, next: noFlow, queue: k.flows[id].queue[:0]}
	f.window = k.windowOf(src, dst, latency)
	if k.slowStart && latency > 0 {
		f.cwnd = initialWindow
	}
	k.flows[id] = f
	return id
}

// windowOf returns how many bytes fill the slower of the two links over a
// round trip, and two blocks. More would only queue up before the receiver's
// downlink.
func (k *Kernel) windowOf(src, dst ID, latency time.Duration) int64 {
	rate := k.nodes[src].up.rate
	if down := k.nodes[dst].down.rate; rate == 0 || down > 0 && down < rate {
		rate = down
	}
	if rate == 0 {
		return maxWindow
	}
	return minWindow + int64(float64(rate)*2*latency.Seconds())
}

// Close closes a flow. What is under way is lost; what waits is dropped.
func (k *Kernel) Close(id FlowID) {
	f := &k.flows[id]
	if !f.open {
		return
	}
	f.open = false
	f.queue, f.head = f.queue[:0], 0
	k.release(id)
}

// Latency is the latency with which a flow was opened.
func (k *Kernel) Latency(id FlowID) time.Duration { return k.flows[id].latency }

// release makes the id of a closed flow available when nothing refers to it
// any more.
func (k *Kernel) release(id FlowID) {
	f := &k.flows[id]
	if !f.open && f.pending == 0 && !f.listed {
		k.freeFlows = append(k.freeFlows, id)
	}
}

// Send queues a block of numBytes for the uplink of the flow's sender. a and
// b are for the receiver.
func (k *Kernel) Send(id FlowID, a, b uint32, numBytes int) {
	f := &k.flows[id]
	if !f.open {
		return
	}
	f.queue = append(f.queue, chunk{a, b, uint32(numBytes)})
	k.list(id)
	k.startUplink(f.src)
}

// Message sends a message of messageLen bytes in front of the blocks. sub, a,
// b and c are for the receiver.
func (k *Kernel) Message(id FlowID, messageLen int, sub uint8, a, b, c uint32) {
	f := &k.flows[id]
	if !f.open {
		return
	}
	messageLen = min(messageLen, maxMessageLen)
	f.pending++
	k.push(k.Charge(f.src, messageLen)+f.latency, Event{
		To: f.dst, Kind: KindMessage, Sub: sub, size: uint16(messageLen), Flow: id, A: a, B: b, C: c,
	})
}

// Charge puts numBytes of messages on a host's uplink and returns when they
// are through. It is for broadcasts: see ChargeDown.
func (k *Kernel) Charge(id ID, numBytes int) time.Duration {
	up := &k.nodes[id].up
	up.messageBytes += int64(numBytes)
	if up.rate == 0 {
		return k.now
	}
	up.lane = max(up.lane, k.now) + transferTime(int64(numBytes), up.rate)
	if up.busy {
		up.debt += int64(numBytes)
	} else {
		up.free = max(up.free, up.lane)
	}
	return up.lane
}

// ChargeDown puts numBytes of messages on a host's downlink; they delay the
// blocks behind them. KindMessage events have done so already.
func (k *Kernel) ChargeDown(id ID, numBytes int) {
	down := &k.nodes[id].down
	down.messageBytes += int64(numBytes)
	if down.rate != 0 {
		stay := transferTime(int64(numBytes), down.rate)
		down.free = max(down.free, k.now-stay) + stay
	}
}

// transferTime rounds up, so that no link exceeds its rate.
func transferTime(numBytes, rate int64) time.Duration {
	return time.Duration((numBytes*int64(time.Second) + rate - 1) / rate)
}

// list puts a flow in the list of its uplink if it has a block and its window
// has room.
func (k *Kernel) list(id FlowID) {
	f := &k.flows[id]
	if f.listed || f.head == len(f.queue) {
		return
	}
	if f.inFlight > 0 && f.inFlight+int64(f.queue[f.head].n) > f.window {
		return // deliverBlock lists it
	}
	f.listed = true
	if f.cwnd > 0 && f.pace > k.now {
		k.push(f.pace, Event{To: f.src, Kind: kindPace, Flow: id})
		return
	}
	k.nodes[f.src].up.append(k.flows, id)
}

// append puts a flow at the end of the list.
func (up *uplink) append(flows []flow, id FlowID) {
	flows[id].next = noFlow
	if up.tail == noFlow {
		up.head = id
	} else {
		flows[up.tail].next = id
	}
	up.tail = id
}

// paced lists a flow that slow start held back.
func (k *Kernel) paced(ev Event) {
	k.nodes[ev.To].up.append(k.flows, ev.Flow)
	k.startUplink(ev.To)
}

// startUplink starts the next block, if the uplink is idle and there is one.
func (k *Kernel) startUplink(src ID) {
	up := &k.nodes[src].up
	for !up.busy && up.head != noFlow {
		id := up.head
		f := &k.flows[id]
		if up.head = f.next; up.head == noFlow {
			up.tail = noFlow
		}
		f.listed = false
		if f.open {
			k.startBlock(up, id)
		} else {
			k.release(id)
		}
	}
}

// startBlock puts the first block of a flow on the idle uplink.
func (k *Kernel) startBlock(up *uplink, id FlowID) {
	f := &k.flows[id]
	c := f.queue[f.head]
	if f.head++; f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
	}
	f.inFlight += int64(c.n)
	f.pending++
	up.busy = true
	up.began = max(k.now, up.free)
	var stay time.Duration
	if up.rate > 0 {
		stay = transferTime(int64(c.n)+up.debt, up.rate)
	}
	k.watchBlock(f.src, true, up.began, up.began+stay, int64(c.n)+up.debt)
	up.debt = 0
	up.blockBytes += int64(c.n)
	up.occupied += stay
	k.push(up.began+stay, Event{To: f.src, Kind: kindUplink, Flow: id, A: c.a, B: c.b, C: c.n})
	f.grow(k.now, int64(c.n), up.rate)
	k.list(id)
}

// growth is what slow start adds to the congestion window for each byte: ln 2.
// TCP adds whole bytes, a round trip later; here they count when they are sent, so
// the window grows continuously, and this makes it double in a round trip.
const growth = math.Ln2

// grow is slow start: the flow sends its congestion window in each round trip,
// evenly, until the window is as large as the flow's own.
func (f *flow) grow(now time.Duration, numBytes, rate int64) {
	if f.cwnd == 0 {
		return
	}
	f.pace = max(now, f.pace) + time.Duration(float64(2*f.latency)*float64(numBytes)/float64(f.cwnd))
	if f.cwnd += int64(growth * float64(numBytes)); f.cwnd >= f.window {
		f.cwnd = 0
	}
}

// throughUplink handles a block whose last byte left: it goes on to the
// receiver, and the sender may hand over the next before the uplink chooses.
func (k *Kernel) throughUplink(ev Event) {
	n := &k.nodes[ev.To]
	f := &k.flows[ev.Flow]
	sent := ev
	if f.open {
		ev.Kind, ev.To = kindArrive, f.dst
		ev.size = 0
		k.push(k.now+f.latency, ev)
		sent.Kind = KindSent
		n.entity.Handle(k.now, sent)
	} else {
		f.pending--
		k.release(ev.Flow)
		k.lose(f.dst, ev, KindBlock)
	}
	up := &k.nodes[sent.To].up // Handle may have added nodes
	up.busy = false
	k.startUplink(sent.To)
	if !up.busy && up.debt > 0 {
		up.free = k.now + transferTime(up.debt, up.rate)
		up.debt = 0
	}
}

// arrive handles a block whose last byte reached the receiver's downlink.
func (k *Kernel) arrive(ev Event) {
	down := &k.nodes[ev.To].down
	ev.Kind = KindBlock
	if down.rate == 0 || !k.flows[ev.Flow].open {
		k.deliverBlock(ev)
		return
	}
	numBytes := int64(ev.C)
	firstByte := k.now
	if rate := k.nodes[k.flows[ev.Flow].src].up.rate; rate > 0 {
		firstByte -= transferTime(numBytes, rate)
	}
	began := max(firstByte, down.free)
	down.free = max(k.now, began+transferTime(numBytes, down.rate))
	k.watchBlock(ev.To, false, began, down.free, numBytes)
	if down.free > k.now {
		k.push(down.free, ev)
		return
	}
	k.deliverBlock(ev)
}

// deliverBlock hands a block to the receiver, and lets the flow send the next
// if its window was full.
func (k *Kernel) deliverBlock(ev Event) {
	f := &k.flows[ev.Flow]
	f.pending--
	if !f.open {
		k.release(ev.Flow)
		k.lose(ev.To, ev, KindBlock)
		return
	}
	f.inFlight -= int64(ev.C)
	k.list(ev.Flow)
	k.startUplink(f.src)
	n := &k.nodes[ev.To]
	n.down.blockBytes += int64(ev.C)
	n.entity.Handle(k.now, ev)
}

func (k *Kernel) deliverMessage(ev Event) {
	f := &k.flows[ev.Flow]
	f.pending--
	if !f.open {
		k.release(ev.Flow)
		k.lose(ev.To, ev, KindMessage)
		return
	}
	k.ChargeDown(ev.To, int(ev.size))
	k.nodes[ev.To].entity.Handle(k.now, ev)
}

// lose tells the receiver what it does not get.
func (k *Kernel) lose(to ID, ev Event, kind Kind) {
	ev.To, ev.Kind, ev.Sub = to, KindLost, uint8(kind)
	k.nodes[to].entity.Handle(k.now, ev)
}

func (k *Kernel) watchBlock(host ID, up bool, from, to time.Duration, numBytes int64) {
	if k.watch != nil {
		k.watch(passage{host: host, up: up, from: from, to: to, numBytes: numBytes})
	}
}

// Traffic is what passed a host's access link, in bytes.
type Traffic struct {
	BlocksUp, MessagesUp     int64
	BlocksDown, MessagesDown int64
	// Occupied is how long the uplink carried blocks, and the messages in front of them.
	Occupied time.Duration
}

// Traffic returns what passed the access link of a host so far. Blocks up
// include the one that is being sent.
func (k *Kernel) Traffic(id ID) Traffic {
	n := &k.nodes[id]
	return Traffic{
		BlocksUp: n.up.blockBytes, MessagesUp: n.up.messageBytes,
		BlocksDown: n.down.blockBytes, MessagesDown: n.down.messageBytes,
		Occupied: n.up.occupied,
	}
}
