package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

const blockLen = metainfo.BlockLen

// arrivals counts what one host receives, and what it is told it lost.
type arrivals struct {
	k           *Kernel
	blocks      int
	times       []time.Duration
	messages    []uint32
	bytes, lost int64
	sent        func(flow uint32)
}

func (a *arrivals) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case KindBlock:
		a.blocks++
		a.bytes += int64(ev.C)
		a.times = append(a.times, now)
	case KindMessage:
		a.messages = append(a.messages, ev.A)
		a.times = append(a.times, now)
	case KindLost:
		a.lost += int64(ev.C)
	case KindSent:
		if a.sent != nil {
			a.sent(ev.Flow)
		}
	}
}

func addHost(k *Kernel, link Link) (*arrivals, ID) {
	a := &arrivals{k: k}
	return a, k.Add(a, link)
}

// refill keeps the flows of a host full: each block that left is followed by
// another.
func (a *arrivals) refill(id ID) {
	a.sent = func(number uint32) { (&pipe{k: a.k, h: a.k.hosts[id], f: a.k.hosts[id].flow(number)}).send(blockLen) }
}

// pipe is one end of a connection.
type pipe struct {
	k *Kernel
	h *host
	f *flow
}

// connect returns the ends of a new connection.
func connect(k *Kernel, a, b ID, latency time.Duration) (*pipe, *pipe) {
	p := &pipe{k, k.hosts[a], k.dialFlow(k.hosts[a], b, latency)}
	q := &pipe{k, k.hosts[b], k.dialFlow(k.hosts[b], a, latency)}
	k.establish(p.h, p.f, q.f.number)
	k.establish(q.h, q.f, p.f.number)
	return p, q
}

func (p *pipe) send(numBytes int) {
	if p.f != nil {
		p.k.send(p.h, p.f, 0, 0, numBytes)
	}
}

func (p *pipe) message(messageLen int, a uint32) {
	p.k.sendMessage(p.h, p.f, message{len: messageLen, a: a})
}

func (p *pipe) close() {
	if p.f.state != closed {
		p.k.closeFlow(p.h, p.f)
	}
}

func TestABlockTakesItsTimeOnceAndItsLatency(t *testing.T) {
	for _, c := range []struct {
		up, down int
		want     time.Duration
	}{
		{0, 0, 10 * time.Millisecond},
		{blockLen, 0, 1010 * time.Millisecond},
		{0, blockLen, 1010 * time.Millisecond},
		{blockLen, 2 * blockLen, 1010 * time.Millisecond}, // cut through, not stored and forwarded
		{2 * blockLen, blockLen, 1010 * time.Millisecond},
	} {
		k := New(1)
		_, src := addHost(k, Link{Up: c.up})
		to, dst := addHost(k, Link{Down: c.down})
		p, _ := connect(k, src, dst, 10*time.Millisecond)
		p.send(blockLen)
		k.Run(forever, forever)
		if len(to.times) != 1 || to.times[0] != c.want {
			t.Errorf("up %d, down %d: arrived at %v, want %v", c.up, c.down, to.times, c.want)
		}
	}
}

func TestAnUplinkIsSharedEvenly(t *testing.T) {
	k := New(1)
	from, src := addHost(k, Link{Up: 10 * blockLen})
	from.refill(src)
	var receivers []*arrivals
	for i := range 3 {
		to, dst := addHost(k, Link{})
		receivers = append(receivers, to)
		p, _ := connect(k, src, dst, time.Duration(i)*10*time.Millisecond)
		for range 1 + 5*i { // one offers many at once and gets no more
			p.send(blockLen)
		}
	}
	k.Run(30*time.Second, forever)
	for i, to := range receivers {
		if to.blocks < 98 || to.blocks > 100 {
			t.Errorf("receiver %d got %d blocks in 30 s, want a third of 300", i, to.blocks)
		}
	}
}

func TestASlowReceiverDoesNotHoldUpTheOthers(t *testing.T) {
	k := New(1)
	from, src := addHost(k, Link{Up: 100 * blockLen})
	from.refill(src)
	slow, slowID := addHost(k, Link{Down: blockLen})
	fast, fastID := addHost(k, Link{})
	for _, dst := range []ID{slowID, fastID} {
		p, _ := connect(k, src, dst, time.Millisecond)
		p.send(blockLen)
		p.send(blockLen)
	}
	k.Run(20*time.Second, forever)
	if n := len(slow.times); n < 19 || n > 20 {
		t.Errorf("the slow receiver got %d blocks in 20 s, want 20", n)
	}
	if n := len(fast.times); n < 1950 {
		t.Errorf("the fast receiver got %d blocks in 20 s, want what the slow one leaves of 2000", n)
	}
}

// TestADownlinkThatIsNotFullDelaysNothing: blocks of two senders that come at
// the same time share it.
func TestADownlinkThatIsNotFullDelaysNothing(t *testing.T) {
	for _, c := range []struct {
		down int
		want time.Duration // of the second block
	}{
		{2 * blockLen, 1020 * time.Millisecond},
		{blockLen, 2010 * time.Millisecond},
	} {
		k := New(1)
		to, dst := addHost(k, Link{Down: c.down})
		for i := range 2 {
			_, src := addHost(k, Link{Up: blockLen})
			p, _ := connect(k, src, dst, time.Duration(i+1)*10*time.Millisecond)
			p.send(blockLen)
		}
		k.Run(forever, forever)
		if len(to.times) != 2 || to.times[0] != 1010*time.Millisecond || to.times[1] != c.want {
			t.Errorf("down %d: arrived at %v, want 1.01s and %v", c.down, to.times, c.want)
		}
	}
}

