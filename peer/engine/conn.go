package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Conn is one connection of one engine: what the engine knows of the peer, what
// it asked of it, and what was asked of us. The driver has a new one for each
// connection, begins with InConnUp, and names the connection by it from then
// on. So nothing is ever looked up, and the driver can make it a part of what
// it keeps of the connection itself: both then lie side by side in memory.
//
// What comes first is what a have touches, for in a large swarm there are more
// of them than of anything else, and what they wait for is memory.
type Conn struct {
	live           bool // it is among Engine.conns
	closing        bool // OutClose was said
	told           bool // its bitfield, or a have, came
	seed           bool // it has everything, and the picker counts it as a seed
	webSeed        bool // it is no peer, but an HTTP server
	interested     bool // we are, in it
	peerChoking    bool // it chokes us
	peerInterested bool
	unchoked       bool // we let it download

	snubbed    bool
	parole     bool
	optimistic bool
	inBacklog  bool

	fast     bool // BEP 6 was negotiated
	extended bool // BEP 10 was negotiated
	incoming bool

	lastHeard time.Duration
	has       bitfield.Set // of length 0 until something is known; hasMemory holds it if there is room
	wanted    int32        // the pieces it has that we want and lack
	reqQ      int32
	seldom    *seldom // nil until it is needed
	hasMemory [64]byte

	// Owner is the driver's: what the connection is to it.
	Owner any

	addr   netip.AddrPort
	peerID metainfo.PeerID

	booked     bool   // an incoming peer that the book counts as connected
	dht        bool   // it has a DHT node, by its handshake (BEP 5)
	listenPort uint16 // of an incoming peer, 0 if it did not say

	// Of its extension handshake, and of ours.
	uploadOnly     bool
	toldNode       bool // it said where its DHT node is
	toldPEX        bool // our last handshake offered PEX
	namedOurIP     bool // it said how it sees us
	toldUploadOnly bool // our last handshake said upload_only

	contactSince uint32 // the event of contacts by which others may hear of it, 0 for never
	client       string
	metadata     *metadataPeer // nil if it has no such extension, as pex
	pex          *pexPeer

	up       time.Duration
	lastSent time.Duration

	// Download.
	window     window
	pending    []request // asked for and not here yet, oldest first
	own        *partial  // the piece its next blocks come from
	ownSince   time.Duration
	lastBlock  time.Duration
	downloaded int64
	down       meter
	unasked    int32 // blocks in a row that nobody asked for
	strikes    int32
	nextOfGap  int32 // of a web seed: the piece behind the last that it began, 0 for none

	// Upload.
	upMeter        meter
	chokedRequests int32
	queue          queue
	credit         int // bytes its transport can take
	uploaded       int64
	turn           int64 // its place in the line: the least is next
	unchokedAt     time.Duration
	// sending is one more than the piece of which it was sent blocks but not the last
	// one, 0 if there is none. overdue says that its turn ends with that piece.
	sending       uint32
	overdue       bool
	served        bool // it was sent blocks before, by another connection
	lastSentBlock time.Duration
}

// seldom is what few connections ever need.
type seldom struct {
	early     early     // what it said before the geometry was known
	cancelled []request // cancelled, and by BEP 6 still to be answered
	allowed   []int32   // pieces it lets us fetch while it chokes us
	suggested []int32   // pieces it suggests, newest last

	offered      []int32 // our allowed-fast set for it
	offeredBytes int64   // what of it was asked for, while choked
}

// seldomUsed returns what few connections need, of one that does.
func (c *Conn) seldomUsed() *seldom {
	if c.seldom == nil {
		c.seldom = new(seldom)
	}
	return c.seldom
}

// early is what a peer said of its pieces before we knew how many there are.
type early struct {
	bitfield []byte
	all      bool
	haves    []uint32
}

