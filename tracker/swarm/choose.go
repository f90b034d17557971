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
		want -= appendPeers(s.cfg.Rand, &t.v6, req.IsSeed(), own6, want, &dst.V6, &dst.IDs6)
		if !req.SameFamily {
			appendPeers(s.cfg.Rand, &t.v4, req.IsSeed(), none, want, &dst.V4, &dst.IDs4)
		}
		return
	}
	want -= appendPeers(s.cfg.Rand, &t.v4, req.IsSeed(), own4, want, &dst.V4, &dst.IDs4)
	if !req.SameFamily {
		appendPeers(s.cfg.Rand, &t.v6, req.IsSeed(), none, want, &dst.V6, &dst.IDs6)
	}
}

func (s *Swarms) numWant(asked int) int {
	if asked < 0 {
		asked = s.cfg.NumWant
	}
	return min(asked, s.cfg.MaxNumWant)
}

// appendPeers appends up to want random members of l to addrs and ids, never
// the one at own, and returns how many.
//
// The choice costs the same in a swarm of ten thousand as in one of fifty: the
// candidates, thought of as a ring that begins at a random place, are cut into
// want equal arcs, and each arc gives one member at random. So nobody comes
// twice and everybody is equally likely.
func appendPeers[A addr4 | addr6](r *rand.Rand, l *list[A], leechersOnly bool, own, want int, addrs *[]byte, ids *[]metainfo.PeerID) int {
	first := 0
	if leechersOnly {
		first = l.numSeeds
	}
	candidates := len(l.members) - first
	if own >= first {
		candidates--
	}
	want = min(want, candidates)
	if want <= 0 {
		return 0
	}
	start := r.IntN(candidates)
	for arc := range want {
		lo, hi := arc*candidates/want, (arc+1)*candidates/want
		pos := first + (start+lo+r.IntN(hi-lo))%candidates
		if own >= first && pos >= own {
			pos++ // the announcer's place is not on the ring
		}
		l.appendTo(pos, addrs, ids)
	}
	return want
}

func (l *list[A]) appendTo(pos int, addrs *[]byte, ids *[]metainfo.PeerID) {
	addr := l.members[pos].addr
	for i := range len(addr) {
		*addrs = append(*addrs, addr[i])
	}
	if l.ids != nil {
		*ids = append(*ids, l.ids[pos])
	}
}
