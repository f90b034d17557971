package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// Stats is a snapshot of an engine. Bytes are payload bytes, rates bytes/s
// over about the last ten seconds.
type Stats struct {
	NumPieces    int // 0 until the geometry is known
	HavePieces   int // verified and stored
	WantPieces   int // selected, had or not
	Have         int64
	Left         int64 // bytes of wanted pieces that are not there yet
	Partial      int   // pieces in flight
	Availability int   // complete copies among the connected peers

	Uploaded   int64
	Downloaded int64 // accepted blocks only
	Wasted     int64 // duplicates, blocks nobody asked for, pieces that failed
	HashFails  int
	UpRate     int
	DownRate   int

	Conns      int
	Seeds      int // connected peers that have everything
	Unchoked   int // peers we upload to
	Interested int // peers that want something of us
	UnchokedUs int // peers that upload to us
	Known      int // addresses known, connected or not
	Banned     int

	Completed bool // everything wanted is there
	Stalled   bool // the store refuses writes
}

// PeerStats is a snapshot of one connection.
type PeerStats struct {
	Conn           ConnID
	Addr           netip.AddrPort
	PeerID         metainfo.PeerID
	Client         string // as the peer calls itself: remote text, unsafe to print raw
	Incoming       bool
	Choking        bool // we choke the peer
	Interested     bool // we want something of it
	PeerChoking    bool
	PeerInterested bool
	Snubbed        bool
	Optimistic     bool
	HavePieces     int
	Pending        int // blocks asked for and not here yet
	Queued         int // blocks the peer asked for and did not get yet
	UpRate         int
	DownRate       int
	Uploaded       int64
	Downloaded     int64
	Up             time.Duration // when it came up
}
