package dht

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpSocket is a socket that reads and writes with recvmmsg and sendmmsg. The
// packages of golang.org/x/net do so too, with two allocations a packet.
type udpSocket struct {
	udp    *net.UDPConn
	raw    syscall.RawConn
	is6    bool
	reads  mmsgCall
	writes mmsgCall
}

// mmsgCall is one call on its way. It is kept with its function, so that a
// call allocates nothing.
type mmsgCall struct {
	headers []mmsghdr
	num     int // packets done
	errno   syscall.Errno
	try     func(fd uintptr) (done bool)
}

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	header unix.Msghdr
	len    uint32 // bytes of the packet
}

// batchSys is the memory that the kernel reads and writes beside the packets
// of a batch.
type batchSys struct {
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
	names   [batchLen]unix.RawSockaddrInet6 // or a RawSockaddrInet4, which is shorter
}

func (sys *batchSys) init(b *batch) {
	for i := range sys.headers {
		header := &sys.headers[i].header
		header.Name = (*byte)(unsafe.Pointer(&sys.names[i]))
		header.Iov = &sys.vectors[i]
		header.SetIovlen(1)
		sys.vectors[i].Base = &b.buffers[i][0]
	}
}

func newUDPSocket(udp *net.UDPConn) (*udpSocket, error) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &udpSocket{udp: udp, raw: raw, is6: addrOf(udp).Addr().Is6()}
	s.reads.try = func(fd uintptr) bool {
		s.reads.call(unix.SYS_RECVMMSG, fd)
		return s.reads.errno != unix.EAGAIN // or else wait for the next packet
	}
	s.writes.try = func(fd uintptr) bool {
		s.writes.call(unix.SYS_SENDMMSG, fd)
		return true
	}
	return s, nil
}

// call makes a system call, which has a file descriptor that does not block.
func (c *mmsgCall) call(trap, fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&c.headers[0])), uintptr(len(c.headers)), 0, 0, 0)
		if c.num, c.errno = int(n), errno; errno != unix.EINTR {
			return
		}
	}
}

func (s *udpSocket) read(b *batch) error {
	for i := range b.sys.headers {
		b.sys.headers[i].header.Namelen = unix.SizeofSockaddrInet6
		b.sys.vectors[i].SetLen(len(b.buffers[i]))
	}
	b.num = 0
	s.reads.headers = b.sys.headers[:]
	if err := s.raw.Read(s.reads.try); err != nil {
		return err
	}
	if s.reads.errno != 0 {
		return s.reads.errno
	}
	b.num = s.reads.num
	for i := range b.num {
		b.lens[i] = int(b.sys.headers[i].len)
		b.addrs[i] = s.nameToAddr(&b.sys.names[i])
	}
	return nil
}

// write goes on behind a packet that the kernel refuses, such as one to an
// address without a route. When there is no room for more packets they are
// dropped, as the network would: the node's loop must not stand still.
func (s *udpSocket) write(b *batch) (numFailed int) {
	for i := range b.num {
		b.sys.headers[i].header.Namelen = s.addrToName(&b.sys.names[i], b.addrs[i])
		b.sys.vectors[i].SetLen(b.lens[i])
	}
	for left := b.sys.headers[:b.num]; len(left) > 0; {
		s.writes.headers = left
		if err := s.raw.Write(s.writes.try); err != nil || s.writes.errno == unix.EAGAIN {
			return numFailed + len(left)
		}
		if s.writes.errno != 0 {
			numFailed++
			left = left[1:]
			continue
		}
		left = left[s.writes.num:]
	}
	return numFailed
}

func (s *udpSocket) addr() netip.AddrPort { return addrOf(s.udp) }

func (s *udpSocket) close() error { return s.udp.Close() }

// nameToAddr reads the address of a packet. A zone is left out: the DHT has no
// way to tell one.
func (s *udpSocket) nameToAddr(name *unix.RawSockaddrInet6) netip.AddrPort {
	if s.is6 {
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), portOf(&name.Port))
	}
	name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	return netip.AddrPortFrom(netip.AddrFrom4(name4.Addr), portOf(&name4.Port))
}

func (s *udpSocket) addrToName(name *unix.RawSockaddrInet6, addr netip.AddrPort) (nameLen uint32) {
	if s.is6 {
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.Addr().As16()}
		setPort(&name.Port, addr.Port())
		return unix.SizeofSockaddrInet6
	}
	name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	*name4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Addr().As4()}
	setPort(&name4.Port, addr.Port())
	return unix.SizeofSockaddrInet4
}

// portOf reads a port, which the kernel keeps in the network's byte order.
func portOf(raw *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(raw))[:]) }

func setPort(raw *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(raw))[:], port)
}

// noFamily reports whether err says that the machine lacks an address family.
func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}
