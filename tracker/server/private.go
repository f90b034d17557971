package server

import (
	"errors"
	"strings"

	"github.com/shoal-bt/shoal/tracker"
)

// Private decides who may announce what on a private tracker. The key is what
// stands in the path before /announce or /scrape; it is empty if nothing does,
// and not to be kept: its memory is used again.
// The text of an error is the failure reason that the client gets. Private is
// asked by several goroutines at once, and must not wait for a database.
type Private interface {
	// Announce decides about an announce, and counts it.
	Announce(key string, req *tracker.Request) error
	// Check decides about a scrape.
	Check(key string) error
}

// The refusals of announces and scrapes that come by UDP without a key. Many
// clients (Transmission, aria2, rtorrent) send none; libtorrent does.
var (
	errNoUDPKey = errors.New("your client does not send the key of its announce URL over UDP; announce by HTTP")
	errURLData  = errors.New("the options of the announce are cut off (BEP 41)")
	// BEP 41 allows options "only in the Announce Request packet".
	errUDPScrape = errors.New("scrape by HTTP: a scrape over UDP cannot have a key")
)

// splitKey cuts the key off a path such as /KEY/announce. In other modes a path
// has none.
func (s *Server) splitKey(path string) (key, rest string) {
	if s.cfg().Private == nil || len(path) == 0 {
		return "", path
	}
	i := strings.IndexByte(path[1:], '/')
	if i < 0 {
		return "", path
	}
	return path[1 : 1+i], path[1+i:]
}

// keyOfURL finds the key in the path and the query of an announce's URL (BEP
// 41): /KEY/announce, as over HTTP, or /announce?key=KEY. It is empty if there
// is none.
func keyOfURL(url string) string {
	path, query, _ := strings.Cut(url, "?")
	if key, ok := strings.CutSuffix(path, "/announce"); ok && key != "" {
		return strings.TrimPrefix(key, "/")
	}
	for more := query != ""; more; {
		var pair string
		pair, query, more = strings.Cut(query, "&")
		if key, ok := strings.CutPrefix(pair, "key="); ok {
			return key
		}
	}
	return ""
}
