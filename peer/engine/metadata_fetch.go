package engine

import (
	"cmp"
	"crypto/sha1"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/wire"
)

// metadataFetch is the download of the info dictionary (BEP 9). Nobody knows
// its length but by the word of peers, so those who name the same length work
// together on one copy, and each length that is named has a copy of its own:
// who lies about it holds nobody up. When a copy to which several peers gave
// does not match the info-hash, the peers of its length each fetch one alone;
// one that then matches convicts those who gave other bytes to the first, and
// one that does not convicts its only giver.
//
// What is kept grows with what has arrived, never with a claim.
type metadataFetch struct {
	at     time.Duration   // the next time-out or end of a pause, 0 for none
	copies []*metadataCopy // in the order in which they were begun
	failed []failedCopy    // copies of several givers, the newest last
	held   int             // bytes in the copies
}

// metadataCopy is an info dictionary as far as it has arrived.
type metadataCopy struct {
	size    int   // bytes of the whole, as claimed
	alone   *Conn // who fetches it alone, nil if all do who claim its size
	begun   time.Duration
	pieces  []metadataPiece // those that were asked for so far, from the first
	arrived int             // pieces
	held    int             // bytes
	dropped bool
}

type metadataPiece struct {
	data     []byte // nil until it is here
	giver    identity
	requests int // that are under way
}

// failedCopy is what is remembered of a copy that did not match: by piece, its
// digest and who gave it.
type failedCopy struct {
	size    int
	digests [][sha1.Size]byte
	givers  []identity
}

// metadataPeer is a peer that has the extension ut_metadata.
type metadataPeer struct {
	id   uint8 // by which it wants to get the messages
	size int   // of the info dictionary as it says, 0 if it has none

	asked    []metadataRequest // oldest first
	retryAt  time.Duration     // it is not asked before
	refusals int               // in a row: rejects, and requests that nothing came for
	demoted  int               // how often its copy had to go
	unasked  int               // messages that answered nothing

	wanted      []int32 // pieces that it asked for, first come first served
	numServed   int
	numRejected int
}

// metadataRequest is a piece that a peer was asked for.
type metadataRequest struct {
	of    *metadataCopy
	piece int
	given bool // given up: others are asked, but it counts if it comes
	at    time.Duration
}

func (m *metadataCopy) numPieces() int { return metadataPieces(m.size) }

func (m *metadataCopy) pieceLen(piece int) int {
	return min(wire.MetadataPieceLen, m.size-piece*wire.MetadataPieceLen)
}

// lacksMetadata reports whether the metadata must be fetched.
func (e *Engine) lacksMetadata() bool { return e.cfg.Metadata == nil && e.picker == nil }

// metadataOffer notes what a peer's extension handshake says of the metadata.
// A handshake without a size leaves that as it was.
func (e *Engine) metadataOffer(now time.Duration, c *Conn, h wire.ExtHandshake) {
	if id, ok := h.ID(wire.ExtMetadata); ok && id == 0 {
		e.forgetMetadata(c)
		c.metadata = nil
	} else if ok && c.metadata == nil {
		c.metadata = &metadataPeer{id: id}
	} else if ok {
		c.metadata.id = id
	}
	if p := c.metadata; p != nil && h.MetadataSize > 0 && h.MetadataSize <= maxMetadataLen && p.size != int(h.MetadataSize) {
		e.releaseAsked(c)
		p.size = int(h.MetadataSize)
	}
	e.fetchMetadata(now)
}

// fetchMetadata asks every peer that can be asked now. Where there are not
// places for all, those come first that have lost none yet.
func (e *Engine) fetchMetadata(now time.Duration) {
	if !e.lacksMetadata() {
		return
	}
	e.fetch.dropOrphans(e.conns)
	var peers []*Conn
	for _, c := range e.conns {
		if c.metadata != nil {
			peers = append(peers, c)
		}
	}
	slices.SortStableFunc(peers, func(a, b *Conn) int { return cmp.Compare(a.metadata.demoted, b.metadata.demoted) })
	for _, c := range peers {
		e.askForMetadata(now, c)
	}
}

