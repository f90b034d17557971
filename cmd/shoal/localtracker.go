package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/shoal-bt/shoal/tracker/server"
)

// localTracker is a tracker that runs in this process.
type localTracker struct {
	*server.Server
	addr      netip.AddrPort    // where it listens
	whitelist *server.TorrentList // nil: every torrent
	cancel    context.CancelFunc
	served    chan error
	udp       netip.AddrPort // where it listens for UDP; invalid if it does not
	servedUDP chan error
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
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use; choose another address with --http", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is not an address of this machine; choose one that is, or leave it out", addr)
	case err != nil:
		return nil, err
	}
	serveCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &localTracker{
		Server: srv, addr: ln.Addr().(*net.TCPAddr).AddrPort(), whitelist: cfg.Whitelist,
		cancel: cancel, served: make(chan error, 1),
	}
	go func() { t.served <- srv.Run(serveCtx, ln) }()
	return t, nil
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
	t.udp, t.servedUDP = l.Addr(), make(chan error, 1)
	serveCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancelHTTP := t.cancel
	t.cancel = func() { cancelHTTP(); cancel() }
	go func() { t.servedUDP <- t.RunUDP(serveCtx, l) }()
	return nil
}

// stop ends the tracker and waits for it.
func (t *localTracker) stop() error {
	t.cancel()
	err := <-t.served
	if t.servedUDP != nil {
		err = errors.Join(err, <-t.servedUDP)
	}
	return err
}

// announceURL is where the tracker is reached on the address host.
func (t *localTracker) announceURL(host netip.Addr) string {
	return fmt.Sprintf("http://%s/announce", netip.AddrPortFrom(host, t.addr.Port()))
}

// announceURLs are those of both protocols, for people.
func (t *localTracker) announceURLs() string {
	overHTTP := t.announceURL(reachableAddr(t.addr.Addr()))
	if !t.udp.IsValid() {
		return overHTTP
	}
	return fmt.Sprintf("udp://%s/announce or %s", netip.AddrPortFrom(reachableAddr(t.udp.Addr()), t.udp.Port()), overHTTP)
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
