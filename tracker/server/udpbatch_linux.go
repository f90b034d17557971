package server

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchLen is how many packets one system call takes or sends. More would only
// help a tracker that is late anyway.
const batchLen = 64

// sharing makes sockets that share an address: the kernel gives all packets of
// one client to the same of them.
var sharing = net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return shareRaw(c) }}

// share lets others that share have the address of conn, too.
func share(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return shareRaw(raw)
}

func shareRaw(c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); e != nil {
		return e
	}
	return os.NewSyscallError("setsockopt", err)
}

func numUDPSockets(processors int) int { return processors }

// mmsghdr is the kernel's struct mmsghdr: a message, and how long it was.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// udpBatch receives many packets with one system call and sends their answers
// with another (recvmmsg and sendmmsg). golang.org/x/net/ipv4 does so too, but
// allocates an address for each packet. The headers of the kernel point into
// the other arrays; they are set up once.
type udpBatch struct {
	raw syscall.RawConn
	num int // packets received
	in  [batchLen]mmsghdr
	out [batchLen]mmsghdr // answers, the first numOut

	names    [batchLen]unix.RawSockaddrInet6 // of the senders; an IPv4 one is shorter
	requests [batchLen][maxUDPRequest]byte
	replies  [batchLen][maxUDPReply]byte
	inVec    [batchLen]unix.Iovec
	outVec   [batchLen]unix.Iovec

	numOut, numSent int
	errno           syscall.Errno
	tryReceive      func(fd uintptr) bool // made once, for making one allocates
	trySend         func(fd uintptr) bool
}

func newUDPBatch(conn *net.UDPConn) (*udpBatch, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := &udpBatch{raw: raw}
	for i := range batchLen {
		b.inVec[i].Base = &b.requests[i][0]
		b.inVec[i].SetLen(maxUDPRequest)
		b.in[i].hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.in[i].hdr.Iov = &b.inVec[i]
		b.in[i].hdr.SetIovlen(1)
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
	}
	b.tryReceive = func(fd uintptr) bool {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in)), batchLen, unix.MSG_DONTWAIT, 0, 0)
		b.num, b.errno = int(n), errno
		return errno != unix.EAGAIN
	}
	b.trySend = func(fd uintptr) bool {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[b.numSent])),
			uintptr(b.numOut-b.numSent), unix.MSG_DONTWAIT, 0, 0)
		b.errno = errno
		if errno == 0 {
			b.numSent += int(n)
		}
		return errno != unix.EAGAIN
	}
	return b, nil
}

// receive waits for packets and takes those that are there.
func (b *udpBatch) receive() error {
	for i := range b.in {
		b.in[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	b.num, b.numOut, b.numSent = 0, 0, 0
	if err := b.raw.Read(b.tryReceive); err != nil {
		return err
	}
	switch b.errno {
	case 0:
	case unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOBUFS, unix.ENOMEM:
		b.num = 0 // it passes, or is about an earlier answer (ICMP)
	default:
		return os.NewSyscallError("recvmmsg", b.errno)
	}
	return nil
}

// len is the number of packets received.
func (b *udpBatch) len() int { return b.num }

// packet returns the packet at i and its sender.
func (b *udpBatch) packet(i int) ([]byte, netip.AddrPort) {
	return b.requests[i][:b.in[i].len], addrPortOf(&b.names[i])
}

// room is where the answer to the packet at i goes.
func (b *udpBatch) room(i int) []byte { return b.replies[i][:0] }

// answer queues what was appended to room(i), unless that is nothing.
func (b *udpBatch) answer(i int, reply []byte) {
	if len(reply) == 0 {
		return
	}
	b.outVec[b.numOut].Base = &reply[0]
	b.outVec[b.numOut].SetLen(len(reply))
	b.out[b.numOut].hdr.Name = b.in[i].hdr.Name
	b.out[b.numOut].hdr.Namelen = b.in[i].hdr.Namelen
	b.numOut++
}

// send sends the answers. One that cannot be sent, for want of a route or by a
// firewall's will, is left out.
func (b *udpBatch) send() error {
	for b.numSent < b.numOut {
		if err := b.raw.Write(b.trySend); err != nil {
			return err
		}
		switch b.errno {
		case 0, unix.EINTR:
		case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.ENOSYS: // true of them all
			return os.NewSyscallError("sendmmsg", b.errno)
		default:
			b.numSent++
		}
	}
	return nil
}