// askForMetadata asks c for as much as it may be asked at a time.
func (e *Engine) askForMetadata(now time.Duration, c *Conn) {
	p := c.metadata
	if !e.lacksMetadata() || c.closing || p == nil || p.size == 0 || now < p.retryAt {
		return
	}
	p.asked = slices.DeleteFunc(p.asked, func(r metadataRequest) bool { return r.given })
	for len(p.asked) < maxMetadataAsked {
		m := e.copyFor(now, c)
		if m == nil {
			return
		}
		piece := m.choose(p)
		if piece < 0 {
			return
		}
		m.pieces[piece].requests++
		p.asked = append(p.asked, metadataRequest{of: m, piece: piece, at: now})
		e.fetch.wakeAt(now + metadataTimeout)
		e.sendMetadata(now, c, wire.MetadataMessage{Type: wire.MetadataRequest, Piece: piece})
	}
}

// copyFor returns the copy that c is to work on: that of its size, or, once one
// of that size has failed, one that it fetches alone. Nil if there are enough
// of those.
func (e *Engine) copyFor(now time.Duration, c *Conn) *metadataCopy {
	f, size := &e.fetch, c.metadata.size
	m := &metadataCopy{size: size, begun: now}
	if slices.ContainsFunc(f.failed, func(failed failedCopy) bool { return failed.size == size }) {
		m.alone = c
	}
	for _, other := range f.copies {
		if other.size == m.size && other.alone == m.alone {
			return other
		}
	}
	if m.alone != nil && !e.roomAlone(now) {
		return nil
	}
	f.copies = append(f.copies, m)
	return m
}

// roomAlone makes room for one more copy that is fetched alone. Of those that
// had their time the slowest goes: a peer that brings a piece now and then must
// not hold back who would bring all.
func (e *Engine) roomAlone(now time.Duration) bool {
	alone := slices.DeleteFunc(slices.Clone(e.fetch.copies), func(m *metadataCopy) bool { return m.alone == nil })
	if len(alone) < maxMetadataAlone {
		return true
	}
	old := slices.DeleteFunc(alone, func(m *metadataCopy) bool { return now-m.begun < metadataAloneFor })
	if len(old) == 0 {
		e.fetch.wakeAt(now + metadataAloneFor)
		return false
	}
	e.dropSlowest(now, old)
	return true
}

// choose returns the piece of the copy to ask for, or -1: one that nobody was
// asked for, else, since a peer may never answer, the one that the fewest were.
func (m *metadataCopy) choose(p *metadataPeer) int {
	best, bestRequests := -1, maxMetadataDuplicates
	for i := range m.pieces {
		piece := &m.pieces[i]
		if piece.data == nil && piece.requests < bestRequests && p.findAsked(m, i) < 0 {
			best, bestRequests = i, piece.requests
		}
	}
	if bestRequests > 0 && len(m.pieces) < m.numPieces() {
		m.pieces = append(m.pieces, metadataPiece{})
		return len(m.pieces) - 1
	}
	return best
}

// findAsked returns the index of the request for a piece, of that copy or, if
// it is nil, of any; or -1.
func (p *metadataPeer) findAsked(of *metadataCopy, piece int) int {
	return slices.IndexFunc(p.asked, func(r metadataRequest) bool {
		return r.piece == piece && (of == nil || r.of == of)
	})
}

// answered takes out the request that a message answers. It is false if there
// is none; who sends many such is closed.
func (e *Engine) answered(c *Conn, piece int) (metadataRequest, bool) {
	p := c.metadata
	i := p.findAsked(nil, piece)
	if i < 0 {
		if p.unasked++; p.unasked > maxMetadataUnasked {
			e.close(c, "metadata that was not asked for")
		}
		return metadataRequest{}, false
	}
	r := p.asked[i]
	p.asked = slices.Delete(p.asked, i, i+1)
	r.release()
	return r, true
}

// release takes a request off its piece, so that others are asked.
func (r *metadataRequest) release() {
	if !r.given {
		r.of.pieces[r.piece].requests--
	}
}

