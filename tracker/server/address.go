package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddr finds out who asks.
func (s *Server) clientAddr(r *http.Request) (netip.Addr, error) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, errUnknownAddr
	}
	return s.asker(plain(remote.Addr()), r.Header.Values("X-Forwarded-For"))
}

// asker is who asks: the other end of the connection or, if that is a trusted
// proxy, the right-most address of X-Forwarded-For that is none. What stands
// left of it was written by the client himself, who may claim anything.
func (s *Server) asker(addr netip.Addr, forwarded []string) (netip.Addr, error) {
	if !addr.IsValid() {
		return addr, errUnknownAddr
	}
	if !contains(s.cfg().TrustedProxies, addr) {
		return addr, nil
	}
	if len(forwarded) == 0 {
		return addr, errUnknownAddr // never list the proxy as a peer
	}
	for _, value := range slices.Backward(forwarded) {
		for more := true; more; {
			var hop string
			value, hop, more = cutLast(value)
			var ok bool
			if addr, ok = parseHop(strings.TrimSpace(hop)); !ok {
				return addr, errUnknownAddr
			}
			if !contains(s.cfg().TrustedProxies, addr) {
				return addr, nil
			}
		}
	}
	return addr, nil
}

// cutLast cuts a list at its last comma; more says that there was one.
func cutLast(list string) (before, last string, more bool) {
	at := strings.LastIndexByte(list, ',')
	return list[:max(at, 0)], list[at+1:], at >= 0
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
