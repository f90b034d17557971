package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// deferAcceptSec is for how long the kernel keeps a connection to itself on
// which nothing was sent, in seconds. Then it comes to accept all the same.
const deferAcceptSec = 1

// acceptAll serves the connections of ln until ctx ends. Most clients of a
// tracker ask once and leave. Of those the whole request is there when the
// kernel shows the connection, so four system calls will do: accept, read,
// send, close. Neither Go's poller nor a goroutine or a timer has to learn of
// them.
func (f *front) acceptAll(ctx context.Context, ln net.Listener) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok || f.secure != nil {
		return f.accept(ctx, ln)
	}
	file, err := tcp.File() // a copy of the descriptor, which can be waited for
	if err != nil {
		return err
	}
	defer ln.Close()
	defer file.Close()
	defer context.AfterFunc(ctx, func() { file.Close() })()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if err := raw.Control(func(fd uintptr) {
		// Only a matter of speed: where it fails, more connections are
		// those that have to be waited for.
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferAcceptSec)
	}); err != nil {
		return err
	}
	// Half of the processors: UDP and the connections that stay need some, too,
	// and acceptors that have nothing to do only wake one another. One alone
	// keeps up with opentracker.
	var accepting errgroup.Group
	for range (runtime.GOMAXPROCS(0) + 1) / 2 {
		accepting.Go(func() error {
			defer file.Close() // one that fails ends the others
			return newAcceptor(f, raw).run()
		})
	}
	return accepting.Wait()
}

// acceptor answers the requests that come at once with their connection, one
// after the other. It allocates nothing for them. None of its system calls can
// wait (the sockets do not block, and close does not linger), so they are raw:
// telling the scheduler of each took a sixth of the time.
type acceptor struct {
	front     *front
	listener  syscall.RawConn
	tryAccept func(fd uintptr) bool // made once, for making one allocates

	fd      int
	errno   syscall.Errno
	name    unix.RawSockaddrInet6 // of the other end; an IPv4 one is shorter
	nameLen uint32

	buf     [maxSimpleLen]byte
	request simpleRequest
	scratch scratch
}

func newAcceptor(f *front, listener syscall.RawConn) *acceptor {
	a := &acceptor{front: f, listener: listener, request: simpleRequest{keyed: f.server.cfg().Private != nil}}
	a.tryAccept = func(fd uintptr) bool {
		a.nameLen = uint32(unsafe.Sizeof(a.name))
		conn, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&a.name)),
			uintptr(unsafe.Pointer(&a.nameLen)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		a.fd, a.errno = int(conn), errno
		return errno != unix.EAGAIN
	}
	return a
}

// run serves until the listener is closed.
func (a *acceptor) run() error {
	for a.front.takeSlot() {
		if err := a.listener.Read(a.tryAccept); err != nil {
			return err
		}
		switch {
		case a.errno == 0:
			a.serve()
			continue
		case isPassing(a.errno):
			a.front.pause()
		case a.errno != unix.EINTR:
			return os.NewSyscallError("accept4", a.errno)
		}
		<-a.front.slots
	}
	return net.ErrClosed
}

// serve answers a connection's only request if that is there, and has a
// goroutine take any other connection.
func (a *acceptor) serve() {
	n, errno := a.receive()
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		a.leave(nil, nil)
		return
	case errno != 0 || n == 0:
		a.hangUp()
		return
	}
	simple, err := a.respond(n)
	switch {
	case err != nil:
		a.hangUp()
		return
	case !simple:
		a.leave(a.buf[:n], nil)
		return
	}
	response := a.scratch.response
	sent, errno := a.send(response)
	if sent == len(response) || errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		a.hangUp()
		return
	}
	a.leave(nil, response[sent:])
}

// respond makes the response to what a.buf has, n bytes, if that is one simple
// request and the last.
func (a *acceptor) respond(n int) (simple bool, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			a.front.server.note(fault)
			err = errFault
		}
	}()
	if a.request.parse(asString(a.buf[:n])) != n || !a.request.close {
		return false, nil
	}
	a.front.server.respondSimple(&a.scratch, &a.request, plain(addrPortOf(&a.name).Addr()))
	return true, nil
}

// receive reads what has come into a.buf.
func (a *acceptor) receive() (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(a.fd), uintptr(unsafe.Pointer(&a.buf)), uintptr(len(a.buf)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// send sends what fits into the socket's buffer: as a rule, all.
func (a *acceptor) send(b []byte) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(a.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// hangUp ends the connection.
func (a *acceptor) hangUp() {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(a.fd), 0, 0)
	<-a.front.slots
}

// leave has a goroutine go on with the connection: early was read, and unsent
// is the end of its last answer.
func (a *acceptor) leave(early, unsent []byte) {
	file := os.NewFile(uintptr(a.fd), "")
	conn, err := net.FileConn(file) // a copy of the descriptor
	file.Close()
	if err != nil {
		<-a.front.slots
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetNoDelay(true)
	}
	a.front.begin(conn, plain(addrPortOf(&a.name).Addr()), bytes.Clone(early), bytes.Clone(unsent))
}

// addrPortOf reads an address as the kernel writes it: the port in network
// byte order, whatever that of the machine.
func addrPortOf(name *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch name.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
	}
	return netip.AddrPort{}
}