// begin sets a connection up as InConnUp says.
func (c *Conn) begin(now time.Duration, in *Input) {
	// One peer has one address, in bans, in the line and in the book.
	c.addr, c.peerID = netip.AddrPortFrom(in.Addr.Addr().Unmap(), in.Addr.Port()), in.PeerID
	c.fast, c.extended, c.dht, c.incoming = in.Fast, in.Extended, in.DHT, in.Incoming
	c.webSeed = in.WebSeed
	c.up, c.lastHeard, c.lastSent = now, now, now
	c.peerChoking, c.reqQ, c.window = true, defaultReqQ, newWindow()
}

// trim gives up memory that is not needed.
func (c *Conn) trim() {
	c.pending = shrink(c.pending)
	c.queue.trim()
}

// counts reports whether what the connection says counts. What was on its way
// when it was closed does not.
func (c *Conn) counts() bool { return c.live && !c.closing }

// hasNothing makes what the peer has a known set, of no pieces.
func (c *Conn) hasNothing(numPieces int) { c.has.Init(numPieces, c.hasMemory[:]) }

// knowsHas reports whether it is known what the peer has.
func (c *Conn) knowsHas() bool { return c.has.Len() > 0 }

// message handles everything but blocks.
func (e *Engine) message(now time.Duration, c *Conn, m *wire.Message) {
	c.lastHeard = now
	if c.webSeed && m.Type != wire.Reject {
		return // it has no words
	}
	switch m.Type {
	case wire.Choke:
		e.choked(now, c)
	case wire.Unchoke:
		e.unchokedUs(now, c)
	case wire.Interested:
		e.peerInterest(now, c, true)
	case wire.NotInterested:
		e.peerInterest(now, c, false)
	case wire.Have:
		e.peerHave(now, c, m.Index)
	case wire.Bitfield, wire.HaveAll, wire.HaveNone:
		e.peerBitfield(now, c, *m)
	case wire.Request:
		e.requested(now, c, *m)
	case wire.Cancel:
		e.cancelledByPeer(now, c, *m)
	case wire.Suggest, wire.Reject, wire.AllowedFast:
		e.fastMessage(now, c, *m)
	case wire.Extended:
		e.extendedMessage(now, c, *m)
	case wire.Port:
		e.peerNode(c, m.Index)
	}
}

// fastMessage handles what only the Fast Extension allows. BEP 6: "When the
// fast extension is disabled, if a peer receives [it], the peer MUST close the
// connection."
func (e *Engine) fastMessage(now time.Duration, c *Conn, m wire.Message) {
	if !c.fast {
		e.close(c, m.Type.String()+" without the fast extension")
		return
	}
	switch m.Type {
	case wire.Suggest:
		e.suggestedByPeer(c, m.Index)
	case wire.Reject:
		e.rejected(now, c, m)
	case wire.AllowedFast:
		e.allowedByPeer(now, c, m.Index)
	}
}

// peerBitfield handles bitfield, have all and have none. BEP 3: "'bitfield' is
// only ever sent as the first message." But aria2 sends a bitfield or have all
// wherever that is shorter than the haves that are due, so a later one counts as
// haves. Only to say "have none" later is of no use to anybody.
func (e *Engine) peerBitfield(now time.Duration, c *Conn, m wire.Message) {
	switch {
	case m.Type != wire.Bitfield && !c.fast:
		e.close(c, m.Type.String()+" without the fast extension")
	case m.Type == wire.HaveNone && c.told:
		e.close(c, "have none after the first message")
	case e.picker == nil:
		said := &c.seldomUsed().early
		said.all = said.all || m.Type == wire.HaveAll
		said.bitfield = append([]byte(nil), m.Payload...)
	case c.knowsHas():
		e.takeMore(now, c, m)
	default:
		e.takeBitfield(now, c, m.Type, m.Payload)
	}
	c.told = true
}

