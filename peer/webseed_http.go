package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// What a web seed can be blamed for. A useless one is not asked again in the life of
// the torrent: BEP 19 says that "A client does not need to discard a HTTP or FTP
// server URL if it gets a "busy" reply", so a busy one is, later.
type webSeedError struct {
	useless    bool
	retryAfter time.Duration // as the server says, 0 if it does not
	reason     string
}

func (e *webSeedError) Error() string { return e.reason }

func useless(format string, args ...any) error {
	return &webSeedError{useless: true, reason: fmt.Sprintf(format, args...)}
}

// newWebClient returns the HTTP client of all web seeds of a Client. It keeps no cookies,
// and no more connections than are in use. A client that is bound to an address
// dials from it, and leaves the proxies of the environment alone: they are of another network, perhaps.
func newWebClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  blockTimeout,
		IdleConnTimeout:        blockTimeout,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a range of what is compressed is something else
	}
	if cfg.Bind.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.Bind, 0))
	} else {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}
}

// checkRedirect follows a few redirects, to the web only, and not from the internet into our
// own network: a torrent of a stranger could make us ask our router for something.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return useless("it redirects more than %d times", maxRedirects)
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return useless("it redirects to the scheme %.20q", req.URL.Scheme)
	case isLocalHost(req.URL.Hostname()) && !isLocalHost(via[0].URL.Hostname()):
		return useless("it redirects to a machine of this network")
	}
	return nil
}

// rangeReader reads length bytes from offset of a torrent, file by file, from a web
// seed. There is one request at a time, for one range of one file.
type rangeReader struct {
	ctx       context.Context
	client    *http.Client
	userAgent string
	base      *url.URL
	info      *metainfo.Info

	spans []metainfo.Span // what is left, the present one included
	body  io.ReadCloser   // of the present span; nil before it is asked for
}

// Read implements io.Reader. What pad files hold is zeros, and not asked for (BEP 47).
func (r *rangeReader) Read(p []byte) (n int, err error) {
	if len(r.spans) == 0 {
		return 0, io.EOF
	}
	span := &r.spans[0]
	p = p[:min(int64(len(p)), span.Length)]
	if r.info.Files[span.FileIndex].Pad {
		clear(p)
		n = len(p)
	} else if n, err = r.readBody(p); err != nil {
		return n, err
	}
	span.Offset += int64(n)
	span.Length -= int64(n)
	if span.Length == 0 {
		r.spans = r.spans[1:]
		r.endBody()
	}
	return n, nil
}

func (r *rangeReader) readBody(p []byte) (n int, err error) {
	if r.body == nil {
		if err := r.open(r.spans[0]); err != nil {
			return 0, err
		}
	}
	n, err = r.body.Read(p)
	if errors.Is(err, io.EOF) && int64(n) == r.spans[0].Length {
		err = nil
	} else if errors.Is(err, io.EOF) {
		err = errors.New("it sends less than it was asked for")
	}
	return n, err
}

// endBody ends a response of which everything was read, so that the connection can be used
// again.
func (r *rangeReader) endBody() {
	if r.body == nil {
		return
	}
	var more [1]byte
	r.body.Read(more[:]) // io.EOF, or there is more, of a whole file or a liar: closing ends it
	r.close()
}

func (r *rangeReader) close() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// open asks for a span.
func (r *rangeReader) open(span metainfo.Span) error {
	u := fileURL(r.base, r.info, span.FileIndex)
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return useless("%v", err)
	}
	req.Header.Set("User-Agent", r.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", span.Offset, span.Offset+span.Length-1))
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	if err := r.accept(resp, span); err != nil {
		resp.Body.Close()
		return err
	}
	r.body = resp.Body
	return nil
}

// accept fails unless the body of a response begins with the span, or does once what lies
// before it was skipped.
func (r *rangeReader) accept(resp *http.Response, span metainfo.Span) error {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return useless("it sends the encoding %.20q, and was asked for none", encoding)
	}
	fileLen := r.info.Files[span.FileIndex].Length
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		return acceptPart(resp, span, fileLen)
	case resp.StatusCode == http.StatusOK:
		return acceptWhole(resp, span, fileLen)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return &webSeedError{reason: resp.Status, retryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	case resp.StatusCode >= 500:
		return errors.New(resp.Status)
	}
	return useless("%.60s", resp.Status)
}

func acceptPart(resp *http.Response, span metainfo.Span, fileLen int64) error {
	first, last, total, err := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return useless("%v", err)
	case total >= 0 && total != fileLen:
		return useless("its file has %d bytes, the torrent's %d", total, fileLen)
	case first != span.Offset || last != span.Offset+span.Length-1:
		return useless("it sends the bytes %d to %d instead of %d to %d", first, last, span.Offset, span.Offset+span.Length-1)
	case resp.ContentLength >= 0 && resp.ContentLength != span.Length:
		return useless("it sends %d bytes instead of %d", resp.ContentLength, span.Length)
	}
	return nil
}

// acceptWhole takes a whole file where a range was asked for, if not much lies
// before the range.
func acceptWhole(resp *http.Response, span metainfo.Span, fileLen int64) error {
	switch {
	case resp.ContentLength >= 0 && resp.ContentLength != fileLen:
		return useless("its file has %d bytes, the torrent's %d", resp.ContentLength, fileLen)
	case span.Offset > maxSkipped:
		return useless("it cannot send parts of a file")
	}
	if _, err := io.CopyN(io.Discard, resp.Body, span.Offset); err != nil {
		return fmt.Errorf("skip to the range: %w", err)
	}
	return nil
}

// retryAfter reads the header of that name: seconds, or a date. What is later
// than engine.WebSeedRetryLast is not believed.
func retryAfter(s string) time.Duration {
	if seconds, ok := parseDigits(strings.TrimSpace(s)); ok && s != "" {
		return time.Duration(min(seconds, int64(engine.WebSeedRetryLast/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, min(time.Until(at), engine.WebSeedRetryLast))
	}
	return 0
}
