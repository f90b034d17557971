package node

import (
	"hash/crc32"
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// local reports whether ip is of a private, link-local or loopback network.
// Such addresses are exempt from the rules that count networks and from BEP
// 42 ("Any peer on a local network address is exempt"), and so they are
// believed only when one of them names them: a stranger must not make us knock
// at our own router.
func local(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() }

// reachable reports whether packets can be sent to addr.
func reachable(addr netip.AddrPort) bool {
	ip := addr.Addr()
	return addr.Port() != 0 && ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mayTell reports whether to believe what the node at from says about addr.
func mayTell(from, addr netip.AddrPort) bool {
	return reachable(addr) && (!local(addr.Addr()) || local(from.Addr()))
}

// network returns what one owner is likely to have all of: the /24 of an IPv4
// and the /64 of an IPv6 address.
func network(ip netip.Addr) netip.Prefix {
	numBits := 64
	if ip.Is4() {
		numBits = 24
	}
	p, _ := ip.Prefix(numBits) // no error: the address has more bits than that
	return p
}

// castagnoli is BEP 42's hash: "CRC32C (Castagnoli) was chosen".
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// prefix42 returns the hash whose first 21 bits an id at ip must begin with,
// if the lowest three bits of the id are those of r (BEP 42).
func prefix42(ip netip.Addr, r byte) uint32 {
	if ip.Is4() {
		b := ip.As4()
		for i, mask := range [...]byte{0x03, 0x0f, 0x3f, 0xff} {
			b[i] &= mask
		}
		b[0] |= r << 5
		return crc32.Checksum(b[:], castagnoli)
	}
	b := ip.As16()
	for i, mask := range [...]byte{0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff} {
		b[i] &= mask
	}
	b[0] |= r << 5
	return crc32.Checksum(b[:8], castagnoli)
}

// first21 are the bits of an id's first 32 that BEP 42 determines.
const first21 = 0xfffff800

func fitsAddress(id *krpc.ID, ip netip.Addr) bool {
	if local(ip) {
		return true
	}
	a, _, _ := words(id)
	return (uint32(a>>32)^prefix42(ip, id[19]&7))&first21 == 0
}

// idFor returns a random id that fits ip by BEP 42; any random id if ip is
// not valid or local.
func idFor(ip netip.Addr, rnd *rand.Rand) krpc.ID {
	id := randomID(rnd)
	if !ip.IsValid() || local(ip) {
		return id
	}
	hash := prefix42(ip, id[19]&7)
	id[0], id[1] = byte(hash>>24), byte(hash>>16)
	id[2] = byte(hash>>8)&0xf8 | id[2]&7
	return id
}

func randomID(rnd *rand.Rand) (id krpc.ID) {
	for i := range id {
		id[i] = byte(rnd.Uint32())
	}
	return id
}

// randomNear returns a random id that shares exactly numBits leading bits with
// id: one in the range of a bucket.
func randomNear(id krpc.ID, numBits int, rnd *rand.Rand) krpc.ID {
	random := randomID(rnd)
	for i := range numBits {
		if bit(&random, i) != bit(&id, i) {
			random[i/8] ^= 0x80 >> (i % 8)
		}
	}
	if numBits < idBits && bit(&random, numBits) == bit(&id, numBits) {
		random[numBits/8] ^= 0x80 >> (numBits % 8)
	}
	return random
}