// metadataArrived handles a piece. BEP 9: "If it is not the last piece of the
// metadata, it MUST be 16kiB", and its total_size "has the same semantics as the
// metadata_size", so it must be the size that its sender gave before.
func (e *Engine) metadataArrived(now time.Duration, c *Conn, msg wire.MetadataMessage) {
	r, ok := e.answered(c, msg.Piece)
	if !ok {
		return
	}
	m := r.of
	if msg.TotalSize != int64(m.size) || len(msg.Data) != m.pieceLen(r.piece) {
		e.close(c, "metadata of a wrong length")
		return
	}
	c.metadata.refusals, c.metadata.retryAt, c.metadata.unasked = 0, 0, 0
	if !m.dropped && m.pieces[r.piece].data == nil {
		e.keepMetadata(now, c, r, msg.Data)
	}
	e.askForMetadata(now, c)
}

// keepMetadata makes a piece count that has arrived. When all copies together
// hold more than one may, the slowest goes.
func (e *Engine) keepMetadata(now time.Duration, c *Conn, r metadataRequest, data []byte) {
	m := r.of
	piece := &m.pieces[r.piece]
	piece.data, piece.giver = slices.Clone(data), c.machine()
	m.arrived++
	m.held += len(data)
	e.fetch.held += len(data)
	for e.fetch.held > maxMetadataLen {
		e.dropSlowest(now, e.fetch.copies)
	}
	if !m.dropped && m.arrived == m.numPieces() {
		e.checkMetadata(now, m)
	}
}

// dropSlowest drops the copy that grew slowest of some. Its peers pause, twice
// as long each time, so that the turn comes to all others.
func (e *Engine) dropSlowest(now time.Duration, some []*metadataCopy) {
	slowest := slices.MinFunc(some, func(a, b *metadataCopy) int {
		rate := func(m *metadataCopy) float64 { return float64(m.held) / (now - m.begun + 1).Seconds() }
		return cmp.Compare(rate(a), rate(b))
	})
	e.fetch.drop(slowest)
	for _, c := range e.conns {
		if p := c.metadata; p != nil && slowest.isOf(c) {
			p.retryAt = now + metadataAloneFor<<min(p.demoted, 6)
			p.demoted++
			e.fetch.wakeAt(p.retryAt)
		}
	}
}

// isOf reports whether c works on the copy, or would.
func (m *metadataCopy) isOf(c *Conn) bool {
	return c.metadata != nil && c.metadata.size == m.size && (m.alone == nil || m.alone == c)
}

// drop forgets a copy, and its bytes: requests that are under way may still
// name it.
func (f *metadataFetch) drop(m *metadataCopy) {
	m.dropped = true
	f.held -= m.held
	for i := range m.pieces {
		m.pieces[i].data = nil
	}
	f.copies = slices.DeleteFunc(f.copies, func(other *metadataCopy) bool { return other == m })
}

// dropOrphans drops the copies whose peers have gone, but for the fullest that
// others may go on with: the only seed may be away for a moment.
func (f *metadataFetch) dropOrphans(conns []*Conn) {
	var orphans []*metadataCopy
	for _, m := range f.copies {
		if !slices.ContainsFunc(conns, m.isOf) {
			orphans = append(orphans, m)
		}
	}
	var kept *metadataCopy
	for _, m := range orphans {
		if m.alone == nil && m.held > 0 && (kept == nil || m.held > kept.held) {
			kept = m
		}
	}
	for _, m := range orphans {
		if m != kept {
			f.drop(m)
		}
	}
}

// metadataRejected handles a reject. BEP 9: "It SHOULD be interpreted as the
// peer does not have the piece of metadata that was requested."
func (e *Engine) metadataRejected(now time.Duration, c *Conn, piece int) {
	if _, ok := e.answered(c, piece); ok {
		e.pauseMetadata(now, c)
		e.fetchMetadata(now)
	}
}

// pauseMetadata leaves a peer that refused alone for a while, twice as long
// each time. What it refuses during a pause is of the same refusal.
func (e *Engine) pauseMetadata(now time.Duration, c *Conn) {
	p := c.metadata
	if now >= p.retryAt {
		p.retryAt = now + min(metadataPauseFirst<<min(p.refusals, 10), metadataPauseLast)
		p.refusals++
	}
	e.fetch.wakeAt(p.retryAt)
}

