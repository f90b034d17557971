// Package result holds what an experiment found: plain data, which runners fill
// and reports read. It computes nothing that a run would have to know before.
//
// A Run is one scenario with one seed. It holds one System for each way in which
// the same demand was served: a swarm, an origin alone, a CDN. A System has a Peer for
// each downloader and server of its own, and Samples over time. Times are virtual, since the start;
// numbers of bytes are those of the file's data if a field does not say otherwise.
package result

import "time"

// Run is what one scenario did with one seed.
type Run struct {
	// Name is the scenario's name, Title a line that says what it is.
	Name, Title string
	// Scenario is the resolved scenario, every default filled in, as TOML;
	// ScenarioHash its SHA-256 in hex. With Seed and Version it names the run.
	Scenario     string
	ScenarioHash string
	Seed         uint64
	Version      string

	ContentLen int64 // bytes of one content
	Contents   int
	Downloads  int // how many were asked for

	Systems []System
}

// The kinds of a System.
const (
	Swarm    = "swarm"    // peers that run the engine
	Origin   = "origin"   // one server, no peers
	Replicas = "replicas" // origin servers behind a balancer
	Mirrors  = "mirrors"  // servers that a person picks from
	Cache    = "cache"    // caching proxies before the origin
	CDN      = "cdn"      // edges, with or without parents
	Hybrid   = "hybrid"   // a swarm with web seeds
	Real     = "real"     // real processes on loopback
)

// System is how one way of serving the demand went.
type System struct {
	// Name is unique in the run, Kind one of the constants.
	Name, Kind string

	// Reason says what ended the run, Completed that everybody who was to
	// complete did, and End when.
	Reason    string
	Completed bool
	End       time.Duration

	// Bound is the least time in which the last download could have ended, and
	// BoundName the formula it comes from; 0 where none applies. A last completion before it is a mistake in
	// the simulator.
	Bound     time.Duration
	BoundName string

	// Events is the number of events, EventLog the SHA-256 of them all, in
	// hex; empty where there is no event log.
	Events   uint64
	EventLog string

	Peers   []Peer
	Samples []Sample

	// Servers are what the servers did, if the system has any beside its peers: in the order of their
	// rows in Peers.
	Servers []Server

	// CrossISP is how many bytes that somebody received came from outside of his ISP's network: from
	// another one's, or from a server in nobody's. 0 where nobody has an ISP.
	CrossISP int64

	// Sources are the bytes by where they came from, in a fixed order that
	// is the same in every Sample.
	Sources []Source
	// Cost is in the unit that the scenario gives its prices in, 0 without
	// prices.
	Cost     float64
	Currency string
}

// The names of a Source. Reports count FromSeed, FromOrigin and FromWebSeeds
// as the work of whoever publishes the content.
const (
	FromPeers    = "peers"     // downloaders, while and after they download
	FromSeed     = "seed"      // the seeds of the start
	FromOrigin   = "origin"    // the origin, to whomever it sent
	FromWebSeeds = "web seeds" // web seeds on the origin (BEP 19)
	FromMirrors  = "mirrors"
	FromCache    = "cache"
	FromParents  = "parents" // to edges
	FromEdges    = "edges"   // to downloaders
)

// Source is a kind of sender, with one of the names above or one of its own,
// and all that it sent: what an edge got from an origin and passed on counts for both.
type Source struct {
	Name  string
	Bytes int64
}

// Peer is a row of peers.csv: a downloader, or a server that was there from
// the start.
type Peer struct {
	Index   int
	Class   string // the scenario's word
	Region  string
	ISP     string
	Content int  // that it downloads, from 0, the most popular one
	Server  bool // a seed of the start, an origin, an edge

	// Times are since the start, 0 for what did not happen (Join may be 0).
	Join, FirstPiece, Complete, Leave time.Duration

	Up, Down, Wasted         int64
	MessagesUp, MessagesDown int64 // bytes of all that is no data
	// Occupied is how long its uplink carried data.
	Occupied time.Duration
	// CrossISP is the part of Down that came from outside of its ISP's network.
	CrossISP int64
	// FromServers is the part of Down that came from seeds of the start and from web seeds, of the peers of a swarm.
	FromServers int64
	// HashFails counts the pieces that it got and that did not match, BannedBy the peers that banned it
	// because it sent false data.
	HashFails, BannedBy int
	// UpRate and DownRate are its access link's, bytes/s, 0 for unlimited.
	UpRate, DownRate int64
	// Discovery is how it found others, in a swarm.
	Discovery Discovery
}

// Discovery is how a peer found other peers.
type Discovery struct {
	// FirstPeer is when its first connection with one was up, since the start; 0 for never.
	FirstPeer time.Duration
	// The addresses that it learned, by who told it of them first: the tracker, the DHT, other peers
	// (BEP 11), or the peers themselves, which connected to it. Its own may be among them.
	FromTracker, FromDHT, FromPEX, FromIncoming int
	// DHTUp and DHTDown are bytes of its packets in the DHT, part of MessagesUp and MessagesDown.
	DHTUp, DHTDown int64
}

// Duration is how long a download took, from its joining.
func (p *Peer) Duration() (d time.Duration, completed bool) {
	if p.Server || p.Complete == 0 {
		return 0, false
	}
	return p.Complete - p.Join, true
}

// Sample is a row of timeseries.csv: how a system stood at one time.
type Sample struct {
	At time.Duration

	// Seeds have everything, Leechers do not; Completed counts those
	// who ever did, Gone who has left.
	Seeds, Leechers, Completed, Gone int

	// Bytes are those by source until now, in the order of System.Sources.
	Bytes []int64
	// UplinkUse is the part, from 0 to 1, of the uplinks of all present peers that carried
	// data since the sample before.
	UplinkUse float64
	// MinCopies and MeanCopies say how often a piece is there among those
	// present; Entropy is the mean over pairs of leechers of the chance that one has something for the
	// other, from 0 to 1 (Legout et al. 2006). -1 where there are no pieces.
	MinCopies  int
	MeanCopies float64
	Entropy    float64
}
