package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	ln, err := listenHTTP(ctx, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use; choose another address with --http", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is not an address of this machine; choose one that is, or leave it out", addr)
	case err != nil:
		return nil, err
	}
	t := &localTracker{Server: srv, listener: ln.Addr().String(), failed: make(chan error, maxServing)}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		t.addr = tcp.AddrPort()
	}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.serve(func() error { return srv.Run(t.ctx, ln) })
	return t, nil
}

// maxServing is how many serve calls a localTracker has: HTTP, HTTPS and UDP.
const maxServing = 3

// unixPrefix begins the address of a Unix socket.
const unixPrefix = "unix:"

// listenHTTP listens on an address, or on a Unix socket, of which one that nobody
// listens on any more is removed before.
func listenHTTP(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		return lc.Listen(ctx, "tcp", addr)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	return lc.Listen(ctx, "unix", path)
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

// listenUDP has the tracker answer at addr, too.
func (t *localTracker) listenUDP(ctx context.Context, addr string) error {
	l, err := server.ListenUDP(ctx, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("UDP %s is in use; choose another address with --udp, or \"off\"", addr)
	case err != nil:
		return err
	}
	t.udp = l.Addr()
	t.serve(func() error { return t.RunUDP(t.ctx, l) })
	return nil
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
