package client

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// UnusableURLError says that a tracker's URL can never work: it is malformed,
// or its protocol is not supported.
type UnusableURLError struct {
	// Tracker names the tracker without what may be a key.
	Tracker string
	Reason  string
}

// Error says in a line which tracker cannot be used and why.
func (e *UnusableURLError) Error() string {
	return fmt.Sprintf("tracker %s: %s", e.Tracker, e.Reason)
}

// ErrNoScrape says that BEP 48 derives no scrape URL from an announce URL.
var ErrNoScrape = errors.New(`it has no scrape: the path of its URL has no "/announce"`)

// parseURL reads an announce URL. The fragment goes: it is not sent.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, &UnusableURLError{"(unreadable)", "its URL is malformed; check the torrent"}
	}
	u.Fragment, u.RawFragment = "", ""
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme == "ws", u.Scheme == "wss":
		return nil, &UnusableURLError{label(u), u.Scheme + " trackers are not supported yet"}
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "udp":
		return nil, &UnusableURLError{label(u), "its URL begins with none of http://, https:// and udp://"}
	case u.Hostname() == "":
		return nil, &UnusableURLError{label(u), "its URL has no host"}
	case u.Scheme == "udp":
		return u, checkUDP(u)
	}
	return u, nil
}

// maxURLData bounds the path and the query of a UDP tracker's URL, in bytes:
// the announce that repeats them is to fit into one packet everywhere.
const maxURLData = 1000

// checkUDP refuses what cannot be announced to by UDP. BEP 15 has no usual port.
func checkUDP(u *url.URL) error {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return &UnusableURLError{label(u), "its URL has no port between 1 and 65535"}
	}
	if len(urlData(u)) > maxURLData {
		return &UnusableURLError{label(u), fmt.Sprintf("the path of its URL is longer than %d bytes", maxURLData)}
	}
	return nil
}

// urlData is "the concatenated PATH and QUERY portion of the UDP tracker URL"
// (BEP 41).
func urlData(u *url.URL) string {
	if u.RawQuery == "" && !u.ForceQuery {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}

// Label names the tracker at announceURL for people and logs: scheme and host.
// The path and the query of a private tracker's URL hold its user's key.
func Label(announceURL string) string {
	u, err := url.Parse(announceURL)
	if err != nil {
		return "(unreadable)"
	}
	return label(u)
}

func label(u *url.URL) string { return metainfo.Printable(u.Scheme + "://" + u.Host) }

// unknownLeft is announced when we do not know yet how much is missing: one
// block, since all that a tracker makes of it is that we are no seed.
const unknownLeft = metainfo.BlockLen

// announceQuery appends the parameters of BEP 3, 7 and 23 to the query that
// the announce URL came with (private trackers: "?passkey=").
func announceQuery(existing string, req *tracker.Request) string {
	q := query{b: []byte(existing)}
	q.bytes("info_hash", req.InfoHash[:])
	q.bytes("peer_id", req.PeerID[:])
	if ip := req.Addr.Addr(); ip.IsValid() {
		q.bytes("ip", []byte(ip.Unmap().WithZone("").String()))
	}
	left := req.Left
	if left < 0 {
		left = unknownLeft
	}
	q.number("port", int64(req.Addr.Port()))
	q.number("uploaded", req.Uploaded)
	q.number("downloaded", req.Downloaded)
	q.number("left", left)
	q.number("compact", toInt(req.Compact))
	if req.NoPeerID {
		q.number("no_peer_id", 1)
	}
	if req.NumWant >= 0 {
		q.number("numwant", int64(req.NumWant))
	}
	if req.Key != 0 {
		q.bytes("key", fmt.Appendf(nil, "%08x", req.Key))
	}
	if req.TrackerID != "" {
		q.bytes("trackerid", []byte(req.TrackerID))
	}
	if req.Event != tracker.None {
		q.bytes("event", []byte(req.Event.String()))
	}
	return string(q.b)
}

// toScrape turns an announce URL into its scrape URL. BEP 48: "locating the
// string announce in the path section of the announce URL and replacing it
// with the string scrape". The last one that begins a segment counts, so that
// a host's "/announcements/announce.php" works.
func toScrape(u *url.URL) error {
	const announce = "/announce"
	path := u.EscapedPath()
	i := strings.LastIndex(path, announce)
	if i < 0 {
		return ErrNoScrape
	}
	scraped := path[:i] + "/scrape" + path[i+len(announce):]
	plain, err := url.PathUnescape(scraped)
	u.Path, u.RawPath = plain, scraped
	return err
}

func scrapeQuery(existing string, hashes []metainfo.InfoHash) string {
	q := query{b: []byte(existing)}
	for _, h := range hashes {
		q.bytes("info_hash", h[:])
	}
	return string(q.b)
}

// query is a growing query string.
type query struct{ b []byte }

func (q *query) key(key string) {
	if n := len(q.b); n > 0 && q.b[n-1] != '&' {
		q.b = append(q.b, '&')
	}
	q.b = append(q.b, key...)
	q.b = append(q.b, '=')
}

func (q *query) number(key string, n int64) {
	q.key(key)
	q.b = strconv.AppendInt(q.b, n, 10)
}

// bytes escapes every byte that RFC 3986 does not call unreserved. The
// escapes of net/url are not for this: it writes a space as "+", which trackers
// take for a plus.
func (q *query) bytes(key string, value []byte) {
	const hex = "0123456789ABCDEF"
	q.key(key)
	for _, c := range value {
		if isUnreserved(c) {
			q.b = append(q.b, c)
		} else {
			q.b = append(q.b, '%', hex[c>>4], hex[c&15])
		}
	}
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func toInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
