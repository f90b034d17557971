package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ProxyHeader is where trusted proxies say for whom they ask.
type ProxyHeader uint8

// The headers that proxies write. Only one is ever believed: a proxy appends to
// the one that it knows and passes the other on as the client wrote it.
const (
	XForwardedFor ProxyHeader = iota
	Forwarded                 // RFC 7239
)

var proxyHeaderNames = [...]string{"X-Forwarded-For", "Forwarded"}

// String returns the header's name.
func (h ProxyHeader) String() string { return proxyHeaderNames[h] }

// Set reads the header's name, in letters of either case.
func (h *ProxyHeader) Set(name string) error {
	for i, known := range proxyHeaderNames {
		if strings.EqualFold(name, known) {
			*h = ProxyHeader(i)
			return nil
		}
	}
	return fmt.Errorf("no proxy tells the client's address by %q; write %s", name, strings.Join(proxyHeaderNames[:], " or "))
}

// Type is what a flag of this kind takes.
func (h *ProxyHeader) Type() string { return "HEADER" }

// forwarding are the values of a request's headers that proxies write.
type forwarding struct{ xForwardedFor, forwarded []string }

// clientAddr finds out who asks.
func (s *Server) clientAddr(r *http.Request) (netip.Addr, error) {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr) // a Unix socket's is none
	return s.cfg().asker(plain(remote.Addr()), forwarding{r.Header["X-Forwarded-For"], r.Header["Forwarded"]})
}

// asker is who asks: the other end of the connection or, if that is a trusted
// proxy, the right-most address of its header that is none. What stands left of
// it was written by the client himself, who may claim anything. The other end
// has no address on a Unix socket: whoever may open that is trusted.
func (c *Config) asker(addr netip.Addr, by forwarding) (netip.Addr, error) {
	if addr.IsValid() && !contains(c.TrustedProxies, addr) {
		return addr, nil
	}
	values, parse := by.xForwardedFor, parseHop
	if c.ProxyHeader == Forwarded {
		values, parse = by.forwarded, parseForwarded
	}
	if len(values) == 0 {
		return addr, errUnknownAddr // never list the proxy as a peer
	}
	for _, value := range slices.Backward(values) {
		for more := true; more; {
			var hop string
			value, hop, more = cutLast(value)
			var ok bool
			if addr, ok = parse(strings.TrimSpace(hop)); !ok {
				return addr, errUnknownAddr
			}
			if !contains(c.TrustedProxies, addr) {
				return addr, nil
			}
		}
	}
	return addr, nil
}

// cutLast cuts a list at its last comma; more says that there was one. It does
// so in quotes, too: a quote that a client opens must not swallow what the proxy
// writes behind it, and an address has no comma.
func cutLast(list string) (before, last string, more bool) {
	at := strings.LastIndexByte(list, ',')
	return list[:max(at, 0)], list[at+1:], at >= 0
}

// parseHop reads an address as proxies write it: some add the port.
func parseHop(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			s = inner
		}
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return plain(addr), true
	}
	addr, err := netip.ParseAddrPort(s)
	return plain(addr.Addr()), err == nil
}

// parseForwarded reads the address of one element of Forwarded, such as
// for="[2001:db8::1]:4711";proto=https. RFC 7239, 4: "each parameter MUST NOT
// occur more than once per field-value". A name that hides the address
// ("unknown", "_hidden") is none.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for more := true; more; {
		var pair string
		pair, element, more = strings.Cut(element, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !isFolded(name, "for") {
			continue
		}
		if ok {
			return addr, false
		}
		if addr, ok = parseHop(unquote(value)); !ok {
			return addr, false
		}
	}
	return addr, ok
}

// unquote takes the quotes off a value that has them at both ends.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// plain is addr without a zone, and as IPv4 if it is mapped into IPv6.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
