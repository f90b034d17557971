package swarm

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// Peers is the list of peers in a reply. Its zero value is empty; Reset makes
// it so again and keeps the memory.
type Peers struct {
	// V4 and V6 are compact addresses of 6 and 18 bytes each: address and
	// port in network byte order (BEP 23, BEP 7).
	V4, V6 []byte
	// IDs4 and IDs6 are the ids of the same peers, if ids are kept.
	IDs4, IDs6 []metainfo.PeerID
}

// Reset empties p.
func (p *Peers) Reset() {
	p.V4, p.V6, p.IDs4, p.IDs6 = p.V4[:0], p.V6[:0], p.IDs4[:0], p.IDs6[:0]
}

// Len is the number of peers.
func (p *Peers) Len() int { return len(p.V4)/len(addr4{}) + len(p.V6)/len(addr6{}) }

// AppendTo appends the addresses to dst, IPv4 first.
func (p *Peers) AppendTo(dst []netip.AddrPort) []netip.AddrPort {
	for b := p.V4; len(b) > 0; b = b[6:] {
		dst = append(dst, netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:])))
	}
	for b := p.V6; len(b) > 0; b = b[18:] {
		dst = append(dst, netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), binary.BigEndian.Uint16(b[16:])))
	}
	return dst
}

// choose appends to dst as many peers as req wants, of its own address family
// first. own4 and own6 are the announcer's positions, or none.
func (s *Swarms) choose(t *torrent, req *tracker.Request, own4, own6 int, dst *Peers) {
	want := s.numWant(req.NumWant)
	ip := req.Addr.Addr()
	if ip.Is6() && !ip.Is4In6() {
		num := s.v6.appendPeers(s.cfg.Rand, &t.v6, leechersOnly(req), own6, want, &dst.V6, &dst.IDs6)
		s.v6.preferNear(s.cfg.Rand, &t.v6, leechersOnly(req), own6, num, netip.PrefixFrom(ip, s.cfg.NearBits6), &dst.V6, &dst.IDs6)
		if !req.SameFamily {
			s.v4.appendPeers(s.cfg.Rand, &t.v4, leechersOnly(req), none, want-num, &dst.V4, &dst.IDs4)
		}
		return
	}
	num := s.v4.appendPeers(s.cfg.Rand, &t.v4, leechersOnly(req), own4, want, &dst.V4, &dst.IDs4)
	s.v4.preferNear(s.cfg.Rand, &t.v4, leechersOnly(req), own4, num, netip.PrefixFrom(ip.Unmap(), s.cfg.NearBits4), &dst.V4, &dst.IDs4)
	if !req.SameFamily {
		s.v6.appendPeers(s.cfg.Rand, &t.v6, leechersOnly(req), none, want-num, &dst.V6, &dst.IDs6)
	}
}

// leechersOnly reports whether seeds are of no use to the announcer. aria2 has
// nothing left to download, by its word, while a magnet link is all it has, so
// whoever has just started may get seeds.
func leechersOnly(req *tracker.Request) bool { return req.IsSeed() && req.Event != tracker.Started }

func (s *Swarms) numWant(asked int) int {
	if asked < 0 {
		asked = s.cfg.NumWant
	}
	return min(asked, s.cfg.MaxNumWant)
}

// runLen is how many peers of a reply stand side by side in memory. Each place
// looked at costs a wait for memory, and this is what it brings; a single one
// for each place would take the server half of its time.
const runLen = 5

// appendPeers appends up to want random members of l to addrs and ids, never
// the one at own, and returns how many.
//
// The choice costs the same in a swarm of ten thousand as in one of fifty: the
// candidates are thought of as a ring that begins at a random place, and runs
// of runLen are taken from it with random gaps between them. So nobody comes
// twice, and since the beginning is random, everybody is equally likely.
func (f *family[A]) appendPeers(r *rand.Rand, l *list, leechersOnly bool, own, want int, addrs *[]byte, ids *[]metainfo.PeerID) int {
	ring := ringOf(l, leechersOnly, own)
	want = min(want, ring.num)
	if want <= 0 {
		return 0
	}
	p := f.peers(l)
	start := r.IntN(ring.num)
	numRuns := (want + runLen - 1) / runLen
	gaps := ring.num - want
	for i := range numRuns {
		from, to := i*want/numRuns, (i+1)*want/numRuns
		least, most := i*gaps/numRuns, (i+1)*gaps/numRuns // the gaps up to here
		gap := least
		if most > least {
			gap += r.IntN(most - least + 1)
		}
		for at := start + gap + from; at < start+gap+to; at++ {
			p.appendTo(ring.pos(at), addrs, ids)
		}
	}
	return want
}

