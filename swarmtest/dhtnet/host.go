package dhtnet

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/dhthost"
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

	driver   dhthost.Host // without a node before the host joins, and once it is silent
	joined   bool
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
	h := &Host{net: n, index: uint32(len(n.hosts)), addr: spec.Addr, spec: spec}
	h.driver = dhthost.Host{World: world{h}, NAT: spec.NAT}
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
func (h *Host) Node() *node.Node { return h.driver.Node() }

// Honest reports whether the host has no Liar.
func (h *Host) Honest() bool { return h.spec.Liar == nil }

// Serves reports whether the host is alive and answers queries.
func (h *Host) Serves() bool { return h.Node() != nil && !h.spec.NAT && !h.spec.Node.ReadOnly }

// Silent reports whether the host was silenced.
func (h *Host) Silent() bool { return h.joined && h.Node() == nil }

// Silence ends the host without a word to anybody. Its address stays taken, and
// its searches never end.
func (h *Host) Silence() {
	h.joined, h.searches = true, nil
	h.driver.Stop()
}

// Depth returns how deep the node's routing table goes: one more than the bits
// that its closest node shares with it.
func (h *Host) Depth() (depth int) {
	id := h.Node().ID()
	for _, known := range h.Node().AppendNodes(nil) {
		depth = max(depth, sharedBits(&id, &known.ID)+1)
	}
	return depth
}

// Receive hands the node an input, now. The host must have joined.
func (h *Host) Receive(in node.Input) { h.driver.Receive(h.net.kernel.Now(), in) }

// Handle is for the kernel.
func (h *Host) Handle(now time.Duration, ev sim.Event) {
	switch ev.Kind {
	case kindPacket:
		h.arrive(now, ev.A)
	case kindTimer:
		h.driver.Wake(now)
	case kindJoin:
		h.join(now)
	}
}

// arrive handles a packet and frees its slot.
func (h *Host) arrive(now time.Duration, slot uint32) {
	p := h.net.packets[slot] // a copy: a packet that is sent may move the others
	if h.Node() != nil {
		h.net.kernel.ChargeDown(h.link, len(p.bytes)+headersLen)
		h.packet(now, p)
	}
	h.net.freeSlots = append(h.net.freeSlots, slot)
}

func (h *Host) packet(now time.Duration, p packet) {
	if h.spec.Liar != nil && !h.spec.NAT && h.lies(p) {
		return
	}
	for _, s := range h.searches {
		s.arrived(p)
	}
	h.driver.Packet(now, p.from, p.bytes)
}

// lies answers a query by the host's liar.
func (h *Host) lies(p packet) bool {
	var query krpc.Message
	if !dhthost.IsQuery(p.bytes) || query.Parse(p.bytes) != nil {
		return false
	}
	response := krpc.Message{Kind: krpc.Response, Transaction: query.Transaction, ID: h.Node().ID()}
	if !h.spec.Liar.Answer(h, p.from, &query, &response) {
		return false
	}
	h.net.send(h, h.addr, p.from, response.Append(nil))
	return true
}

func (h *Host) join(now time.Duration) {
	if h.joined {
		return // it was silenced before
	}
	cfg := h.spec.Node
	cfg.Rand = h.net.kernel.Rand(h.id, streamNode)
	h.joined = true
	known := h.spec.Known
	if known == nil {
		known = h.net.routers
	}
	h.driver.Start(now, cfg, known)
}

// world is what surrounds a host's node.
type world struct{ *Host }

// Send implements dhthost.World.
func (w world) Send(to netip.AddrPort, packet []byte) {
	for _, s := range w.searches {
		s.sent(to)
	}
	w.net.send(w.Host, w.addr, to, packet)
}

// WakeAt implements dhthost.World.
func (w world) WakeAt(at time.Duration) {
	w.net.kernel.At(at, sim.Event{To: w.id, Kind: kindTimer})
}

// Heard implements dhthost.World.
func (w world) Heard(now time.Duration, out node.Output) {
	switch out.Kind {
	case node.OutReply, node.OutConverged, node.OutDone:
		for _, s := range w.searches {
			if s.id == out.Lookup {
				s.heard(out)
				return
			}
		}
	}
	if w.spec.Output != nil {
		w.spec.Output(now, out)
	}
}
