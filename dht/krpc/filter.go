package krpc

import (
	"crypto/sha1"
	"math"
	"math/bits"
	"net/netip"
)

// Filter is BEP 33's Bloom filter of addresses: 2,048 bits of which each
// address sets two. Filters of several nodes are joined by Union, so that an
// address that many of them know counts once.
type Filter [FilterLen]byte

// Insert adds the 4 or 16 bytes of ip; an IPv4 address mapped into IPv6
// counts as IPv4.
func (f *Filter) Insert(ip netip.Addr) {
	for _, index := range filterBits(ip) {
		f[index/8] |= 1 << (index % 8)
	}
}

// Contains reports whether ip may have been inserted. It is always true of an
// address that was, and sometimes of others.
func (f *Filter) Contains(ip netip.Addr) bool {
	for _, index := range filterBits(ip) {
		if f[index/8]>>(index%8)&1 == 0 {
			return false
		}
	}
	return true
}

// filterBits returns the bits of an address. BEP 33: "truncate index to m (11
// bits required)".
func filterBits(ip netip.Addr) [2]uint {
	var hash [sha1.Size]byte
	if ip = ip.Unmap(); ip.Is4() {
		b := ip.As4()
		hash = sha1.Sum(b[:])
	} else {
		b := ip.As16()
		hash = sha1.Sum(b[:])
	}
	const numBits = FilterLen * 8
	return [2]uint{
		(uint(hash[0]) | uint(hash[1])<<8) % numBits,
		(uint(hash[2]) | uint(hash[3])<<8) % numBits,
	}
}

// Union adds what other has: FilterLen bytes, as in Message.BFsd.
func (f *Filter) Union(other []byte) {
	for i := range min(len(f), len(other)) {
		f[i] |= other[i]
	}
}

// Estimate returns about how many addresses were inserted. BEP 33: "this
// point the size estimation breaks down" is about 8,000.
func (f *Filter) Estimate() float64 {
	const numBits = FilterLen * 8
	zeros := numBits
	for _, b := range f {
		zeros -= bits.OnesCount8(b)
	}
	c := float64(min(numBits-1, zeros))
	return math.Log(max(c, 1)/numBits) / (2 * math.Log(1-1.0/numBits))
}