// takeMore takes a bitfield or have all as a have of each piece in it that the
// peer did not have before.
func (e *Engine) takeMore(now time.Duration, c *Conn, m wire.Message) {
	var more bitfield.Set
	more.Init(e.geo.NumPieces(), nil)
	if !e.readHas(c, &more, m.Type, m.Payload) || c.seed {
		return
	}
	for piece := range more.Members() {
		if c.has.Add(piece) {
			e.picker.gain(piece)
		}
	}
	if c.has.All() {
		e.becameSeed(c)
	}
	c.wanted = e.countWanted(c)
	e.updateInterest(now, c)
	if c.mayAsk() {
		e.fill(now, c)
	}
	e.closeIfUseless(c)
}

// takeBitfield makes a peer's first word about its pieces count.
func (e *Engine) takeBitfield(now time.Duration, c *Conn, kind wire.Type, payload []byte) {
	c.hasNothing(e.geo.NumPieces())
	if !e.readHas(c, &c.has, kind, payload) {
		return
	}
	if c.has.All() {
		c.seed = true
		e.picker.seeds++
	} else {
		for piece := range c.has.Members() {
			e.picker.gain(piece)
		}
	}
	c.wanted = e.countWanted(c)
	e.updateInterest(now, c)
	e.unfilled = e.unfilled || c.mayAsk()
	e.closeIfUseless(c)
	e.offerAllowedFast(now, c)
}

// readHas reads the pieces that a bitfield, have all or have none names into an
// empty set. It closes the connection if they cannot be those of the torrent.
func (e *Engine) readHas(c *Conn, has *bitfield.Set, kind wire.Type, payload []byte) (ok bool) {
	switch kind {
	case wire.HaveAll:
		has.Fill()
	case wire.Bitfield:
		if err := has.SetBytes(payload); err != nil {
			e.close(c, err.Error())
			return false
		}
	}
	return true
}

// countWanted counts the pieces a peer has that we want and lack.
func (e *Engine) countWanted(c *Conn) int32 {
	if c.has.All() {
		return int32(e.missing.Count())
	}
	n := int32(0)
	for piece := range c.has.Members() {
		if e.wants(piece) {
			n++
		}
	}
	return n
}

// wants reports whether a piece is wanted and not there yet.
func (e *Engine) wants(piece int) bool { return e.missing.Has(piece) }

// peerHave handles "have".
func (e *Engine) peerHave(now time.Duration, c *Conn, index uint32) {
	c.told = true
	if e.picker == nil {
		said := &c.seldomUsed().early
		if len(said.haves) == maxEarlyHaves {
			e.close(c, "too many haves")
			return
		}
		said.haves = append(said.haves, index)
		return
	}
	e.takeHave(now, c, index)
}

func (e *Engine) takeHave(now time.Duration, c *Conn, index uint32) {
	if int64(index) >= int64(e.geo.NumPieces()) {
		e.close(c, "have of a piece that does not exist")
		return
	}
	piece := int(index)
	if !c.knowsHas() {
		c.hasNothing(e.geo.NumPieces())
	}
	if !c.has.Add(piece) {
		return // said twice
	}
	e.picker.gain(piece)
	if c.has.All() {
		e.becameSeed(c)
	}
	if e.wants(piece) {
		c.wanted++
		e.updateInterest(now, c)
		if c.mayAsk() {
			e.fill(now, c)
		}
	}
	e.closeIfUseless(c)
}

// becameSeed moves a peer's copies from the pieces into the count of seeds.
func (e *Engine) becameSeed(c *Conn) {
	c.seed = true
	for piece := range c.has.Members() {
		e.picker.lose(piece)
	}
	e.picker.seeds++
}

// updateInterest says interested or not interested when it changed. BEP 3:
// "Interest state must be kept up to date at all times".
func (e *Engine) updateInterest(now time.Duration, c *Conn) {
	interested := c.wanted > 0
	if interested == c.interested {
		return
	}
	c.interested = interested
	kind := wire.NotInterested
	if interested {
		kind = wire.Interested
	}
	e.send(now, c, wire.Message{Type: kind})
}

// closeIfUseless closes a connection between two that have all they want:
// there is nothing that either could ever send.
func (e *Engine) closeIfUseless(c *Conn) {
	if c.seed && e.picker != nil && e.have.All() {
		e.close(c, "both are seeds")
	}
}
