package engine

import (
	"errors"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Engine is one torrent as one peer sees it. It is not safe for concurrent
// use: whoever drives it owns it.
type Engine struct {
	// What nearly every input touches comes first: two lines of the processor's cache.
	out *Outputs

	// The deadlines, 0 for none: the ten-second tick, and when the Grants said
	// that bytes would be there again. Those of the web seeds and the fetch are in there.
	tickAt     time.Duration
	uploadAt   time.Duration
	downloadAt time.Duration
	webSeeds   webSeeds

	refill    bool // blocks became free: look whether idle peers can fetch them
	unfilled  bool // there may be such peers: the window of one has room
	stalled   bool // the store refuses writes
	starved   bool // the Grants refused memory
	completed bool // OutCompleted was said for the present selection
	wasPublic bool // only the metadata told that the torrent is private

	// The pieces. picker, have and want are nil until the geometry is known.
	// missing are the wanted pieces that are not there yet.
	picker  *picker
	geo     metainfo.Geometry
	missing bitfield.Set
	fetch   metadataFetch
	have    *bitfield.Set
	want    *bitfield.Set
	left    int64 // bytes in the missing pieces

	conns    []*Conn    // in the order in which they came up
	backlog  []*Conn    // connections with blocks to send and credit to send them with
	askers   []*Conn    // connections that wait for pieces of metadata, in turn
	partials []*partial // in the order in which they were opened
	buffered int        // bytes of block memory taken from the Grants
	up, down meter

	uploaded, downloaded, wasted int64
	fromWebSeeds                 int64 // of downloaded
	hashFails                    int
	lastHave                     time.Duration // when we sent one, to all connections
	evictedAt                    time.Duration // when a connection last lost its place, 0 for never
	calledAt                     time.Duration // when addresses were last asked for
	served                       time.Duration // when a block last went out

	cfg      Config
	suspects []suspect
	client   string // of the last peer that said it
	book     book
	bans     bans
	choker   choker
	contacts contacts
	seenAs   [2]seenAs // by family
}

// New returns an engine that starts at now. It fails if cfg lacks Rand or
// Grants, or if Have or Want do not fit the geometry.
func New(now time.Duration, cfg Config) (*Engine, error) {
	if cfg.Rand == nil || cfg.Grants == nil {
		return nil, errors.New("engine: Config.Rand and Config.Grants must be set")
	}
	if cfg.MaxPeers == 0 {
		cfg.MaxPeers = defaultMaxPeers
	}
	if cfg.AllowedFast == 0 {
		cfg.AllowedFast = allowedFastPieces
	}
	if cfg.WebSeedBelow == 0 {
		cfg.WebSeedBelow = DefaultWebSeedBelow
	}
	e := &Engine{cfg: cfg, tickAt: now + rechokeEvery, out: cfg.Outputs}
	if e.out == nil {
		e.out = new(Outputs)
	}
	e.book.init()
	e.choker.init(now)
	if err := e.setGeometry(cfg.Geometry, cfg.Have, cfg.Want); err != nil {
		return nil, err
	}
	e.cfg.Have, e.cfg.Want = nil, nil
	return e, nil
}

// Receive tells the engine one thing that happened at now, which is never
// earlier than the now of a call before. What the engine wants done waits in
// Next. in is read during the call and not kept.
func (e *Engine) Receive(now time.Duration, in *Input) {
	e.out.begin(e)
	switch in.Kind {
	case InConnUp:
		e.connUp(now, in)
	case InConnDown:
		e.connDown(now, in.Conn)
	case InMessage:
		if in.Conn.counts() {
			e.message(now, in.Conn, &in.Message)
		}
	case InBlock:
		e.receiveBlock(now, in)
	case InCredit:
		if in.Conn.counts() {
			e.credit(now, in.Conn, in.Length)
		}
	case InVerified:
		e.verified(now, in)
	case InStoreFailed:
		e.storeFailed(in.Piece)
	case InStoreReady:
		e.storeReady()
	case InPeers:
		e.found(now, in.Addrs, in.Source)
	case InDialFailed:
		e.dialFailed(now, in.Addr)
	case InGeometry:
		e.learn(now, in)
	case InWant:
		e.selectPieces(now, in.Want)
	case InLimits:
		e.cfg.UploadCapacity = in.Length
		e.uploadAt, e.downloadAt = 0, 0 // they were those of the old limits
		e.refill = true
		e.serveMetadata(now)
		e.serve(now)
	}
	e.refillIdle(now)
}

// receiveBlock handles a block, also one from a connection that is gone or
// going: its slot must not stay filled with what nobody accounts for.
func (e *Engine) receiveBlock(now time.Duration, in *Input) {
	switch {
	case in.Conn.counts():
		e.block(now, in.Conn, in)
	case in.Claimed:
		e.waste(in.Length)
		e.discard(in)
	}
}

// Advance runs the timers that are due at now.
func (e *Engine) Advance(now time.Duration) {
	e.out.begin(e)
	if due(&e.uploadAt, now) {
		e.serveMetadata(now)
		e.serve(now)
	}
	if due(&e.fetch.at, now) {
		e.metadataTimers(now)
	}
	if due(&e.downloadAt, now) {
		e.refill = true
	}
	if due(&e.webSeeds.at, now) {
		e.judgeWebSeeds(now)
	}
	if due(&e.tickAt, now) {
		e.tickAt = now + rechokeEvery
		e.tick(now)
	}
	e.refillIdle(now)
}

// due reports whether a deadline has come, and clears it.
func due(at *time.Duration, now time.Duration) bool {
	if *at == 0 || *at > now {
		return false
	}
	*at = 0
	return true
}

// NextTimeout is the earliest deadline the engine has: call Advance then.
func (e *Engine) NextTimeout() (at time.Duration, ok bool) {
	at = e.tickAt
	for _, d := range [...]time.Duration{e.uploadAt, e.downloadAt, e.fetch.at, e.webSeeds.at} {
		at = earlier(at, d)
	}
	return at, true
}

// Next returns the next thing to do, in the order in which the engine wants
// it done, until there is none. The output is valid until Next is called again.
func (e *Engine) Next() (out *Output, ok bool) { return e.out.next(e) }

// send queues a message without a payload. A web seed understands few.
func (e *Engine) send(now time.Duration, c *Conn, m wire.Message) {
	if c.webSeed && m.Type != wire.Request && m.Type != wire.Cancel {
		return
	}
	c.lastSent = now
	e.out.push(Output{Kind: OutMessage, Conn: c, Message: m})
}

// tick is what happens every ten seconds.
func (e *Engine) tick(now time.Duration) {
	for _, c := range e.conns {
		e.tickConn(now, c)
	}
	e.rechoke(now)
	e.book.tick()
	e.dial(now)
	e.callForPeers(now)
	e.refill, e.unfilled = true, true
}

// tickConn looks after one connection's time limits.
func (e *Engine) tickConn(now time.Duration, c *Conn) {
	switch {
	case c.closing:
	case now-c.lastHeard > silentAfter && !c.webSeed:
		e.close(c, "silent for four minutes")
	default:
		e.checkSnub(now, c)
		e.checkParole(now, c)
		e.sendPEX(now, c)
		c.trim()
		if now-max(c.lastSent, e.lastHave) >= keepAliveAfter-rechokeEvery {
			e.send(now, c, wire.Message{Type: wire.KeepAlive})
		}
	}
}

// connUp takes a connection in, greets it, or closes it at once.
func (e *Engine) connUp(now time.Duration, in *Input) {
	c := in.Conn
	c.begin(now, in)
	if in.WebSeed {
		e.webSeedUp(now, c)
		return
	}
	if !in.Incoming {
		e.book.connected(c.addr)
		e.cfg.Grants.DialDone(now)
	}
	if reason := e.refuse(now, c); reason != "" {
		e.out.push(Output{Kind: OutClose, Conn: c, Reason: reason})
		e.book.disconnected(now, c)
		return
	}
	c.live = true
	e.conns = append(e.conns, c)
	e.choker.enter(now, c, e)
	if !c.incoming {
		e.becameContact(c)
	}
	e.greet(now, c)
}

// refuse says why a new connection is not wanted, or "". If it is wanted, the
// Grants have counted it.
func (e *Engine) refuse(now time.Duration, c *Conn) string {
	switch {
	case c.peerID == e.cfg.PeerID:
		e.book.itself(c.addr)
		return "it is ourselves"
	case e.bans.has(c):
		return "banned"
	case e.cfg.Private && !e.admits(c):
		return notOfTracker
	case e.tooManyFrom(c.addr.Addr()):
		return "too many connections from its address"
	}
	if twin := e.twin(c); twin != nil {
		if !e.replaces(c, twin) {
			return "connected already"
		}
		e.close(twin, "connected already")
	}
	const full = "too many connections"
	if !e.cfg.Grants.Connect(now) {
		return full
	}
	if e.numPeers() >= e.cfg.MaxPeers && !e.makeRoomFor(now, c) {
		e.cfg.Grants.Disconnect(now)
		return full
	}
	return ""
}

// tooManyFrom reports whether an address has all the connections it may have.
// Loopback and private addresses may stand for many peers.
func (e *Engine) tooManyFrom(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsPrivate() {
		return false
	}
	n := 0
	for _, c := range e.conns {
		if c.addr.Addr() == ip {
			n++
		}
	}
	return n >= maxPerAddress
}

// twin returns the other connection to the same peer, if there is one.
func (e *Engine) twin(c *Conn) *Conn {
	for _, other := range e.conns {
		if other.peerID == c.peerID && !other.closing && !other.webSeed {
			return other
		}
	}
	return nil
}

// replaces decides which of two connections to one peer stays. When both sides
// dialled at the same time both must choose the same: the one that the smaller
// peer id dialled. Otherwise the older one stays.
func (e *Engine) replaces(c, twin *Conn) bool {
	if c.incoming == twin.incoming {
		return false
	}
	weDial := string(e.cfg.PeerID[:]) < string(c.peerID[:])
	return weDial == !c.incoming
}

// greet says what BEP 3, 6 and 10 want said first. BEP 6: "Exactly one of Have
// All, Have None, or Have Bitfield MUST appear and only immediately after the
// handshake."
func (e *Engine) greet(now time.Duration, c *Conn) {
	switch {
	case c.fast && (e.have == nil || e.have.Count() == 0):
		e.send(now, c, wire.Message{Type: wire.HaveNone})
	case e.have == nil || e.have.Count() == 0:
		// BEP 3: who has nothing may skip the bitfield.
	case c.fast && e.have.All():
		e.send(now, c, wire.Message{Type: wire.HaveAll})
	default:
		e.send(now, c, wire.Message{Type: wire.Bitfield, Payload: e.have.Clone().Bytes()})
	}
	if c.extended {
		e.sendExtHandshake(now, c)
	}
	e.offerNode(now, c)
}

// connDown forgets a connection; what it was to bring is free again.
func (e *Engine) connDown(now time.Duration, c *Conn) {
	if !c.live {
		return // it was refused
	}
	c.live = false
	for i := range e.conns {
		if e.conns[i] == c {
			e.conns = append(e.conns[:i], e.conns[i+1:]...)
			break
		}
	}
	c.closing = true
	e.forget(now, c)
	if c.webSeed {
		e.webSeeds.count--
		return
	}
	e.lostContact(c)
	e.choker.leave(now, c)
	e.book.disconnected(now, c)
	e.cfg.Grants.Disconnect(now)
	e.fetchMetadata(now)
	e.fillSlots(now)
	e.dial(now)
	if e.numPeers() == 0 {
		e.callForPeers(now)
	}
}

// forget takes back everything that depends on a connection: its requests,
// its pieces in the picker, its uploads.
func (e *Engine) forget(now time.Duration, c *Conn) {
	e.releaseAll(now, c)
	e.leavePartial(c)
	c.queue = queue{}
	c.pending, c.seldom = nil, nil // they hold pieces, which hold other connections
	e.unbacklog(c)
	e.forgetMetadata(c)
	if e.picker == nil {
		return
	}
	if c.seed {
		e.picker.seeds--
		return
	}
	for piece := range c.has.Members() {
		e.picker.lose(piece)
	}
}

// close asks for a connection's end. Nothing it sends counts any more.
func (e *Engine) close(c *Conn, reason string) {
	if c.closing {
		return
	}
	c.closing = true
	e.dropAsker(c)
	e.out.push(Output{Kind: OutClose, Conn: c, Reason: reason})
}
