//go:build !linux

package dht

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// udpSocket is a socket that reads and writes packet by packet.
type udpSocket struct {
	udp *net.UDPConn
}

// batchSys is what a batch needs here besides its packets: nothing.
type batchSys struct{}

func (*batchSys) init(*batch) {}

func newUDPSocket(udp *net.UDPConn) (*udpSocket, error) { return &udpSocket{udp}, nil }

// read reads one packet. Some systems fail a read for a packet that was too
// long for its buffer: it comes out as one that is.
func (s *udpSocket) read(b *batch) error {
	n, from, err := s.udp.ReadFromUDPAddrPort(b.buffers[0][:])
	if err != nil && n == 0 {
		b.num = 0
		return err
	}
	b.num, b.lens[0] = 1, n
	b.addrs[0] = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	return nil
}

func (s *udpSocket) write(b *batch) (numFailed int) {
	for i := range b.num {
		if _, err := s.udp.WriteToUDPAddrPort(b.packet(i), b.addrs[i]); err != nil {
			numFailed++
		}
	}
	return numFailed
}

func (s *udpSocket) addr() netip.AddrPort { return addrOf(s.udp) }

func (s *udpSocket) close() error { return s.udp.Close() }

// noFamily reports whether err says that the machine lacks an address family.
func noFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
