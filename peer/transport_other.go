//go:build !linux

package peer

import (
	"net"
	"slices"
)

// tcpTransport reads and writes a TCP connection with what package net offers
// everywhere: a vectored write, but no vectored read.
type tcpTransport struct{ *net.TCPConn }

func newTCPTransport(tcp *net.TCPConn) (transport, error) { return tcpTransport{tcp}, nil }

func (t tcpTransport) ReadVec(bufs [][]byte) (int, error) { return t.Read(bufs[0]) }

func (t tcpTransport) WriteVec(bufs [][]byte) (int, error) {
	rest := net.Buffers(slices.Clone(bufs))
	n, err := rest.WriteTo(t.TCPConn)
	return int(n), err
}
