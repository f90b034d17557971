package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// udpBuffer is the kernel's buffer of a socket that we ask for, in bytes: what
// comes in 20 ms at 200,000 requests a second. The system may give less.
const udpBuffer = 4 << 20

// UDPListener is where a Server takes UDP requests: sockets at one address,
// among which the kernel shares out the clients.
type UDPListener struct{ conns []*net.UDPConn }

// ListenUDP listens on an address such as ":6969" or "127.0.0.1:0", with a
// socket for each processor where the system can share them. Whoever calls it
// either closes the result or hands it to RunUDP.
func ListenUDP(ctx context.Context, address string) (*UDPListener, error) {
	// A socket that others may share the port with would share it with another
	// tracker, too, of which nobody would know. The first takes the port alone,
	// and lets the others join when it has it.
	l := new(UDPListener)
	if err := l.listen(ctx, new(net.ListenConfig), address); err != nil {
		return nil, err
	}
	if err := l.joinFirst(ctx, numUDPSockets(runtime.GOMAXPROCS(0))-1); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// joinFirst has num more sockets share the address of the first.
func (l *UDPListener) joinFirst(ctx context.Context, num int) error {
	if num == 0 {
		return nil
	}
	if err := share(l.conns[0]); err != nil {
		return fmt.Errorf("tracker: share the UDP port: %w", err)
	}
	address := l.conns[0].LocalAddr().String() // with the port, if any would do
	for range num {
		if err := l.listen(ctx, &sharing, address); err != nil {
			return err
		}
	}
	return nil
}

// listen adds a socket.
func (l *UDPListener) listen(ctx context.Context, cfg *net.ListenConfig, address string) error {
	conn, err := cfg.ListenPacket(ctx, "udp", address)
	if err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	udpConn := conn.(*net.UDPConn)
	udpConn.SetReadBuffer(udpBuffer) // as far as the system lets us
	l.conns = append(l.conns, udpConn)
	return nil
}

// Addr is where l listens.
func (l *UDPListener) Addr() netip.AddrPort {
	addr := l.conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Close closes the sockets.
func (l *UDPListener) Close() error {
	var errs []error
	for _, conn := range l.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// RunUDP serves UDP on l, which it closes, until ctx ends. It may run beside
// Run, which sweeps out the silent peers of both.
func (s *Server) RunUDP(ctx context.Context, l *UDPListener) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	s.cfg().Logger.Info("tracker serves", "udp", l.Addr().String())
	s.listening.Add(1)
	defer s.listening.Add(-1)
	var serving errgroup.Group
	for i, handler := range newUDPHandlers(s, len(l.conns)) {
		serving.Go(func() error {
			defer l.Close() // one that fails ends the others
			return handler.serve(l.conns[i])
		})
	}
	return servingEnded(ctx, "UDP", serving.Wait())
}

// serve answers the packets of one socket until it is closed.
func (u *udpHandler) serve(conn *net.UDPConn) error {
	batch, err := newUDPBatch(conn)
	if err != nil {
		return err
	}
	for {
		if err := batch.receive(); err != nil {
			return err
		}
		now := u.server.now()
		for i := range batch.len() {
			packet, from := batch.packet(i)
			batch.answer(i, u.answer(now, packet, from, batch.room(i)))
		}
		u.tell()
		if err := batch.send(); err != nil {
			return err
		}
	}
}
