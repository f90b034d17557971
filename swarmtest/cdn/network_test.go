package cdn

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// fluid is a network with random links and flows, for tests.
type fluid struct {
	*network
	random *rand.Rand
	ids    []int32
	total  int64 // of all parts that were finished or broken off
}

func newFluid(seed uint64) *fluid {
	f := &fluid{network: newNetwork(), random: rand.New(rand.NewPCG(seed, 0))}
	for range 1 + f.random.IntN(5) {
		f.addUplink(f.rate())
	}
	for range f.random.IntN(5) {
		f.addDownlink(1 + f.rate())
	}
	return f
}

// rate is one of a few, so that there are ties, or any; sometimes it is
// unlimited.
func (f *fluid) rate() int64 {
	if f.random.IntN(8) == 0 {
		return 0
	}
	if f.random.IntN(2) == 0 {
		return 1000 << f.random.IntN(4)
	}
	return 1 + f.random.Int64N(1_000_000)
}

// act opens a flow, sends on one or closes one.
func (f *fluid) act() {
	switch at := f.random.IntN(len(f.ids) + 1); {
	case at == len(f.ids):
		down := int32(f.random.IntN(len(f.downs)+2)) - 2
		id := f.open(int32(f.random.IntN(len(f.uplinks))), max(down, private), rateOf(f.rate()))
		f.ids = append(f.ids, id)
		f.send(id, part{len: 1 + f.random.Int64N(100_000)})
	case f.random.IntN(3) == 0:
		_, sent := f.close(f.ids[at])
		f.total += sent
		f.ids = append(f.ids[:at], f.ids[at+1:]...)
	default:
		f.send(f.ids[at], part{len: 1 + f.random.Int64N(100_000)})
	}
}

// linkLoad is what the flows of a link get together, and the most that one
// gets.
type linkLoad struct {
	rate      float64
	greatest  uint64
	sum       float64
	numFlows  int
	unlimited bool
}

func (f *fluid) loads() (ups, downs []linkLoad) {
	ups, downs = make([]linkLoad, len(f.uplinks)), make([]linkLoad, len(f.downs))
	for i, u := range f.uplinks {
		ups[i].rate, ups[i].unlimited = float64(u.rate), u.rate == fastest
	}
	for i, d := range f.downs {
		downs[i].rate = float64(d.rate)
	}
	for i := range f.flows {
		b := &f.bundles[f.flows[i].bundle]
		if !f.flows[i].sending {
			continue
		}
		ups[b.up].add(b.rate)
		if b.down != private {
			downs[b.down].add(b.rate)
		}
	}
	return ups, downs
}

func (l *linkLoad) add(rate uint64) {
	l.sum += float64(rate)
	l.greatest = max(l.greatest, rate)
	l.numFlows++
}

// full allows for shares that were rounded down.
func (l *linkLoad) full() bool {
	return !l.unlimited && l.rate-l.sum <= 2*float64(l.numFlows)+l.rate*1e-12
}

// The rates are max-min fair if and only if no link is overloaded, and each
// flow that is below its cap has a full link on which no other flow gets more
// (Bertsekas and Gallager, Data Networks, section 6.5).
func (f *fluid) check(t *testing.T, seed uint64) {
	t.Helper()
	f.refill()
	ups, downs := f.loads()
	for i, l := range append(ups, downs...) {
		if !l.unlimited && l.sum > l.rate*(1+1e-12) {
			t.Fatalf("seed %d: link %d carries %v of %v", seed, i, l.sum, l.rate)
		}
	}
	for i := range f.flows {
		b := &f.bundles[f.flows[i].bundle]
		if !f.flows[i].sending || b.rate == b.cap {
			continue
		}
		// Where a share is rounded down, the next one is greater by one unit.
		limited := ups[b.up].full() && ups[b.up].greatest <= b.rate+2
		if b.down != private {
			limited = limited || downs[b.down].full() && downs[b.down].greatest <= b.rate+2
		}
		if !limited {
			t.Fatalf("seed %d: flow %d gets %d of %d, and nothing limits it", seed, i, b.rate, b.cap)
		}
	}
}

func TestSharesAreMaxMinFair(t *testing.T) {
	for seed := range uint64(300) {
		f := newFluid(seed)
		for range 60 {
			f.act()
			f.check(t, seed)
			if next := f.next(); next != never && f.random.IntN(2) == 0 {
				f.now = next
			}
			for {
				_, p, ok := f.finished()
				if !ok {
					break
				}
				f.total += p.len
			}
		}
		f.checkCounts(t, seed)
	}
}

// checkCounts checks what the uplinks count against what was finished.
func (f *fluid) checkCounts(t *testing.T, seed uint64) {
	t.Helper()
	sum := int64(0)
	for i, u := range f.uplinks {
		sum += u.out
		sending := 0
		for j := range f.flows {
			if f.flows[j].sending && f.bundles[f.flows[j].bundle].up == int32(i) {
				sending++
			}
		}
		if sending != u.sending {
			t.Fatalf("seed %d: uplink %d counts %d flows that send, there are %d", seed, i, u.sending, sending)
		}
	}
	if sum != f.total {
		t.Fatalf("seed %d: uplinks counted %d bytes, the flows %d", seed, sum, f.total)
	}
}

// Three flows of known shares, computed by hand: an uplink of 30 with flows
// capped at 5, at 20 by a downlink of their own, and uncapped.
func TestSharesByHand(t *testing.T) {
	n := newNetwork()
	up := n.addUplink(30)
	for _, limit := range []int64{5, 20, 0} {
		n.send(n.open(up, private, rateOf(limit)), part{len: 100})
	}
	n.refill()
	for i, want := range []float64{5, 12.5, 12.5} {
		if got := float64(n.bundles[i].rate) / (1 << rateShift); math.Abs(got-want) > 1e-5 {
			t.Errorf("flow %d gets %v bytes/s, want %v", i, got, want)
		}
	}
	if got := n.next(); got != 8*time.Second {
		t.Errorf("the first part is through at %v, want 8s", got)
	}
}

// Two uplinks of 10 and 100 send to one downlink of 60, and the first also to
// another receiver: its flows get 5 each, and the downlink's other flow the
// rest.
func TestSharesAreCoupledByDownlinks(t *testing.T) {
	n := newNetwork()
	slow, fast := n.addUplink(10), n.addUplink(100)
	down := n.addDownlink(60)
	for _, id := range []int32{n.open(slow, private, fastest), n.open(slow, down, fastest), n.open(fast, down, fastest)} {
		n.send(id, part{len: 1000})
	}
	n.refill()
	for i, want := range []float64{5, 5, 55} {
		if got := float64(n.bundles[i].rate) / (1 << rateShift); math.Abs(got-want) > 1e-5 {
			t.Errorf("flow %d gets %v bytes/s, want %v", i, got, want)
		}
	}
}

// A flow that is closed in the middle of a part has sent what its rate gave it,
// and the others get its share.
func TestCloseTellsWhatWasSent(t *testing.T) {
	n := newNetwork()
	up := n.addUplink(1000)
	a, b := n.open(up, private, fastest), n.open(up, private, fastest)
	n.send(a, part{len: 10_000, tag: 7})
	n.send(b, part{len: 10_000, tag: 8})
	n.refill()
	n.now = 4 * time.Second
	if tag, sent := n.close(a); tag != 7 || sent != 2000 {
		t.Errorf("closed with part %d and %d bytes, want part 7 and 2000", tag, sent)
	}
	if got := n.next(); got != 12*time.Second {
		t.Errorf("the other is through at %v, want 12s", got)
	}
}
