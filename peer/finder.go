package peer

import (
	"context"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// Finder looks for the peers of a torrent: a set of trackers, a DHT node, and
// so on. The caller joins them to a torrent, so that this package knows none.
type Finder interface {
	// Find announces the client and looks for peers until ctx is done, then
	// says goodbye and returns within a few seconds. It is called once, on a
	// goroutine of its own. An error that is not ctx's is logged.
	Find(ctx context.Context, a Announcement) error
}

// Announcement is a torrent as its finders see it. The methods may be called
// at any time by any goroutine.
type Announcement interface {
	InfoHash() metainfo.InfoHash
	PeerID() metainfo.PeerID
	// Port is where the client listens, 0 if it does not.
	Port() int
	// Progress returns payload bytes: sent and received in this session, and
	// still missing of what is wanted.
	Progress() (uploaded, downloaded, left int64)
	// Found hands over addresses.
	Found(addrs []netip.AddrPort, source engine.Source)
	// Completed is closed when all that is wanted is there. It is closed from
	// the beginning if the torrent was complete when it was added.
	Completed() <-chan struct{}
	// NeedPeers gets a value when too few addresses are known. It is a hint.
	NeedPeers() <-chan struct{}
}