func (f *metadataFetch) wakeAt(at time.Duration) { f.at = earlier(f.at, at) }

// metadataTimers gives up the requests that nothing came for, and asks the
// peers whose pause is over.
func (e *Engine) metadataTimers(now time.Duration) {
	for _, c := range e.conns {
		if c.metadata != nil {
			e.giveUpMetadata(now, c)
		}
	}
	e.fetchMetadata(now)
	for _, c := range e.conns {
		if c.metadata != nil {
			c.metadata.wake(now, &e.fetch)
		}
	}
}

// giveUpMetadata lets others fetch what c was asked for too long ago.
func (e *Engine) giveUpMetadata(now time.Duration, c *Conn) {
	p, late := c.metadata, false
	for i := range p.asked {
		if r := &p.asked[i]; !r.given && now-r.at >= metadataTimeout {
			r.release()
			r.given, late = true, true
		}
	}
	if late {
		e.pauseMetadata(now, c)
	}
}

// wake sets the timer for the next thing that happens to p.
func (p *metadataPeer) wake(now time.Duration, f *metadataFetch) {
	for _, r := range p.asked {
		if !r.given {
			f.wakeAt(r.at + metadataTimeout)
		}
	}
	if p.retryAt > now {
		f.wakeAt(p.retryAt)
	}
}

// forgetMetadata takes back what depends on a peer that goes.
func (e *Engine) forgetMetadata(c *Conn) {
	if c.metadata == nil {
		return
	}
	e.releaseAsked(c)
	e.dropAsker(c)
}

// releaseAsked takes back what c was asked for.
func (e *Engine) releaseAsked(c *Conn) {
	for i := range c.metadata.asked {
		c.metadata.asked[i].release()
	}
	c.metadata.asked = nil
}

// checkMetadata judges a copy that is whole.
func (e *Engine) checkMetadata(now time.Duration, m *metadataCopy) {
	hash := sha1.New()
	for i := range m.pieces {
		hash.Write(m.pieces[i].data)
	}
	if metainfo.InfoHash(hash.Sum(nil)) == e.cfg.InfoHash {
		e.gotMetadata(m)
	} else {
		e.metadataFailed(now, m)
	}
}

// gotMetadata hands the metadata out. It can be served from now on.
func (e *Engine) gotMetadata(m *metadataCopy) {
	whole := make([]byte, 0, m.size)
	for i := range m.pieces {
		whole = append(whole, m.pieces[i].data...)
	}
	e.cfg.Metadata = whole
	e.out.push(Output{Kind: OutMetadata, Metadata: whole})
	failed := e.fetch.failed
	e.endFetch()
	for _, f := range failed {
		e.convict(f, m)
	}
}

// endFetch forgets the fetch: the metadata is known.
func (e *Engine) endFetch() {
	for _, c := range e.conns {
		if c.metadata != nil {
			e.releaseAsked(c)
		}
	}
	e.fetch = metadataFetch{}
}

// metadataFailed handles a copy that does not match the info-hash. One giver is
// guilty; of several, the copies that are fetched alone will tell which.
func (e *Engine) metadataFailed(now time.Duration, m *metadataCopy) {
	f := &e.fetch
	failed := failedCopy{size: m.size}
	several := false
	for i := range m.pieces {
		failed.givers = append(failed.givers, m.pieces[i].giver)
		failed.digests = append(failed.digests, sha1.Sum(m.pieces[i].data))
		several = several || failed.givers[i] != failed.givers[0]
	}
	f.drop(m)
	if !several {
		e.ban(failed.givers[0], "metadata that fails its hash")
	} else {
		f.failed = append(f.failed, failed)
		f.failed = f.failed[max(0, len(f.failed)-maxSuspects):]
	}
	e.fetchMetadata(now)
}

// convict bans who gave other bytes to a copy that failed than the good one
// has, or bytes of one of another size.
func (e *Engine) convict(f failedCopy, good *metadataCopy) {
	for i, digest := range f.digests {
		if f.size != good.size || digest != sha1.Sum(good.pieces[i].data) {
			e.ban(f.givers[i], "false metadata")
		}
	}
}
