package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// conn is one connection: what we know of the peer, what we asked of it, and
// what it asked of us.
type conn struct {
	id       ConnID
	addr     netip.AddrPort
	peerID   metainfo.PeerID
	fast     bool // BEP 6 was negotiated
	extended bool // BEP 10 was negotiated
	dht      bool // it has a DHT node, by its handshake (BEP 5)
	incoming bool
	closing  bool // OutClose was said

	up        time.Duration
	lastHeard time.Duration
	lastSent  time.Duration

	// What the peer has. early holds what it said before the geometry was
	// known. told says that its bitfield, or a have, came.
	has    *bitfield.Set
	seed   bool // it has everything, and the picker counts it as a seed
	told   bool
	early  early
	wanted int // the pieces it has that we want and lack

	client     string
	listens    netip.AddrPort // of an incoming peer: where it can be dialled
	listenPort uint16         // of an incoming peer, 0 if it did not say
	reqQ       int
	uploadOnly bool
	toldNode   bool // it said where its DHT node is

	// Extensions: nil for those that it does not have.
	metadata       *metadataPeer
	pex            *pexPeer
	contactSince   uint32 // the event of contacts by which others may hear of it, 0 for never
	toldPEX        bool   // our last handshake offered PEX
	toldUploadOnly bool   // our last handshake said upload_only

	// Download.
	interested  bool // we are, in it
	peerChoking bool // it chokes us
	window      window
	pending     []request // asked for and not here yet, oldest first
	cancelled   []request // cancelled, and by BEP 6 still to be answered
	own         *partial  // the piece its next blocks come from
	ownSince    time.Duration
	allowed     []int32 // pieces it lets us fetch while it chokes us
	suggested   []int32 // pieces it suggests, newest last
	lastBlock   time.Duration
	snubbed     bool
	unasked     int // blocks in a row that nobody asked for
	parole      bool
	strikes     int
	down        meter
	downloaded  int64

	// Upload.
	peerInterested bool
	unchoked       bool // we let it download
	optimistic     bool
	turn           int64 // its place in the line: the least is next
	unchokedAt     time.Duration
	queue          queue
	credit         int // bytes its transport can take
	inBacklog      bool
	offered        []int32 // our allowed-fast set for it
	offeredBytes   int64   // what of it was asked for, while choked
	chokedRequests int
	upMeter        meter
	uploaded       int64
}

// early is what a peer said of its pieces before we knew how many there are.
type early struct {
	bitfield []byte
	all      bool
	haves    []uint32
}

func newConn(now time.Duration, in Input) *conn {
	return &conn{
		// One peer has one address, in bans, in the line and in the book.
		id: in.Conn, addr: netip.AddrPortFrom(in.Addr.Addr().Unmap(), in.Addr.Port()), peerID: in.PeerID,
		fast: in.Fast, extended: in.Extended, dht: in.DHT, incoming: in.Incoming,
		up: now, lastHeard: now, lastSent: now,
		peerChoking: true, reqQ: defaultReqQ, window: newWindow(),
	}
}

// message handles everything but blocks.
func (e *Engine) message(now time.Duration, c *conn, m wire.Message) {
	c.lastHeard = now
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
		e.peerBitfield(now, c, m)
	case wire.Request:
		e.requested(now, c, m)
	case wire.Cancel:
		e.cancelledByPeer(now, c, m)
	case wire.Suggest, wire.Reject, wire.AllowedFast:
		e.fastMessage(now, c, m)
	case wire.Extended:
		e.extendedMessage(now, c, m)
	case wire.Port:
		e.peerNode(c, m.Index)
	}
}

// fastMessage handles what only the Fast Extension allows. BEP 6: "When the
// fast extension is disabled, if a peer receives [it], the peer MUST close the
// connection."
func (e *Engine) fastMessage(now time.Duration, c *conn, m wire.Message) {
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
func (e *Engine) peerBitfield(now time.Duration, c *conn, m wire.Message) {
	switch {
	case m.Type != wire.Bitfield && !c.fast:
		e.close(c, m.Type.String()+" without the fast extension")
	case m.Type == wire.HaveNone && c.told:
		e.close(c, "have none after the first message")
	case e.picker == nil:
		c.early.all = c.early.all || m.Type == wire.HaveAll
		c.early.bitfield = append([]byte(nil), m.Payload...)
	case c.has != nil:
		e.takeMore(now, c, m)
	default:
		e.takeBitfield(now, c, m.Type, m.Payload)
	}
	c.told = true
}

// takeMore takes a bitfield or have all as a have of each piece in it that the
// peer did not have before.
func (e *Engine) takeMore(now time.Duration, c *conn, m wire.Message) {
	more, ok := e.parseHas(c, m.Type, m.Payload)
	if !ok || c.seed {
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
func (e *Engine) takeBitfield(now time.Duration, c *conn, kind wire.Type, payload []byte) {
	has, ok := e.parseHas(c, kind, payload)
	if !ok {
		return
	}
	c.has = has
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
	e.closeIfUseless(c)
}

// parseHas returns the pieces that a bitfield, have all or have none names. It
// closes the connection if they cannot be those of the torrent.
func (e *Engine) parseHas(c *conn, kind wire.Type, payload []byte) (has *bitfield.Set, ok bool) {
	n := e.geo.NumPieces()
	switch kind {
	case wire.HaveAll:
		return bitfield.NewFull(n), true
	case wire.HaveNone:
		return bitfield.New(n), true
	}
	has, err := bitfield.Parse(payload, n)
	if err != nil {
		e.close(c, err.Error())
	}
	return has, err == nil
}

// countWanted counts the pieces a peer has that we want and lack.
func (e *Engine) countWanted(c *conn) int {
	if c.has.All() {
		return e.missing
	}
	n := 0
	for piece := range c.has.Members() {
		if e.wants(piece) {
			n++
		}
	}
	return n
}

// wants reports whether a piece is wanted and not there yet.
func (e *Engine) wants(piece int) bool { return e.want.Has(piece) && !e.have.Has(piece) }

// peerHave handles "have".
func (e *Engine) peerHave(now time.Duration, c *conn, index uint32) {
	c.told = true
	if e.picker == nil {
		if len(c.early.haves) == maxEarlyHaves {
			e.close(c, "too many haves")
			return
		}
		c.early.haves = append(c.early.haves, index)
		return
	}
	e.takeHave(now, c, index)
}

func (e *Engine) takeHave(now time.Duration, c *conn, index uint32) {
	if int64(index) >= int64(e.geo.NumPieces()) {
		e.close(c, "have of a piece that does not exist")
		return
	}
	piece := int(index)
	if c.has == nil {
		c.has = bitfield.New(e.geo.NumPieces())
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
func (e *Engine) becameSeed(c *conn) {
	c.seed = true
	for piece := range c.has.Members() {
		e.picker.lose(piece)
	}
	e.picker.seeds++
}

// updateInterest says interested or not interested when it changed. BEP 3:
// "Interest state must be kept up to date at all times".
func (e *Engine) updateInterest(now time.Duration, c *conn) {
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
func (e *Engine) closeIfUseless(c *conn) {
	if e.picker != nil && e.have.All() && c.seed {
		e.close(c, "both are seeds")
	}
}
