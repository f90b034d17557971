package sim

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/tracker"
)

// The events between peers and tracker. Where nothing else is said, C is the content of the torrent that an
// event is for: see publisher.
const (
	eventJoin     = KindUser + iota // a peer starts
	eventLeave                      // and ends; Sub: unfinished, or 0
	eventTimer                      // the engine's deadline, or the tracker's sweep
	eventAnnounce                   // to the tracker; Sub: tracker.Event, A and B: the high and low half of what is left; C: the content, and the life of the peer in 8 bits
	eventPeers                      // its reply; the payload is a compact list (BEP 23)
	eventReannounce
	eventDial       // to the peer that is dialled; A: the dialler's number of the flow, C: its content
	eventDialFailed // to the dialler; Flow, or 0; A: IPv4 address, B: port
	eventConnected  // to the dialler; Flow; A: the number at the other end
	eventClosed     // the other side closed; Flow
	eventVerified   // Sub: the life of the peer, A: piece, B: wantsDigests or 0
	eventCrash      // A: the position in Swarm.Faults
	eventWebSeed    // a web seed may be asked again; Sub: the life, A: the position in Peer.WebSeeds
	eventNoTracker  // the tracker does not answer; Sub: the life, A: tracker.Event
	eventRetry      // announce again; Sub: the life
	eventPacket     // of the DHT, with its payload; A: its checksum, C: its length
	eventNodeTimer  // the deadline of a node of the DHT
	eventRound      // announce in the DHT; Sub: the life
)

// unfinished is the Sub of an eventLeave that is for a peer which has not
// completed by then.
const unfinished = 1

// haveLen is the length in bytes of a have message (BEP 3: its length prefix,
// its type, and the piece index).
const haveLen = 9

// dialTimeout is how long a dial to nobody takes to fail. Arbitrary; clients
// give up after 5 to 20 s.
const dialTimeout = 10 * time.Second

// sendCredit is how many bytes of blocks a connection takes before its uplink has
// sent them: one. The next comes when it is through, at the same instant, so
// no time is lost, and what waits can still be cancelled.
const sendCredit = metainfo.BlockLen

// peer is an engine, its process and its host: one torrent of a publisher, or all that is on its host.
type peer struct {
	// What nearly every event touches comes first, then what blocks do.
	*host
	kernel   *Kernel
	engine   *engine.Engine
	swarm    *swarm
	timerAt  time.Duration // of the earliest timer event under way, 0 for none
	webSeeds []*webUse     // those that are left alone as well

	joined     bool
	gone       bool
	complete   bool
	life       uint8  // how often it crashed
	content    uint32 // that it seeds or downloads
	share      *quota.Share
	assembly   assembly
	sent       int64 // bytes of blocks
	received   int64
	fromSeeds  int64 // of received, from peers that were seeds at the start
	crossISP   int64 // of received, from other ISPs' networks
	leaveAfter int64 // Peer.LeaveAfter

	index     int // in Swarm.Peers
	cfg       *Peer
	peerID    metainfo.PeerID
	publisher *publisher    // that it is a torrent of, or nil
	announced time.Duration // when the last announce went out

	severed  []severed
	before   account       // of its earlier lives
	failures int           // of announces, since the last that came through
	owed     tracker.Event // what the tracker has yet to hear
	retryAt  time.Duration

	firstPiece  time.Duration
	completedAt time.Duration
	leftAt      time.Duration
	lost        int64 // bytes of blocks

	dht       *finder       // nil if there is no DHT
	firstPeer time.Duration // when the first connection with a peer was up

	fromWebSeeds int64 // of received

	has *bitfield.Set // pieces, for the samples; nil before it joins, and for seeds of the start
}

// present reports whether the peer has joined and not left.
func (p *peer) present() bool { return p.joined && !p.gone }

func (w *swarm) addPeer(index int) {
	cfg := &w.cfg.Peers[index]
	if cfg.Seed && w.cfg.Contents > 1 {
		w.addPublisher(index)
		return
	}
	on := new(struct { // together, for every event needs both
		host host
		peer peer
	})
	p := &on.peer
	*p = peer{host: &on.host, swarm: w, index: index, cfg: cfg, content: uint32(cfg.Content)}
	w.world().add(p.host, p, p.cfg.Link)
	w.peers = append(w.peers, p)
	p.start()
}

