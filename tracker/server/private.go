package server

import (
	"errors"
	"strings"

	"github.com/shoal-bt/shoal/tracker"
)

// Private decides who may announce what on a private tracker. The key is what
// stands in the path before /announce or /scrape; it is empty if nothing does.
// The text of an error is the failure reason that the client gets. Private is
// asked by several goroutines at once, and must not wait for a database.
type Private interface {
	// Announce decides about an announce, and counts it.
	Announce(key string, req *tracker.Request) error
	// Check decides about a scrape.
	Check(key string) error
}

var errPrivateUDP = errors.New("tracker: a private tracker is reached by HTTP only: over UDP most clients do not tell their key")

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
