package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/quota"
	"github.com/shoal-bt/shoal/peer/wire"
	"github.com/shoal-bt/shoal/tracker"
)

// The events between peers and tracker.
const (
	eventJoin     = KindUser + iota // a peer starts
	eventLeave                      // and ends
	eventTimer                      // the engine's deadline, or the tracker's sweep
	eventAnnounce                   // to the tracker; A: the peer's position, Sub: tracker.Event
	eventPeers                      // its reply; A: the payload
	eventReannounce
	eventDial       // to the peer that is dialled; A: position of the dialler
	eventDialFailed // to the dialler; A: IPv4 address, B: port
	eventConnected  // to the dialler; A: the connection
	eventClosed     // the other side closed; A: the connection
	eventHave       // to the sender itself: see broadcast
	eventVerified   // A: piece
)

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

// peer is an engine, its process and its host.
type peer struct {
	swarm  *swarm
	index  int // in Swarm.Peers
	id     ID
	cfg    *Peer
	peerID metainfo.PeerID

	engine   *engine.Engine
	share    *quota.Share
	assembly assembly
	conns    []*end          // up, in the order in which they came up
	classes  []time.Duration // the latencies of conns, without repetition

	timerAt   time.Duration // of the earliest timer event under way, 0 for none
	announced time.Duration // when the last announce went out
	complete  bool
	gone      bool
	joined    bool

	firstPiece  time.Duration
	completedAt time.Duration
	leftAt      time.Duration
	sent        int64 // bytes of blocks
	received    int64
	fromSeeds   int64 // of received, from peers that were seeds at the start

	has *bitfield.Set // pieces, for the samples; nil before it joins, and for seeds of the start
}

// present reports whether the peer has joined and not left.
func (p *peer) present() bool { return p.joined && !p.gone }

func (w *swarm) addPeer(index int) {
	p := &peer{swarm: w, index: index, cfg: &w.cfg.Peers[index]}
	p.id = w.kernel.Add(p, p.cfg.Link)
	w.peers = append(w.peers, p)
	p.complete = p.cfg.Seed || p.cfg.Have != nil && p.cfg.Have.All()
	w.present++
	if !p.complete {
		w.toComplete++
	}
	w.kernel.At(p.cfg.Join, Event{To: p.id, Kind: eventJoin})
	if p.cfg.Leave > 0 {
		w.kernel.At(max(p.cfg.Leave, p.cfg.Join), Event{To: p.id, Kind: eventLeave})
	}
}

// port is where the peer accepts connections, 0 for nowhere.
func (p *peer) port() uint16 {
	if p.cfg.Unreachable {
		return 0
	}
	return listenPort
}

// Handle is called by the kernel.
func (p *peer) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventJoin:
		p.join(now)
		return
	case KindLost:
		p.lost(ev)
		return
	case eventDial:
		p.dialled(now, p.swarm.peers[ev.A])
		return
	}
	if p.gone || !p.joined {
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
		p.verified(now, int(ev.A))
	case eventHave:
		p.deliverHave(now, ev)
	default:
		p.handleControl(now, ev)
	}
	p.drive(now)
}

// handleControl handles what is rare.
func (p *peer) handleControl(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventPeers:
		p.gotPeers(now, p.swarm.drop(ev.A))
	case eventReannounce:
		if now-p.announced >= p.swarm.cfg.AnnounceInterval {
			p.announce(now, tracker.None)
		}
	case eventDialFailed:
		p.engine.Receive(now, engine.Input{Kind: engine.InDialFailed, Addr: unpackAddr(ev.A, ev.B)})
	case eventConnected:
		p.swarm.connected(now, ev.A)
	case eventClosed:
		p.swarm.closedByOther(now, p, ev.A)
	case eventLeave:
		p.leave(now)
	}
}

// missed handles what comes to a peer that is gone: it frees what the event
// holds, and ends a connection that it does not take up any more.
func (p *peer) missed(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventPeers:
		p.swarm.drop(ev.A)
	case KindMessage:
		p.dropPayload(ev)
	case eventConnected:
		p.swarm.refuse(now, ev.A)
	case eventClosed:
		p.swarm.closedByOther(now, p, ev.A)
	}
}

// lost handles what was under way on a connection that is closed.
func (p *peer) lost(ev Event) {
	if Kind(ev.Sub) == KindMessage {
		p.dropPayload(ev)
	}
}

func (p *peer) dropPayload(ev Event) {
	if ev.B == payloadMark {
		p.swarm.drop(ev.C)
	}
}

