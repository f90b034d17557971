package sim

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/dhthost"
)

// DHT is a DHT by which peers find each other. Every peer has a node on its
// host, and there are others.
type DHT struct {
	// Nodes are those that belong to no peer; at least one. They join before the
	// swarm begins, at negative times, and have links without a limit.
	Nodes int
	// Routers are those of them whose addresses everybody knows, and by which
	// everybody joins.
	Routers int
}

// maxNodes bounds DHT.Nodes: 16 KB each.
const maxNodes = 100_000

// A DHT is there before a swarm.
const (
	// joinEvery is the time from one node's joining to the next one's. Arbitrary.
	joinEvery = 100 * time.Millisecond
	// settleFor is the time from the last one's to the beginning of the swarm:
	// nodes look up an id in each part of their tables one after the other.
	settleFor = time.Minute
)

// udpHeadersLen is what an IPv4 and a UDP header add to a packet on a link.
const udpHeadersLen = 28

// nodeVersion goes into packets as the client's does: it has four bytes.
const nodeVersion = "SH\x00\x01"

func (d *DHT) validate() error {
	switch {
	case d == nil:
	case d.Nodes < 1 || d.Nodes > maxNodes:
		return fmt.Errorf("swarm: a DHT of %d nodes beside those of peers, expected 1 to %d", d.Nodes, maxNodes)
	case d.Routers < 1 || d.Routers > d.Nodes:
		return fmt.Errorf("swarm: %d of the %d nodes of the DHT are routers, expected 1 to all", d.Routers, d.Nodes)
	}
	return nil
}

// lead is how long before the swarm the DHT begins.
func (d *DHT) lead() time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(d.Nodes)*joinEvery + settleFor
}

// addDHT adds the nodes that belong to no peer. They have the numbers behind
// those of the web seeds.
func (w *swarm) addDHT() {
	d := w.cfg.DHT
	if d == nil {
		return
	}
	w.begin(-d.lead())
	for i := range d.Nodes {
		b := &backgroundNode{}
		w.world().add(&b.host, b, Link{})
		b.init(w, &b.host, b, &Peer{})
		if i < d.Routers {
			w.routers = append(w.routers, b.addr)
		}
		b.kernel.At(time.Duration(i)*joinEvery-d.lead(), Event{To: b.id, Kind: eventJoin})
	}
}

// begin lets the run begin at a time, which may be negative.
func (w *swarm) begin(at time.Duration) {
	for _, k := range w.shards.kernels {
		k.now, k.horizon = at, at
	}
	w.shards.horizon = at
}

// dhtNode is a node of the DHT on a host, and what surrounds it.
type dhtNode struct {
	driver dhthost.Host
	swarm  *swarm
	kernel *Kernel
	at     *host
	cfg    *Peer // of the host: its loss
	addr   netip.AddrPort
	owner  interface {
		heard(now time.Duration, out node.Output)
	}
	random *rand.Rand // what is lost, and when it announces

	up, down int64 // bytes, with headers
}

func (n *dhtNode) init(w *swarm, at *host, owner interface {
	heard(time.Duration, node.Output)
}, cfg *Peer) {
	*n = dhtNode{
		swarm: w, kernel: w.world().kernelOf(at.id), at: at, cfg: cfg, owner: owner,
		addr: addrOf(w.indexOf(at.id), listenPort), random: w.world().Rand(at.id, streamDHT),
	}
	n.driver.World = n
	n.driver.NAT = cfg.Unreachable
}

// clock is the time as nodes have it, which begins at zero.
func (n *dhtNode) clock(now time.Duration) time.Duration { return now + n.swarm.cfg.DHT.lead() }

// join starts the node, by way of the routers.
func (n *dhtNode) join(now time.Duration, stream uint32) {
	known := make([]netip.AddrPort, 0, len(n.swarm.routers))
	for _, router := range n.swarm.routers {
		if router != n.addr {
			known = append(known, router)
		}
	}
	n.driver.Start(n.clock(now), node.Config{Rand: n.kernel.Rand(n.at.id, stream), Version: nodeVersion}, known)
}

// receive hands the node an input.
func (n *dhtNode) receive(now time.Duration, in node.Input) { n.driver.Receive(n.clock(now), in) }

// handle handles what is for the node.
func (n *dhtNode) handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventPacket:
		n.arrive(now, ev)
	case eventNodeTimer:
		n.driver.Wake(n.clock(now))
	}
}

// arrive handles a packet, unless a partition keeps it back: nobody sends it again.
func (n *dhtNode) arrive(now time.Duration, ev Event) {
	if len(n.kernel.cuts) > 0 && n.kernel.whole(ev.from(), n.at.id, now) > now {
		return
	}
	packet := n.kernel.payloadOf(&ev)
	numBytes := len(packet) + udpHeadersLen
	n.down += int64(numBytes)
	n.kernel.chargeDown(n.at, numBytes)
	n.driver.Packet(n.clock(now), addrOf(n.swarm.indexOf(ev.from()), listenPort), packet)
}

// Send implements dhthost.World.
func (n *dhtNode) Send(to netip.AddrPort, packet []byte) {
	numBytes := len(packet) + udpHeadersLen
	n.up += int64(numBytes)
	through := n.kernel.charge(n.at, numBytes)
	index, ok := indexAt(to)
	receiver := ID(index + 1)
	if !ok || int(receiver) >= len(n.kernel.hosts) || n.loses(index) {
		return
	}
	latency := n.swarm.latency(n.at.id, receiver)
	n.kernel.least = min(n.kernel.least, latency)
	n.kernel.atWith(through+latency, Event{
		To: receiver, Kind: eventPacket, A: crc32.ChecksumIEEE(packet), C: uint32(len(packet)),
	}, append([]byte{}, packet...))
}

// loses draws whether a packet to the host at a position is lost.
func (n *dhtNode) loses(index int) bool {
	other := &Peer{}
	if index < len(n.swarm.cfg.Peers) {
		other = &n.swarm.cfg.Peers[index]
	}
	loss := n.swarm.loss(n.cfg, other)
	return loss > 0 && n.random.Float64() < loss
}

// WakeAt implements dhthost.World.
func (n *dhtNode) WakeAt(at time.Duration) {
	n.kernel.At(at-n.swarm.cfg.DHT.lead(), Event{To: n.at.id, Kind: eventNodeTimer})
}

// Heard implements dhthost.World.
func (n *dhtNode) Heard(now time.Duration, out node.Output) {
	n.owner.heard(now-n.swarm.cfg.DHT.lead(), out)
}

// backgroundNode is a node that belongs to no peer.
type backgroundNode struct {
	host
	dhtNode
}

// Handle is called by the kernel.
func (b *backgroundNode) Handle(now time.Duration, ev Event) {
	if ev.Kind == eventJoin {
		b.join(now, streamNode)
		return
	}
	b.handle(now, ev)
}

func (b *backgroundNode) heard(time.Duration, node.Output) {}
