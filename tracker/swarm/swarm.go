package swarm

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// The defaults of Config.
const (
	// DefaultTimeout is twice the announce interval that most trackers give
	// (30 minutes), so that one lost announce loses no peer.
	DefaultTimeout = time.Hour
	// DefaultNumWant is what clients assume when they do not say.
	DefaultNumWant = 50
	// DefaultMaxNumWant keeps a compact IPv4 reply within one TCP window of
	// ten segments; clients ask for up to 200.
	DefaultMaxNumWant = 200
	// DefaultMaxTorrents and DefaultMaxPeers are arbitrary: a few hundred
	// MiB, several times what one tracker of today sees.
	DefaultMaxTorrents = 1 << 20
	DefaultMaxPeers    = 8 << 20
)

// keepEmpty is how long a torrent without peers stays for the sake of its
// count of downloads: a night in which the only seed sleeps. Torrents that
// nobody completed go at the next sweep.
const keepEmpty = 24 * time.Hour

// Config says how Swarms behaves. Zero means default.
type Config struct {
	// Rand chooses the peers of a reply. It is required.
	Rand *rand.Rand
	// Timeout is how long a peer stays after its last announce. Choose
	// twice the interval that announcers are told.
	Timeout time.Duration
	// NumWant peers go to an announcer that does not say how many it would
	// like, never more than MaxNumWant to anyone.
	NumWant, MaxNumWant int
	// MaxTorrents and MaxPeers bound the memory. Past them nothing new is
	// stored; what is known goes on.
	MaxTorrents, MaxPeers int
	// KeepPeerIDs keeps the 20 bytes of each peer's id, for replies in the
	// form of BEP 3. Without it replies have no ids.
	KeepPeerIDs bool
}

func (c *Config) setDefaults() {
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.NumWant, DefaultNumWant)
	setDefault(&c.MaxNumWant, DefaultMaxNumWant)
	setDefault(&c.MaxTorrents, DefaultMaxTorrents)
	setDefault(&c.MaxPeers, DefaultMaxPeers)
}

func setDefault[T int | time.Duration](field *T, def T) {
	if *field == 0 {
		*field = def
	}
}

func (c *Config) validate() error {
	switch {
	case c.Rand == nil:
		return errors.New("swarm: Config.Rand is nil")
	case c.Timeout < time.Second:
		return errors.New("swarm: Config.Timeout is shorter than a second")
	case c.NumWant < 0 || c.MaxNumWant < 0 || c.MaxTorrents < 0 || c.MaxPeers < 0:
		return errors.New("swarm: a bound of Config is negative")
	}
	return nil
}

// Swarms holds the swarms of many torrents. It is not safe for concurrent
// use.
type Swarms struct {
	cfg      Config
	byHash   map[metainfo.InfoHash]uint32 // where in torrents
	torrents []torrent
	stats    Stats
	sweep    sweep
}

// torrent is the swarm of one info-hash. IPv4 and IPv6 peers live apart, for
// most have the shorter address.
type torrent struct {
	infoHash   metainfo.InfoHash
	v4         list[addr4]
	v6         list[addr6]
	downloaded uint32
	emptySince uint32 // in seconds, of an empty torrent
}

// Stats counts what is in the swarms.
type Stats struct {
	Torrents        int // those without peers included
	Seeds, Leechers int
	Peers4, Peers6  int // seeds and leechers by address family
}

// New returns empty swarms.
func New(cfg Config) (*Swarms, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Swarms{cfg: cfg, byHash: make(map[metainfo.InfoHash]uint32)}, nil
}

// Stats returns the counts of this moment.
func (s *Swarms) Stats() Stats {
	st := s.stats
	st.Torrents = len(s.torrents)
	st.Leechers = st.Peers4 + st.Peers6 - st.Seeds
	return st
}

// Reply is what an announce changed and found; the peers are in the Peers
// that the caller gave.
type Reply struct {
	// Complete and Incomplete count the swarm's seeds and leechers, the
	// announcer included; Downloaded its completed downloads.
	Complete, Incomplete, Downloaded int
	// Known says that the peer was in the swarm before this announce, and
	// WasSeed that it was there as a seed.
	Known, WasSeed bool
	// Snatched says that this announce was counted as a completed download.
	Snatched bool
	// Full says that the announcer would have been stored, but a bound of
	// the Config is reached.
	Full bool
}

