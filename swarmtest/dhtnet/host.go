package dhtnet

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// Spec says what a host is. The zero Spec is an honest node that joins at
// once.
type Spec struct {
	// Join is the virtual time at which it starts.
	Join time.Duration

	// Link is its access link. With Shared it is that of an entity that the
	// kernel already has: Of.
	Link   sim.Link
	Shared bool
	Of     sim.ID

	// Addr is its address, IPv4 and in a /24 of its own; the zero value means
	// any free one.
	Addr netip.AddrPort

	// Node configures its node. Rand is set by the network, and MaxSources
	// too if it is zero: to a few, for the memory. External stays unknown
	// unless it is given, so the node learns it from others, as real ones do,
	// and only then takes on an id that fits (BEP 42).
	Node node.Config

	// Known are the addresses by which it joins; nil means the routers, the
	// first hosts of the network.
	Known []netip.AddrPort

	// NAT drops the queries of others, without saying so by BEP 43.
	NAT bool

	// Liar answers queries in the node's place.
	Liar Liar

	// Output is called with what the node puts out besides packets and what
	// belongs to a Search. It may call Receive.
	Output func(now time.Duration, out node.Output)
}

// Host is one place in the network with a node.
type Host struct {
	net   *Network
	id    sim.ID
	link  sim.ID
	index uint32
	addr  netip.AddrPort
	spec  Spec

	node     *node.Node // nil before it joins, and once it is silent
	joined   bool
	wakeAt   time.Duration
	searches []*Search
	lastID   node.LookupID
}

// Add adds a host.
func (n *Network) Add(spec Spec) (*Host, error) {
	if !spec.Addr.IsValid() {
		spec.Addr = n.freeAddr()
	}
	if ip := spec.Addr.Addr(); !ip.Is4() || n.byNet[netOf(ip)] != nil {
		return nil, fmt.Errorf("dhtnet: %v is not an IPv4 address in a /24 of its own", spec.Addr)
	}
	h := &Host{net: n, index: uint32(len(n.hosts)), addr: spec.Addr, spec: spec, wakeAt: math.MaxInt64}
	h.id = n.kernel.Add(h, spec.Link)
	h.link = h.id
	if spec.Shared {
		h.link = spec.Of
	}
	if spec.Known == nil && len(n.routers) < numRouters {
		n.routers = append(n.routers, h.addr)
	}
	n.hosts = append(n.hosts, h)
	n.byNet[netOf(h.addr.Addr())] = h
	n.kernel.At(spec.Join, sim.Event{To: h.id, Kind: kindJoin})
	return h, nil
}

// Addr returns the host's address.
func (h *Host) Addr() netip.AddrPort { return h.addr }

// ID returns the entity that the host is in the kernel.
func (h *Host) ID() sim.ID { return h.id }

// Index returns the host's place in Hosts, by which Paths know it.
func (h *Host) Index() uint32 { return h.index }

// Node returns the host's node, nil before it has joined and once it is
// silent. What it puts out must be left to the network: see Receive.
func (h *Host) Node() *node.Node { return h.node }

// Honest reports whether the host has no Liar.
func (h *Host) Honest() bool { return h.spec.Liar == nil }

// Serves reports whether the host is alive and answers queries.
func (h *Host) Serves() bool { return h.node != nil && !h.spec.NAT && !h.spec.Node.ReadOnly }

// Silent reports whether the host was silenced.
func (h *Host) Silent() bool { return h.joined && h.node == nil }

// Silence ends the host without a word to anybody. Its address stays taken, and
// its searches never end.
func (h *Host) Silence() {
	h.joined, h.node, h.searches = true, nil, nil
}

// Depth returns how deep the node's routing table goes: one more than the bits
// that its closest node shares with it.
func (h *Host) Depth() (depth int) {
	id := h.node.ID()
	for _, known := range h.node.AppendNodes(nil) {
		depth = max(depth, sharedBits(&id, &known.ID)+1)
	}
	return depth
}

