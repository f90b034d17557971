package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bscan"
	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
)

// MaxPeers bounds the peers taken from one answer. We ask for at most 200;
// trackers that ignore numwant send some hundreds.
const MaxPeers = 1000

// MaxScrape bounds the torrents of one scrape, as trackers do.
const MaxScrape = 100

// maxText bounds what is kept of a tracker's text, in bytes: a line or three.
const maxText = 256

// limits of an answer: a dictionary of lists of dictionaries, with three
// entries to a peer that is not compact. The tokens allow for trackers that
// send more peers than we take.
var limits = bscan.Limits{Depth: 8, Tokens: 64 << 10}

var errNotTracker = errors.New("its answer is not that of a tracker; check the URL")

// parseAnswer checks any answer and finds a refusal.
func parseAnswer(b []byte) (bscan.Value, error) {
	v, _, err := bscan.Scan(b, limits)
	if err != nil {
		return v, fmt.Errorf("%w (%w)", errNotTracker, err)
	}
	if v.Kind() != bscan.Dict {
		return v, errNotTracker
	}
	if reason, ok := v.Get("failure reason").Str(); ok {
		return v, parseFailure(text(reason), v.Get("retry in"))
	}
	return v, nil
}

// parseFailure reads BEP 31's "retry in": "the number of minutes [...]. This
// field is either a positive integer or the value 'never'". Its examples have
// the number as a string.
func parseFailure(reason string, retryIn bscan.Value) *tracker.FailureError {
	f := &tracker.FailureError{Reason: reason}
	minutes, _ := retryIn.Int()
	if s, ok := retryIn.Str(); ok {
		f.Never = string(s) == "never"
		minutes, _ = strconv.ParseInt(string(s), 10, 64)
	}
	f.RetryIn = duration(minutes, time.Minute)
	return f
}

// parseAnnounce reads the answer to an announce. It keeps nothing of b.
func parseAnnounce(b []byte) (*tracker.Response, error) {
	v, err := parseAnswer(b)
	if err != nil {
		return nil, err
	}
	// BEP 3: "it must have two keys: interval [...] and peers". One is enough
	// here: the answer to stopped often lacks the other.
	if v.Get("interval").Kind() == bscan.None && v.Get("peers").Kind() == bscan.None && v.Get("peers6").Kind() == bscan.None {
		return nil, errNotTracker
	}
	r := &tracker.Response{
		Interval:    seconds(v.Get("interval")),
		MinInterval: seconds(v.Get("min interval")),
		Complete:    count(v.Get("complete")),
		Incomplete:  count(v.Get("incomplete")),
		Downloaded:  count(v.Get("downloaded")),
	}
	if warning, ok := v.Get("warning message").Str(); ok {
		r.Warning = text(warning)
	}
	if ip, ok := v.Get("external ip").Str(); ok {
		ip, _ := netip.AddrFromSlice(ip) // 4 or 16 bytes; anything else is the zero Addr
		r.ExternalIP = ip.Unmap()
	}
	if id, ok := v.Get("tracker id").Str(); ok && len(id) <= maxText {
		r.TrackerID = string(id)
	}
	readPeers(r, v.Get("peers"), compact.Len4)
	readPeers(r, v.Get("peers6"), compact.Len6)
	return r, nil
}

// readPeers appends the peers in v, of either form ("clients MUST continue to
// support both", BEP 23), to r.
func readPeers(r *tracker.Response, v bscan.Value, addrLen int) {
	b, _ := v.Str() // a list is no string, and a string no list
	readCompact(r, b, addrLen)
	for entry := range v.List() {
		// "ip" may be "a string using ipv4 dotted notation or a domain name"
		// (BEP 24). Names are ignored: to look up what a stranger gives is
		// to let him direct our DNS queries.
		ip, _ := entry.Get("ip").Str()
		addr, err := netip.ParseAddr(string(ip))
		port, _ := entry.Get("port").Int()
		if err != nil || port < 0 || port > math.MaxUint16 {
			continue
		}
		id, _ := entry.Get("peer id").Str()
		addPeer(r, netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port)), id)
	}
}

// readCompact appends the peers in b, addrLen bytes each, to r; one that is cut
// off is ignored.
func readCompact(r *tracker.Response, b []byte, addrLen int) {
	for ; len(b) >= addrLen; b = b[addrLen:] {
		ip, _ := netip.AddrFromSlice(b[:addrLen-2])
		addPeer(r, netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[addrLen-2:])), nil)
	}
}

// addPeer appends one peer, unless it is none: trackers do send port 0.
func addPeer(r *tracker.Response, addr netip.AddrPort, id []byte) {
	if addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() || len(r.Peers) >= MaxPeers {
		return
	}
	r.Peers = append(r.Peers, addr)
	if len(id) == len(metainfo.PeerID{}) {
		r.PeerIDs = append(r.PeerIDs, make([]metainfo.PeerID, len(r.Peers)-1-len(r.PeerIDs))...)
		r.PeerIDs = append(r.PeerIDs, metainfo.PeerID(id))
	} else if r.PeerIDs != nil {
		r.PeerIDs = append(r.PeerIDs, metainfo.PeerID{})
	}
}

// parseScrape reads the answer to a scrape of hashes.
func parseScrape(b []byte, hashes []metainfo.InfoHash) ([]tracker.ScrapeStats, error) {
	v, err := parseAnswer(b)
	if err != nil {
		return nil, err
	}
	files := v.Get("files")
	if files.Kind() != bscan.Dict {
		return nil, errNotTracker
	}
	found := make(map[string]tracker.ScrapeStats, len(hashes))
	for _, h := range hashes {
		found[string(h[:])] = tracker.ScrapeStats{}
	}
	for h, entry := range files.Dict() {
		if _, asked := found[string(h)]; asked {
			found[string(h)] = tracker.ScrapeStats{
				Complete:   max(0, count(entry.Get("complete"))),
				Incomplete: max(0, count(entry.Get("incomplete"))),
				Downloaded: max(0, count(entry.Get("downloaded"))),
			}
		}
	}
	stats := make([]tracker.ScrapeStats, len(hashes))
	for i, h := range hashes {
		stats[i] = found[string(h[:])]
	}
	return stats, nil
}

// count reads a number of peers; -1 if there is none or it is absurd.
func count(v bscan.Value) int {
	n, ok := v.Int()
	if !ok || n < 0 || n > math.MaxInt32 {
		return -1
	}
	return int(n)
}

func seconds(v bscan.Value) time.Duration {
	n, _ := v.Int()
	return duration(n, time.Second)
}

// duration is n seconds or minutes, without a sign and within what a Duration
// holds (190 years in minutes).
func duration(n int64, unit time.Duration) time.Duration {
	return time.Duration(min(max(n, 0), 100_000_000)) * unit
}

// text makes a tracker's text short and fit for a terminal.
func text(b []byte) string { return metainfo.Printable(string(b[:min(len(b), maxText)])) }