// start puts the joining and leaving of a peer that has its host on the schedule.
func (p *peer) start() {
	w := p.swarm
	p.kernel = w.world().kernelOf(p.id)
	p.peerID = w.peerID(p.id)
	p.leaveAfter = p.cfg.LeaveAfter
	p.complete = p.cfg.Seed || p.cfg.Have != nil && p.cfg.Have.All()
	state := p.state()
	state.present++
	if !p.complete {
		state.toComplete++
	}
	p.at(p.cfg.Join, Event{Kind: eventJoin})
	if p.cfg.Leave > 0 {
		p.at(max(p.cfg.Leave, p.cfg.Join), Event{Kind: eventLeave})
	}
	if p.cfg.GiveUp > 0 {
		p.at(max(p.cfg.GiveUp, p.cfg.Join), Event{Kind: eventLeave, Sub: unfinished})
	}
}

// at schedules an event of the peer's own. C is its content, by which a publisher knows its torrents apart.
func (p *peer) at(t time.Duration, ev Event) {
	ev.To, ev.C = p.id, p.content
	p.kernel.At(t, ev)
}

// peerID draws the peer id of the host with an ID.
func (w *swarm) peerID(id ID) metainfo.PeerID {
	var tail [12]byte
	random := w.world().Rand(id, streamID)
	for i := range tail {
		tail[i] = byte(random.Uint32())
	}
	return metainfo.PeerIDFrom(tail)
}

// state is what the peers have in common that the same kernel drives.
func (p *peer) state() *shardState { return &p.swarm.states[p.kernel.index] }

// port is where the peer accepts connections, 0 for nowhere.
func (p *peer) port() uint16 {
	if p.cfg.Unreachable {
		return 0
	}
	return listenPort
}

// Handle is called by the kernel.
func (p *peer) Handle(now time.Duration, ev Event) {
	switch {
	case ev.Kind == eventJoin:
		if !p.gone {
			p.join(now)
		}
		return
	case ev.Kind == KindLost:
		p.lost += int64(ev.C)
		return
	case !p.present():
		p.missed(now, ev)
		return
	}
	switch ev.Kind {
	case KindMessage:
		p.message(now, ev)
	case KindBlock:
		p.block(now, ev)
	case KindSent:
		p.sentBlock(now, ev)
	case eventTimer:
		p.timer(now)
	case eventVerified:
		if ev.Sub == p.life {
			p.verified(now, int(ev.A), ev.B == wantsDigests)
		}
	default:
		p.handleControl(now, ev)
	}
	p.drive(now)
}

// touch is for Kernel.touch.
func (p *peer) touch(ev *Event, f *flow, depth int) uint64 {
	switch {
	case p.engine == nil:
		return 0
	case f == nil:
		return p.engine.Touch(nil, depth)
	case ev.Kind == kindCast:
		return p.engine.Touch(&f.conn, depth)
	}
	nothing := p.engine.Touch(&f.conn, depth) + p.engine.TouchBlocks(&f.conn, depth) + p.share.Touch(depth)
	switch {
	case depth == 0:
		nothing += uint64(p.received)
	case depth == 1 && ev.Kind == kindArrive:
		nothing += p.assembly.touch(int(ev.A), int(ev.B))
	}
	return nothing
}

