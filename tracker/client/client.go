package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// MaxBody bounds an answer after decompression, in bytes: 1 MiB. An announce
// answer with MaxPeers is about 100 KiB.
const MaxBody = 1 << 20

// maxRedirects is arbitrary; one is common (http to https), a loop is not.
const maxRedirects = 5

// DefaultTimeout is how long a request may take in all, when its context does
// not say less. Loaded public trackers do take ten seconds.
const DefaultTimeout = 30 * time.Second

// Config says how a Client presents itself. The zero Config is usable.
type Config struct {
	// Version is that of the program, for the User-Agent "Shoal/<version>";
	// private trackers let clients in by it. Empty means "dev".
	Version string
	// LocalAddr is the source address of connections and packets, if valid;
	// trackers are then reached over its address family alone. BEP 7:
	// "Each announce should use the corresponding local IP address as the
	// source address of the connection."
	LocalAddr netip.Addr
	// Timeout bounds each request with its retransmissions; 0 means
	// DefaultTimeout.
	Timeout time.Duration
}

// Client makes requests to trackers. It is safe for concurrent use and keeps
// no connection open between requests: announces are half an hour apart. Only a
// UDP socket, which costs the tracker nothing, waits a minute for another
// request to the same tracker.
type Client struct {
	userAgent string
	timeout   time.Duration
	public    *http.Client // never reaches a local address
	local     *http.Client // for URLs that name one
	udp       *udpClient
}

// New returns a Client.
func New(cfg Config) *Client {
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	return &Client{
		userAgent: "Shoal/" + cfg.Version,
		timeout:   cfg.Timeout,
		public:    newHTTPClient(cfg.LocalAddr, true),
		local:     newHTTPClient(cfg.LocalAddr, false),
		udp:       newUDPClient(cfg.LocalAddr),
	}
}

// Announce sends req to the tracker at announceURL. The error is a
// *tracker.FailureError if the tracker refused, an *UnusableURLError if no
// announce to this URL can ever succeed, and otherwise one that a later try
// may not meet. Its text names the tracker by its host alone, since the rest
// of a URL may be a user's key.
func (c *Client) Announce(ctx context.Context, announceURL string, req *tracker.Request) (*tracker.Response, error) {
	u, err := parseURL(announceURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	announce := c.announceHTTP
	if u.Scheme == "udp" {
		announce = c.announceUDP
	}
	resp, err := announce(ctx, u, req)
	if err != nil {
		return nil, fmt.Errorf("tracker %s: %w", label(u), err)
	}
	return resp, nil
}

// Scrape asks the tracker at announceURL for the counts of torrents, at most
// MaxScrape, over HTTP in one request; the counts come in the order of hashes, all zero
// for a torrent that the tracker does not know. Errors are those of Announce,
// and ErrNoScrape.
func (c *Client) Scrape(ctx context.Context, announceURL string, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	u, err := parseURL(announceURL)
	if err != nil {
		return nil, err
	}
	if len(hashes) > MaxScrape {
		return nil, fmt.Errorf("scrape of %d torrents at once; trackers answer for %d", len(hashes), MaxScrape)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	scrape := c.scrapeHTTP
	if u.Scheme == "udp" {
		scrape = c.scrapeUDP
	}
	stats, err := scrape(ctx, u, hashes)
	if err != nil {
		return nil, fmt.Errorf("scrape of tracker %s: %w", label(u), err)
	}
	return stats, nil
}

func (c *Client) announceHTTP(ctx context.Context, u *url.URL, req *tracker.Request) (*tracker.Response, error) {
	u.RawQuery = announceQuery(u.RawQuery, req)
	return fetch(ctx, c, u, parseAnnounce)
}

func (c *Client) announceUDP(ctx context.Context, u *url.URL, req *tracker.Request) (*tracker.Response, error) {
	resp, err := c.udp.announce(ctx, u, req)
	if err != nil {
		return nil, explain(err, u)
	}
	return resp, nil
}

func (c *Client) scrapeHTTP(ctx context.Context, u *url.URL, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	if err := toScrape(u); err != nil {
		return nil, err
	}
	u.RawQuery = scrapeQuery(u.RawQuery, hashes)
	return fetch(ctx, c, u, func(b []byte) ([]tracker.ScrapeStats, error) { return parseScrape(b, hashes) })
}

func (c *Client) scrapeUDP(ctx context.Context, u *url.URL, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	stats, err := c.udp.scrape(ctx, u, hashes)
	if err != nil {
		return nil, explain(err, u)
	}
	return stats, nil
}

// fetch gets u and parses the body.
func fetch[T any](ctx context.Context, c *Client, u *url.URL, parse func([]byte) (T, error)) (T, error) {
	var none T
	body, status, err := c.get(ctx, u)
	if err != nil {
		return none, explain(err, u)
	}
	answer, err := parse(body)
	var refused *tracker.FailureError
	if status != http.StatusOK && !errors.As(err, &refused) {
		return none, fmt.Errorf("it answers %d %s instead of as a tracker; check the URL", status, http.StatusText(status))
	}
	return answer, err
}

func (c *Client) get(ctx context.Context, u *url.URL) (body []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("User-Agent", c.userAgent)
	httpClient := c.public
	if namesLocal(u.Hostname()) {
		httpClient = c.local
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err == nil && len(body) > MaxBody {
		err = errTooLong
	}
	return body, resp.StatusCode, err
}

var errTooLong = fmt.Errorf("its answer is longer than %d KiB: this is not a tracker; check the URL", MaxBody>>10)
