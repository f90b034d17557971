package swarm

import (
	"cmp"
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
	// NearBits4 and NearBits6, if not 0, make peers of the announcer's own
	// network, the first so many bits of its address, up to half of a reply. That
	// keeps bytes within a network, as biased neighbour selection does (Bindal et al. 2006).
	NearBits4, NearBits6 int
	// MaxTorrents and MaxPeers bound the memory. Past them nothing new is
	// stored; what is known goes on.
	MaxTorrents, MaxPeers int
	// KeepPeerIDs keeps the 20 bytes of each peer's id, for replies in the
	// form of BEP 3. Without it replies have no ids.
	KeepPeerIDs bool
}

func (c *Config) setDefaults() {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.NumWant = cmp.Or(c.NumWant, DefaultNumWant)
	c.MaxNumWant = cmp.Or(c.MaxNumWant, DefaultMaxNumWant)
	c.MaxTorrents = cmp.Or(c.MaxTorrents, DefaultMaxTorrents)
	c.MaxPeers = cmp.Or(c.MaxPeers, DefaultMaxPeers)
}

func (c *Config) validate() error {
	switch {
	case c.Rand == nil:
		return errors.New("swarm: Config.Rand is nil")
	case c.Timeout < time.Second:
		return errors.New("swarm: Config.Timeout is shorter than a second")
	case c.NumWant < 0 || c.MaxNumWant < 0 || c.MaxTorrents < 0 || c.MaxPeers < 0:
		return errors.New("swarm: a bound of Config is negative")
	case c.NearBits4 < 0 || c.NearBits4 > 32 || c.NearBits6 < 0 || c.NearBits6 > 128:
		return errors.New("swarm: a network has 0 to 32 bits of an IPv4 address, and 0 to 128 of an IPv6 one")
	}
	return nil
}

// Swarms holds the swarms of many torrents. It is not safe for concurrent
// use.
type Swarms struct {
	cfg      Config
	torrents table
	v4       family[addr4]
	v6       family[addr6]
	sweep    sweep
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
	s := &Swarms{cfg: cfg}
	s.torrents.keys = newHashKeys(cfg.Rand)
	s.v4 = family[addr4]{keys: &s.torrents.keys, keepIDs: cfg.KeepPeerIDs,
		listOf: func(t uint32) *list { return &s.torrents.at(int(t)).v4 }}
	s.v6 = family[addr6]{keys: &s.torrents.keys, keepIDs: cfg.KeepPeerIDs,
		listOf: func(t uint32) *list { return &s.torrents.at(int(t)).v6 }}
	return s, nil
}

// Stats returns the counts of this moment.
func (s *Swarms) Stats() Stats {
	st := Stats{Torrents: s.torrents.num, Seeds: s.v4.seeds + s.v6.seeds, Peers4: s.v4.num, Peers6: s.v6.num}
	st.Leechers = s.numPeers() - st.Seeds
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
// to it. A seed gets leechers only, but for its first announce. Nobody gets itself. An announcer gets
// peers of its own address family first: it announces "for each local IP
// address" (BEP 7), so the other family's peers are only a filler.
func (s *Swarms) Announce(now time.Duration, req *tracker.Request, dst *Peers) Reply {
	var rep Reply
	storable := req.Addr.Port() != 0 && req.Addr.Addr().IsValid() && req.Event != tracker.Stopped
	i := s.torrents.find(req.InfoHash)
	if i == none && storable {
		i = s.addTorrent(now, req.InfoHash)
		rep.Full = i == none
	}
	if i == none {
		return rep
	}
	own4, own6 := none, none
	if ip := req.Addr.Addr().Unmap(); ip.Is4() {
		own4 = s.v4.update(s, uint32(i), toAddr4(ip, req.Addr.Port()), now, req, storable, &rep)
	} else {
		own6 = s.v6.update(s, uint32(i), toAddr6(ip, req.Addr.Port()), now, req, storable, &rep)
	}
	t := s.torrents.at(i)
	count(now, t, &rep)
	if req.Event != tracker.Stopped {
		s.choose(t, req, own4, own6, dst)
	}
	return rep
}

// count closes the books of one announce: the torrent's counters, and the
// reply's.
func count(now time.Duration, t *torrent, rep *Reply) {
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
	i := s.torrents.find(h)
	if i == none {
		return tracker.ScrapeStats{}, false
	}
	return s.torrents.at(i).scrape(), true
}

// addTorrent returns the index of a new torrent, or none if there is no room.
func (s *Swarms) addTorrent(now time.Duration, h metainfo.InfoHash) int {
	if s.torrents.num >= s.cfg.MaxTorrents || s.numPeers() >= s.cfg.MaxPeers {
		return none
	}
	i := s.torrents.add(h)
	s.torrents.at(i).emptySince = seconds(now)
	return i
}

// removeTorrent takes an empty torrent out.
func (s *Swarms) removeTorrent(i int) {
	s.torrents.remove(i)
	if i < s.torrents.num { // another has moved there
		t := s.torrents.at(i)
		s.v4.setOwner(&t.v4, uint32(i))
		s.v6.setOwner(&t.v6, uint32(i))
	}
}

func (s *Swarms) numPeers() int { return s.v4.num + s.v6.num }

func (t *torrent) scrape() tracker.ScrapeStats {
	seeds := int(t.v4.numSeeds + t.v6.numSeeds)
	return tracker.ScrapeStats{
		Complete:   seeds,
		Incomplete: int(t.v4.num+t.v6.num) - seeds,
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

// Adjust changes Timeout, NumWant and MaxNumWant to those of cfg; zero means
// default. Peers stay, and are measured by the new Timeout from now on.
func (s *Swarms) Adjust(cfg Config) error {
	next := s.cfg
	next.Timeout, next.NumWant, next.MaxNumWant = cfg.Timeout, cfg.NumWant, cfg.MaxNumWant
	next.NearBits4, next.NearBits6 = cfg.NearBits4, cfg.NearBits6
	next.setDefaults()
	if err := next.validate(); err != nil {
		return err
	}
	s.cfg = next
	return nil
}
