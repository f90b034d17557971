package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// retryAccept is how long to wait when the system has no more descriptors or
// memory for a connection. It is arbitrary: some will be closed by then.
const retryAccept = 50 * time.Millisecond

// front accepts connections and answers the simple requests on them. A
// connection with any other request, or a part of one, goes to net/http for
// good, with what was read of it; net/http then gives it headerTimeout anew, so
// a slow client has twice that at most.
type front struct {
	server *Server
	secure *tls.Config // nil: what comes is not encrypted
	odd    *oddListener
	// slots has an element for each open connection, whoever serves it.
	slots   chan struct{}
	stopped chan struct{}

	stopping atomic.Bool
	mu       sync.Mutex
	waiting  map[*connection]struct{} // served here, not by net/http
	perAddr  map[netip.Prefix]int     // open connections, whoever serves them
	serving  sync.WaitGroup           // a goroutine for each of waiting
	visits   sync.Pool                // of *visit
}

func newFront(s *Server, ln net.Listener) *front {
	f := &front{
		server:  s,
		odd:     &oddListener{addr: ln.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})},
		slots:   make(chan struct{}, s.cfg().MaxConns),
		stopped: make(chan struct{}),
		waiting: make(map[*connection]struct{}),
		perAddr: make(map[netip.Prefix]int),
	}
	f.visits.New = func() any { return &visit{request: simpleRequest{keyed: s.cfg().Private != nil}} }
	return f
}

// connection is an open connection. Its Close frees what it holds of the
// bounds.
type connection struct {
	net.Conn
	front  *front
	from   netip.Addr   // the other end, invalid if that has no address
	source netip.Prefix // what it is counted for in perAddr; invalid if for nothing
	early  []byte       // was read already
	unsent []byte       // is to be written before it is closed, if not empty
	closed sync.Once
}

func (c *connection) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

func (c *connection) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() { c.front.forget(c) })
	return err
}

// accept serves the connections of ln, which it closes, until ctx ends.
func (f *front) accept(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for f.takeSlot() {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			f.begin(f.secured(conn), connAddr(conn), nil, nil)
			continue
		case !isPassing(err):
			return err
		}
		<-f.slots
		f.pause()
	}
	return net.ErrClosed
}

// secured is conn, or what is encrypted on it. The handshake is part of the
// first read, and of its time.
func (f *front) secured(conn net.Conn) net.Conn {
	if f.secure == nil {
		return conn
	}
	return tls.Server(conn, f.secure)
}

// takeSlot waits until a connection more may be open. It is false if f stops.
func (f *front) takeSlot() bool {
	select {
	case f.slots <- struct{}{}:
		return true
	case <-f.stopped:
		return false
	}
}

func (f *front) pause() {
	timer := time.NewTimer(retryAccept)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.stopped:
	}
}

// isPassing reports whether a listener may accept again after an error: one of
// a single connection, or a want that ends.
func isPassing(err error) bool {
	for _, passing := range []error{syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// connAddr is the address of the other end, invalid if it has none.
func connAddr(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return plain(tcp.AddrPort().Addr())
	}
	return netip.Addr{}
}

// begin serves a connection, which has a slot. It hangs up if the address has
// too many: who would fill the tracker alone (slow-loris) is not told why.
// Of what came early was read already; of the last answer unsent is missing.
func (f *front) begin(conn net.Conn, from netip.Addr, early, unsent []byte) {
	c := &connection{Conn: conn, front: f, from: from, early: early, unsent: unsent}
	if !f.enter(c) {
		conn.Close()
		<-f.slots
		return
	}
	go f.serve(c)
}

func (f *front) enter(c *connection) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping.Load() {
		return false
	}
	cfg := f.server.cfg()
	if source, ok := cfg.source(c.from); ok {
		if f.perAddr[source] >= cfg.MaxConnsPerAddr {
			return false
		}
		f.perAddr[source]++
		c.source = source // by another Config it may be none when it ends
	}
	f.waiting[c] = struct{}{}
	f.serving.Add(1)
	return true
}

// forget frees what a connection holds.
func (f *front) forget(c *connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, c)
	if c.source.IsValid() {
		if f.perAddr[c.source]--; f.perAddr[c.source] == 0 {
			delete(f.perAddr, c.source)
		}
	}
	<-f.slots
}

// source is what shares the bound of an address: all of a /64, of which one
// host has every address. Without a bound are trusted proxies, who speak for
// many, and this machine, on which experiments have many clients.
func (c *Config) source(from netip.Addr) (netip.Prefix, bool) {
	if c.MaxConnsPerAddr < 0 || !from.IsValid() || from.IsLoopback() || contains(c.TrustedProxies, from) {
		return netip.Prefix{}, false
	}
	bits := 32
	if from.Is6() {
		bits = 64
	}
	source, err := from.Prefix(bits)
	return source, err == nil
}

// stop ends the connections that wait for a request; a request under way is
// answered, if the client takes the answer by deadline. The connections of
// net/http are its own to end.
func (f *front) stop(deadline time.Time) {
	f.mu.Lock()
	f.stopping.Store(true)
	close(f.stopped)
	for c := range f.waiting {
		c.SetWriteDeadline(deadline)
		c.SetReadDeadline(time.Unix(1, 0)) // which is over
	}
	f.mu.Unlock()
	f.serving.Wait()
}
