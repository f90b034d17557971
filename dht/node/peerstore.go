package node

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// peerStore has the peers that were announced to us, of both address families.
type peerStore struct {
	ledger   ledger[*peer]
	torrents map[krpc.ID]*torrent
	order    []*torrent // to draw samples from
	byPlace  map[place]*record[*peer]
	samples  []byte
	sampled  time.Duration
}

// torrent is the peers of one info-hash.
type torrent struct {
	hash   krpc.ID
	at     int // in order
	family [2][]*record[*peer]
}

func (t *torrent) size() int { return len(t.family[0]) + len(t.family[1]) }

// peer is one address in one torrent.
type peer struct {
	torrent *torrent
	place   place
	addr    netip.AddrPort
	seed    bool
	at      int // in its family
}

// place is what is unique in a store. BEP 33: "<Infohash,IP> tuples in the
// database must be unique". Of IPv6 it is the /64, which one host has all of.
//
// Of a local address it is the port, too: many peers of one machine are at the
// loopback address, and only that machine can announce them.
type place struct {
	hash krpc.ID
	ip   netip.Addr
	port uint16 // 0 unless the address is local
}

func placeOf(hash krpc.ID, addr netip.AddrPort) place {
	ip := addr.Addr()
	switch {
	case local(ip):
		return place{hash, ip, addr.Port()}
	case ip.Is6():
		ip = network(ip).Addr()
	}
	return place{hash, ip, 0}
}

func familyOf(ip netip.Addr) int {
	if ip.Is6() {
		return 1
	}
	return 0
}

func newPeerStore(maxPeers int) *peerStore {
	if maxPeers <= 0 {
		maxPeers = defaultMaxPeers
	}
	return &peerStore{ledger: newLedger[*peer](maxPeers), torrents: map[krpc.ID]*torrent{}, byPlace: map[place]*record[*peer]{}}
}

// hasRoom reports whether the torrent has room for a peer at ip: a place of its
// own already, or one of those that are left. A nil store has room.
func (s *peerStore) hasRoom(hash krpc.ID, ip netip.Addr) bool {
	if s == nil || s.torrents[hash] == nil || len(s.torrents[hash].family[familyOf(ip)]) < peersPerTorrent {
		return true
	}
	return s.byPlace[placeOf(hash, netip.AddrPortFrom(ip, 0))] != nil
}

// announce stores a peer, or renews it, and reports whether there was room.
func (s *peerStore) announce(now time.Duration, hash krpc.ID, addr netip.AddrPort, seed bool) bool {
	at := placeOf(hash, addr)
	if r := s.byPlace[at]; r != nil {
		r.value.addr, r.value.seed = addr, seed
		s.ledger.renew(now, r)
		return true
	}
	if !s.hasRoom(hash, addr.Addr()) {
		return false
	}
	owner := ownerOf(addr.Addr())
	if old := s.crowding(owner, s.torrent(hash)); old != nil {
		s.remove(old)
	} else if old := s.ledger.excess(owner); old != nil {
		s.remove(old)
	}
	t := s.torrent(hash)
	peers := &t.family[familyOf(addr.Addr())]
	r := s.ledger.add(now, owner, &peer{torrent: t, place: at, addr: addr, seed: seed, at: len(*peers)})
	*peers = append(*peers, r)
	s.byPlace[at] = r
	return true
}

// crowding returns the oldest of the owner's peers in the torrent if it has
// its share of that, too: a torrent that is full takes no more peers, and
// nobody must be able to fill it alone.
func (s *peerStore) crowding(owner netip.Prefix, t *torrent) (oldest *record[*peer]) {
	count := 0
	if t.size() < peersPerTorrent/ownerShare {
		return nil
	}
	for r := range s.ledger.of(owner) {
		if r.value.torrent != t {
			continue
		}
		if count++; oldest == nil {
			oldest = r
		}
	}
	if count < peersPerTorrent/ownerShare {
		return nil
	}
	return oldest
}

func (s *peerStore) torrent(hash krpc.ID) *torrent {
	t := s.torrents[hash]
	if t == nil {
		t = &torrent{hash: hash, at: len(s.order)}
		s.torrents[hash] = t
		s.order = append(s.order, t)
	}
	return t
}

func (s *peerStore) remove(r *record[*peer]) {
	s.ledger.remove(r)
	p := r.value
	delete(s.byPlace, p.place)
	peers := &p.torrent.family[familyOf(p.addr.Addr())]
	last := len(*peers) - 1
	(*peers)[p.at] = (*peers)[last]
	(*peers)[p.at].value.at = p.at
	(*peers)[last] = nil
	if *peers = (*peers)[:last]; p.torrent.size() == 0 {
		s.removeTorrent(p.torrent)
	}
}

func (s *peerStore) removeTorrent(t *torrent) {
	delete(s.torrents, t.hash)
	last := len(s.order) - 1
	s.order[t.at] = s.order[last]
	s.order[t.at].at = t.at
	s.order[last] = nil
	s.order = s.order[:last]
}

// expire drops peers that were not announced again. A nil store has none.
func (s *peerStore) expire(now time.Duration) {
	if s == nil {
		return
	}
	for r := s.ledger.expired(now, peerExpiry); r != nil; r = s.ledger.expired(now, peerExpiry) {
		s.remove(r)
	}
}

// get appends at most count peers of a torrent in one address family to
// values, from a random one on. noSeed leaves out seeds (BEP 33).
func (s *peerStore) get(values krpc.Values, rnd *rand.Rand, hash krpc.ID, family, count int, noSeed bool) krpc.Values {
	if s == nil || s.torrents[hash] == nil {
		return values
	}
	peers := s.torrents[hash].family[family]
	if len(peers) == 0 {
		return values
	}
	for i, first := 0, rnd.IntN(len(peers)); i < len(peers) && count > 0; i++ {
		p := peers[(first+i)%len(peers)].value
		if noSeed && p.seed {
			continue
		}
		values = values.Append(p.addr)
		count--
	}
	return values
}

// scrape makes the filters of BEP 33; ok is false without "database entries
// for that infohash".
func (s *peerStore) scrape(hash krpc.ID, seeds, leechers *krpc.Filter) (ok bool) {
	if s == nil || s.torrents[hash] == nil {
		return false
	}
	for _, peers := range s.torrents[hash].family {
		for _, r := range peers {
			if r.value.seed {
				seeds.Insert(r.value.addr.Addr())
			} else {
				leechers.Insert(r.value.addr.Addr())
			}
		}
	}
	return true
}

// sample returns some info-hashes, the seconds until it will return others,
// and how many there are (BEP 51). Drawing them anew only from time to time
// gives an indexer no reason to ask more often.
func (s *peerStore) sample(now time.Duration, rnd *rand.Rand) (samples []byte, interval, num int64) {
	if s == nil {
		return []byte{}, 0, 0
	}
	if s.samples == nil || now-s.sampled >= sampleEvery {
		s.samples, s.sampled = s.draw(rnd), now
	}
	left := s.sampled + sampleEvery - now
	return s.samples, int64((left + time.Second - 1) / time.Second), int64(len(s.order))
}

// draw shuffles the front of order and takes it.
func (s *peerStore) draw(rnd *rand.Rand) []byte {
	samples := make([]byte, 0, maxSamples*len(krpc.ID{}))
	for i := range min(maxSamples, len(s.order)) {
		j := i + rnd.IntN(len(s.order)-i)
		s.order[i], s.order[j] = s.order[j], s.order[i]
		s.order[i].at, s.order[j].at = i, j
		samples = append(samples, s.order[i].hash[:]...)
	}
	return slices.Clip(samples)
}
