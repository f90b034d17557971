package engine

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"
)

// castagnoli is the polynomial of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// canonicalPriority is the rank of a connection between two addresses (BEP 40): both ends
// compute the same number, and neither can choose it. It is CRC-32C, of the ports
// (2 bytes each, big-endian) if the IP addresses are equal, otherwise of the
// addresses, less some of their bits, the lesser first. Both must be of one family.
func canonicalPriority(a, b netip.AddrPort) uint32 {
	if a.Addr() == b.Addr() {
		low, high := min(a.Port(), b.Port()), max(a.Port(), b.Port())
		return crc32.Checksum(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, low), high), castagnoli)
	}
	x, y := a.Addr().AsSlice(), b.Addr().AsSlice()
	mask(x, y)
	if bytes.Compare(x, y) > 0 {
		x, y = y, x
	}
	return crc32.Checksum(append(x, y...), castagnoli)
}

// mask takes every other bit from the bytes of two addresses that their owners may be free to
// choose. BEP 40: "For an IPv4 address, the mask to be used should be FF.FF.55.55 unless the
// IP addresses are in the same /16. In that case, the mask to be used should be FF.FF.FF.55",
// and so on; an IPv6 address is whole up to /48.
func mask(x, y []byte) {
	whole := 2
	if len(x) == 16 {
		whole = 6
	}
	common := 0
	for common < len(x) && x[common] == y[common] {
		common++
	}
	for i := max(whole, common+1); i < len(x); i++ {
		x[i] &= 0x55
		y[i] &= 0x55
	}
}

// seenAs is how peers see us, in one family of addresses. BEP 40 wants it from them, but not
// that one is trusted: it is what most of them say.
type seenAs struct {
	ip   netip.Addr
	lead int // by how many peers more it was named than all others, at most maxLead
}

// maxLead bounds how long a new address takes to be believed. Arbitrary.
const maxLead = 8

// add counts a peer's word (the majority vote of Boyer and Moore).
func (s *seenAs) add(ip netip.Addr) {
	switch {
	case s.ip == ip:
		s.lead = min(s.lead+1, maxLead)
	case s.lead > 0:
		s.lead--
	default:
		s.ip, s.lead = ip, 1
	}
}

// family is the index of an address's family in Engine.seenAs.
func family(ip netip.Addr) int {
	if ip.Is4() {
		return 0
	}
	return 1
}

// heardOurIP takes in how a peer sees us, by the "yourip" of its extension handshake (BEP 10).
// Its first word counts.
func (e *Engine) heardOurIP(c *Conn, ip netip.Addr) {
	if !ip.IsValid() || c.namedOurIP || family(ip) != family(c.addr.Addr()) {
		return
	}
	c.namedOurIP = true
	e.seenAs[family(ip)].add(ip)
}

// priority is the canonical priority of a connection; false if nobody told us how we are seen.
func (e *Engine) priority(c *Conn) (uint32, bool) {
	ours := e.seenAs[family(c.addr.Addr())].ip
	if !ours.IsValid() {
		return 0, false
	}
	theirs := c.addr
	if contact := c.contact(); contact.IsValid() {
		theirs = contact
	}
	return canonicalPriority(netip.AddrPortFrom(ours, e.cfg.Port), theirs), true
}

// aloneInItsNetwork reports whether no other peer has an address near that of c: whoever has a
// network of his own has addresses of every priority.
func (e *Engine) aloneInItsNetwork(c *Conn) bool {
	ip := c.addr.Addr()
	if ip.IsLoopback() || ip.IsPrivate() {
		return true
	}
	network, err := ip.Prefix(24 + 24*family(ip)) // the /24 of an IPv4 address, the /48 of an IPv6 one
	return err == nil && !slices.ContainsFunc(e.conns, func(other *Conn) bool {
		return !other.webSeed && !other.closing && network.Contains(other.addr.Addr())
	})
}
