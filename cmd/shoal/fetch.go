package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// Bounds of fetching a .torrent. A minute is enough for 64 MiB from a slow
// server; three redirects are what file hosters use, and two more.
const (
	fetchTimeout = time.Minute
	maxRedirects = 5
)

// loadTorrent reads the torrent that a command line names: a file or an
// http(s) URL.
func loadTorrent(ctx context.Context, name string) (*metainfo.Metainfo, error) {
	switch {
	case isMagnet(name):
		return nil, usagef("a magnet link has no file list and no hashes; give the .torrent file or its URL instead of %s, or have \"shoal get\" fetch it from peers", shorten(name))
	case isURL(name):
		b, err := fetch(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("fetching %s: %w", shorten(name), err)
		}
		m, err := metainfo.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("what %s sends is not a torrent: %w", shorten(name), err)
		}
		return m, nil
	}
	m, err := metainfo.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noTorrentFile(name, err)
	}
	return m, err
}

// noTorrentFile says what to write instead of a name that no file has.
func noTorrentFile(name string, err error) error {
	if strings.Contains(name, "://") {
		return fmt.Errorf("%s is neither a file nor an http(s) URL; fetch it with another program first", shorten(name))
	}
	if h, notHash := metainfo.ParseInfoHash(name); notHash == nil {
		return fmt.Errorf("there is no file %s; if it is an info-hash, write the magnet link magnet:?xt=urn:btih:%v", name, h)
	}
	return err
}

func isMagnet(s string) bool { return hasPrefixFold(s, "magnet:") }

func isURL(s string) bool { return hasPrefixFold(s, "http://") || hasPrefixFold(s, "https://") }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// shorten keeps a long link from filling the screen.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "..."
	}
	return printable(s)
}

// fetch gets a .torrent over HTTP. It reads at most metainfo.MaxTorrentLen
// bytes.
func fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("no answer within %v", fetchTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("User-Agent", "Shoal/"+metainfo.Version)
	client, done := newFetcher()
	defer done()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fetchError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %q; check the address", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, metainfo.MaxTorrentLen+1))
	switch {
	case err != nil:
		return nil, fetchError(ctx, err)
	case len(b) > metainfo.MaxTorrentLen:
		return nil, fmt.Errorf("more than %s: that is no .torrent file", formatSize(metainfo.MaxTorrentLen))
	}
	return b, nil
}

// fetchError prefers the reason why the request was given up.
func fetchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return withoutURL(err)
}

// withoutURL takes the method and the URL off an error of net/http: the caller
// has named it.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// newFetcher returns an HTTP client that a public server cannot send to an
// address of the local network by a redirect: to a router's page, or to a
// service that trusts whoever is on this machine. An address that the user
// typed is the user's to choose.
func newFetcher() (client *http.Client, done func()) {
	var guard redirectGuard
	dialer := &net.Dialer{Timeout: 15 * time.Second, Control: guard.checkDial}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       dialer.DialContext,
		ForceAttemptHTTP2: true,
	}
	return &http.Client{Transport: transport, CheckRedirect: guard.checkRedirect}, transport.CloseIdleConnections
}

// redirectGuard remembers where one fetch has been. It judges the address that
// is really dialled, so that no name can resolve differently in between.
type redirectGuard struct {
	mu         sync.Mutex
	redirected bool
	public     bool // a public address was dialled
}

func (g *redirectGuard) checkRedirect(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.redirected = true
	return nil
}

func (g *redirectGuard) checkDial(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	public := isPublic(addr.Addr())
	if g.redirected && g.public && !public {
		return fmt.Errorf("a public server redirects to %s in a private network; refused", addr)
	}
	g.public = g.public || public
	return nil
}

// isPublic reports whether addr belongs to a host on the Internet.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	inside := func(p netip.Prefix) bool { return p.Contains(addr) }
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !slices.ContainsFunc(special, inside)
}

// special are the networks that are not on the Internet though netip calls
// them global and not private.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network (RFC 1122)
	netip.MustParsePrefix("100.64.0.0/10"), // between a provider and its customers (RFC 6598)
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved (RFC 1112)
	// Gateways turn these into any IPv4 address (RFC 6052, 8215, 3056).
	netip.MustParsePrefix("64:ff9b::/32"),
	netip.MustParsePrefix("2002::/16"),
}
