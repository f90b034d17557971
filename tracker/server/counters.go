package server

import (
	"sync/atomic"

	"github.com/shoal-bt/shoal/tracker"
)

// Reason is why a request was refused. Its names are fixed, so that metrics
// may have them as labels; texts of errors are not.
type Reason uint8

// The reasons.
const (
	Malformed   Reason = iota // a parameter is missing or wrong
	NotTracked                // not on the whitelist
	Blacklisted               // on the blacklist
	NoAddress                 // it is not known who asks
	NoKey                     // UDP without a key, on a private tracker
	Fault                     // a bug of ours
	NotAllowed                // Private said no
	NumReasons
)

var reasonNames = [NumReasons]string{"malformed", "not-tracked", "blacklisted", "no-address", "no-key", "fault", "not-allowed"}

// String returns the reason's stable name.
func (r Reason) String() string { return reasonNames[r] }

// reasonOf finds the reason of an error with which a request was refused. What
// is no error of ours came from Private.
func reasonOf(err error) Reason {
	switch err {
	case errNoInfoHash, errInfoHash, errTwoHashes, errNoPeerID, errPeerID, errNoPort, errPort, errNumber, errFullScrape, errManyHashes, errURLData:
		return Malformed
	case errNotTracked:
		return NotTracked
	case errBlacklisted:
		return Blacklisted
	case errUnknownAddr:
		return NoAddress
	case errNoUDPKey, errUDPScrape:
		return NoKey
	case errFault:
		return Fault
	}
	return NotAllowed
}

// numEvents is how many tracker.Events there are.
const numEvents = int(tracker.Stopped) + 1

// Traffic counts the requests of one transport since the start.
type Traffic struct {
	Announces [numEvents]uint64 // that were answered, by tracker.Event
	Scrapes   uint64            // that were answered
	Refused   [NumReasons]uint64
}

func (t *Traffic) sums() (announces, refused uint64) {
	for _, n := range t.Announces {
		announces += n
	}
	for _, n := range t.Refused {
		refused += n
	}
	return announces, refused
}

// trafficCounter is a Traffic that grows.
type trafficCounter struct {
	announces [numEvents]atomic.Uint64
	scrapes   atomic.Uint64
	refused   [NumReasons]atomic.Uint64
}

func (c *trafficCounter) addTo(t *Traffic) {
	for i := range c.announces {
		t.Announces[i] += c.announces[i].Load()
	}
	t.Scrapes += c.scrapes.Load()
	for i := range c.refused {
		t.Refused[i] += c.refused[i].Load()
	}
}

// add adds a batch. What was not counted in it is not written to.
func (c *trafficCounter) add(t *Traffic) {
	for i, n := range t.Announces {
		if n > 0 {
			c.announces[i].Add(n)
		}
	}
	if t.Scrapes > 0 {
		c.scrapes.Add(t.Scrapes)
	}
	for i, n := range t.Refused {
		if n > 0 {
			c.refused[i].Add(n)
		}
	}
}

// numHTTPCounters spreads the counting of HTTP over cache lines of their own:
// one to which all processors write would be the slowest part of an announce.
const numHTTPCounters = 16

// counters are what the server did since it began.
type counters struct {
	http [numHTTPCounters]struct {
		trafficCounter
		_ [64]byte // a cache line between two
	}
	nextHTTP atomic.Uint32
	// UDP is told in batches, so a single one will do.
	udp                                              trafficCounter
	udpConnects, udpMalformed, udpBadIDs, udpLateIDs atomic.Uint64
}

// forHTTP returns the next counter in turn, for a scratch.
func (c *counters) forHTTP() *trafficCounter {
	return &c.http[c.nextHTTP.Add(1)%numHTTPCounters].trafficCounter
}

// Traffic counts the requests of both transports since the start.
func (s *Server) Traffic() (http, udp Traffic) {
	for i := range s.counters.http {
		s.counters.http[i].addTo(&http)
	}
	s.counters.udp.addTo(&udp)
	return http, udp
}

// Faults counts the panics that requests have led to.
func (s *Server) Faults() uint64 { return s.faults.num.Load() }

// NumListening is how many sockets are served at this moment.
func (s *Server) NumListening() int { return int(s.listening.Load()) }