// handleControl handles what is rare.
func (p *peer) handleControl(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventPeers:
		p.gotPeers(now, p.kernel.payloadOf(&ev))
	case eventReannounce:
		if now-p.announced >= p.swarm.cfg.AnnounceInterval {
			p.tell(now, tracker.None)
		}
	case eventDial:
		if p.partedFrom(now, ev.from()) {
			p.notThere(now, ev.from(), ev.A)
		} else {
			p.accept(now, ev.from(), ev.A)
		}
	case eventDialFailed:
		p.dialFailed(now, ev)
	case eventConnected:
		p.connected(now, ev)
	case eventClosed:
		p.closedByOther(now, ev)
	case eventCrash:
		p.crash(now, &p.swarm.cfg.Faults[ev.A])
	case eventNoTracker:
		if ev.Sub == p.life {
			p.announceFailed(now, tracker.Event(ev.A))
		}
	case eventWebSeed:
		if ev.Sub == p.life && !p.complete {
			p.dialWebSeed(now, p.webSeeds[ev.A])
		}
	case eventRetry:
		if ev.Sub == p.life {
			p.retry(now)
		}
	case eventPacket, eventNodeTimer:
		p.dht.node.handle(now, ev)
	case eventRound:
		if ev.Sub == p.life {
			p.dht.round(now)
		}
	case eventLeave:
		if ev.Sub != unfinished || !p.complete {
			p.leave(now)
		}
	}
}

// missed handles what comes to a peer that is not there, and must not be left as it is.
func (p *peer) missed(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventDial:
		p.notThere(now, ev.from(), ev.A)
	case eventDialFailed:
		p.dropDial(ev.Flow)
	case eventConnected:
		p.connected(now, ev)
	case eventLeave:
		if p.crashed() && (ev.Sub != unfinished || !p.complete) {
			p.end(now)
		}
	}
}

// join starts the engine, also of a peer that comes back.
func (p *peer) join(now time.Duration) {
	w := p.swarm
	p.comeBack(now)
	if p.share != nil {
		p.share.Leave(now) // the process that crashed
	}
	p.share = p.quota().Join(p.cfg.Limits)
	cfg := engine.Config{
		InfoHash: w.infoHash(p.content), PeerID: p.peerID, Rand: p.rand(),
		Grants: p.share, Geometry: w.cfg.Geometry, Have: p.have(), Port: p.port(),
		Client: "Shoal simulator", UploadCapacity: p.uploadCapacity(),
		Outputs: &p.state().outputs,
		NoPEX:   true, // the tracker gives all the addresses; Configure may ask for it
	}
	if w.cfg.DHT != nil {
		cfg.DHTPort = listenPort
	}
	if w.cfg.Configure != nil {
		w.cfg.Configure(p.index, &cfg)
	}
	e, err := engine.New(now, cfg)
	if err != nil {
		panic("sim: an engine refuses a configuration that the swarm accepted: " + err.Error())
	}
	p.engine = e
	p.assembly.init(w.cfg.Geometry)
	if p.has == nil {
		p.has = p.have()
	}
	if p.has == nil {
		p.has = bitfield.New(w.cfg.Geometry.NumPieces())
	}
	p.joined = true
	p.kernel.Progress()
	p.announce(now, tracker.Started)
	p.joinDHT(now)
	p.dialWebSeeds(now)
	p.drive(now)
}

// quota is what the peer's process shares out.
func (p *peer) quota() *quota.Quota {
	if p.publisher != nil {
		return p.publisher.quota
	}
	return newQuota(p.cfg)
}

func newQuota(cfg *Peer) *quota.Quota {
	processQuota := cfg.Quota
	processQuota.Strict = true
	return quota.New(processQuota)
}

// rand is the engine's random stream, another one in each life.
func (p *peer) rand() *rand.Rand {
	stream := streamEngine + uint32(p.life)<<8
	if p.publisher != nil {
		stream += p.content << 16
	}
	return p.kernel.Rand(p.id, stream)
}

// have is what the peer begins with, for the engine to keep.
func (p *peer) have() *bitfield.Set {
	switch {
	case p.has != nil:
		return p.has.Clone()
	case p.cfg.Seed:
		return bitfield.NewFull(p.swarm.cfg.Geometry.NumPieces())
	case p.cfg.Have != nil:
		return p.cfg.Have.Clone()
	}
	return nil
}

// uploadCapacity is what the client is told of its uplink: the least of the link and
// of the limits.
func (p *peer) uploadCapacity() int {
	capacity := p.cfg.Link.Up
	for _, limit := range [...]int{p.cfg.Quota.Up, p.cfg.Limits.Up} {
		if limit > 0 && (capacity == 0 || limit < capacity) {
			capacity = limit
		}
	}
	return capacity
}

