package tracker

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// Event says why an announce is made. Its numbers are those of BEP 15
// ("0: none, 1: completed, 2: started, 3: stopped").
type Event uint8

// The events of BEP 3. None is one of "the announcements done at regular
// intervals".
const (
	None Event = iota
	Completed
	Started
	Stopped
)

var eventNames = [...]string{None: "", Completed: "completed", Started: "started", Stopped: "stopped"}

// String returns the event as the HTTP tracker protocol spells it (BEP 3);
// None is the empty string.
func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// ParseEvent reads an event as the HTTP tracker protocol spells it. What it
// does not know, for example the "paused" of BEP 21, is None: such an
// announce is still a sign of life.
func ParseEvent(s string) Event {
	for e, name := range eventNames {
		if s == name {
			return Event(e)
		}
	}
	return None
}

// NumWantDefault as NumWant leaves the number of peers to the tracker.
const NumWantDefault = -1

// Request is one announce: a peer tells a tracker how it stands with one
// torrent, and asks for other peers.
type Request struct {
	InfoHash metainfo.InfoHash
	PeerID   metainfo.PeerID

	// Addr is where the peer accepts connections. A client sets the port
	// alone (the address is then invalid), and the tracker takes the address
	// from the connection; a client that sets both asks the tracker to
	// believe it, which most trackers do not (the ip parameter of BEP 3).
	// Port 0 means that the peer accepts no connections.
	Addr netip.AddrPort

	// Uploaded and Downloaded count payload bytes since the peer sent
	// Started; Left is the number of bytes it still has to download, or
	// negative if it does not know yet (a magnet link before its metadata).
	Uploaded, Downloaded, Left int64

	Event Event

	// NumWant is how many peers the announcer would like; NumWantDefault
	// (or any negative number) leaves it to the tracker.
	NumWant int

	// Key tells a tracker that announces from several addresses come from
	// one client: "The key should remain the same for a particular infohash
	// during a torrent session" (BEP 7). 0 means none.
	Key uint32

	// TrackerID is what the tracker gave as "tracker id" earlier, to be
	// repeated to it, or empty.
	TrackerID string

	// Compact asks for peers in the form of BEP 23. Without it, NoPeerID
	// says that the peers' ids may be left out.
	Compact, NoPeerID bool

	// SameFamily asks for peers of the announcer's own address family only.
	// An announce over UDP has it set: its reply has room for one family
	// (BEP 15).
	SameFamily bool
}

// IsSeed reports whether the peer has the whole torrent.
func (r *Request) IsSeed() bool { return r.Left == 0 }

// Response is a tracker's answer to an announce.
type Response struct {
	// Interval is the time "the downloader should wait between regular
	// rerequests" (BEP 3), MinInterval the least between any two announces
	// without an event; 0 if the tracker does not say.
	Interval, MinInterval time.Duration

	// Complete counts seeds, Incomplete leechers, Downloaded the downloads
	// ever completed; -1 if the tracker does not say.
	Complete, Incomplete, Downloaded int

	// Peers are other peers of the swarm, IPv4 and IPv6 mixed, none with
	// port 0. PeerIDs is nil, or has one id for each of them (zero if that
	// peer came without).
	Peers   []netip.AddrPort
	PeerIDs []metainfo.PeerID

	// Warning is a human-readable "warning message", or empty.
	Warning string

	// ExternalIP is the announcer's address as the tracker sees it (BEP 24),
	// or the zero Addr.
	ExternalIP netip.Addr

	// TrackerID is to be repeated in later announces to this tracker.
	TrackerID string
}

// FailureError is a tracker's refusal: its "failure reason" (BEP 3).
type FailureError struct {
	// Reason is the tracker's text, made safe to print.
	Reason string
	// RetryIn is how long the tracker asks to be left alone (BEP 31); 0 if
	// it does not say.
	RetryIn time.Duration
	// Never means "that the client should never send this query again"
	// (BEP 31).
	Never bool
}

// Error says in a line that the tracker refused, why, and for how long.
func (e *FailureError) Error() string {
	switch {
	case e.Never:
		return fmt.Sprintf("the tracker refuses for good: %s", e.Reason)
	case e.RetryIn > 0:
		return fmt.Sprintf("the tracker refuses: %s (try again in %v)", e.Reason, e.RetryIn)
	}
	return fmt.Sprintf("the tracker refuses: %s", e.Reason)
}

// ScrapeStats counts one swarm (BEP 48).
type ScrapeStats struct {
	Complete   int // "active peers that have completed downloading"
	Incomplete int // "active peers that have not completed downloading"
	Downloaded int // "peers that have ever completed downloading"
}
