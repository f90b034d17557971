package sim

import (
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

const (
	// minWindow is the window of a flow in blocks beyond what its latency
	// needs: one block that is being read and one that arrives meanwhile.
	minWindow = 2
	// maxWindow is the window of a flow whose links are both unlimited, in
	// blocks: 4 MiB, what systems give to a fast TCP connection by default is
	// of this order.
	maxWindow = 4 << 20 / metainfo.BlockLen
	// initialWindow is where slow start begins, in bytes. RFC 6928: "The upper
	// bound for the initial window will be [...] min (10*MSS, max (2*MSS, 14600))".
	initialWindow = 14600
)

// flow is one host's end of a connection: what it sends to the other host, and
// how much of what it was sent it has yet to acknowledge. The two ends name
// each other by the numbers that each host gives to its own.
type flow struct {
	src, dst       ID
	number, remote uint32 // here and at dst
	latency        time.Duration
	state          flowState
	listed         bool // in the list of the uplink, or paced
	heard          bool // a message came from the other end
	toSeed         bool // the swarm's: the other was a seed from the start
	toCorrupt      bool // and what it sends is false
	foreign        bool // and it is in another ISP's network
	quiet          bool // it carries no broadcasts: one end is no peer

	content uint16 // the swarm's: whose blocks it carries, at a host that seeds several

	unacked  uint16
	inFlight int32 // blocks between the uplink's queue and the acknowledgement
	window   int32 // its limit
	queue    chunks
	next     *flow // in the list of the uplink
	peerRate int64 // of the other host's uplink

	pacing *pacing // nil if nothing holds it back

	web  *webUse     // of a peer's connection to a web seed
	conn engine.Conn // what the engine of a swarm's peer knows of it
}

// pacing is what holds a flow back beside its links.
type pacing struct {
	cwnd     int64         // of slow start, in bytes; 0 once it no longer binds
	lossRate float64       // that packet loss allows, in bytes/s; 0 for no limit
	until    time.Duration // no block may start before
}

// loses caps the rate of a flow, in bytes/s; 0 is no limit.
func (f *flow) loses(lossRate float64) {
	switch {
	case lossRate == 0:
	case f.pacing == nil:
		f.pacing = &pacing{lossRate: lossRate}
	default:
		f.pacing.lossRate = lossRate
	}
}

type flowState uint8

const (
	dialled flowState = iota // nothing flows yet
	flowing
	closed
)

// chunk is a block that waits for the uplink.
type chunk struct{ a, b, n uint32 }

// chunks is a queue of blocks. An engine hands over one at a time, so the first
// has a place of its own, and few flows have a list of others.
type chunks struct {
	first chunk // n is 0 for none
	rest  *[]chunk
}

func (q *chunks) empty() bool { return q.first.n == 0 }

func (q *chunks) push(c chunk) {
	switch {
	case q.empty():
		q.first = c
	case q.rest == nil:
		q.rest = &[]chunk{c}
	default:
		*q.rest = append(*q.rest, c)
	}
}

func (q *chunks) pop() chunk {
	c := q.first
	q.first = chunk{}
	if q.rest != nil && len(*q.rest) > 0 {
		q.first = (*q.rest)[0]
		*q.rest = slices.Delete(*q.rest, 0, 1)
	}
	return c
}

// SlowStart makes flows that are opened from now on begin slowly, as TCP
// does: they double what they send in each round trip until their window is
// open.
func (w *world) SlowStart(on bool) { w.slowStart = on }

// dialFlow makes an end at h of a connection to dst, whose messages and blocks
// need latency beside their time on the links. Nothing flows before establish.
func (k *Kernel) dialFlow(h *host, dst ID, latency time.Duration) *flow {
	f := &flow{src: h.id, dst: dst, latency: latency}
	f.peerRate = k.hosts[dst].up.rate
	f.window = windowOf(h.up.rate, k.hosts[dst].down.rate, latency)
	if k.slowStart && latency > 0 {
		f.pacing = &pacing{cwnd: initialWindow}
	}
	h.enlist(f)
	k.least = min(k.least, latency)
	return f
}

// establish makes a flow ready to send to the end with the number remote.
func (k *Kernel) establish(h *host, f *flow, remote uint32) {
	f.remote = remote
	f.state = flowing
	if !f.quiet {
		h.open = append(h.open, f)
		h.addClass(k.classOf(f))
	}
}

// windowOf returns how many blocks fill the slower of the two links over a
// round trip, and two more. More would only queue up before the receiver's
// downlink. Rates are bytes/s, 0 for unlimited.
func windowOf(up, down int64, latency time.Duration) int32 {
	rate := up
	if rate == 0 || down > 0 && down < rate {
		rate = down
	}
	if rate == 0 {
		return maxWindow
	}
	return minWindow + int32(min(float64(rate)*2*latency.Seconds()/metainfo.BlockLen, maxBlocks))
}

// maxBlocks keeps the window of a link that is faster than any within its
// type.
const maxBlocks = math.MaxUint16

// closeFlow closes a host's end. What is under way to it is lost; what waits is
// dropped.
func (k *Kernel) closeFlow(h *host, f *flow) {
	h.strike(f)
	if f.state == flowing && !f.quiet {
		i := slices.Index(h.open, f)
		h.open = slices.Delete(h.open, i, i+1)
		h.dropClass(k.classOf(f))
	}
	if f.heard {
		k.unlisten(f)
	}
	f.state = closed
	f.queue = chunks{}
}

// The number of a flow is its place in host.flows, in the lower bits, and how
// many flows had that place before. So a number is not used again, and what is under way
// to an end that was closed finds nobody; but places are, and a host needs no more than it
// has flows at a time. A place that had as many flows as fit into the other bits is left
// empty.
const (
	placeBits = 20
	places    = 1 << placeBits
)

// enlist gives a flow its number. The first is 1.
func (h *host) enlist(f *flow) {
	if n := len(h.vacant); n > 0 {
		f.number = h.vacant[n-1]
		h.vacant = h.vacant[:n-1]
		h.flows[f.number%places] = f
		return
	}
	if len(h.flows) == places {
		panic("sim: a host has a million flows")
	}
	f.number = uint32(len(h.flows))
	h.flows = append(h.flows, f)
}

// strike takes a flow off the list.
func (h *host) strike(f *flow) {
	h.flows[f.number%places] = nil
	if next := f.number + places; next > places {
		h.vacant = append(h.vacant, next)
	}
}

// flow returns the end with a number, or nil if it is closed.
func (h *host) flow(number uint32) *flow {
	if place := int(number % places); place < len(h.flows) {
		if f := h.flows[place]; f != nil && f.number == number {
			return f
		}
	}
	return nil
}

// send queues a block of numBytes for the uplink. a and b are for the
// receiver.
func (k *Kernel) send(h *host, f *flow, a, b uint32, numBytes int) {
	if f.state != flowing {
		return
	}
	f.queue.push(chunk{a, b, uint32(numBytes)})
	k.list(h, f)
	k.startUplink(h)
}

// message is what a host sends beside blocks.
type message struct {
	len     int   // bytes that it is charged for
	sub     uint8 // this and the rest are for the receiver
	a, b, c uint32
	payload []byte
}

// sendMessage sends a message in front of the blocks.
func (k *Kernel) sendMessage(h *host, f *flow, m message) {
	if f.state != flowing {
		return
	}
	m.len = min(m.len, maxMessageLen)
	k.push(h, k.charge(h, m.len)+f.latency, Event{
		To: f.dst, Kind: KindMessage, Sub: m.sub, size: uint16(m.len), Flow: f.remote, A: m.a, B: m.b, C: m.c,
		acks: f.takeUnacked(),
	}, m.payload)
}

// takeUnacked is how many blocks came that the sender does not know of yet; it
// does now.
func (f *flow) takeUnacked() (n uint16) {
	n, f.unacked = f.unacked, 0
	return n
}

// ackWanted in Sub of a block asks for an acknowledgement without delay.
const ackWanted = 1

// wantsAck says what Sub of a block is that leaves now: while less than half of
// the window is in flight, acknowledgements can wait for a message that goes
// the same way.
func (f *flow) wantsAck() uint8 {
	if 2*f.inFlight >= f.window {
		return ackWanted
	}
	return 0
}

// growth is what slow start adds to the congestion window for each byte: ln 2.
// TCP adds whole bytes, a round trip later; here they count when they are sent, so
// the window grows continuously, and this makes it double in a round trip.
const growth = math.Ln2

// grow is slow start: the flow sends its congestion window in each round trip,
// evenly, until the window is as large as the flow's own. Losses slow it down as well.
func (f *flow) grow(now time.Duration, numBytes int64) {
	p := f.pacing
	if p == nil {
		return
	}
	gap := p.lossGap(numBytes)
	if p.cwnd > 0 {
		gap = max(gap, time.Duration(float64(2*f.latency)*float64(numBytes)/float64(p.cwnd)))
		if p.cwnd += int64(growth * float64(numBytes)); p.cwnd >= int64(f.window)*metainfo.BlockLen {
			p.cwnd = 0
		}
	}
	p.until = max(now, p.until) + gap
	if p.cwnd == 0 && p.lossRate == 0 {
		f.pacing = nil
	}
}
