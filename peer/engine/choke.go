package engine

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// choker decides who may download from us.
//
// A leecher gives most of its slots to the peers that it downloads from
// fastest (BEP 3's tit-for-tat). Every other slot rotates: a peer holds it for
// thirty seconds and then goes to the end of the line, if anybody waits. That
// is BEP 3's optimistic unchoke, and for a seed, which has nobody to
// reciprocate, it is all there is. Peers that send nothing do not earn a slot
// by having had it first, so idle peers are treated alike.
type choker struct {
	slots  int // how many peers may download
	wanted int // how many would, if the process had slots for all its torrents

	// few is how many of the slots rotate while a crowd waits, and busySince when the first slot
	// was given after none was.
	few       int
	busySince time.Duration

	turns  int64   // the highest place in the line that was given out
	memory []place // of connections that ended, oldest first, one for each key

	// Since the last tick: the bytes released, and whether a rate limit held
	// any back.
	sent      int64
	throttled bool
	filled    bool // the uplink was, at the last judgement; false if nobody knows what it carries
	judgedAt  time.Duration

	// probe: see probeSlots.
	rateBefore int64
	probing    bool
	probeAt    time.Duration
}

// place is where in the line an address stood when it left. There may be many, so
// they are small, and without pointers.
type place struct {
	key    placeKey
	left   int32 // seconds
	turn   int32
	served bool
}

// placeKey is what a place is kept for: an IP address or a peer id.
type placeKey [20]byte

// unknownSlots is the number of slots to begin with when nothing is known of
// the uplink. Arbitrary: between BEP 3's four and what fast uplinks need.
const unknownSlots = 8

// maxSlots bounds the slots of one torrent.
const maxSlots = 200

func (k *choker) init(now time.Duration) {
	k.judgedAt, k.few = now, 1
}

// slotsFor is the number of slots that an uplink of capacity bytes/s begins
// with: BEP 3's four, fewer for slow uplinks, so that each peer gets a useful
// rate. Few are better than many as long as they fill the uplink: a piece that
// goes out in a second can be passed on in the next, and the fewer pieces are
// under way, the fewer are sent twice.
func slotsFor(capacity int) int {
	const kB = 1000
	switch {
	case capacity == 0:
		return unknownSlots
	case capacity < 9*kB:
		return 2
	case capacity < 15*kB:
		return 3
	}
	return 4
}

// enter gives a new connection its place in the line. BEP 3: "new connections
// are three times as likely to start as the current optimistic unchoke as
// anywhere else in the rotation." An address that comes back within an hour
// gets the place it had: leaving and coming back must gain nothing.
func (k *choker) enter(now time.Duration, c *Conn, e *Engine) {
	if was := k.remembered(c.placeKey()); was != nil && now-time.Duration(was.left)*time.Second < rememberFor {
		c.turn, c.served = int64(was.turn), was.served
		return
	}
	others := len(e.conns) - 1
	at := e.cfg.Rand.IntN(others+3) - 3
	if at >= 0 && others > 0 {
		c.turn = e.conns[at].turn
		return
	}
	c.turn = k.turns
	for _, other := range e.conns[:others] {
		c.turn = min(c.turn, other.turn-1)
	}
}

// placeKey is the address, or where that stands for the whole machine, the peer id.
func (c *Conn) placeKey() (key placeKey) {
	if c.addr.Addr().IsLoopback() {
		return placeKey(c.peerID)
	}
	ip := c.addr.Addr().As16()
	copy(key[:], ip[:])
	return key
}

// leave remembers the place of a connection that ends.
func (k *choker) leave(now time.Duration, c *Conn) {
	if c.unchoked {
		k.toEnd(c)
	}
	is := place{key: c.placeKey(), turn: int32(c.turn), left: int32(now / time.Second), served: c.served || c.uploaded > 0}
	if was := k.remembered(is.key); was != nil {
		*was = is
		return
	}
	if len(k.memory) == maxRemembered {
		k.memory = slices.Delete(k.memory, 0, 1)
	}
	k.memory = append(k.memory, is)
}

