package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

const blockLen = metainfo.BlockLen

// arrivals counts what one host receives, and what it is told it lost.
type arrivals struct {
	k           *Kernel
	blocks      map[FlowID]int
	times       []time.Duration
	messages    []uint32
	bytes, lost int64
	sent        func(FlowID)
}

func (a *arrivals) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case KindBlock:
		a.blocks[ev.Flow]++
		a.bytes += int64(ev.C)
		a.times = append(a.times, now)
	case KindMessage:
		a.messages = append(a.messages, ev.A)
		a.times = append(a.times, now)
	case KindLost:
		if Kind(ev.Sub) == KindBlock {
			a.lost += int64(ev.C)
		}
	case KindSent:
		if a.sent != nil {
			a.sent(ev.Flow)
		}
	}
}

// host adds a host that keeps its flows full when it is told that a block
// left.
func host(k *Kernel, link Link) (*arrivals, ID) {
	a := &arrivals{k: k, blocks: map[FlowID]int{}}
	return a, k.Add(a, link)
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
		_, src := host(k, Link{Up: c.up})
		to, dst := host(k, Link{Down: c.down})
		k.Send(k.Open(src, dst, 10*time.Millisecond), 0, 0, blockLen)
		k.Run(forever, forever)
		if len(to.times) != 1 || to.times[0] != c.want {
			t.Errorf("up %d, down %d: arrived at %v, want %v", c.up, c.down, to.times, c.want)
		}
	}
}

func TestAnUplinkIsSharedEvenly(t *testing.T) {
	k := New(1)
	from, src := host(k, Link{Up: 10 * blockLen})
	from.sent = func(f FlowID) { k.Send(f, 0, 0, blockLen) }
	got := map[FlowID]int{}
	for i := range 3 {
		to, dst := host(k, Link{})
		to.blocks = got
		f := k.Open(src, dst, time.Duration(i)*10*time.Millisecond)
		for range 1 + 5*i { // one offers many at once and gets no more
			k.Send(f, 0, 0, blockLen)
		}
	}
	k.Run(30*time.Second, forever)
	for f, n := range got {
		if n < 98 || n > 100 {
			t.Errorf("flow %d got %d blocks in 30 s, want a third of 300", f, n)
		}
	}
}

func TestASlowReceiverDoesNotHoldUpTheOthers(t *testing.T) {
	k := New(1)
	from, src := host(k, Link{Up: 100 * blockLen})
	from.sent = func(f FlowID) { k.Send(f, 0, 0, blockLen) }
	slow, slowID := host(k, Link{Down: blockLen})
	fast, fastID := host(k, Link{})
	for _, dst := range []ID{slowID, fastID} {
		k.Send(k.Open(src, dst, time.Millisecond), 0, 0, blockLen)
	}
	k.Run(20*time.Second, forever)
	if n := len(slow.times); n < 19 || n > 20 {
		t.Errorf("the slow receiver got %d blocks in 20 s, want 20", n)
	}
	if n := len(fast.times); n < 1950 {
		t.Errorf("the fast receiver got %d blocks in 20 s, want what the slow one leaves of 2000", n)
	}
}