// join starts the engine.
func (p *peer) join(now time.Duration) {
	w := p.swarm
	var tail [12]byte
	ids := w.kernel.Rand(p.id, streamID)
	for i := range tail {
		tail[i] = byte(ids.Uint32())
	}
	p.peerID = metainfo.PeerIDFrom(tail)
	processQuota := p.cfg.Quota
	processQuota.Strict = true
	p.share = quota.New(processQuota).Join(p.cfg.Limits)
	cfg := engine.Config{
		InfoHash: w.infoHash, PeerID: p.peerID, Rand: w.kernel.Rand(p.id, streamEngine),
		Grants: p.share, Geometry: w.cfg.Geometry, Have: p.have(), Port: p.port(),
		Client: "Shoal simulator", UploadCapacity: p.uploadCapacity(),
		NoPEX: true, // the tracker gives all the addresses; Configure may ask for it
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
	if p.has = p.have(); p.has == nil {
		p.has = bitfield.New(w.cfg.Geometry.NumPieces())
	}
	p.joined = true
	w.kernel.Progress()
	p.announce(now, tracker.Started)
	p.drive(now)
}

// have is what the peer begins with, for the engine to keep.
func (p *peer) have() *bitfield.Set {
	switch {
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
	for len(p.conns) > 0 {
		p.swarm.close(now, p.conns[len(p.conns)-1])
	}
	p.announce(now, tracker.Stopped)
	p.gone, p.leftAt = true, now
	p.swarm.kernel.Progress()
	p.swarm.left(!p.complete)
}

// drive does what the engine wants done, and keeps its deadline.
func (p *peer) drive(now time.Duration) {
	if p.gone {
		return
	}
	for out, ok := p.engine.Next(); ok; out, ok = p.engine.Next() {
		p.do(now, &out)
		if p.gone {
			return
		}
	}
	at, ok := p.engine.NextTimeout()
	if ok && (p.timerAt == 0 || at < p.timerAt) {
		p.timerAt = max(at, now)
		p.swarm.kernel.At(p.timerAt, Event{To: p.id, Kind: eventTimer})
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
		p.send(endOf(out.Conn), &out.Message) // free of credit: there is no metadata to pay for
	case engine.OutBlock:
		p.sendBlock(endOf(out.Conn), out)
	case engine.OutHave:
		p.broadcast(uint32(out.Piece))
	case engine.OutOpen:
		p.assembly.open(out.Piece)
	case engine.OutDiscard:
		p.assembly.discard(out.Piece, out.Begin)
	case engine.OutDrop:
		p.assembly.drop(out.Piece)
	case engine.OutVerify:
		p.verify(now, out.Piece)
	case engine.OutDial:
		p.dial(now, out.Addr)
	case engine.OutClose:
		if c := endOf(out.Conn); c != nil {
			p.swarm.close(now, c)
		}
	case engine.OutCompleted:
		p.completed(now)
	case engine.OutNeedPeers:
		if now-p.announced >= minAnnounce {
			p.announce(now, tracker.None)
		}
	}
}

// announce tells the tracker how the peer stands, and when to do so again.
func (p *peer) announce(now time.Duration, event tracker.Event) {
	w := p.swarm
	p.announced = now
	w.kernel.At(now+w.cfg.Latency, Event{To: w.tracker.id, Kind: eventAnnounce, Sub: uint8(event), A: uint32(p.index)})
	if event != tracker.Stopped {
		w.kernel.At(now+w.cfg.AnnounceInterval, Event{To: p.id, Kind: eventReannounce})
	}
}

func (p *peer) foundPeers(now time.Duration, addrs []netip.AddrPort) {
	p.engine.Receive(now, engine.Input{Kind: engine.InPeers, Addrs: addrs, Source: engine.SourceTracker})
}

// completed notes the end of the download.
func (p *peer) completed(now time.Duration) {
	if p.complete {
		return
	}
	w := p.swarm
	p.complete, p.completedAt = true, now
	p.announce(now, tracker.Completed)
	if p.cfg.SeedFor != 0 {
		w.kernel.At(now+max(p.cfg.SeedFor, 0), Event{To: p.id, Kind: eventLeave})
	}
	w.completed()
}

// verify hashes a piece: it always matches.
func (p *peer) verify(now time.Duration, piece int) {
	if delay := p.swarm.cfg.HashDelay; delay > 0 {
		p.swarm.kernel.At(now+delay, Event{To: p.id, Kind: eventVerified, A: uint32(piece)})
		return
	}
	p.verified(now, piece)
}

func (p *peer) verified(now time.Duration, piece int) {
	if p.firstPiece == 0 {
		p.firstPiece = now
	}
	p.assembly.drop(piece)
	p.has.Add(piece)
	p.swarm.kernel.Progress()
	p.engine.Receive(now, engine.Input{Kind: engine.InVerified, Piece: piece, OK: true})
}

// payloadMark in B says that C of a message is a payload. No message with a
// begin has one.
const payloadMark = 1<<32 - 1

// send sends a message.
func (p *peer) send(c *end, m *wire.Message) {
	if c == nil {
		return
	}
	a, b, d := m.Index, m.Begin, m.Length
	if m.Payload != nil {
		a, b, d = uint32(m.ExtID), payloadMark, p.swarm.keep(m.Payload)
	}
	p.swarm.kernel.Message(c.out, messageLen(m), uint8(m.Type), a, b, d)
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
	}
	return 5 + len(m.Payload)
}

// message hands a message to the engine.
func (p *peer) message(now time.Duration, ev Event) {
	m := wire.Message{Type: wire.Type(ev.Sub), Index: ev.A, Begin: ev.B, Length: ev.C}
	if ev.B == payloadMark {
		m = wire.Message{Type: m.Type, ExtID: uint8(ev.A), Payload: p.swarm.drop(ev.C)}
	}
	if c := p.swarm.incoming(p, ev.Flow); c != nil {
		p.engine.Receive(now, engine.Input{Kind: engine.InMessage, Conn: &c.conn, Message: m})
	}
}

// sendBlock hands a block to the uplink.
func (p *peer) sendBlock(c *end, out *engine.Output) {
	if c != nil {
		p.swarm.kernel.Send(c.out, uint32(out.Piece), uint32(out.Begin), out.Length)
	}
}

// sentBlock gives the engine credit for what the uplink has sent.
func (p *peer) sentBlock(now time.Duration, ev Event) {
	p.sent += int64(ev.C)
	if c := p.swarm.outgoing(p, ev.Flow); c != nil {
		p.engine.Receive(now, engine.Input{Kind: engine.InCredit, Conn: &c.conn, Length: int(ev.C)})
	}
}

// block hands a block that arrived to the engine.
func (p *peer) block(now time.Duration, ev Event) {
	p.received += int64(ev.C)
	c := p.swarm.incoming(p, ev.Flow)
	if c == nil {
		return
	}
	if c.other.peer.cfg.Seed {
		p.fromSeeds += int64(ev.C)
	}
	p.engine.Receive(now, engine.Input{
		Kind: engine.InBlock, Conn: &c.conn, Piece: int(ev.A), Begin: int(ev.B), Length: int(ev.C),
		Claimed: p.assembly.claim(int(ev.A), int(ev.B)),
	})
}

// broadcast sends a have to every connection. It is one event for each
// different latency among them, not one for each connection, and it goes to the
// sender itself, at the time at which the receivers get it: most events of a
// large swarm would be haves otherwise. The haves of one broadcast leave the
// uplink together.
func (p *peer) broadcast(piece uint32) {
	if len(p.conns) == 0 {
		return
	}
	k := p.swarm.kernel
	through := k.Charge(p.id, haveLen*len(p.conns))
	stamp := k.seq
	for _, latency := range p.classes {
		k.At(through+latency, Event{
			To: p.id, Kind: eventHave, A: piece, B: uint32(stamp), C: uint32(stamp >> 32), Flow: FlowID(latency / time.Microsecond),
		})
	}
}

// deliverHave hands a have to the receivers of one latency. Those that
// connected after it was sent have it in their bitfield.
func (p *peer) deliverHave(now time.Duration, ev Event) {
	stamp := uint64(ev.B) | uint64(ev.C)<<32
	for _, c := range p.conns {
		to := c.other
		if c.stamp > stamp || FlowID(c.latency/time.Microsecond) != ev.Flow || !to.up {
			continue
		}
		p.swarm.kernel.ChargeDown(to.peer.id, haveLen)
		to.peer.engine.Receive(now, engine.Input{
			Kind: engine.InMessage, Conn: &to.conn, Message: wire.Message{Type: wire.Have, Index: ev.A},
		})
		to.peer.drive(now)
	}
}

// addClass notes the latency of a new connection.
func (p *peer) addClass(latency time.Duration) {
	if !slices.Contains(p.classes, latency) {
		p.classes = append(p.classes, latency)
	}
}

// dropClass forgets a latency that no connection has any more.
func (p *peer) dropClass(latency time.Duration) {
	for _, c := range p.conns {
		if c.latency == latency {
			return
		}
	}
	p.classes = slices.DeleteFunc(p.classes, func(l time.Duration) bool { return l == latency })
}