// leave ends the peer: connections are closed, the tracker is told.
func (p *peer) leave(now time.Duration) {
	if p.gone {
		return
	}
	for i := len(p.open) - 1; i >= 0; i-- {
		if f := p.open[i]; uint32(f.content) == p.content { // not another torrent's of a publisher
			p.close(now, f)
		}
	}
	for _, use := range p.webSeeds {
		if use.flow.state == flowing {
			p.close(now, use.flow)
		}
	}
	p.announce(now, tracker.Stopped)
	p.end(now)
	for _, ok := p.engine.Next(); ok; _, ok = p.engine.Next() {
		// Nobody is there any more to do it.
	}
}

// end takes the peer out of the run.
func (p *peer) end(now time.Duration) {
	p.gone, p.leftAt = true, now
	p.leaveDHT()
	p.kernel.Progress()
	state := p.state()
	state.changed = now
	state.present--
	if !p.complete {
		state.toComplete--
	}
}

// drive does what the engine wants done, and keeps its deadline.
func (p *peer) drive(now time.Duration) {
	if !p.present() {
		return
	}
	for out, ok := p.engine.Next(); ok; out, ok = p.engine.Next() {
		p.do(now, out)
		if !p.present() {
			return // leave has taken the others
		}
	}
	p.askForRanges()
	at, ok := p.engine.NextTimeout()
	if ok && (p.timerAt == 0 || at < p.timerAt) {
		p.timerAt = max(at, now)
		p.at(p.timerAt, Event{Kind: eventTimer})
	}
}

// timer is called at the times of timer events. A deadline may have moved
// since; an event that became too early only sets the next.
func (p *peer) timer(now time.Duration) {
	if now < p.timerAt {
		return // an earlier one took its place
	}
	p.timerAt = 0
	if at, ok := p.engine.NextTimeout(); ok && at <= now {
		p.engine.Advance(now)
	}
}

func (p *peer) do(now time.Duration, out *engine.Output) {
	switch out.Kind {
	case engine.OutMessage:
		if f := flowOf(out.Conn); f.web != nil {
			p.askWebSeed(now, f, out.Message)
		} else {
			p.send(f, &out.Message) // free of credit: there is no metadata to pay for
		}
	case engine.OutBlock:
		p.sendBlock(flowOf(out.Conn), out)
	case engine.OutHave:
		if p.swarm.cfg.Wire {
			p.overWire(&wire.Message{Type: wire.Have, Index: uint32(out.Piece)})
		}
		p.kernel.broadcast(p.host, message{len: haveLen, sub: uint8(wire.Have), a: uint32(out.Piece)})
	case engine.OutOpen:
		p.assembly.open(out.Piece)
	case engine.OutDiscard:
		p.assembly.discard(out.Piece, out.Begin)
	case engine.OutDrop:
		p.assembly.drop(out.Piece)
	case engine.OutVerify:
		p.verify(now, out)
	case engine.OutDial:
		p.dial(now, out.Addr)
	case engine.OutClose:
		f := flowOf(out.Conn)
		if f.web != nil {
			f.web.closedByEngine(out.Reason)
		}
		if f.state == flowing {
			p.close(now, f)
		}
	case engine.OutCompleted:
		p.completed(now)
	case engine.OutNeedPeers:
		if now-p.announced >= minAnnounce {
			p.tell(now, tracker.None)
		}
		p.hurryRound(now)
	case engine.OutNode:
		p.meetNode(now, out.Addr)
	}
}

// announce tells the tracker how the peer stands, and when to do so again.
func (p *peer) announce(now time.Duration, event tracker.Event) {
	w := p.swarm
	if w.cfg.NoTracker {
		return
	}
	p.announced = now
	left := uint64(0)
	if !p.complete {
		left = uint64(p.engine.Stats(now).Left)
	}
	p.kernel.At(now+atLeastMinLatency(w.cfg.Latency), Event{
		To: w.tracker.id, Kind: eventAnnounce, Sub: uint8(event), A: uint32(left >> 32), B: uint32(left), C: p.content<<8 | uint32(p.life),
	})
	if event != tracker.Stopped {
		p.at(now+w.cfg.AnnounceInterval, Event{Kind: eventReannounce})
	}
}

