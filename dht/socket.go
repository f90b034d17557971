package dht

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

const (
	// bufferLen is what a socket asks the kernel for in each direction, in
	// bytes: a burst of 2,000 packets, which the kernel counts with overhead.
	// The kernel may give less.
	bufferLen = 4 << 20

	// maxPortTries is how often two sockets look for a port that both can
	// have.
	maxPortTries = 16
)

// listen opens the sockets of a node: one at bind, or one for each address
// family at the same port if bind is the zero Addr.
func listen(bind netip.Addr, port int) ([]socket, error) {
	if bind.IsValid() {
		s, err := listenAt(bind, port)
		if err != nil {
			return nil, err
		}
		return []socket{s}, nil
	}
	for try := 1; ; try++ {
		sockets, err := listenBoth(port)
		if err == nil || port != 0 || try == maxPortTries {
			return sockets, err
		}
	}
}

// listenBoth opens a socket for IPv4 and one for IPv6. A machine may lack one
// of the families, but not both.
func listenBoth(port int) ([]socket, error) {
	v4, err4 := listenAt(netip.IPv4Unspecified(), port)
	if err4 == nil {
		port = int(v4.addr().Port())
	}
	v6, err6 := listenAt(netip.IPv6Unspecified(), port)
	switch {
	case err4 == nil && err6 == nil:
		return []socket{v4, v6}, nil
	case err4 == nil && noFamily(err6):
		return []socket{v4}, nil
	case err6 == nil && noFamily(err4):
		return []socket{v6}, nil
	}
	for _, open := range []socket{v4, v6} {
		if open != nil {
			open.close()
		}
	}
	return nil, errors.Join(err4, err6)
}

// listenAt opens a socket of the address's family alone.
func listenAt(ip netip.Addr, port int) (socket, error) {
	family := "udp6"
	if ip.Is4() {
		family = "udp4"
	}
	host := net.JoinHostPort(ip.String(), strconv.Itoa(port))
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), family, host)
	if err != nil {
		return nil, fmt.Errorf("open a DHT socket: %w", err)
	}
	udp := conn.(*net.UDPConn)
	udp.SetReadBuffer(bufferLen)  // what the kernel refuses
	udp.SetWriteBuffer(bufferLen) // to give is not needed
	s, err := newUDPSocket(udp)
	if err != nil {
		udp.Close()
		return nil, fmt.Errorf("open a DHT socket: %w", err)
	}
	return s, nil
}

func addrOf(udp *net.UDPConn) netip.AddrPort {
	local := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}
