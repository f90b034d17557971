package admin

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The bounds of failed attempts. A person who errs has ten tries and then one
// every six seconds; a token has 128 random bits or more, so guessing is
// hopeless anyway, and this keeps it cheap for us and out of the log.
const (
	failuresAtOnce = 10
	failuresEvery  = 6 * time.Second
	// maxSources bounds the addresses that are told apart. Past it all
	// addresses begin anew, which a botnet of that size may have.
	maxSources = 4096
)

// limiter counts failed attempts by the network that they come from.
type limiter struct {
	now     func() time.Time
	mu      sync.Mutex
	sources map[netip.Prefix]*rate.Limiter
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, sources: make(map[netip.Prefix]*rate.Limiter)}
}

// exhausted reports whether a source has failed too often to try again now.
func (l *limiter) exhausted(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.sources[source]
	return of != nil && of.TokensAt(l.now()) < 1
}

// fail counts a failure.
func (l *limiter) fail(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[source] == nil {
		if len(l.sources) >= maxSources {
			clear(l.sources)
		}
		l.sources[source] = rate.NewLimiter(rate.Every(failuresEvery), failuresAtOnce)
	}
	l.sources[source].AllowN(l.now(), 1)
}

// sourceOf is the IPv4 address or the IPv6 /64 that a request comes from: of a
// /64 one host has every address.
func sourceOf(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // which all of these share
	}
	addr := from.Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	source, _ := addr.Prefix(bits)
	return source
}
