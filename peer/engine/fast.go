package engine

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// allowedFastSet computes the pieces that a peer at ip may fetch while choked,
// by the algorithm of BEP 6: at most k of numPieces indices. "We currently
// have no provisions for IPv6", so an IPv6 address has none.
func allowedFastSet(infoHash metainfo.InfoHash, ip netip.Addr, k, numPieces int) []int32 {
	ip = ip.Unmap()
	if !ip.Is4() || numPieces == 0 {
		return nil
	}
	k = min(k, numPieces)
	network := ip.As4()
	network[3] = 0 // "x = 0xFFFFFF00 & ip"
	x := append(network[:], infoHash[:]...)
	set := make([]int32, 0, k)
	for len(set) < k {
		sum := sha1.Sum(x)
		x = append(x[:0], sum[:]...)
		for i := 0; i+4 <= len(sum) && len(set) < k; i += 4 {
			piece := int32(binary.BigEndian.Uint32(sum[i:]) % uint32(numPieces))
			if !slices.Contains(set, piece) {
				set = append(set, piece)
			}
		}
	}
	return set
}

// offerAllowedFast tells a new peer which pieces it may fetch while choked, when
// it has said what it has. BEP 6: "A peer SHOULD send Allowed Fast messages to
// any starting peer", which is one with at most k pieces.
//
// But a seed offers them only to two at a time. What a choked peer fetches comes out of the
// slots' part of the uplink: if a crowd came to a seed, and each of it were let have ten
// pieces, the seed would serve all of it at once, and send everything to many before the
// first could pass it on. Leechers help a crowd to its first pieces: 400 peers are through
// sooner (1.10 times the bound, 1.11 if leechers hold back as well).
func (e *Engine) offerAllowedFast(now time.Duration, c *Conn) {
	if !c.fast || e.cfg.AllowedFast < 0 || e.have.Count() == 0 || e.cfg.UploadSlots < 0 ||
		c.closing || c.seed || c.has.Count() > e.cfg.AllowedFast {
		return
	}
	if e.have.All() && e.numStarters() >= maxStarters {
		return
	}
	offered := allowedFastSet(e.cfg.InfoHash, c.addr.Addr(), e.cfg.AllowedFast, e.geo.NumPieces())
	c.seldomUsed().offered = offered
	for _, piece := range offered {
		e.send(now, c, wire.Message{Type: wire.AllowedFast, Index: uint32(piece)})
	}
}

// numStarters counts the peers that may still fetch while choked.
func (e *Engine) numStarters() (n int) {
	for _, c := range e.conns {
		if s := c.seldom; s != nil && len(s.offered) > 0 && c.has.Count() <= len(s.offered) && !c.closing {
			n++
		}
	}
	return n
}

// isOffered reports whether a choked peer may have a block all the same. BEP
// 6 allows to refuse once "the requested piece has already been sent to the
// requesting peer, or if the requesting peer is not a starting peer": one with
// more than k pieces. What it asked for is counted in bytes, so that asking for
// one piece again and again ends as well, also if it is done all at once.
func (e *Engine) isOffered(c *Conn, u upload) bool {
	s := c.seldom
	if s == nil || !slices.Contains(s.offered, int32(u.piece)) {
		return false
	}
	if c.has.Count() > len(s.offered) {
		return false
	}
	return s.offeredBytes+int64(u.length) <= int64(len(s.offered))*int64(e.geo.StdPieceLen())
}

// allowedByPeer handles "allowed fast": a piece we may fetch while choked. "The
// receiver MUST NOT interpret an Allowed Fast message as meaning that the
// message sender has the piece."
func (e *Engine) allowedByPeer(now time.Duration, c *Conn, index uint32) {
	if e.picker != nil && int64(index) >= int64(e.geo.NumPieces()) {
		e.close(c, "allowed fast of a piece that does not exist")
		return
	}
	piece := int32(index)
	if !e.isStarting() || len(c.allowed()) >= maxSuggested || slices.Contains(c.allowed(), piece) {
		return
	}
	s := c.seldomUsed()
	s.allowed = append(s.allowed, piece)
	if c.peerChoking {
		e.fill(now, c)
	}
}

// isStarting reports whether we are what BEP 6 calls a starting peer. Another is
// not served while it is choked, and does not ask: "Our current implementation
// rejects requests for Allowed Fast messages whenever the requesting peer has
// more than k pieces."
func (e *Engine) isStarting() bool { return e.have == nil || e.have.Count() <= allowedFastPieces }

// forgetAllowed forgets what choking peers let us fetch, when we are no longer
// starting.
func (e *Engine) forgetAllowed() {
	for _, c := range e.conns {
		if c.seldom != nil {
			c.seldom.allowed = nil
		}
	}
}

// allowed are the pieces that the peer lets us fetch while it chokes us.
func (c *Conn) allowed() []int32 {
	if c.seldom == nil {
		return nil
	}
	return c.seldom.allowed
}

// suggestedByPeer handles "suggest piece": advice which piece to fetch from it.
func (e *Engine) suggestedByPeer(c *Conn, index uint32) {
	if e.picker == nil || int64(index) >= int64(e.geo.NumPieces()) {
		return // advisory: a bad one is worth nothing, and no more
	}
	s := c.seldomUsed()
	if len(s.suggested) == maxSuggested {
		s.suggested = slices.Delete(s.suggested, 0, 1)
	}
	s.suggested = append(s.suggested, int32(index))
}

// pickSuggested picks a piece that the peer suggests and may be begun, the
// newest advice first, or -1.
func (e *Engine) pickSuggested(c *Conn) int {
	s := c.seldom
	for s != nil && len(s.suggested) > 0 {
		last := len(s.suggested) - 1
		piece := int(s.suggested[last])
		s.suggested = s.suggested[:last]
		if e.picker.open.Has(piece) && e.mayFetch(c, piece) {
			return piece
		}
	}
	return -1
}
