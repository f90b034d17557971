package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/peer"
)

// connFlags are the flags about connections that commands have in common.
type connFlags struct {
	port      int
	bind      string
	peers     []string
	noTracker bool
	noDHT     bool
	bootstrap []string
	noPEX     bool
	up        rateFlag
	down      rateFlag
	maxPeers  int

	bindAddr netip.Addr // bind, parsed by check
}

func (f *connFlags) flags(fs *pflag.FlagSet) {
	fs.IntVar(&f.port, "port", 0, "listen on port `N` (default: the first free one from 6881 up)")
	fs.StringVar(&f.bind, "bind", "", "use the local address `ADDR` only (default: all)")
	fs.StringArrayVar(&f.peers, "peer", nil, "connect to the peer `HOST:PORT`, too; repeatable")
	fs.BoolVar(&f.noTracker, "no-tracker", false, "do not announce to the torrent's trackers")
	f.dhtFlags(fs)
	fs.Var(&f.up, "up", "upload no faster than this (default: no limit)")
	fs.IntVar(&f.maxPeers, "max-peers", 0, fmt.Sprintf("connect to at most `N` peers (default: %d)", peer.DefaultMaxPeers))
}

// dhtFlags are about finding peers without a tracker.
func (f *connFlags) dhtFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.noDHT, "no-dht", false, "do not use the DHT")
	fs.StringArrayVar(&f.bootstrap, "dht-bootstrap", nil, "join the DHT through the node `HOST:PORT`, not through the well-known routers; repeatable")
	fs.BoolVar(&f.noPEX, "no-pex", false, "exchange no addresses of peers with peers")
}

func (f *connFlags) downFlag(fs *pflag.FlagSet) {
	fs.Var(&f.down, "down", "download no faster than this (default: no limit)")
}

// check parses what pflag cannot.
func (f *connFlags) check() error {
	if f.bind != "" {
		addr, err := netip.ParseAddr(f.bind)
		if err != nil {
			return usagef("--bind %q is not an address of this machine, such as 192.168.1.5", f.bind)
		}
		f.bindAddr = addr
	}
	switch {
	case f.port < 0 || f.port > math.MaxUint16:
		return usagef("--port %d is not between 1 and 65535", f.port)
	case f.maxPeers < 0:
		return usagef("--max-peers %d is negative", f.maxPeers)
	case f.up > math.MaxInt || f.down > math.MaxInt:
		return usagef("--up and --down are at most %s", formatRate(math.MaxInt))
	}
	for _, hostPort := range f.peers {
		if _, _, err := splitHostPort(hostPort); err != nil {
			return usagef("--peer %q: %v", hostPort, err)
		}
	}
	for _, hostPort := range f.bootstrap {
		if _, _, err := splitHostPort(hostPort); err != nil {
			return usagef("--dht-bootstrap %q: %v", hostPort, err)
		}
	}
	if f.noDHT && len(f.bootstrap) > 0 {
		return usagef("--no-dht and --dht-bootstrap exclude each other")
	}
	return nil
}

func (f *connFlags) config() peer.Config {
	return peer.Config{
		Bind: f.bindAddr, Port: f.port, Up: int(f.up), Down: int(f.down), MaxPeers: f.maxPeers,
		// A peer behind a home router cannot be reached without.
		MapPorts: true,
	}
}

// addresses resolves every --peer.
func (f *connFlags) addresses(ctx context.Context) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, hostPort := range f.peers {
		addrs, err := resolve(ctx, hostPort)
		if err != nil {
			return nil, fmt.Errorf("--peer %s: %w", hostPort, err)
		}
		out = append(out, addrs...)
	}
	return out, nil
}

// resolve returns every address of HOST:PORT.
func resolve(ctx context.Context, hostPort string) ([]netip.AddrPort, error) {
	host, port, err := splitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, addr := range addrs {
		out = append(out, netip.AddrPortFrom(addr.Unmap(), port))
	}
	return out, nil
}

func splitHostPort(s string) (host string, port uint16, err error) {
	host, portText, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("write it as HOST:PORT, an IPv6 address in brackets")
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("the port is not between 1 and 65535")
	}
	return host, uint16(n), nil
}