// Receive hands the node an input, now. The host must have joined.
func (h *Host) Receive(in node.Input) {
	h.node.Receive(h.net.kernel.Now(), in)
	h.drain()
}

// Handle is for the kernel.
func (h *Host) Handle(now time.Duration, ev sim.Event) {
	switch ev.Kind {
	case kindPacket:
		h.arrive(now, ev.A)
	case kindTimer:
		h.wake(now)
	case kindJoin:
		h.join(now)
	}
}

// arrive handles a packet and frees its slot.
func (h *Host) arrive(now time.Duration, slot uint32) {
	p := h.net.packets[slot] // a copy: a packet that is sent may move the others
	if h.node != nil {
		h.net.kernel.ChargeDown(h.link, len(p.bytes)+headersLen)
		h.packet(now, p)
	}
	h.net.freeSlots = append(h.net.freeSlots, slot)
}

func (h *Host) packet(now time.Duration, p packet) {
	if h.spec.NAT && isQuery(p.bytes) || h.spec.Liar != nil && h.lies(p) {
		return
	}
	for _, s := range h.searches {
		s.arrived(p)
	}
	h.node.Receive(now, node.Input{Kind: node.InPacket, Addr: p.from, Packet: p.bytes})
	h.drain()
}

// isQuery looks for a query's y, which is the last key of most packets.
func isQuery(packet []byte) bool { return bytes.HasSuffix(packet, []byte("1:y1:qe")) }

// lies answers a query by the host's liar.
func (h *Host) lies(p packet) bool {
	var query krpc.Message
	if !isQuery(p.bytes) || query.Parse(p.bytes) != nil {
		return false
	}
	response := krpc.Message{Kind: krpc.Response, Transaction: query.Transaction, ID: h.node.ID()}
	if !h.spec.Liar.Answer(h, p.from, &query, &response) {
		return false
	}
	h.net.send(h, h.addr, p.from, response.Append(nil))
	return true
}

// wake handles the host's timer. One that was set anew since is still under
// way, and is noticed by the time that it has.
func (h *Host) wake(now time.Duration) {
	if h.node == nil || now != h.wakeAt {
		return
	}
	h.wakeAt = math.MaxInt64
	if due, ok := h.node.NextTimeout(); ok && due <= now {
		h.node.Advance(now)
	}
	h.drain()
}

func (h *Host) join(now time.Duration) {
	if h.joined {
		return // it was silenced before
	}
	cfg := h.spec.Node
	cfg.Rand = h.net.kernel.Rand(h.id, streamNode)
	if cfg.MaxSources == 0 {
		cfg.MaxSources = 16
	}
	h.node, _ = node.New(now, cfg) // fails only without Rand
	h.joined = true
	known := h.spec.Known
	if known == nil {
		known = h.net.routers
	}
	h.Receive(node.Input{Kind: node.InNodes, Addrs: known})
}

// drain does what the node wants done.
func (h *Host) drain() {
	for h.node != nil { // an output may end the host
		out, ok := h.node.Next()
		if !ok {
			break
		}
		h.do(out)
	}
	if h.node == nil {
		return
	}
	if due, ok := h.node.NextTimeout(); ok && due < h.wakeAt {
		h.wakeAt = max(due, h.net.kernel.Now())
		h.net.kernel.At(h.wakeAt, sim.Event{To: h.id, Kind: kindTimer})
	}
}

func (h *Host) do(out node.Output) {
	switch out.Kind {
	case node.OutPacket:
		for _, s := range h.searches {
			s.sent(out.Addr)
		}
		h.net.send(h, h.addr, out.Addr, out.Packet)
	case node.OutReply, node.OutConverged, node.OutDone:
		for _, s := range h.searches {
			if s.id == out.Lookup {
				s.heard(out)
				return
			}
		}
		fallthrough
	default:
		if h.spec.Output != nil {
			h.spec.Output(h.net.kernel.Now(), out)
		}
	}
}
