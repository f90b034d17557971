package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/shoal-bt/shoal/tracker/server"
)

// localTracker is a tracker that runs in this process.
type localTracker struct {
	*server.Server
	addr     netip.AddrPort // where it listens; invalid on a Unix socket
	listener string         // the same, for people
	tls, udp netip.AddrPort // where it listens for HTTPS and UDP; invalid if it does not
	cancel   context.CancelFunc
	ctx      context.Context // of what serves
	serving  sync.WaitGroup
	failed   chan error // the first failure to serve
	ended    error      // what failed when it was stopped, after serving
	mu       sync.Mutex // of ended
}

// checkHTTPFlag refuses what cannot be listened on.
func checkHTTPFlag(addr string) error { return checkAddrFlag("--http", addr) }

func checkAddrFlag(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return usagef("%s %q is not an address; write it as :6969 or 127.0.0.1:6969", flag, addr)
	}
	return nil
}

// startTracker listens on addr and serves until stop is called. It outlives
// ctx, because torrents that stop with ctx want to say goodbye to it.
func startTracker(ctx context.Context, addr string, cfg server.Config) (*localTracker, error) {
	srv, err := server.New(cfg)
	if err != nil {
		return nil, err
	}
	ln, err := listenTracker(ctx, addr)
	if err != nil {
		return nil, err
	}
	return newLocalTracker(ctx, srv, ln), nil
}

// startTrackerOnBoth is startTracker, for HTTP and for UDP at the same port.
func startTrackerOnBoth(ctx context.Context, addr string, cfg server.Config) (*localTracker, error) {
	srv, err := server.New(cfg)
	if err != nil {
		return nil, err
	}
	ln, udp, err := listenBoth(ctx, addr)
	if err != nil {
		return nil, err
	}
	t := newLocalTracker(ctx, srv, ln)
	t.serveUDP(udp)
	return t, nil
}

func newLocalTracker(ctx context.Context, srv *server.Server, ln net.Listener) *localTracker {
	t := &localTracker{Server: srv, listener: ln.Addr().String(), failed: make(chan error, maxServing)}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		t.addr = tcp.AddrPort()
	}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.serve(func() error { return srv.Run(t.ctx, ln) })
	return t
}

// maxPortTries is how many ports are tried, one after the other, if any would
// do. Arbitrary: hardly one in a hundred is taken.
const maxPortTries = 100

// untilFree repeats listen while a port of the system's choice turns out to be
// taken: it is free for one protocol, and another program may have it for the
// other.
func untilFree(addr string, listen func() error) error {
	for tries := 1; ; tries++ {
		err := listen()
		if tries == maxPortTries || !errors.Is(err, syscall.EADDRINUSE) || !isAnyPort(addr) {
			return err
		}
	}
}

// listenBoth listens on the same port of TCP and UDP.
func listenBoth(ctx context.Context, addr string) (ln net.Listener, udp *server.UDPListener, err error) {
	err = untilFree(addr, func() error {
		if ln, err = listenTracker(ctx, addr); err != nil {
			return err
		}
		if udp, err = listenUDP(ctx, ln.Addr().String()); err != nil {
			ln.Close()
		}
		return err
	})
	return ln, udp, err
}

// isAnyPort reports whether the port of addr is for the system to choose.
func isAnyPort(addr string) bool {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	port, err := net.LookupPort("tcp", text)
	return err == nil && port == 0
}

