package peer

import (
	"net"
	"net/netip"
	"time"
)

// transport is a connection as its reader and its writer use it: TCP, and
// whatever else can carry the stream of messages.
type transport interface {
	// Read and ReadVec read at least one byte. ReadVec fills several buffers
	// in order, as wire.VecReader says.
	Read(p []byte) (int, error)
	ReadVec(bufs [][]byte) (int, error)
	// WriteVec sends at least one byte from the beginning of the buffers and
	// returns how many it sent. It does not change or keep them.
	WriteVec(bufs [][]byte) (int, error)

	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// Close ends all calls that wait, with an error.
	Close() error
}

// writeAll sends everything in bufs, of which it may change the elements. The
// deadline is extended whenever the peer has taken something: a slow peer is
// not one that never reads.
func writeAll(tr transport, bufs [][]byte) error {
	for len(bufs) > 0 {
		if err := tr.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		n, err := tr.WriteVec(bufs)
		if err != nil {
			return err
		}
		bufs = dropBytes(bufs, n)
	}
	return nil
}

// dropBytes takes the first n bytes from bufs.
func dropBytes(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// addrOf returns the address of a TCP connection's other end; an IPv4 address
// that came in over an IPv6 socket is an IPv4 address again.
func addrOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
