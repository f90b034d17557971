package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// sendExtHandshake introduces us. BEP 10: "This message should be sent
// immediately after the standard bittorrent handshake to any peer that
// supports this extension protocol."
func (e *Engine) sendExtHandshake(now time.Duration, c *conn) {
	h := wire.ExtHandshake{
		Client:     e.cfg.Client,
		Port:       e.cfg.Port,
		ReqQ:       maxQueued,
		YourIP:     c.addr.Addr().Unmap(),
		UploadOnly: e.have != nil && e.missing == 0,
	}
	payload := wire.AppendExtHandshake(nil, h)
	e.send(now, c, wire.Message{Type: wire.Extended, ExtID: wire.ExtHandshakeID, Payload: payload})
}

// extendedMessage handles the messages of BEP 10. We announce no extension
// yet, so all but the handshake is for somebody else, and ignored.
func (e *Engine) extendedMessage(now time.Duration, c *conn, m wire.Message) {
	if m.ExtID != wire.ExtHandshakeID {
		return
	}
	h, err := wire.ParseExtHandshake(m.Payload)
	if err != nil {
		e.close(c, "bad extension handshake")
		return
	}
	if h.Client != "" {
		c.client = h.Client
	}
	if h.ReqQ > 0 {
		c.reqQ = h.ReqQ
	}
	c.uploadOnly = h.UploadOnly
	if c.incoming && h.Port != 0 {
		// Where the peer listens is worth knowing when the connection ends.
		addr := netip.AddrPortFrom(c.addr.Addr().Unmap(), h.Port)
		e.book.add(addr, SourceIncoming)
		if k := e.book.byAddr[addr]; k != nil && k.state == knownIdle {
			e.book.connected(addr) // else we would dial it, for a second connection
			c.listens = addr
		}
	}
}
