package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// Stats is a snapshot of an engine. Bytes are payload bytes, rates bytes/s
// over about the last ten seconds.
type Stats struct {
	MetadataLen  int // bytes of the info dictionary; until it is known, of the fullest copy as peers claim
	MetadataHave int // bytes of it that are here, not verified while they are fewer than MetadataLen
	NumPieces    int // 0 until the geometry is known
	HavePieces   int // verified and stored
	WantPieces   int // selected, had or not
	Have         int64
	Left         int64 // bytes of wanted pieces that are not there yet
	Partial      int   // pieces in flight
	Availability int   // complete copies among the connected peers

	Uploaded   int64
	Downloaded int64 // accepted blocks only

	DownloadedFromWebSeeds int64 // of Downloaded; blocks of pieces that failed count as well
	Wasted                 int64 // duplicates, blocks nobody asked for, pieces that failed
	HashFails              int
	UpRate                 int
	DownRate               int

	Conns      int // with peers
	WebSeeds   int // that can be asked (BEP 19)
	Seeds      int // connected peers that have everything
	Unchoked   int // peers we upload to
	Interested int // peers that want something of us
	UnchokedUs int // peers that upload to us
	Known      int // addresses known, connected or not
	Found      Found
	Banned     int

	Completed bool // everything wanted is there
	Stalled   bool // the store refuses writes
}

// PeerStats is a snapshot of one connection.
type PeerStats struct {
	Addr           netip.AddrPort
	PeerID         metainfo.PeerID
	Client         string // as the peer calls itself: remote text, unsafe to print raw
	Incoming       bool
	WebSeed        bool // no peer, but an HTTP server; Addr means nothing
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

// Stats returns a snapshot at now.
func (e *Engine) Stats(now time.Duration) Stats {
	s := Stats{
		Left: e.left, Partial: len(e.partials),
		Uploaded: e.uploaded, Downloaded: e.downloaded, DownloadedFromWebSeeds: e.fromWebSeeds, Wasted: e.wasted, HashFails: e.hashFails,
		UpRate: e.up.rate(now), DownRate: e.down.rate(now),
		Conns: e.numPeers(), WebSeeds: e.webSeeds.count, Known: len(e.book.entries), Found: e.book.found, Banned: e.bans.len(),
		Completed: e.completed, Stalled: e.stalled,
	}
	if e.picker != nil {
		s.NumPieces, s.HavePieces, s.WantPieces = e.geo.NumPieces(), e.have.Count(), e.want.Count()
		s.Have = e.bytesOf(e.have.Count(), e.have.Has(e.geo.NumPieces()-1))
		s.Availability = e.picker.complete()
	}
	s.MetadataLen, s.MetadataHave = len(e.cfg.Metadata), len(e.cfg.Metadata)
	for _, m := range e.fetch.copies {
		if s.MetadataLen == 0 || m.held > s.MetadataHave {
			s.MetadataLen, s.MetadataHave = m.size, m.held
		}
	}
	for _, c := range e.conns {
		if !c.webSeed {
			s.count(c)
		}
	}
	return s
}

// bytesOf is the length of n pieces, with the last one among them or not.
func (e *Engine) bytesOf(n int, withLast bool) int64 {
	bytes := int64(n) * int64(e.geo.StdPieceLen())
	if withLast {
		bytes -= int64(e.geo.StdPieceLen() - e.geo.PieceLen(e.geo.NumPieces()-1))
	}
	return bytes
}

func (s *Stats) count(c *Conn) {
	for _, t := range [...]struct {
		is bool
		n  *int
	}{
		{c.seed, &s.Seeds},
		{c.unchoked && c.peerInterested, &s.Unchoked},
		{c.peerInterested, &s.Interested},
		{!c.peerChoking && c.interested, &s.UnchokedUs},
	} {
		if t.is {
			*t.n++
		}
	}
}

// Bans reports whether an address is banned, for having sent false data.
func (e *Engine) Bans(ip netip.Addr) bool { return e.bans.hasIP(ip) }

// Have returns a copy of the set of verified and stored pieces, or nil while
// the geometry is not known.
func (e *Engine) Have() *bitfield.Set {
	if e.have == nil {
		return nil
	}
	return e.have.Clone()
}

// AppendPeers appends a snapshot of every connection, in the order in which
// they came up.
func (e *Engine) AppendPeers(dst []PeerStats, now time.Duration) []PeerStats {
	for _, c := range e.conns {
		dst = append(dst, c.stats(now))
	}
	return dst
}

func (c *Conn) stats(now time.Duration) PeerStats {
	return PeerStats{
		Addr: c.addr, PeerID: c.peerID, Client: c.client, Incoming: c.incoming, WebSeed: c.webSeed,
		Choking: !c.unchoked, Interested: c.interested,
		PeerChoking: c.peerChoking, PeerInterested: c.peerInterested,
		Snubbed: c.snubbed, Optimistic: c.optimistic,
		HavePieces: c.has.Count(), Pending: len(c.pending), Queued: c.queue.len(),
		UpRate: c.upMeter.rate(now), DownRate: c.down.rate(now),
		Uploaded: c.uploaded, Downloaded: c.downloaded, Up: c.up,
	}
}
