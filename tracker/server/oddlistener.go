package server

import (
	"bytes"
	"net"
	"sync"
)

// oddListener is where net/http finds the connections that the front leaves to
// it.
type oddListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oddListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oddListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oddListener) Addr() net.Addr { return l.addr }

// handOver has net/http go on with a connection of which early was read.
func (f *front) handOver(c *connection, early []byte) {
	c.early = bytes.Clone(early)
	f.mu.Lock()
	delete(f.waiting, c)
	f.mu.Unlock()
	select {
	case f.odd.conns <- c:
	case <-f.odd.closed:
		c.Close()
	}
}
