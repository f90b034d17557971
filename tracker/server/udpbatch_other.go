//go:build !linux

package server

import (
	"errors"
	"net"
	"net/netip"
)

// sharing makes sockets that share nothing: there is one.
var sharing net.ListenConfig

func share(*net.UDPConn) error { return errors.ErrUnsupported }

func numUDPSockets(int) int { return 1 }

// udpBatch takes and answers one packet at a time.
type udpBatch struct {
	conn    *net.UDPConn
	from    netip.AddrPort
	num     int
	request [maxUDPRequest]byte
	out     []byte
	reply   [maxUDPReply]byte
}

func newUDPBatch(conn *net.UDPConn) (*udpBatch, error) { return &udpBatch{conn: conn}, nil }

// receive waits for a packet.
func (b *udpBatch) receive() (err error) {
	b.out = nil
	b.num, b.from, err = b.conn.ReadFromUDPAddrPort(b.request[:])
	return err
}

func (b *udpBatch) len() int { return 1 }

func (b *udpBatch) packet(int) ([]byte, netip.AddrPort) { return b.request[:b.num], b.from }

func (b *udpBatch) room(int) []byte { return b.reply[:0] }

func (b *udpBatch) answer(_ int, reply []byte) { b.out = reply }

// send sends the answer. One that cannot be sent is left out.
func (b *udpBatch) send() error {
	if len(b.out) > 0 {
		b.conn.WriteToUDPAddrPort(b.out, b.from)
	}
	return nil
}
