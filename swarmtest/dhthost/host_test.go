package dhthost

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// pair is two hosts between which packets take no time. Each packet is
// delivered by hand, so nothing is handed to a host while it sends.
type pair struct {
	hosts   [2]Host
	packets []delivery
	heard   []node.OutputKind
	wakeAt  time.Duration
	onReady func(h *Host, now time.Duration)
	hearing bool
	early   int // packets that were sent while an output was heard
}

type delivery struct {
	to     int
	packet []byte
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), 6881)
}

// end is one host's side of a pair.
type end struct {
	*pair
	index int
}

func (e end) Send(to netip.AddrPort, packet []byte) {
	if e.hearing {
		e.early++
	}
	if to == addrOf(1-e.index) {
		e.packets = append(e.packets, delivery{1 - e.index, append([]byte{}, packet...)})
	}
}

func (e end) WakeAt(at time.Duration) { e.wakeAt = at }

func (e end) Heard(now time.Duration, out node.Output) {
	e.heard = append(e.heard, out.Kind)
	if out.Kind == node.OutReady && e.onReady != nil {
		e.hearing = true
		e.onReady(&e.hosts[e.index], now)
		e.hearing = false
	}
}

// start starts both, each of which knows the other.
func (p *pair) start() {
	for i := range p.hosts {
		p.hosts[i].World = end{p, i}
		p.hosts[i].Start(0, node.Config{Rand: rand.New(rand.NewPCG(1, uint64(i)))}, []netip.AddrPort{addrOf(1 - i)})
	}
}

// deliver delivers until nothing is left.
func (p *pair) deliver(now time.Duration) {
	for len(p.packets) > 0 {
		d := p.packets[0]
		p.packets = p.packets[1:]
		p.hosts[d.to].Packet(now, addrOf(1-d.to), d.packet)
	}
}

// TestInputsInAnOutput: what the world does when it hears of something takes nothing away
// from what the node has to say besides.
func TestInputsInAnOutput(t *testing.T) {
	var p pair
	p.onReady = func(h *Host, now time.Duration) {
		for id := range node.LookupID(2) {
			h.Receive(now, node.Input{Kind: node.InLookup, Lookup: id + 1, Request: &node.Request{Method: krpc.GetPeers, Target: krpc.ID{1}}})
		}
	}
	p.start()
	p.deliver(time.Second)
	done, ready := 0, 0
	for _, kind := range p.heard {
		switch kind {
		case node.OutDone:
			done++
		case node.OutReady:
			ready++
		}
	}
	if ready != 2 || done != 4 {
		t.Errorf("%d nodes were ready and %d lookups done, want 2 and 4", ready, done)
	}
	if p.early > 0 {
		t.Errorf("%d packets went before those of the outputs that were there already", p.early)
	}
}

func TestNATLetsAnswersIn(t *testing.T) {
	var p pair
	p.hosts[0].NAT = true
	p.start()
	p.deliver(time.Second)
	if n, _ := p.hosts[0].Node().NumNodes(); n != 1 {
		t.Errorf("behind the NAT, %d nodes are known", n)
	}
	if n, _ := p.hosts[1].Node().NumNodes(); n != 0 {
		t.Errorf("%d nodes behind a NAT got into a table", n)
	}
}

func TestStop(t *testing.T) {
	var p pair
	p.onReady = func(h *Host, _ time.Duration) { h.Stop() }
	p.start()
	p.deliver(time.Second)
	for i := range p.hosts {
		h := &p.hosts[i]
		if h.Node() != nil {
			t.Fatalf("host %d goes on", i)
		}
		h.Packet(2*time.Second, addrOf(1-i), nil)
		h.Wake(p.wakeAt)
		h.Receive(3*time.Second, node.Input{Kind: node.InNodes})
	}
}