// ring is the positions from first on, num of them, in a circle.
type ring struct{ first, num, without int }

// ringOf is the ring of those who may be told of.
func ringOf(l *list, leechersOnly bool, own int) ring {
	first := 0
	if leechersOnly {
		first = int(l.numSeeds)
	}
	r := ring{first: first, num: int(l.num) - first, without: none}
	if own >= first {
		r.num--
		r.without = own
	}
	return r
}

// pos is the position at i, which is below twice num.
func (g *ring) pos(i int) int {
	if i >= g.num {
		i -= g.num
	}
	pos := g.first + i
	if g.without != none && pos >= g.without {
		pos++ // the announcer's place is not on the ring
	}
	return pos
}

// nearLooks is at how many more peers preferNear looks for each that was chosen:
// a network with an eighth of the swarm finds its half. Arbitrary.
const nearLooks = 4

// preferNear puts peers of the announcer's own network in the place of others
// among the last num that were appended, until they are half of them. The other half
// stays random: a swarm that is told of neighbours alone falls apart. It looks at a
// bounded number of further peers, so the cost does not depend on the swarm's size. A
// network of 0 bits is none.
func (f *family[A]) preferNear(r *rand.Rand, l *list, leechersOnly bool, own, num int, network netip.Prefix, addrs *[]byte, ids *[]metainfo.PeerID) {
	if network.Bits() <= 0 || num == 0 {
		return
	}
	ring := ringOf(l, leechersOnly, own)
	if num >= ring.num {
		return // all there are
	}
	var addr A
	chosen := (*addrs)[len(*addrs)-num*len(addr):]
	var chosenIDs []metainfo.PeerID
	if f.keepIDs {
		chosenIDs = (*ids)[len(*ids)-num:]
	}
	// The near ones come to the front; what is behind them may be replaced.
	near := 0
	for i := range num {
		if isNear(network, chosen[i*len(addr):][:len(addr)]) {
			swapPeers(chosen, chosenIDs, len(addr), near, i)
			near++
		}
	}
	p := f.peers(l)
	start := r.IntN(ring.num)
	for i := 0; i < min(nearLooks*num, ring.num) && near < num/2; i++ {
		pos := ring.pos(start + i)
		candidate := addrBytes(&p.members[pos].addr)
		if !isNear(network, candidate) || holds(chosen, candidate) {
			continue
		}
		copy(chosen[near*len(addr):], candidate)
		if chosenIDs != nil {
			chosenIDs[near] = p.ids[pos]
		}
		near++
	}
}

// isNear reports whether a compact address is in a network.
func isNear(network netip.Prefix, compact []byte) bool {
	ip, _ := netip.AddrFromSlice(compact[:len(compact)-2])
	return network.Contains(ip)
}

// holds reports whether a list of compact addresses has one.
func holds(list, compact []byte) bool {
	for ; len(list) > 0; list = list[len(compact):] {
		if string(list[:len(compact)]) == string(compact) {
			return true
		}
	}
	return false
}

// swapPeers lets two peers of a reply trade places.
func swapPeers(addrs []byte, ids []metainfo.PeerID, addrLen, i, j int) {
	for at := range addrLen {
		addrs[i*addrLen+at], addrs[j*addrLen+at] = addrs[j*addrLen+at], addrs[i*addrLen+at]
	}
	if ids != nil {
		ids[i], ids[j] = ids[j], ids[i]
	}
}

// addrBytes is an array of either length as a slice.
func addrBytes[A addr4 | addr6](addr *A) []byte {
	switch addr := any(addr).(type) {
	case *addr4:
		return addr[:]
	case *addr6:
		return addr[:]
	}
	return nil
}

func (p *peers[A]) appendTo(pos int, addrs *[]byte, ids *[]metainfo.PeerID) {
	switch addr := any(&p.members[pos].addr).(type) { // an array of either length, as a slice
	case *addr4:
		*addrs = append(*addrs, addr[:]...)
	case *addr6:
		*addrs = append(*addrs, addr[:]...)
	}
	if p.ids != nil {
		*ids = append(*ids, p.ids[pos])
	}
}