func TestMessagesKeepTheirOrderAndGoInFrontOfBlocks(t *testing.T) {
	k := New(1)
	_, src := host(k, Link{Up: blockLen})
	to, dst := host(k, Link{})
	f := k.Open(src, dst, time.Millisecond)
	for range 2 {
		k.Send(f, 0, 0, blockLen)
	}
	k.Message(f, blockLen/4, 0, 1, 0, 0) // a quarter of a second
	k.Message(f, 16, 0, 2, 0, 0)         // a millisecond: it must not overtake
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
	from, src := host(k, Link{Up: 100 * MiB})
	from.sent = func(f FlowID) { k.Send(f, 0, 0, blockLen) }
	to, dst := host(k, Link{})
	k.Send(k.Open(src, dst, 50*time.Millisecond), 0, 0, blockLen)
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
	_, src := host(k, Link{Up: blockLen})
	to, dst := host(k, Link{})
	f := k.Open(src, dst, 10*time.Second)
	for range 3 {
		k.Send(f, 0, 0, blockLen) // one is on the line after 1 s, one on the link, one waits
	}
	k.Message(f, 0, 0, 1, 0, 0)
	k.Run(1500*time.Millisecond, forever)
	k.Close(f)
	k.Close(f)
	k.Send(f, 0, 0, blockLen)
	other := k.Open(src, dst, time.Second)
	if other == f {
		t.Fatal("the flow is used again with blocks of the old one under way")
	}
	k.Run(forever, forever)
	if to.bytes != 0 || len(to.messages) != 0 || to.lost != 2*blockLen {
		t.Errorf("received %d bytes, %d messages, lost %d bytes; want 0, 0 and two blocks", to.bytes, len(to.messages), to.lost)
	}
	if k.Open(src, dst, time.Second) != f {
		t.Error("the flow is not used again though nothing of it is under way")
	}
}

// TestLinksNeverExceedTheirRate is the property of the links: whatever is sent
// between whom, stays on one link do not overlap and are as long as their bytes
// need, so no window has more than its rate and one block; and every byte
// sent is received, lost or under way.
func TestLinksNeverExceedTheirRate(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		k := New(seed)
		k.SlowStart(seed%2 == 1)
		busy := map[[2]int]time.Duration{}
		last := time.Duration(0)
		links := make([]Link, 6)
		k.watch = func(p passage) {
			direction, rate := 0, links[p.host].Down
			if p.up {
				direction, rate = 1, links[p.host].Up
			}
			key := [2]int{int(p.host), direction}
			if rate == 0 {
				return
			}
			if p.from < busy[key] {
				t.Fatalf("seed %d: host %d: a block begins at %v, before %v", seed, p.host, p.from, busy[key])
			}
			if stay := p.to - p.from; stay.Seconds() < float64(p.numBytes)/float64(rate)-1e-9 {
				t.Fatalf("seed %d: host %d: %d bytes in %v at %d bytes/s", seed, p.host, p.numBytes, stay, rate)
			}
			busy[key] = p.to
		}
		var hosts []*arrivals
		for i := range links {
			links[i] = Link{Up: r.IntN(3) * (1000 + r.IntN(MiB)), Down: r.IntN(3) * (1000 + r.IntN(MiB))}
			h, _ := host(k, links[i])
			hosts = append(hosts, h)
		}
		var flows []FlowID
		driver := k.Add(script(func(now time.Duration, ev Event) {
			if now < last {
				t.Fatalf("seed %d: time went back from %v to %v", seed, last, now)
			}
			last = now
			switch r.IntN(20) {
			case 0:
				flows = append(flows, k.Open(ID(r.IntN(6)), ID(r.IntN(6)), time.Duration(r.IntN(1e8))))
			case 1:
				if n := len(flows); n > 0 {
					i := r.IntN(n)
					k.Close(flows[i])
					flows = slices.Delete(flows, i, i+1)
				}
			case 2, 3, 4, 5:
				if n := len(flows); n > 0 {
					k.Message(flows[r.IntN(n)], r.IntN(500), 0, 0, 0, 0)
				}
			default:
				if n := len(flows); n > 0 {
					k.Send(flows[r.IntN(n)], 0, 0, 1+r.IntN(blockLen))
				}
			}
			if now < time.Minute {
				k.At(now+time.Duration(r.IntN(2e7)), ev)
			}
		}), Link{})
		k.At(0, Event{To: driver, Kind: KindUser})
		k.Run(forever, forever)
		var sent, received int64
		for i, h := range hosts {
			sent += k.Traffic(ID(i)).BlocksUp
			received += h.bytes + h.lost
		}
		if sent == 0 || sent != received {
			t.Errorf("seed %d: %d bytes sent, %d received or lost", seed, sent, received)
		}
	}
}
