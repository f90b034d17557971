package dhtnet

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// numRouters is how many of the first hosts everybody knows: as many as the
// routers that clients are shipped with.
const numRouters = 4

// headersLen is what an IPv4 and a UDP header add to a packet on a link.
const headersLen = 28

// The random streams of a kernel's entity. Those below 16 are the engines'.
const (
	streamNetwork = 16 + iota
	streamNode
)

// The kinds of events.
const (
	kindPacket sim.Kind = sim.KindUser + iota // A: its slot, B: its checksum, C: its length
	kindTimer                                 // of a host
	kindJoin                                  // of a host
	kindCall                                  // A: the slot of the function
)

// Network is hosts that reach each other.
type Network struct {
	kernel *sim.Kernel
	paths  Paths
	id     sim.ID
	rnd    *rand.Rand

	hosts   []*Host
	byNet   map[uint32]*Host // by the first three bytes of their addresses
	routers []netip.AddrPort

	packets    []packet // those under way
	freeSlots  []uint32
	numPackets uint64

	calls     []func()
	freeCalls []uint32
}

// packet is one that is under way.
type packet struct {
	from  netip.AddrPort
	bytes []byte
}

// New returns a network without hosts.
func New(kernel *sim.Kernel, paths Paths) *Network {
	n := &Network{kernel: kernel, paths: paths, byNet: map[uint32]*Host{}}
	n.id = kernel.Add(n, sim.Link{})
	n.rnd = kernel.Rand(n.id, streamNetwork)
	return n
}

// Kernel returns what the network was made with.
func (n *Network) Kernel() *sim.Kernel { return n.kernel }

// Rand returns the network's own random stream: for what an experiment draws.
func (n *Network) Rand() *rand.Rand { return n.rnd }

// Hosts returns all hosts, the silent ones too, in the order in which they were
// added. It is the network's own slice.
func (n *Network) Hosts() []*Host { return n.hosts }

// HostAt returns the host with an address, nil if there is none.
func (n *Network) HostAt(addr netip.AddrPort) *Host {
	if !addr.Addr().Is4() {
		return nil
	}
	if h := n.byNet[netOf(addr.Addr())]; h != nil && h.addr == addr {
		return h
	}
	return nil
}

// netOf returns the first three bytes of an IPv4 address.
func netOf(ip netip.Addr) uint32 {
	b := ip.As4()
	return binary.BigEndian.Uint32(b[:]) >> 8
}

// Run goes on until the virtual time t.
func (n *Network) Run(t time.Duration) { n.kernel.Run(t, math.MaxInt64) }

// RunFor goes on for some virtual time.
func (n *Network) RunFor(d time.Duration) { n.Run(n.kernel.Now() + d) }

// At calls f at the virtual time t.
func (n *Network) At(t time.Duration, f func()) {
	slot := uint32(len(n.calls))
	if free := len(n.freeCalls); free > 0 {
		slot = n.freeCalls[free-1]
		n.freeCalls = n.freeCalls[:free-1]
		n.calls[slot] = f
	} else {
		n.calls = append(n.calls, f)
	}
	n.kernel.At(t, sim.Event{To: n.id, Kind: kindCall, A: slot})
}

// Handle is for the kernel.
func (n *Network) Handle(_ time.Duration, ev sim.Event) {
	f := n.calls[ev.A]
	n.calls[ev.A] = nil
	n.freeCalls = append(n.freeCalls, ev.A)
	f()
}

// Forge sends a packet from one host under the address of another, as whoever
// sits in a network without egress filters can.
func (n *Network) Forge(sender *Host, from, to netip.AddrPort, bytes []byte) {
	n.send(sender, from, to, bytes)
}

// send puts a packet on its way, from sender's place in the network.
func (n *Network) send(sender *Host, from, to netip.AddrPort, bytes []byte) {
	n.numPackets++
	left := n.kernel.Charge(sender.link, len(bytes)+headersLen)
	receiver := n.HostAt(to)
	if receiver == nil || receiver.Silent() || n.paths.Loses(n.numPackets) {
		return
	}
	arrives := left + n.paths.RoundTrip(sender.index, receiver.index)/2
	n.kernel.At(arrives, sim.Event{
		To: receiver.id, Kind: kindPacket,
		A: n.keep(from, bytes), B: crc32.ChecksumIEEE(bytes), C: uint32(len(bytes)),
	})
}

// keep copies a packet and returns its slot.
func (n *Network) keep(from netip.AddrPort, bytes []byte) (slot uint32) {
	if free := len(n.freeSlots); free > 0 {
		slot = n.freeSlots[free-1]
		n.freeSlots = n.freeSlots[:free-1]
	} else {
		slot = uint32(len(n.packets))
		n.packets = append(n.packets, packet{})
	}
	p := &n.packets[slot]
	p.from, p.bytes = from, append(p.bytes[:0], bytes...)
	return slot
}

// freeAddr draws an address whose /24 nobody else has: the rule of one node per
// network would make neighbours invisible to most of the others.
func (n *Network) freeAddr() netip.AddrPort {
	for {
		r := n.rnd.Uint64()
		ip := netip.AddrFrom4([4]byte{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24)})
		if ip.As4()[0]%127 == 0 || ip.As4()[0] >= 224 || ip.IsPrivate() || ip.IsLinkLocalUnicast() || n.byNet[netOf(ip)] != nil {
			continue
		}
		return netip.AddrPortFrom(ip, uint16(r>>32)|1024)
	}
}
