package dhthost

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/node"
)

// World is what surrounds a Host. It is called while the Host is.
type World interface {
	// Send sends a packet. It is valid until Send returns.
	Send(to netip.AddrPort, packet []byte)
	// WakeAt asks for a call of Wake at a time. What was asked for before still
	// comes.
	WakeAt(at time.Duration)
	// Heard takes what the node puts out besides packets. It may call Receive
	// and Stop.
	Heard(now time.Duration, out node.Output)
}

// MaxSources is a node.Config.MaxSources that keeps the nodes of a simulation
// small. Few ask one node at a time; 16 bytes for each.
const MaxSources = 16

// Host is one place with a node.
type Host struct {
	// World is set by whoever owns the Host, and NAT, too: the host is behind a
	// NAT that lets only answers in.
	World World
	NAT   bool

	node     *node.Node
	wakeAt   time.Duration // of the earliest call of Wake that is under way
	draining bool
	waiting  []node.Input // that came meanwhile
}

// never is later than everything.
const never = time.Duration(1<<63 - 1)

// Start starts a node at now, which joins by way of the nodes at some
// addresses. Its cfg lacks nothing but perhaps MaxSources.
func (h *Host) Start(now time.Duration, cfg node.Config, known []netip.AddrPort) {
	if cfg.MaxSources == 0 {
		cfg.MaxSources = MaxSources
	}
	n, err := node.New(now, cfg)
	if err != nil {
		panic("dhthost: " + err.Error()) // the configuration is the simulator's own
	}
	h.node, h.wakeAt = n, never
	h.Receive(now, node.Input{Kind: node.InNodes, Addrs: known})
}

// Stop ends the node without a word to anybody.
func (h *Host) Stop() { h.node, h.waiting = nil, nil }

// Node returns the node, nil before Start and after Stop. What it puts out is
// the Host's to do.
func (h *Host) Node() *node.Node { return h.node }

// Packet hands the node a packet, unless the NAT drops it or there is none.
func (h *Host) Packet(now time.Duration, from netip.AddrPort, packet []byte) {
	if h.node == nil || h.NAT && IsQuery(packet) {
		return
	}
	h.Receive(now, node.Input{Kind: node.InPacket, Addr: from, Packet: packet})
}

// IsQuery looks for a query's y, which is the last key of most packets.
func IsQuery(packet []byte) bool { return bytes.HasSuffix(packet, []byte("1:y1:qe")) }

// Receive hands the node an input. While the node's outputs are done, it waits
// for its turn: the node would forget the rest of them.
func (h *Host) Receive(now time.Duration, in node.Input) {
	switch {
	case h.node == nil:
	case h.draining:
		h.waiting = append(h.waiting, in)
	default:
		h.node.Receive(now, in)
		h.drain(now)
	}
}

// Wake is called at the times that WakeAt was asked for. A time that was asked
// for anew since is noticed by that.
func (h *Host) Wake(now time.Duration) {
	if h.node == nil || now != h.wakeAt {
		return
	}
	h.wakeAt = never
	if due, ok := h.node.NextTimeout(); ok && due <= now {
		h.node.Advance(now)
	}
	h.drain(now)
}

// drain does what the node wants done, and keeps its deadline.
func (h *Host) drain(now time.Duration) {
	h.draining = true
	h.empty(now)
	for h.node != nil && len(h.waiting) > 0 {
		in := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.node.Receive(now, in)
		h.empty(now)
	}
	h.draining, h.waiting = false, nil
	if h.node == nil {
		return
	}
	if due, ok := h.node.NextTimeout(); ok && due < h.wakeAt {
		h.wakeAt = max(due, now)
		h.World.WakeAt(h.wakeAt)
	}
}

// empty does the outputs that there are. One of them may end the node.
func (h *Host) empty(now time.Duration) {
	for h.node != nil {
		out, ok := h.node.Next()
		switch {
		case !ok:
			return
		case out.Kind == node.OutPacket:
			h.World.Send(out.Addr, out.Packet)
		default:
			h.World.Heard(now, out)
		}
	}
}