// remembered returns the place that is kept for a key, or nil. The list is
// searched, for a map would take four times the memory, and connections come and
// go some thousand times less often than blocks.
func (k *choker) remembered(key placeKey) *place {
	for i := range k.memory {
		if k.memory[i].key == key {
			return &k.memory[i]
		}
	}
	return nil
}

// toEnd sends a connection to the end of the line.
func (k *choker) toEnd(c *Conn) {
	k.turns++
	c.turn = k.turns
}

// peerInterest handles "interested" and "not interested".
func (e *Engine) peerInterest(now time.Duration, c *Conn, interested bool) {
	if c.peerInterested == interested {
		return
	}
	c.peerInterested = interested
	switch {
	case !interested:
		c.optimistic = false // its slot goes to another: the turn is over
	case c.unchoked && e.usedSlots() <= e.choker.slots:
		c.optimistic = true // a slot is free all the same
		return
	case c.unchoked:
		e.chokeWorst(now)
		return
	}
	e.fillSlots(now)
}

// chokeWorst makes room when a peer that was unchoked without a slot becomes
// interested. BEP 3: "if they become interested the worst uploader gets
// choked." That may be the peer itself: who takes turns with being interested
// does not end up with a slot more than there are.
func (e *Engine) chokeWorst(now time.Duration) {
	var worst *Conn
	for _, c := range e.conns {
		if c.unchoked && c.peerInterested && !c.optimistic &&
			(worst == nil || c.down.rate(now) < worst.down.rate(now)) {
			worst = c
		}
	}
	if worst != nil {
		e.choke(now, worst)
	}
}

// choke ends a peer's turn.
func (e *Engine) choke(now time.Duration, c *Conn) {
	if c.unchoked {
		e.choker.toEnd(c)
	}
	c.optimistic, c.overdue, c.sending = false, false, 0
	e.setChoke(now, c, true)
}

// usedSlots counts the peers that hold a slot.
func (e *Engine) usedSlots() int {
	n := 0
	for _, c := range e.conns {
		if c.unchoked && c.peerInterested && !c.closing {
			n++
		}
	}
	return n
}

// waiting reports whether c wants a slot and has none.
func (c *Conn) waiting() bool { return c.peerInterested && !c.unchoked && !c.closing }

// fillSlots gives free slots away at once, to who stands first in line. At the
// next rechoke the fastest peers get theirs.
func (e *Engine) fillSlots(now time.Duration) {
	if e.choker.slots == 0 || e.cfg.NoChoking {
		e.countSlots(now)
	}
	for used := e.usedSlots(); used < e.choker.slots; used++ {
		crowd := e.crowdWaits()
		if crowd && e.servesFew() && e.numTurns() >= e.choker.few {
			return
		}
		next := e.nextInLine(now, crowd)
		if next == nil {
			return
		}
		if used == 0 {
			e.choker.busySince = now
		}
		next.optimistic = true
		e.setChoke(now, next, false)
	}
}

// numTurns counts the slots that rotate.
func (e *Engine) numTurns() (n int) {
	for _, c := range e.conns {
		if c.hasTurn() {
			n++
		}
	}
	return n
}

// hasTurn reports whether c has a slot that rotates.
func (c *Conn) hasTurn() bool {
	return c.unchoked && c.peerInterested && c.optimistic && !c.closing
}

// nextInLine returns the waiting peer that has its turn next, or nil: of the starters that come first, or if
// there are none, of all, who stands first in line.
func (e *Engine) nextInLine(now time.Duration, crowd bool) (next *Conn) {
	comesFirst := func(c *Conn) bool { return c.starter() && (crowd || now-c.up >= starvedAfter) }
	for _, c := range e.conns {
		if !c.waiting() {
			continue
		}
		sooner := next == nil || c.turn < next.turn
		if next != nil && comesFirst(c) != comesFirst(next) {
			sooner = comesFirst(c)
		}
		if sooner {
			next = c
		}
	}
	return next
}

// merit is the rate in bytes/s that a peer sends to us, by which a leecher
// reciprocates. A seed has nobody to thank.
func (e *Engine) merit(now time.Duration, c *Conn) int {
	if e.missing.Count() == 0 || c.snubbed {
		return 0
	}
	return c.down.rate(now)
}