func (p *peer) foundPeers(now time.Duration, addrs []netip.AddrPort, source engine.Source) {
	p.engine.Receive(now, &engine.Input{Kind: engine.InPeers, Addrs: addrs, Source: source})
}

// completed notes the end of the download.
func (p *peer) completed(now time.Duration) {
	if p.complete {
		return
	}
	p.complete, p.completedAt = true, now
	p.tell(now, tracker.Completed)
	p.hurryRound(now)
	if p.cfg.SeedFor != 0 {
		p.at(now+max(p.cfg.SeedFor, 0), Event{Kind: eventLeave})
	}
	state := p.state()
	state.changed = now
	state.toComplete--
}

// send sends a message.
func (p *peer) send(f *flow, m *wire.Message) {
	if p.swarm.cfg.Wire {
		m = p.overWire(m)
	}
	a, payload := m.Index, []byte(nil)
	if m.Payload != nil {
		a = uint32(m.ExtID)
		payload = append([]byte{}, m.Payload...) // valid only until the next call of the engine
	}
	p.kernel.sendMessage(p.host, f, message{
		len: messageLen(m), sub: uint8(m.Type), a: a, b: m.Begin, c: m.Length, payload: payload,
	})
}

// messageLen is the length of a message in bytes, its length prefix included.
func messageLen(m *wire.Message) int {
	switch m.Type {
	case wire.Request, wire.Cancel, wire.Reject:
		return 17
	case wire.Have, wire.Suggest, wire.AllowedFast:
		return haveLen
	case wire.KeepAlive:
		return 4
	case wire.Port:
		return 7
	case wire.Extended:
		return 6 + len(m.Payload)
	case wire.Piece:
		return wire.PieceHeaderLen + len(m.Payload)
	}
	return 5 + len(m.Payload)
}

// message hands a message to the engine.
func (p *peer) message(now time.Duration, ev Event) {
	if f := p.kernel.through; f.web != nil {
		p.webSeedBusy(now, f, time.Duration(ev.A)*time.Second) // a web seed says nothing else
		return
	}
	m := wire.Message{Type: wire.Type(ev.Sub), Index: ev.A, Begin: ev.B, Length: ev.C}
	if payload := p.kernel.payloadOf(&ev); payload != nil {
		m = wire.Message{Type: m.Type, ExtID: uint8(ev.A), Payload: payload}
	}
	p.engine.Receive(now, &engine.Input{Kind: engine.InMessage, Conn: &p.kernel.through.conn, Message: m})
}

// sendBlock hands a block to the uplink.
func (p *peer) sendBlock(f *flow, out *engine.Output) {
	if p.swarm.cfg.Wire {
		p.blockOverWire(out)
	}
	p.kernel.send(p.host, f, uint32(out.Piece), uint32(out.Begin), out.Length)
}

// sentBlock gives the engine credit for what the uplink has sent.
func (p *peer) sentBlock(now time.Duration, ev Event) {
	p.sent += int64(ev.C)
	if p.sentEnough(now) {
		return
	}
	p.engine.Receive(now, &engine.Input{Kind: engine.InCredit, Conn: &p.kernel.through.conn, Length: int(ev.C)})
}

// block hands a block that arrived to the engine.
func (p *peer) block(now time.Duration, ev Event) {
	p.received += int64(ev.C)
	f := p.kernel.through
	if f.toSeed {
		p.fromSeeds += int64(ev.C)
	}
	if f.foreign {
		p.crossISP += int64(ev.C)
	}
	isFalse := f.toCorrupt
	if f.web != nil {
		p.gotFromWebSeed(f.web, ev.C)
		isFalse = f.web.server.fault(WebSeedLies, now) != nil
	}
	claimed := p.assembly.claim(int(ev.A), int(ev.B))
	if claimed && isFalse {
		p.assembly.spoil(int(ev.A), int(ev.B))
	}
	p.engine.Receive(now, &engine.Input{
		Kind: engine.InBlock, Conn: &f.conn, Piece: int(ev.A), Begin: int(ev.B), Length: int(ev.C), Claimed: claimed,
	})
}