// Announce enters, renews or removes the peer at req.Addr in the swarm of
// req.InfoHash, and appends other peers of the swarm to dst.
//
// A peer with Stopped is removed and gets no peers. A peer with port 0 or
// without an address is answered but never stored, since nobody could connect
// to it. A seed gets leechers only. Nobody gets itself. An announcer gets
// peers of its own address family first: it announces "for each local IP
// address" (BEP 7), so the other family's peers are only a filler.
func (s *Swarms) Announce(now time.Duration, req *tracker.Request, dst *Peers) Reply {
	var rep Reply
	storable := req.Addr.Port() != 0 && req.Addr.Addr().IsValid() && req.Event != tracker.Stopped
	t := s.lookup(req.InfoHash)
	if t == nil && storable {
		t = s.addTorrent(now, req.InfoHash)
		rep.Full = t == nil
	}
	if t == nil {
		return rep
	}
	own4, own6 := none, none
	if ip := req.Addr.Addr().Unmap(); ip.Is4() {
		own4 = update(s, &t.v4, toAddr4(ip, req.Addr.Port()), now, req, storable, &rep)
	} else {
		own6 = update(s, &t.v6, toAddr6(ip, req.Addr.Port()), now, req, storable, &rep)
	}
	s.count(now, t, &rep)
	if req.Event != tracker.Stopped {
		s.choose(t, req, own4, own6, dst)
	}
	return rep
}

// count closes the books of one announce: the torrent's counters, and the
// reply's.
func (s *Swarms) count(now time.Duration, t *torrent, rep *Reply) {
	if rep.Snatched {
		t.downloaded++
	}
	if t.isEmpty() {
		t.emptySince = seconds(now)
	}
	sc := t.scrape()
	rep.Complete, rep.Incomplete, rep.Downloaded = sc.Complete, sc.Incomplete, sc.Downloaded
}

// Scrape returns the counts of one torrent, and false if nobody announced it.
func (s *Swarms) Scrape(h metainfo.InfoHash) (tracker.ScrapeStats, bool) {
	t := s.lookup(h)
	if t == nil {
		return tracker.ScrapeStats{}, false
	}
	return t.scrape(), true
}

func (s *Swarms) lookup(h metainfo.InfoHash) *torrent {
	i, ok := s.byHash[h]
	if !ok {
		return nil
	}
	return &s.torrents[i]
}

func (s *Swarms) addTorrent(now time.Duration, h metainfo.InfoHash) *torrent {
	if len(s.torrents) >= s.cfg.MaxTorrents || s.numPeers() >= s.cfg.MaxPeers {
		return nil
	}
	s.byHash[h] = uint32(len(s.torrents))
	s.torrents = append(s.torrents, torrent{infoHash: h, emptySince: seconds(now)})
	return &s.torrents[len(s.torrents)-1]
}

func (s *Swarms) removeTorrent(i int) {
	last := len(s.torrents) - 1
	delete(s.byHash, s.torrents[i].infoHash)
	if i != last {
		s.torrents[i] = s.torrents[last]
		s.byHash[s.torrents[i].infoHash] = uint32(i)
	}
	s.torrents[last] = torrent{}
	s.torrents = s.torrents[:last]
}

func (s *Swarms) numPeers() int { return s.stats.Peers4 + s.stats.Peers6 }

func (t *torrent) isEmpty() bool { return len(t.v4.members) == 0 && len(t.v6.members) == 0 }

func (t *torrent) scrape() tracker.ScrapeStats {
	seeds := t.v4.numSeeds + t.v6.numSeeds
	return tracker.ScrapeStats{
		Complete:   seeds,
		Incomplete: len(t.v4.members) + len(t.v6.members) - seeds,
		Downloaded: int(t.downloaded),
	}
}

// addr4 and addr6 are compact addresses: the bytes of the address and two of
// the port, in network byte order (BEP 23, BEP 7).
type (
	addr4 [6]byte
	addr6 [18]byte
)

func toAddr4(ip netip.Addr, port uint16) (a addr4) {
	b := ip.As4()
	copy(a[:], b[:])
	a[4], a[5] = byte(port>>8), byte(port)
	return a
}

func toAddr6(ip netip.Addr, port uint16) (a addr6) {
	b := ip.As16()
	copy(a[:], b[:])
	a[16], a[17] = byte(port>>8), byte(port)
	return a
}

// seconds is the resolution in which peers are timed: 4 bytes each instead
// of 8, good for 136 years.
func seconds(now time.Duration) uint32 { return uint32(now / time.Second) }