// rechoke decides anew who may download, every ten seconds.
func (e *Engine) rechoke(now time.Duration) {
	e.judgeSlots(now)
	e.countSlots(now)
	regular, threshold := e.reciprocate(now)
	for _, c := range e.conns {
		switch {
		case c.webSeed:
		case !c.peerInterested:
			// BEP 3: "Peers which have a better upload rate but aren't
			// interested get unchoked".
			if rate := e.merit(now, c); rate > threshold && e.choker.slots > 0 {
				e.setChoke(now, c, false)
			} else {
				e.choke(now, c)
			}
		case slices.Contains(regular, c):
			c.optimistic = false
			e.setChoke(now, c, false)
		case c.unchoked:
			// Its rate does not hold the slot, or no longer: it has a turn like
			// the others, which counts from when it was unchoked. To choke it
			// and give it a free slot at once would drop what it asked for.
			c.optimistic = true
		}
	}
	turns := e.choker.slots - len(regular)
	if e.servesFew() && e.crowdWaits() {
		turns = min(turns, e.choker.few)
	}
	e.rotate(now, turns)
	e.fillSlots(now)
}

// starter reports whether c has nothing to give yet, and never had anything from us. The sooner
// it has, the sooner its uplink is of use. Who says that he has nothing gains no more than one turn.
func (c *Conn) starter() bool { return c.has.Count() == 0 && c.uploaded == 0 && !c.served }

// starterWaits reports whether a starter waits for a slot. A turn is one piece then.
func (e *Engine) starterWaits() bool {
	return slices.ContainsFunc(e.conns, func(c *Conn) bool { return c.waiting() && c.starter() })
}

// crowdPart makes a crowd: of the peers that wait for a slot, one in so many is a starter. Starters then come first.
// Where they are fewer they do not: all neighbours of a newcomer would serve it at once, and
// it would get half the content before those who have waited get more. But one that still has nothing after
// starvedAfter had bad luck everywhere, and would be the last of all. Both are arbitrary: 2 and 8, 5 s and 40 s
// differ little.
const (
	crowdPart    = 4
	starvedAfter = 20 * time.Second
)

// crowdWaits reports whether a crowd of starters waits for a slot.
func (e *Engine) crowdWaits() bool {
	starters, waiting := 0, 0
	for _, c := range e.conns {
		if !c.waiting() {
			continue
		}
		waiting++
		if c.starter() {
			starters++
		}
	}
	return starters > 0 && crowdPart*starters >= waiting
}

// servesFew reports whether few slots rotate while a crowd waits. A piece that goes to one peer is
// passed on by it when the second begins to come to the other; of two pieces that
// go to two peers side by side, the first is there as late as the second. So a crowd doubles its
// copies in the time of a piece, instead of making five of one in the time of four.
// A seed of a crowd fills its uplink first of all. Where nobody knows what the uplink
// carries, nobody can say that few fill it.
func (e *Engine) servesFew() bool {
	return e.cfg.UploadCapacity > 0 && e.missing.Count() > 0 && !e.cfg.NoChoking
}

// reciprocate returns the interested peers that hold a slot for what they send
// us, best first, and the rate above which one that is not interested is
// unchoked as well. One slot in five, and at least one, is left to rotate.
func (e *Engine) reciprocate(now time.Duration) (regular []*Conn, threshold int) {
	if e.missing.Count() == 0 {
		return nil, math.MaxInt
	}
	type ranked struct {
		c    *Conn
		rate int
	}
	var list []ranked
	for _, c := range e.conns {
		if rate := e.merit(now, c); c.peerInterested && rate > 0 && !c.closing {
			list = append(list, ranked{c, rate})
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(a.c.turn, b.c.turn))
	})
	n := e.choker.slots - max(1, e.choker.slots/5)
	if len(list) < n {
		n = len(list)
	} else if n > 0 {
		threshold = list[n-1].rate
	}
	for _, r := range list[:max(n, 0)] {
		regular = append(regular, r.c)
	}
	return regular, threshold
}