// listenTracker listens for HTTP.
func listenTracker(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := listenHTTP(ctx, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use; choose another address with --http", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, notOurs(addr)
	case err != nil && strings.HasPrefix(addr, unixPrefix):
		return nil, fmt.Errorf("%w; choose another path with --http", err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %w; ports below 1024 are often for root alone, choose another one with --http", addr, syscall.EACCES)
	}
	return ln, err
}

func notOurs(addr string) error {
	return fmt.Errorf("%s is not an address of this machine; choose one that is, or leave it out", addr)
}

// listenUDP listens for UDP.
func listenUDP(ctx context.Context, addr string) (*server.UDPListener, error) {
	l, err := server.ListenUDP(ctx, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &udpInUseError{addr}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, notOurs(addr)
	}
	return l, err
}

// udpInUseError is the error of a UDP address that another program has. It is a
// syscall.EADDRINUSE.
type udpInUseError struct{ addr string }

func (e *udpInUseError) Error() string {
	return "UDP " + e.addr + " is in use; choose another address with --udp, or \"off\""
}

func (e *udpInUseError) Unwrap() error { return syscall.EADDRINUSE }

// maxServing is how many serve calls a localTracker has: HTTP, HTTPS and UDP.
const maxServing = 3

// unixPrefix begins the address of a Unix socket.
const unixPrefix = "unix:"

// listenHTTP listens on an address or on a Unix socket.
func listenHTTP(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		return lc.Listen(ctx, "tcp", addr)
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	return lc.Listen(ctx, "unix", path)
}

// removeDeadSocket removes a Unix socket that nobody listens on any more. To
// connect to an ordinary file is refused as well, and that one has to stay.
func removeDeadSocket(path string) error {
	stat, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there already, and no socket", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	return nil
}

// serve has a goroutine serve until stop. What fails is in failed, for who waits
// there, and in what stop returns.
func (t *localTracker) serve(serve func() error) {
	t.serving.Go(func() {
		if err := serve(); err != nil {
			t.mu.Lock()
			t.ended = errors.Join(t.ended, err)
			t.mu.Unlock()
			t.failed <- err
		}
	})
}

// serveTLS has the tracker answer on ln, too.
func (t *localTracker) serveTLS(ln net.Listener, cfg *tls.Config) {
	t.tls = ln.Addr().(*net.TCPAddr).AddrPort()
	t.serve(func() error { return t.RunTLS(t.ctx, ln, cfg) })
}

// serveUDP has the tracker answer on l, too.
func (t *localTracker) serveUDP(l *server.UDPListener) {
	t.udp = l.Addr()
	t.serve(func() error { return t.RunUDP(t.ctx, l) })
}

// stop ends the tracker and waits for it.
func (t *localTracker) stop() error {
	t.cancel()
	t.serving.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

// announceURL is where the tracker is reached on the address host.
func (t *localTracker) announceURL(host netip.Addr) string {
	return fmt.Sprintf("http://%s/announce", netip.AddrPortFrom(host, t.addr.Port()))
}

// announceURLs are those of all protocols, for people.
func (t *localTracker) announceURLs() string {
	var urls []string
	for _, at := range []struct {
		scheme string
		addr   netip.AddrPort
	}{{"udp", t.udp}, {"https", t.tls}, {"http", t.addr}} {
		if at.addr.IsValid() {
			urls = append(urls, fmt.Sprintf("%s://%s/announce", at.scheme, netip.AddrPortFrom(reachableAddr(at.addr.Addr()), at.addr.Port())))
		}
	}
	if len(urls) == 0 {
		return "the proxy's address"
	}
	return strings.Join(urls, " or ")
}

// reachableAddr is the address of this machine that others in its network most
// likely reach it by.
func reachableAddr(bind netip.Addr) netip.Addr { return reachableAddrs(bind)[0] }

// maxReachable bounds reachableAddrs: a machine with many virtual interfaces
// would make a magnet link that nobody can read.
const maxReachable = 4

// reachableAddrs are the addresses of this machine that others may reach it by,
// the likeliest first: bind if that is given, else those of the interfaces that
// are up, IPv4 first, else loopback.
func reachableAddrs(bind netip.Addr) []netip.Addr {
	if bind.IsValid() && !bind.IsUnspecified() {
		return []netip.Addr{bind}
	}
	var ipv4, ipv6 []netip.Addr
	addrs, _ := net.InterfaceAddrs() // without any, loopback is right
	for _, a := range addrs {
		switch prefix, err := netip.ParsePrefix(a.String()); {
		case err != nil || !prefix.Addr().IsGlobalUnicast():
		case prefix.Addr().Is4():
			ipv4 = append(ipv4, prefix.Addr())
		default:
			ipv6 = append(ipv6, prefix.Addr())
		}
	}
	found := append(ipv4, ipv6...)
	if len(found) == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return found[:min(len(found), maxReachable)]
}