func TestMessagesKeepTheirOrderAndGoInFrontOfBlocks(t *testing.T) {
	k := New(1)
	_, src := addHost(k, Link{Up: blockLen})
	to, dst := addHost(k, Link{})
	p, _ := connect(k, src, dst, time.Millisecond)
	for range 2 {
		p.send(blockLen)
	}
	p.message(blockLen/4, 1) // a quarter of a second
	p.message(16, 2)         // a millisecond: it must not overtake
	k.Run(forever, forever)
	if !slices.Equal(to.messages, []uint32{1, 2}) {
		t.Errorf("messages %v, want 1 and 2", to.messages)
	}
	if want := 251 * time.Millisecond; to.times[0] != want {
		t.Errorf("the first message came at %v, want %v: in front of the blocks", to.times[0], want)
	}
	// Two seconds of blocks and what the messages took.
	if want := 2250*time.Millisecond + time.Millisecond; to.times[3] < want || to.times[3] > want+10*time.Millisecond {
		t.Errorf("the last block came at %v, want %v: the messages count", to.times[3], want)
	}
}

func TestSlowStartDoublesEachRoundTrip(t *testing.T) {
	k := New(1)
	k.SlowStart(true)
	from, src := addHost(k, Link{Up: 100 * MiB})
	from.refill(src)
	to, dst := addHost(k, Link{})
	p, _ := connect(k, src, dst, 50*time.Millisecond)
	p.send(blockLen)
	k.Run(3*time.Second, forever)
	in := func(from, to_ time.Duration) (n int) {
		for _, at := range to.times {
			if at >= from && at < to_ {
				n++
			}
		}
		return n
	}
	fifth, sixth := in(450*time.Millisecond, 550*time.Millisecond), in(550*time.Millisecond, 650*time.Millisecond)
	if ratio := float64(sixth) / float64(fifth); ratio < 1.7 || ratio > 2.3 {
		t.Errorf("%d blocks in the fifth round trip, %d in the sixth: want about twice", fifth, sixth)
	}
	if n := in(2*time.Second, 3*time.Second); n < 6300 {
		t.Errorf("%d blocks in the third second, want the link's 6400", n)
	}
}

func TestWhatIsUnderWayAtTheCloseIsLost(t *testing.T) {
	k := New(1)
	_, src := addHost(k, Link{Up: blockLen})
	to, dst := addHost(k, Link{})
	p, q := connect(k, src, dst, 10*time.Second)
	for range 3 {
		p.send(blockLen) // one is on the line after 1 s, one on the link, one waits
	}
	p.message(0, 1)
	k.Run(1500*time.Millisecond, forever)
	p.close()
	q.close()
	p.send(blockLen)
	if other, _ := connect(k, src, dst, time.Second); other.f.number == p.f.number {
		t.Fatal("the number of the flow is used again")
	}
	k.Run(forever, forever)
	if to.bytes != 0 || len(to.messages) != 0 || to.lost != blockLen || k.Traffic(src).BlocksCut != blockLen {
		t.Errorf("received %d bytes, %d messages, lost %d and %d bytes; want 0, 0 and a block each", to.bytes, len(to.messages), k.Traffic(src).BlocksCut, to.lost)
	}
}

// TestTheWindowIsAcknowledged: with or without messages that go back, and
// whatever they carry, a flow goes on as fast as its link allows.
func TestTheWindowIsAcknowledged(t *testing.T) {
	for _, answers := range []bool{false, true} {
		k := New(1)
		from, src := addHost(k, Link{Up: 100 * blockLen})
		from.refill(src)
		var back *pipe
		received := 0
		dst := k.Add(script(func(_ time.Duration, ev Event) {
			if ev.Kind != KindBlock {
				return
			}
			if received++; answers && received%3 == 0 {
				back.message(17, 0)
			}
		}), Link{Up: blockLen})
		p, q := connect(k, src, dst, 25*time.Millisecond)
		back = q
		for range 10 {
			p.send(blockLen)
		}
		k.Run(20*time.Second, forever)
		if received < 1990 {
			t.Errorf("answers %v: %d blocks in 20 s, want 2000", answers, received)
		}
		if p.f.inFlight > p.f.window || p.f.inFlight < 0 {
			t.Errorf("answers %v: %d blocks in flight, the window is %d", answers, p.f.inFlight, p.f.window)
		}
	}
}

// TestPlacesOfFlowsAreUsedAgain: a host that opens and closes flows all the time
// needs as many places as it has flows at a time, and gives no number twice.
func TestPlacesOfFlowsAreUsedAgain(t *testing.T) {
	k := New(1)
	_, id := addHost(k, Link{})
	h := k.hosts[id]
	given := map[uint32]bool{0: true}
	const atATime, rounds = 3, 1<<(32-placeBits) + 10
	for range rounds {
		var flows []*flow
		for range atATime {
			f := k.dialFlow(h, id, time.Second)
			if given[f.number] || h.flow(f.number) != f {
				t.Fatalf("the number %d is given again, or leads to another flow", f.number)
			}
			given[f.number] = true
			flows = append(flows, f)
		}
		for _, f := range flows {
			k.closeFlow(h, f)
			if h.flow(f.number) != nil {
				t.Fatal("a closed flow is found")
			}
		}
	}
	if len(h.flows) > 1+2*atATime {
		t.Errorf("%d places for %d flows at a time", len(h.flows), atATime)
	}
}