// rotate ends the turns of those that had theirs, as far as others wait for
// the n rotating slots. Who is in the middle of a piece gets the rest of it: half a
// piece can be passed on by nobody, and a seed that hands out halves sends them again, to others.
func (e *Engine) rotate(now time.Duration, n int) {
	var holders []*Conn
	waiting := 0
	for _, c := range e.conns {
		c.overdue = false
		if c.hasTurn() {
			holders = append(holders, c)
		} else if c.waiting() {
			waiting++
		}
	}
	slices.SortStableFunc(holders, func(a, b *Conn) int { return cmp.Compare(a.unchokedAt, b.unchokedAt) })
	excess := len(holders) - n
	waiting -= max(0, -excess) // these find a free slot
	for _, c := range holders {
		over := now-c.unchokedAt >= optimisticEvery
		switch {
		case excess <= 0 && (!over || waiting <= 0):
			continue
		case excess <= 0 && c.sending > 0 && now-c.unchokedAt < longestTurn:
			c.overdue = true
		default:
			e.choke(now, c)
		}
		excess--
		waiting--
	}
}

// countSlots asks the Grants how many slots there are.
func (e *Engine) countSlots(now time.Duration) {
	k := &e.choker
	if k.wanted == 0 {
		k.wanted = slotsFor(e.cfg.UploadCapacity)
	}
	switch {
	case e.cfg.UploadSlots < 0, e.picker == nil: // a magnet link has nothing to give yet
		k.slots = 0
		return
	case e.cfg.NoChoking:
		k.slots = len(e.conns) + 1
		return
	case e.cfg.UploadSlots > 0:
		k.wanted = e.cfg.UploadSlots
	}
	k.slots = max(1, e.cfg.Grants.Slots(now, k.wanted))
}

// judgeSlots adapts the number of slots to how well the last ten seconds
// filled the uplink. Four fixed slots would starve a fast uplink whose
// receivers are slow.
func (e *Engine) judgeSlots(now time.Duration) {
	k := &e.choker
	period := now - k.judgedAt
	if period < rechokeEvery/2 {
		return
	}
	rate := k.sent * int64(time.Second) / int64(period)
	k.judgedAt, k.sent = now, 0
	throttled := k.throttled || e.uploadAt > now
	k.throttled = false
	if e.cfg.UploadSlots != 0 || e.cfg.NoChoking || k.slots == 0 {
		return
	}
	if e.cfg.UploadCapacity == 0 {
		e.probeSlots(now, rate)
		return
	}
	filled := throttled || rate*100 >= int64(e.cfg.UploadCapacity)*95
	far := e.missing.Count() == 0 && rate*2 < int64(e.cfg.UploadCapacity)
	k.filled = filled
	if !filled && k.busySince <= now-period && e.servesFew() && e.crowdWaits() {
		k.few = min(2*k.few, k.wanted)
	}
	k.adapt(filled, far, e.anyWaiting(), slotsFor(e.cfg.UploadCapacity))
}

// adapt opens one more slot while the uplink is unfilled and peers wait, twice
// as many if it is far from filled, and takes one back when it is filled and
// there are more than to begin with. Only a seed is ever far from it: a leecher
// may just have too little to give yet. Who did not get what it wanted before needs no more.
func (k *choker) adapt(filled, far, waiting bool, base int) {
	switch {
	case !filled && waiting && k.slots < k.wanted:
	case !filled && waiting && far:
		k.wanted = min(maxSlots, 2*k.wanted)
	case !filled && waiting:
		k.wanted = min(maxSlots, k.wanted+1)
	case filled && k.wanted > base:
		k.wanted--
	}
}

func (e *Engine) anyWaiting() bool {
	return slices.ContainsFunc(e.conns, (*Conn).waiting)
}

// probeEvery is how often one more slot is tried on an uplink of unknown
// capacity that seems filled.
const probeEvery = time.Minute

// probeSlots adapts the slots when nobody knows what the uplink carries: one
// more is tried, and kept if the rate rose by a twentieth; then the next.
func (e *Engine) probeSlots(now time.Duration, rate int64) {
	k := &e.choker
	switch {
	case k.probing && rate*20 < k.rateBefore*21:
		k.probing = false
		k.probeAt = now + probeEvery
		k.wanted = max(unknownSlots, k.wanted-1)
	case e.anyWaiting() && now >= k.probeAt:
		k.probing = true
		k.rateBefore = rate
		k.wanted = min(maxSlots, k.wanted+1)
	}
}
