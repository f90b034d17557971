package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// familyGrace is how long the announce over one address family waits for the
// other, once one has succeeded: some round trips. A host whose IPv6 leads
// nowhere is to have its IPv4 peers soon.
const familyGrace = 3 * time.Second

// scrapeLen is how many torrents we ask for with one packet. 70 make 1,416
// bytes, which IPv6 and a tunnel carry in one piece.
const scrapeLen = 70

// udpClient makes requests to UDP trackers (BEP 15). Each request has a socket
// for itself while it runs, so that it needs neither a reader in the background
// nor a lock.
type udpClient struct {
	localAddr netip.Addr
	// The world, for tests to replace.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	dial    func(local netip.Addr, remote netip.AddrPort) (net.Conn, error)

	mu   sync.Mutex
	idle []*udpSession // at most maxIdle
}

func newUDPClient(localAddr netip.Addr) *udpClient {
	return &udpClient{localAddr: localAddr.Unmap(), resolve: lookup, dial: dialUDP}
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// dialUDP connects the socket, so that the kernel drops what does not come from
// the tracker's address and port.
func dialUDP(local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	var from *net.UDPAddr
	if local.IsValid() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return net.DialUDP("udp", from, net.UDPAddrFromAddrPort(remote))
}

// announce sends req to the tracker over each address family that both of us
// have, with the same key (BEP 15: "Clients that resolve hostnames to v4 and
// v6 and then announce to both should use the same key for both"), for each
// answer has peers of its own family alone.
func (c *udpClient) announce(ctx context.Context, u *url.URL, req *tracker.Request) (*tracker.Response, error) {
	addrs, err := c.addresses(ctx, u)
	if err != nil {
		return nil, err
	}
	path := urlData(u)
	answers, err := eachFamily(ctx, addrs, familyGrace, func(ctx context.Context, remote netip.AddrPort) (*tracker.Response, error) {
		return c.announceTo(ctx, remote, announceBody(req, path, remote.Addr()))
	})
	if err != nil {
		return nil, err
	}
	return merge(answers), nil
}

func (c *udpClient) announceTo(ctx context.Context, remote netip.AddrPort, body []byte) (*tracker.Response, error) {
	s, err := c.session(remote)
	if err != nil {
		return nil, err
	}
	defer c.release(s)
	answer, err := s.ask(ctx, udp.Announce, body)
	if err != nil {
		return nil, err
	}
	return parseUDPAnnounce(answer, remote.Addr())
}

// announceBody is an announce request behind its header.
func announceBody(req *tracker.Request, path string, remote netip.Addr) []byte {
	r := udp.AnnounceRequest{
		InfoHash: req.InfoHash, PeerID: req.PeerID,
		Downloaded: req.Downloaded, Left: req.Left, Uploaded: req.Uploaded,
		Event: req.Event, Key: req.Key, NumWant: int32(max(req.NumWant, tracker.NumWantDefault)), Port: req.Addr.Port(),
	}
	if r.Left < 0 {
		r.Left = unknownLeft
	}
	if ip := req.Addr.Addr().Unmap(); ip.Is4() && remote.Is4() {
		r.IP = ip.As4()
	}
	b := udp.AppendAnnounceRequest(make([]byte, 0, udp.AnnounceRequestLen+len(path)), &r)
	return udp.AppendURLData(b, path)
}

// parseUDPAnnounce reads the answer to an announce; it keeps nothing of it.
func parseUDPAnnounce(answer []byte, remote netip.Addr) (*tracker.Response, error) {
	a, peers, err := udp.ParseAnnounceResponse(answer)
	if err != nil {
		return nil, errNotTracker
	}
	r := &tracker.Response{
		Interval: duration(int64(a.IntervalSec), time.Second),
		Complete: udp.Count(a.Seeders), Incomplete: udp.Count(a.Leechers), Downloaded: -1,
	}
	readCompact(r, peers, compactLen(remote))
	return r, nil
}

// merge makes one response of those of both families. A tracker that counts
// both in one swarm counts every peer in each answer, one that does not has us
// count too few: so the larger count it is, and the longer interval.
func merge(answers []*tracker.Response) *tracker.Response {
	r := answers[0]
	for _, a := range answers[1:] {
		r.Interval = max(r.Interval, a.Interval)
		r.Complete = max(r.Complete, a.Complete)
		r.Incomplete = max(r.Incomplete, a.Incomplete)
		for _, peer := range a.Peers {
			addPeer(r, peer, nil)
		}
	}
	return r
}

// scrape asks for the counts of hashes over whichever family answers first.
func (c *udpClient) scrape(ctx context.Context, u *url.URL, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	addrs, err := c.addresses(ctx, u)
	if err != nil {
		return nil, err
	}
	answers, err := eachFamily(ctx, addrs, 0, func(ctx context.Context, remote netip.AddrPort) ([]tracker.ScrapeStats, error) {
		return c.scrapeFrom(ctx, remote, hashes)
	})
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

func (c *udpClient) scrapeFrom(ctx context.Context, remote netip.AddrPort, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	s, err := c.session(remote)
	if err != nil {
		return nil, err
	}
	defer c.release(s)
	stats := make([]tracker.ScrapeStats, 0, len(hashes))
	for len(stats) < len(hashes) {
		var body []byte
		asked := hashes[len(stats):min(len(stats)+scrapeLen, len(hashes))]
		for _, h := range asked {
			body = append(body, h[:]...)
		}
		answer, err := s.ask(ctx, udp.Scrape, body)
		if err != nil {
			return nil, err
		}
		for range asked {
			var counts tracker.ScrapeStats
			if counts, answer, err = udp.ParseScrapeStats(answer); err != nil {
				return nil, errNotTracker
			}
			stats = append(stats, counts)
		}
	}
	return stats, nil
}

// addresses are where the tracker of u may be reached from here. They are
// looked up for each request: trackers move.
func (c *udpClient) addresses(ctx context.Context, u *url.URL) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return nil, err // not after parseURL
	}
	ips, err := c.resolve(ctx, u.Hostname())
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	err = errNoFamily
	for _, ip := range ips {
		ip = ip.Unmap()
		switch {
		case isLocal(ip) && !namesLocal(u.Hostname()): // see newHTTPClient
			err = &localError{ip.String()}
		case !c.localAddr.IsValid() || c.localAddr.Is4() == ip.Is4():
			addrs = append(addrs, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	if len(addrs) == 0 {
		return nil, err
	}
	return addrs, nil
}

var errNoFamily = errors.New("it has no address of the family, IPv4 or IPv6, of the address that is bound to; leave that out to reach it")

// eachFamily asks over IPv4 and IPv6 at once, of each family one address after
// the other while they fail quickly. It returns the answers, those that come
// within grace of the first, or the error of a family if none has answered.
func eachFamily[T any](ctx context.Context, addrs []netip.AddrPort, grace time.Duration,
	ask func(context.Context, netip.AddrPort) (T, error)) (answers []T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		answer T
		err    error
	}
	families := byFamily(addrs)
	outcomes := make(chan outcome)
	for _, family := range families {
		go func() {
			answer, err := inTurn(ctx, family, ask)
			outcomes <- outcome{answer, err}
		}()
	}
	for range families { // every goroutine above ends here
		o := <-outcomes
		switch {
		case o.err == nil:
			answers = append(answers, o.answer)
			defer time.AfterFunc(grace, cancel).Stop()
		case !isRefusal(err): // the later error says more than "no route"
			err = o.err
		}
	}
	if len(answers) > 0 {
		return answers, nil
	}
	return nil, err
}

func byFamily(addrs []netip.AddrPort) (families [][]netip.AddrPort) {
	var v4, v6 []netip.AddrPort
	for _, addr := range addrs {
		if addr.Addr().Is4() {
			v4 = append(v4, addr)
		} else {
			v6 = append(v6, addr)
		}
	}
	for _, family := range [][]netip.AddrPort{v4, v6} {
		if len(family) > 0 {
			families = append(families, family)
		}
	}
	return families
}

func inTurn[T any](ctx context.Context, addrs []netip.AddrPort, ask func(context.Context, netip.AddrPort) (T, error)) (answer T, err error) {
	for _, addr := range addrs {
		answer, err = ask(ctx, addr)
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			break
		}
	}
	return answer, err
}

func isRefusal(err error) bool {
	var refused *tracker.FailureError
	return errors.As(err, &refused)
}
