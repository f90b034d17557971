package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr finds out who asks: the other end of the connection or, if that
// is a trusted proxy, the right-most address of X-Forwarded-For that is none.
// What stands left of it was written by the client himself, who may claim
// anything.
func (s *Server) clientAddr(r *http.Request) (netip.Addr, error) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, errUnknownAddr
	}
	addr := plain(remote.Addr())
	if !contains(s.cfg.TrustedProxies, addr) {
		return addr, nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			return netip.Addr{}, errUnknownAddr // never list the proxy as a peer
		}
		addr = hop
		if !contains(s.cfg.TrustedProxies, addr) {
			break
		}
	}
	return addr, nil
}

// parseHop reads an address as proxies write it: some add the port.
func parseHop(s string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return plain(addr), true
	}
	addr, err := netip.ParseAddrPort(s)
	return plain(addr.Addr()), err == nil
}

// plain is addr without a zone, and as IPv4 if it is mapped into IPv6.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
