package node

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// world is a network of nodes on a virtual clock: events in the order of
// their time, round trips that are fixed for each pair of nodes, and loss.
type world struct {
	t      testing.TB
	now    time.Duration
	rnd    *rand.Rand
	loss   float64 // each way
	seq    int
	events events
	hosts  []*host
	byAddr map[netip.AddrPort]*host
	trace  func(from, to netip.AddrPort, packet []byte)
}

type host struct {
	node   *Node
	addr   netip.AddrPort
	addr6  netip.AddrPort // of a host in both networks
	dead   bool
	wakeAt time.Duration
	outs   []Output // all but packets
	at     []time.Duration
	sent   int
}

type event struct {
	at     time.Duration
	seq    int
	to     *host
	from   netip.AddrPort
	packet []byte // nil: a timer
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), byAddr: map[netip.AddrPort]*host{}}
}

// publicAddr is the address of the i-th host: each in a /24 or /64 of its own.
func publicAddr(i int, is6 bool) netip.AddrPort {
	if is6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0, 1, 0, 0, byte(i >> 8), byte(i), 15: 1}), 6881)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{40, byte(i >> 8), byte(i), 7}), 6881)
}

func (w *world) add(cfg Config, addr netip.AddrPort) *host {
	cfg.Rand = rand.New(rand.NewPCG(uint64(len(w.hosts)), w.rnd.Uint64()))
	if cfg.MaxSources == 0 {
		cfg.MaxSources = 64
	}
	if addr.Addr().Is6() {
		cfg.IPv6 = true
	} else {
		cfg.IPv4 = true
	}
	node, err := New(w.now, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &host{node: node, addr: addr}
	w.hosts, w.byAddr[addr] = append(w.hosts, h), h
	w.drain(h)
	return h
}

func (w *world) receive(h *host, in Input) {
	h.node.Receive(w.now, in)
	w.drain(h)
}

func (w *world) drain(h *host) {
	for out, ok := h.node.Next(); ok; out, ok = h.node.Next() {
		if out.Kind == OutPacket {
			h.sent++
			from := h.addr
			if out.Addr.Addr().Is6() != from.Addr().Is6() {
				from = h.addr6
			}
			w.send(from, out.Addr, out.Packet)
			continue
		}
		h.outs, h.at = append(h.outs, out), append(h.at, w.now)
	}
	if due, ok := h.node.NextTimeout(); ok && (due < h.wakeAt || h.wakeAt <= w.now) {
		h.wakeAt = max(due, w.now)
		w.push(event{at: h.wakeAt, to: h})
	}
}

func (w *world) push(e event) {
	w.seq++
	e.seq = w.seq
	heap.Push(&w.events, e)
}

func (w *world) send(from, to netip.AddrPort, packet []byte) {
	if w.trace != nil {
		w.trace(from, to, packet)
	}
	if h := w.byAddr[to]; h != nil && w.rnd.Float64() >= w.loss {
		w.push(event{at: w.now + roundTrip(from, to)/2, to: h, from: from, packet: slices.Clone(packet)})
	}
}

// roundTrip is lognormal with a median of 90 ms and a sigma of 0.6.
func roundTrip(a, b netip.AddrPort) time.Duration {
	x, y := hashAddr(a), hashAddr(b)
	var pair rand.PCG
	pair.Seed(x^y, x+y) // the same both ways
	z := rand.New(&pair).NormFloat64()
	return time.Duration(90 * math.Exp(0.6*z) * float64(time.Millisecond))
}

func hashAddr(addr netip.AddrPort) uint64 {
	all := addr.Addr().As16()
	high, low := binary.BigEndian.Uint64(all[:]), binary.BigEndian.Uint64(all[8:])
	return (high*0x9e3779b97f4a7c15 ^ low ^ uint64(addr.Port())<<48) * 0xd1b54a32d192ed03
}

// run goes on until the time is over.
func (w *world) run(duration time.Duration) {
	end := w.now + duration
	for len(w.events) > 0 && w.events[0].at <= end {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		switch {
		case e.to.dead:
		case e.packet != nil:
			w.receive(e.to, Input{Kind: InPacket, Addr: e.from, Packet: e.packet})
		case e.to.wakeAt == e.at:
			e.to.node.Advance(w.now)
			w.drain(e.to)
		}
	}
	w.now = end
}

// populate joins count nodes one after the other, each by way of three that
// are there.
func (w *world) populate(count int, is6 bool) {
	for i := range count {
		addr := publicAddr(i+1, is6)
		h := w.add(Config{External: addr.Addr(), EnforceIDs: true}, addr)
		var known []netip.AddrPort
		for range min(i, 3) {
			known = append(known, w.hosts[w.rnd.IntN(i)].addr)
		}
		w.receive(h, Input{Kind: InNodes, Addrs: known})
		w.run(50 * time.Millisecond)
	}
	w.run(2 * time.Minute)
}

// kill ends a share of the nodes, which the tables of the others do not know
// yet.
func (w *world) kill(share float64) {
	for _, h := range w.hosts {
		h.dead = w.rnd.Float64() < share
	}
}

func (w *world) alive() *host {
	for {
		if h := w.hosts[w.rnd.IntN(len(w.hosts))]; !h.dead {
			return h
		}
	}
}

// trueClosest are the eight living nodes closest to the target, but for one.
func (w *world) trueClosest(target krpc.ID, but *host) []krpc.ID {
	var ids []krpc.ID
	for _, h := range w.hosts {
		if !h.dead && h != but {
			ids = append(ids, h.node.ID())
		}
	}
	slices.SortFunc(ids, func(x, y krpc.ID) int { return compareDistance(&target, &x, &y) })
	return ids[:min(numClosest, len(ids))]
}

func (h *host) forget() { h.outs, h.at = nil, nil }

// percentile sorts values.
func percentile(values []time.Duration, share float64) time.Duration {
	slices.Sort(values)
	return values[min(int(share*float64(len(values))), len(values)-1)].Round(time.Millisecond)
}
