package peer

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/peer/wire"
)

// Why a connection ends, besides what the engine says and the network does.
var (
	errStopped   = errors.New("the torrent was stopped")
	errNoReading = errors.New("the peer does not read what it is sent")
	errSlowBlock = errors.New("the peer took too long to send a block")
	errEarly     = errors.New("the peer sent a block before anything could be asked for")
)

// conn is one connection after its handshake. It has two goroutines, a reader
// and a writer. The reader says when it is over: whoever wants to end it closes
// it, and the reader notices.
type conn struct {
	t    *Torrent
	tr   transport
	addr netip.AddrPort
	log  *slog.Logger
	out  *outQueue

	// These belong to the loop; state is the engine's part, and everybody may
	// name the connection by its address.
	state  engine.Conn
	staged sendBatch // what this turn of the loop wants sent
	dirty  bool      // it is in the loop's list of connections with staged

	once   sync.Once
	closed chan struct{}
	reason error // set before closed is
}

// newConn returns the connection that the loop then takes over.
func newConn(t *Torrent, tr transport, addr netip.AddrPort) *conn {
	return &conn{
		t:      t,
		tr:     tr,
		addr:   addr,
		log:    t.log.With("peer", addr),
		out:    newOutQueue(),
		closed: make(chan struct{}),
	}
}

// upInput is how the engine hears of the connection.
func upInput(c *conn, theirs wire.Handshake, incoming bool) engine.Input {
	return engine.Input{
		Kind:     engine.InConnUp,
		Addr:     c.addr,
		PeerID:   theirs.PeerID,
		Fast:     theirs.Fast(), // our own handshake has this bit and the next
		Extended: theirs.Extended(),
		DHT:      theirs.DHT(),
		Incoming: incoming,
	}
}

// close ends the connection; the first reason is the one that counts.
func (c *conn) close(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.closed)
		c.tr.Close()
	})
}

// stage encodes a message into what the loop sends at the end of its turn.
func (c *conn) stage(m wire.Message, paid int) {
	c.staged.control = wire.Append(c.staged.control, m)
	c.staged.paid += paid
	c.touch()
}

// stageEncoded stages a message that is encoded already.
func (c *conn) stageEncoded(b []byte) {
	c.staged.control = append(c.staged.control, b...)
	c.touch()
}

// stageBlock stages a block, behind the messages before it.
func (c *conn) stageBlock(pieceIndex, begin, length int) {
	c.staged.control = wire.AppendPieceHeader(c.staged.control, uint32(pieceIndex), uint32(begin), uint32(length))
	c.staged.blocks = append(c.staged.blocks, blockRef{
		after: len(c.staged.control), pieceIndex: pieceIndex, begin: begin, length: length,
	})
	c.touch()
}

// touch makes the loop flush the connection at the end of its turn.
func (c *conn) touch() {
	if !c.dirty {
		c.dirty = true
		c.t.dirty = append(c.t.dirty, c)
	}
}

// flush hands what was staged to the writer: one lock and one wake-up for a
// whole turn of the loop.
func (c *conn) flush() {
	c.dirty = false
	if !c.out.put(&c.staged) {
		c.close(errNoReading)
	}
}
