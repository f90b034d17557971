package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Torrent is one torrent of a Client. Its methods may be called by any
// goroutine, also after it has stopped.
type Torrent struct {
	client   *Client
	log      *slog.Logger
	infoHash metainfo.InfoHash
	peerID   metainfo.PeerID
	known    atomic.Pointer[content] // nil while only the info-hash is

	inbox     *inbox
	metadata  chan struct{} // closed when infoBytes is there, or content from the beginning
	infoBytes []byte        // set before metadata is closed
	completed chan struct{}
	last      atomic.Pointer[snapshot]
	err       atomic.Pointer[storeError] // nil while all is well
	finders   []*announcement

	webFailures webSeedFailures

	finding sync.WaitGroup
	endFind context.CancelFunc

	dialing    context.Context // ends with the loop
	endDialing context.CancelFunc
	tasks      sync.WaitGroup // readers, writers and dials
	stop       sync.Once
	stopErr    error // set before ended is closed
	loopEnded  chan struct{}
	ended      chan struct{} // closed when nothing of the torrent runs any more

	loopState
}

// loopState belongs to the loop alone.
type loopState struct {
	engine   *engine.Engine
	share    *share
	now      time.Duration             // of this turn
	events   []event                   // of this turn
	conns    map[*engine.Conn]*conn    // those that are up
	dirty    []*conn                   // connections with something staged
	webConns map[*engine.Conn]*webConn // web seeds that can be asked
	dirtyWeb []*webConn
	scratch  []byte
	dials    int // under way
	jobs     int // with the disk workers
	stopping bool
	store    storeState
	haveAll  bool // completed is closed
}

// newTorrent returns a torrent that does not run yet. cfg is valid.
func newTorrent(c *Client, cfg TorrentConfig) (*Torrent, error) {
	t := &Torrent{
		client:    c,
		log:       c.log.With("torrent", cfg.InfoHash),
		infoHash:  cfg.InfoHash,
		peerID:    cfg.PeerID,
		inbox:     newInbox(),
		metadata:  make(chan struct{}),
		completed: make(chan struct{}),
		loopEnded: make(chan struct{}),
		ended:     make(chan struct{}),
	}
	if t.peerID == (metainfo.PeerID{}) {
		t.peerID = metainfo.NewPeerID()
	}
	t.dialing, t.endDialing = context.WithCancel(context.Background())
	t.conns = make(map[*engine.Conn]*conn)
	t.webConns = make(map[*engine.Conn]*webConn)
	t.store = newStoreState()
	t.now = c.now()
	if err := t.newEngine(cfg); err != nil {
		t.endDialing()
		return nil, err
	}
	t.publish()
	if cfg.Info != nil {
		t.known.Store(newContent(c, cfg.infoConfig()))
		t.infoBytes = cfg.Metadata
		close(t.metadata)
		t.completeIfNothingIsLeft()
	}
	for range cfg.Finders {
		t.finders = append(t.finders, &announcement{t: t, needPeers: make(chan struct{}, 1)})
	}
	return t, nil
}

// newEngine makes the torrent's engine, with randomness of its own.
func (t *Torrent) newEngine(cfg TorrentConfig) (err error) {
	var seed [32]byte
	rand.Read(seed[:]) // never fails: crypto/rand ends the program instead
	t.share = t.client.shares.join(cfg.Up, cfg.Down)
	var geo metainfo.Geometry // zero for a magnet link
	private := false
	if cfg.Info != nil {
		geo, private = cfg.Info.Geometry, cfg.Info.Private
	}
	t.engine, err = engine.New(t.now, engine.Config{
		InfoHash:       t.infoHash,
		PeerID:         t.peerID,
		Rand:           mathrand.New(mathrand.NewChaCha8(seed)),
		Grants:         t.share,
		Geometry:       geo,
		Have:           cfg.Have,
		Want:           cfg.Want,
		Metadata:       cfg.Metadata,
		Private:        private,
		NoPEX:          cfg.NoPEX,
		DHTPort:        t.client.dht.port,
		Client:         t.client.cfg.Client,
		Port:           uint16(t.client.Port()),
		UploadCapacity: lesser(cfg.Up, t.client.cfg.Up),
		UploadSlots:    cfg.UploadSlots,
		MaxPeers:       cfg.MaxPeers,
		Order:          cfg.Order,
		WebSeedBelow:   cfg.WebSeedBelow,
	})
	if err != nil {
		t.share.leave(t.now)
	}
	return err
}

// lesser is the lower of two limits of which 0 means none.
func lesser(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// run is the loop: it takes what has arrived, lets the engine decide, does what
// it wants done, and sends what that brought. It ends when the torrent is
// stopped and everything it began is over.
func (t *Torrent) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !t.over() {
		select {
		case <-t.inbox.wake:
		case <-timer.C:
		}
		t.turn()
		timer.Reset(t.untilNext())
	}
	t.finish()
}

// turn handles one batch of events.
func (t *Torrent) turn() {
	t.events = t.inbox.take(t.events)
	t.now = t.client.now()
	for i := range t.events {
		if do := t.events[i].do; do != nil {
			do()
		}
		if t.events[i].in.Kind != 0 {
			t.tell(t.events[i].in)
		}
	}
	t.advance()
	for _, c := range t.dirty {
		c.flush()
	}
	t.dirty = t.dirty[:0]
	for _, c := range t.dirtyWeb {
		c.flush()
	}
	t.dirtyWeb = t.dirtyWeb[:0]
}

