package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// The ids by which we want to get extension messages. BEP 10: "The only
// requirement on these IDs is that no extension message share the same one."
const (
	metadataExtID = 1
	pexExtID      = 2
)

// sendExtHandshake introduces us. BEP 10: "This message should be sent
// immediately after the standard bittorrent handshake to any peer that
// supports this extension protocol", and "It is valid to send the handshake
// message more than once".
func (e *Engine) sendExtHandshake(now time.Duration, c *Conn) {
	uploadOnly := e.have != nil && e.missing.Count() == 0
	h := wire.ExtHandshake{
		M:            e.extensions(c),
		Client:       e.cfg.Client,
		Port:         e.cfg.Port,
		ReqQ:         maxQueued,
		YourIP:       c.addr.Addr(),
		MetadataSize: int64(len(e.cfg.Metadata)),
		UploadOnly:   uploadOnly,
		Downloading:  c.toldUploadOnly && !uploadOnly,
	}
	c.toldUploadOnly = uploadOnly
	payload := wire.AppendExtHandshake(nil, h)
	e.send(now, c, wire.Message{Type: wire.Extended, ExtID: wire.ExtHandshakeID, Payload: payload})
}

// extensions are the extension messages that we want to get from c. Where
// peers are not exchanged any more, that is said as well: "the value 0 is used
// to turn off an extension".
func (e *Engine) extensions(c *Conn) []wire.Extension {
	var m []wire.Extension
	if e.cfg.Metadata != nil || e.picker == nil {
		m = append(m, wire.Extension{Name: wire.ExtMetadata, ID: metadataExtID})
	}
	switch {
	case e.exchangesPeers():
		m = append(m, wire.Extension{Name: wire.ExtPEX, ID: pexExtID})
		c.toldPEX = true
	case c.toldPEX:
		m = append(m, wire.Extension{Name: wire.ExtPEX, ID: 0})
		c.toldPEX = false
	}
	return m
}

// reintroduce tells every peer what has changed since its first handshake.
func (e *Engine) reintroduce(now time.Duration) {
	for _, c := range e.conns {
		if c.extended && !c.closing {
			e.sendExtHandshake(now, c)
		}
	}
}

// tellUploadOnly says again whether we download anything, when that changed.
// BEP 21 has it for partial seeds: that we have everything, the haves say.
func (e *Engine) tellUploadOnly(now time.Duration) {
	uploadOnly := e.missing.Count() == 0
	for _, c := range e.conns {
		if c.extended && !c.closing && c.toldUploadOnly != uploadOnly && !(uploadOnly && e.have.All()) {
			e.sendExtHandshake(now, c)
		}
	}
}

// extendedMessage handles the messages of BEP 10. What has an id that we did
// not give out is for somebody else, and ignored.
func (e *Engine) extendedMessage(now time.Duration, c *Conn, m wire.Message) {
	switch m.ExtID {
	case wire.ExtHandshakeID:
		e.extHandshake(now, c, m.Payload)
	case metadataExtID:
		e.metadataMessage(now, c, m.Payload)
	case pexExtID:
		e.pexMessage(now, c, m.Payload)
	}
}

// extHandshake handles a peer's extension handshake, the first or a later one.
func (e *Engine) extHandshake(now time.Duration, c *Conn, payload []byte) {
	h, err := wire.ParseExtHandshake(payload)
	if err != nil {
		e.close(c, "bad extension handshake")
		return
	}
	if h.Client != "" {
		c.client = e.shared(h.Client)
	}
	if h.ReqQ > 0 {
		c.reqQ = int32(min(h.ReqQ, maxWindow)) // more would make no difference
	}
	c.uploadOnly = h.UploadOnly
	e.heardOurIP(c, h.YourIP)
	if c.incoming && h.Port != 0 {
		e.learnPort(c, h.Port)
	}
	if id, ok := h.ID(wire.ExtPEX); ok {
		c.setPEX(id)
	}
	e.metadataOffer(now, c, h)
}

// shared returns a client's name, in the memory of that of the last peer if it is the
// same: often it is.
func (e *Engine) shared(client string) string {
	if e.client != client {
		e.client = client
	}
	return e.client
}

// learnPort notes where a peer that connected to us can be dialled: that is
// worth knowing when the connection ends, and to others (BEP 11). The first word
// counts.
func (e *Engine) learnPort(c *Conn, port uint16) {
	if c.listenPort != 0 {
		return
	}
	c.listenPort = port
	e.becameContact(c)
	addr := c.contact()
	e.book.add(addr, SourceIncoming)
	if k := e.book.find(addr); k != nil && k.state == knownIdle {
		e.book.connected(addr) // else we would dial it, for a second connection
		c.booked = true
	}
}

// contact is where a peer can be dialled, invalid if nobody knows.
func (c *Conn) contact() netip.AddrPort {
	switch {
	case !c.incoming:
		return c.addr
	case c.listenPort != 0:
		return netip.AddrPortFrom(c.addr.Addr(), c.listenPort)
	}
	return netip.AddrPort{}
}

// offerNode tells a new peer where our DHT node is. BEP 5: "Peer receiving a
// handshake indicating the remote peer supports the DHT should send a PORT
// message." For a private torrent we have no DHT.
func (e *Engine) offerNode(now time.Duration, c *Conn) {
	if c.dht && e.cfg.DHTPort != 0 && !e.cfg.Private {
		e.send(now, c, wire.Message{Type: wire.Port, Index: uint32(e.cfg.DHTPort)})
	}
}

// peerNode handles "port". BEP 5: "Peers that receive this message should
// attempt to ping the node on the received port and IP address of the remote
// peer." A node is named once: who names many would have us ping others.
func (e *Engine) peerNode(c *Conn, port uint32) {
	if port == 0 || c.toldNode || e.cfg.DHTPort == 0 || e.cfg.Private {
		return
	}
	c.toldNode = true
	e.out.push(Output{Kind: OutNode, Addr: netip.AddrPortFrom(c.addr.Addr(), uint16(port))})
}
