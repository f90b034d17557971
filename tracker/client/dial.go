package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// localError says that a tracker tried to lead us into the local network.
type localError struct{ host string }

func (e *localError) Error() string {
	return fmt.Sprintf("it leads to %s in the local network; if that is meant, announce to that address itself", e.host)
}

var errRedirects = fmt.Errorf("it redirects more than %d times", maxRedirects)

// newHTTPClient returns an HTTP client whose connections come from localAddr.
// With publicOnly it refuses to connect to a local address.
//
// The attack: a torrent from a stranger names his tracker, which redirects, or
// whose name resolves, to a router's or a cloud's configuration page at an
// address that only we can reach, and has us request it. So local addresses
// are for URLs that name them explicitly. The check is made on the address
// that is connected to, after resolution: a second look at DNS could see
// another answer.
func newHTTPClient(localAddr netip.Addr, publicOnly bool) *http.Client {
	dialer := &net.Dialer{Timeout: 15 * time.Second}
	if localAddr.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(localAddr, 0))
	}
	if publicOnly {
		dialer.Control = refuseLocal
	}
	return &http.Client{
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			// net/http sets it to the URL we come from, key and all.
			req.Header.Del("Referer")
			switch {
			case publicOnly && namesLocal(req.URL.Hostname()):
				return &localError{req.URL.Hostname()}
			case len(via) > maxRedirects:
				return errRedirects
			}
			return nil
		},
		// No proxy from the environment: the check above would look at the
		// proxy's address.
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    15 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

func refuseLocal(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("the address to connect to is not an address")
	}
	if isLocal(addr.Addr()) {
		return &localError{addr.Addr().String()}
	}
	return nil
}

// namesLocal reports whether a URL's host is explicitly local: an address, or
// the name that RFC 6761 keeps for loopback.
func namesLocal(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && isLocal(addr)
}

// notPublic are the local networks that netip has no word for: "this
// network" (RFC 1122), carrier-grade NAT (RFC 6598), and the IPv6 prefixes
// that a gateway turns into any IPv4 address (RFC 6052, 3056).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
}

func isLocal(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return true // IsGlobalUnicast leaves out loopback, link-local and multicast
	}
	for _, p := range notPublic {
		if p.Contains(addr) {
			return true
		}
	}
	return isLocalNAT64(addr)
}

// isLocalNAT64 looks into the well-known prefix 64:ff9b::/96 (RFC 6052), by
// which IPv6-only networks reach IPv4: the last four bytes are the address.
func isLocalNAT64(addr netip.Addr) bool {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(addr) {
		return false
	}
	b := addr.As16()
	return isLocal(netip.AddrFrom4([4]byte(b[12:])))
}