// advance runs what is due: the engine's timers, and the store's next try.
func (t *Torrent) advance() {
	if at, ok := t.engine.NextTimeout(); ok && at <= t.now {
		t.engine.Advance(t.now)
		t.obey()
	}
	if !t.stopping {
		t.lookAfterStore()
	}
}

// untilNext is how long nothing is due.
func (t *Torrent) untilNext() time.Duration {
	next := never
	if !t.stopping {
		next = t.store.nextAt()
	}
	if at, ok := t.engine.NextTimeout(); ok {
		next = min(next, at)
	}
	return max(0, next-t.client.now())
}

// tell hands one input to the engine and obeys it.
func (t *Torrent) tell(in engine.Input) {
	t.engine.Receive(t.now, &in)
	t.obey()
}

// obey does everything that the engine wants done.
func (t *Torrent) obey() {
	for out, ok := t.engine.Next(); ok; out, ok = t.engine.Next() {
		t.do(*out) // a copy: it may come back here
	}
}

// do does one thing that the engine wants done.
func (t *Torrent) do(out engine.Output) {
	switch out.Kind {
	case engine.OutMessage:
		if c := t.conns[out.Conn]; c != nil {
			c.stage(out.Message, out.Length)
		} else if c := t.webConns[out.Conn]; c != nil {
			c.stage(out.Message)
		}
	case engine.OutHave:
		t.broadcastHave(out.Piece)
	case engine.OutBlock:
		if c := t.conns[out.Conn]; c != nil {
			c.stageBlock(out.Piece, out.Begin, out.Length)
		}
	case engine.OutOpen:
		t.content().assembly.Open(out.Piece)
	case engine.OutDiscard:
		t.content().assembly.Discard(out.Piece, out.Begin)
	case engine.OutVerify:
		t.startVerify(out.Piece, out.Digests)
	case engine.OutDrop:
		// What was spilled stays in doubt until it is verified, in this run or
		// the next: a worker may be writing it now, so nobody can say Absent.
		t.content().assembly.Drop(out.Piece)
	case engine.OutSpill:
		t.startSpill(out.Piece)
	case engine.OutDial:
		t.startDial(out.Addr)
	case engine.OutClose:
		if c := t.conns[out.Conn]; c != nil {
			c.close(errors.New(out.Reason))
		} else if c := t.webConns[out.Conn]; c != nil {
			c.close(out.Reason)
		}
	case engine.OutCompleted:
		t.complete()
	case engine.OutNeedPeers:
		for _, a := range t.finders {
			signal(a.needPeers)
		}
	case engine.OutMetadata:
		t.infoBytes = out.Metadata
		close(t.metadata)
	case engine.OutNode:
		t.client.dht.heardOf(out.Addr)
	}
}

// completeIfNothingIsLeft is for the moment at which the pieces become known.
func (t *Torrent) completeIfNothingIsLeft() {
	if t.last.Load().stats.Left == 0 {
		t.complete()
	}
}

// complete closes the channel of those who wait for the torrent.
func (t *Torrent) complete() {
	if !t.haveAll {
		t.haveAll = true
		t.publish() // who is told now must not see an older snapshot
		close(t.completed)
		t.log.Debug("completed")
	}
}

// broadcastHave tells every connection of a new piece; it is encoded once.
func (t *Torrent) broadcastHave(pieceIndex int) {
	t.scratch = wire.Append(t.scratch[:0], wire.Message{Type: wire.Have, Index: uint32(pieceIndex)})
	for _, c := range t.conns {
		c.stageEncoded(t.scratch)
	}
}

// connUp takes a connection over: from now on it has a reader and a writer.
func (t *Torrent) connUp(c *conn, up engine.Input) {
	if t.stopping {
		c.close(errStopped)
		if !up.Incoming {
			t.tell(engine.Input{Kind: engine.InDialFailed, Addr: up.Addr})
		}
		return
	}
	t.conns[&c.state] = c
	c.log.Debug("connected", "incoming", up.Incoming, "id", up.PeerID)
	t.tasks.Go(c.write)
	t.tasks.Go(func() {
		c.close(c.read())
		t.inbox.put(event{do: func() { t.connDown(c) }})
	})
	up.Conn = &c.state
	t.tell(up)
	t.tell(engine.Input{Kind: engine.InCredit, Conn: &c.state, Length: firstSendWindow})
}

// connDown forgets a connection whose reader has ended.
func (t *Torrent) connDown(c *conn) {
	delete(t.conns, &c.state)
	c.log.Debug("disconnected", "reason", c.reason)
	t.tell(engine.Input{Kind: engine.InConnDown, Conn: &c.state})
}

// AddPeers tells the torrent about addresses of peers.
func (t *Torrent) AddPeers(addrs []netip.AddrPort, source engine.Source) {
	if len(addrs) > 0 {
		t.inbox.put(event{in: engine.Input{Kind: engine.InPeers, Addrs: addrs, Source: source}})
	}
}

// Select changes what is to be downloaded, nil for all. The torrent takes the
// set over; its length must be the number of pieces. Completed keeps its first
// meaning: a channel that is closed stays so. Before SetInfo there is nothing to
// choose from, and Select does nothing.
func (t *Torrent) Select(want *bitfield.Set) {
	t.inbox.put(event{in: engine.Input{Kind: engine.InWant, Want: want}})
}

// Completed is closed when every piece that was wanted at the start, or by
// SetInfo, is verified and stored.
func (t *Torrent) Completed() <-chan struct{} { return t.completed }
