// Package compact encodes peer addresses as trackers (BEP 23, BEP 7), the DHT
// (BEP 5) and peer exchange (BEP 11) send them: 4 bytes of an IPv4 or 16 bytes
// of an IPv6 address and then the port, all in network byte order, one
// address after the other. What is parsed is bounded by the bytes given.
package compact

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Len4 and Len6 are the bytes of one IPv4 and one IPv6 address with its port.
const (
	Len4 = 6
	Len6 = 18
)

// ErrLength says that a list of addresses is not a whole number of them.
var ErrLength = errors.New("compact addresses are cut off: the length is not a multiple of one address")

// Append appends addr to b: Len4 bytes for an IPv4 address, also for one
// that is mapped into IPv6, and Len6 bytes for an IPv6 address, whose zone is
// lost. An invalid addr appends nothing.
func Append(b []byte, addr netip.AddrPort) []byte {
	ip := addr.Addr().Unmap()
	switch {
	case ip.Is4():
		a := ip.As4()
		b = append(b, a[:]...)
	case ip.Is6():
		a := ip.As16()
		b = append(b, a[:]...)
	default:
		return b
	}
	return binary.BigEndian.AppendUint16(b, addr.Port())
}

// Parse4 reads a list of IPv4 addresses. The error is ErrLength. Port 0 and
// addresses that nobody can be reached at are the caller's to drop.
func Parse4(b []byte) ([]netip.AddrPort, error) { return parse(b, Len4) }

// Parse6 reads a list of IPv6 addresses as Parse4 does. An IPv4 address
// mapped into IPv6 comes out as IPv4.
func Parse6(b []byte) ([]netip.AddrPort, error) { return parse(b, Len6) }

func parse(b []byte, addrLen int) ([]netip.AddrPort, error) {
	if len(b)%addrLen != 0 {
		return nil, ErrLength
	}
	if len(b) == 0 {
		return nil, nil
	}
	addrs := make([]netip.AddrPort, 0, len(b)/addrLen)
	for ; len(b) > 0; b = b[addrLen:] {
		ip, _ := netip.AddrFromSlice(b[:addrLen-2])
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[addrLen-2:])))
	}
	return addrs, nil
}
