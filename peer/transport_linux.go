package peer

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxIOVec is the most buffers that one readv or writev takes (IOV_MAX).
const maxIOVec = 1024

// tcpTransport reads and writes a TCP connection with readv and writev. Of each
// there is at most one call at a time.
type tcpTransport struct {
	*net.TCPConn
	raw    syscall.RawConn
	reads  vecCall
	writes vecCall
}

// vecCall is a readv or writev on its way. It is kept with its function, so
// that a call allocates nothing.
type vecCall struct {
	bufs [][]byte
	n    int
	err  error
	try  func(fd uintptr) (done bool)
}

func newTCPTransport(tcp *net.TCPConn) (transport, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := &tcpTransport{TCPConn: tcp, raw: raw}
	t.reads.try = t.reads.with(unix.Readv)
	t.writes.try = t.writes.with(unix.Writev)
	return t, nil
}

// with returns a function that makes the system call until it has an outcome;
// false means that the socket is not ready.
func (c *vecCall) with(call func(fd int, bufs [][]byte) (int, error)) func(fd uintptr) bool {
	return func(fd uintptr) bool {
		for {
			c.n, c.err = call(int(fd), c.bufs)
			switch c.err {
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				return true
			}
		}
	}
}

// run makes the call through wait, the socket's Read or Write of
// syscall.RawConn, which comes back to it when the socket is ready.
func (c *vecCall) run(name string, wait func(func(uintptr) bool) error, bufs [][]byte) (int, error) {
	c.bufs = bufs[:min(len(bufs), maxIOVec)]
	err := wait(c.try)
	c.bufs = nil
	if err != nil {
		return 0, err
	}
	return max(c.n, 0), os.NewSyscallError(name, c.err)
}

func (t *tcpTransport) ReadVec(bufs [][]byte) (int, error) {
	n, err := t.reads.run("readv", t.raw.Read, bufs)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (t *tcpTransport) WriteVec(bufs [][]byte) (int, error) {
	return t.writes.run("writev", t.raw.Write, bufs)
}
