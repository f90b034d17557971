package dhtnet

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// Round trips have the median and the sigma that were asked for, and are the
// same in both directions; losses have their share.
func TestPaths(t *testing.T) {
	const count = 20_000
	paths := Internet(7)
	var trips []time.Duration
	sum, squares, lost := 0.0, 0.0, 0
	for i := range uint32(count) {
		a, b := i%200, 1000+i/200
		trip := paths.RoundTrip(a, b)
		if trip != paths.RoundTrip(b, a) {
			t.Fatalf("%d and %d: %v and %v", a, b, trip, paths.RoundTrip(b, a))
		}
		trips = append(trips, trip)
		l := math.Log(float64(trip))
		sum, squares = sum+l, squares+l*l
		if paths.Loses(uint64(i)) {
			lost++
		}
	}
	sigma := math.Sqrt(squares/count - sum/count*sum/count)
	if median := percentile(trips, 50); median < 88*time.Millisecond || median > 92*time.Millisecond || sigma < 0.58 || sigma > 0.62 {
		t.Errorf("median %v, sigma %.3f", median, sigma)
	}
	if lost < count*8/1000 || lost > count*12/1000 {
		t.Errorf("%d of %d packets lost", lost, count)
	}
	if other := Internet(8); other.RoundTrip(1, 2) == paths.RoundTrip(1, 2) {
		t.Error("the seed makes no difference")
	}
}

// idler is an entity without a life of its own.
type idler struct{}

func (idler) Handle(time.Duration, sim.Event) {}

// A node beside an engine's peer uses the link of that: it is charged, and slow
// if it is slow.
func TestSharedLink(t *testing.T) {
	kernel := sim.New(1)
	n := New(kernel, Internet(1))
	if err := n.Grow(20, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	n.Run(20 * time.Second)
	peer := kernel.Add(idler{}, sim.Link{Up: 2000, Down: 2000})
	ready := Never
	h, err := n.Add(Spec{Join: n.kernel.Now(), Shared: true, Of: peer, Output: func(now time.Duration, out node.Output) {
		if out.Kind == node.OutReady {
			ready = now - 20*time.Second
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	n.RunFor(20 * time.Second)
	if kernel.Traffic(peer).MessagesUp == 0 || kernel.Traffic(peer).MessagesDown == 0 || kernel.Traffic(h.ID()).MessagesUp != 0 {
		t.Errorf("the peer's link carried %+v, the node's %+v", kernel.Traffic(peer), kernel.Traffic(h.ID()))
	}
	// A query and its headers have some 130 bytes, which take 65 ms, and at
	// least 20 of them go out before it has joined.
	if ready < time.Second {
		t.Errorf("ready after %v", ready)
	}
}

// A node behind a NAT finds others, and does not get into their tables although
// it does not say that it is read-only.
func TestNAT(t *testing.T) {
	n := New(sim.New(1), Internet(1))
	if err := n.Grow(60, 10*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	behind, err := n.Add(Spec{Join: 10 * time.Second, NAT: true})
	if err != nil {
		t.Fatal(err)
	}
	n.Run(2 * time.Minute)
	s := behind.Search(node.Request{Method: krpc.FindNode, Target: n.RandomID()}, nil)
	n.RunFor(10 * time.Second)
	if s.Answered != numClosest {
		t.Errorf("%d of the closest answered", s.Answered)
	}
	for _, h := range n.hosts[:60] {
		if slices.ContainsFunc(h.Node().AppendNodes(nil), func(known krpc.Node) bool { return known.Addr == behind.addr }) {
			t.Fatal("it is in a table")
		}
	}
	if behind.Serves() || slices.Contains(n.Closest(behind.Node().ID(), nil), behind.Node().ID()) {
		t.Error("it counts as one that serves")
	}
}

func TestAddresses(t *testing.T) {
	n := New(sim.New(1), Internet(1))
	if err := n.Grow(2000, 0, nil); err != nil {
		t.Fatal(err)
	}
	for _, h := range n.hosts {
		if ip := h.addr.Addr(); !ip.IsGlobalUnicast() || ip.IsPrivate() || n.HostAt(h.addr) != h {
			t.Errorf("%v", h.addr)
		}
	}
	taken := n.hosts[5].addr.Addr().As4()
	taken[3]++
	for _, addr := range []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4(taken), 1), netip.MustParseAddrPort("[2001:db8::1]:1")} {
		if _, err := n.Add(Spec{Addr: addr}); err == nil {
			t.Errorf("%v was taken", addr)
		}
	}
}

// The measure itself: of searches one of which never found anything.
func TestSummary(t *testing.T) {
	s := Summarize([]*Search{
		{First: 100, Converged: 300, Queries: 20, Closest: 8, Learned: 8, Answered: 7},
		{First: Never, Converged: 500, Queries: 30, Closest: 8, Learned: 6, Answered: 6},
	})
	if s.Searches != 2 || s.Found != 1 || s.FirstP50 != 100 || s.FirstP99 != math.MaxInt64 || s.ConvergedP99 != 500 {
		t.Errorf("%+v", s)
	}
	if s.Learned != 14.0/16 || s.Answered != 13.0/16 || s.QueriesMean != 25 || s.QueriesMost != 30 {
		t.Errorf("%+v", s)
	}
}
