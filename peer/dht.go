package peer

import (
	"net/netip"

	"github.com/shoal-bt/shoal/peer/wire"
)

// dhtNode is the DHT node of the process, as far as peers are told of it. The
// zero dhtNode is none.
type dhtNode struct {
	port  uint16 // UDP
	found func(netip.AddrPort)
}

// UseDHT tells peers that a DHT node runs at the UDP port, and found of the
// nodes that they have (BEP 5's message "port"). found is called by the loops
// of torrents, several at once, and must not wait; nobody has checked the
// addresses. UseDHT must come before the first Add. If the client maps ports, it
// maps this one, too. To look for peers in the DHT is for a Finder.
func (c *Client) UseDHT(port int, found func(netip.AddrPort)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dht = dhtNode{port: uint16(port), found: found}
	if c.cfg.mapsPorts() {
		c.tasks.Go(func() { c.keepMapped(port, routers("UDP")) })
	}
}

// heardOf passes a node on.
func (n *dhtNode) heardOf(addr netip.AddrPort) {
	if n.found != nil {
		n.found(addr)
	}
}

// handshake is what the torrent's peers get first. Those of a private torrent
// need not know of a DHT node (BEP 27).
func (t *Torrent) handshake() wire.Handshake {
	h := wire.NewHandshake(t.infoHash, t.peerID)
	if c := t.content(); t.client.dht.port == 0 || c != nil && c.info.Private {
		return h
	}
	return h.WithDHT()
}
