package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/peer/wire"
)

// contacts are the peers that others may hear of by peer exchange (BEP 11), in
// the order of their events: a count that goes up whenever a peer that can be
// dialled is connected or lost. What a peer was told is a place in that order,
// so that a message costs one walk over the connections, and a peer that came
// and went between two messages is never mentioned.
type contacts struct {
	events uint32
	lost   []lostContact // oldest first, at most maxLostContacts
}

// lostContact is a contact whose connection ended.
type lostContact struct {
	addr        netip.AddrPort
	added, lost uint32 // the events
}

// pexPeer is a peer that has the extension ut_pex.
type pexPeer struct {
	id      uint8 // by which it wants to get the messages
	begun   bool  // it was sent one
	heard   bool  // it has sent one, at heardAt
	added   uint32
	lost    uint32 // it was told of the events up to these
	dueAt   time.Duration
	heardAt time.Duration
}

// exchangesPeers reports whether BEP 11 is on. BEP 27: a private torrent's
// peers come from its tracker alone.
func (e *Engine) exchangesPeers() bool { return !e.cfg.Private && !e.cfg.NoPEX }

// setPEX notes by which id a peer wants to get PEX messages, 0 for not at all.
func (c *Conn) setPEX(id uint8) {
	switch {
	case id == 0:
		c.pex = nil
	case c.pex == nil:
		c.pex = &pexPeer{id: id}
	default:
		c.pex.id = id
	}
}

// becameContact counts a connection whose peer can be dialled by others.
func (e *Engine) becameContact(c *Conn) {
	if e.exchangesPeers() {
		e.contacts.events++
		c.contactSince = e.contacts.events
	}
}

// lostContact remembers the end of such a connection, until all have been told.
func (e *Engine) lostContact(c *Conn) {
	if c.contactSince == 0 || !e.exchangesPeers() {
		return
	}
	k := &e.contacts
	k.events++
	if len(k.lost) == maxLostContacts {
		k.lost = slices.Delete(k.lost, 0, 1)
	}
	k.lost = append(k.lost, lostContact{addr: c.contact(), added: c.contactSince, lost: k.events})
}

// sendPEX tells c which peers came and went since it was told last. BEP 11:
// "Clients must batch updates to send no more than 1 PEX message per minute."
// While the metadata is unknown the torrent may turn out to be private, and
// nothing is said. It runs with the ten-second tick: a timer of each
// connection's own would gain nothing.
func (e *Engine) sendPEX(now time.Duration, c *Conn) {
	p := c.pex
	if p == nil || now < p.dueAt || !e.exchangesPeers() || e.picker == nil {
		return
	}
	limit := maxPEX
	if !p.begun {
		limit = wire.MaxPEXPeers // "Except for the initial PEX message"
	}
	dropped := e.lostSince(c, limit) // first: it depends on what was told before
	m := wire.PEX{Added: e.addedSince(c, limit), Dropped: dropped}
	if len(m.Added)+len(m.Dropped) == 0 {
		return // at the next tick, perhaps
	}
	p.begun, p.dueAt = true, now+pexEvery
	e.send(now, c, wire.Message{Type: wire.Extended, ExtID: p.id, Payload: wire.AppendPEX(nil, m)})
}

// addedSince returns the contacts that c was not told of, at most limit: those
// that were connected first.
func (e *Engine) addedSince(c *Conn, limit int) []wire.PEXPeer {
	var fresh []*Conn
	for _, other := range e.conns {
		if other != c && !other.closing && other.contactSince > c.pex.added && mayTell(c, other.contact()) {
			fresh = append(fresh, other)
		}
	}
	slices.SortFunc(fresh, func(a, b *Conn) int { return cmp.Compare(a.contactSince, b.contactSince) })
	c.pex.added = e.contacts.events
	var list []wire.PEXPeer
	for _, other := range fresh {
		if len(list) == limit {
			c.pex.added = other.contactSince - 1 // the rest a minute later
			break
		}
		// "Added or removed contacts must not contain duplicates."
		peer := wire.PEXPeer{Addr: other.contact(), Flags: other.pexFlags()}
		if !slices.ContainsFunc(list, func(p wire.PEXPeer) bool { return p.Addr == peer.Addr }) {
			list = append(list, peer)
		}
	}
	return list
}

// lostSince returns the contacts that c was told of and that are gone, at most
// limit. One that is back is not gone: "An added contact must not be dropped in
// the same message."
func (e *Engine) lostSince(c *Conn, limit int) []netip.AddrPort {
	var list []netip.AddrPort
	for _, l := range e.contacts.lost {
		if l.lost <= c.pex.lost {
			continue
		}
		if len(list) == limit {
			return list
		}
		c.pex.lost = l.lost
		isBack := func(c *Conn) bool { return c.contact() == l.addr }
		if l.added <= c.pex.added && mayTell(c, l.addr) && !slices.Contains(list, l.addr) &&
			!slices.ContainsFunc(e.conns, isBack) {
			list = append(list, l.addr)
		}
	}
	return list
}

func (c *Conn) pexFlags() (flags wire.PEXFlags) {
	if c.seed || c.uploadOnly {
		flags |= wire.PEXSeed
	}
	if !c.incoming {
		flags |= wire.PEXReachable
	}
	return flags
}

// mayTell reports whether c can know an address, or have learnt it honestly: a
// peer in the internet is not told what is in our network, and what it says of
// our network, or of this machine, is not believed.
func mayTell(c *Conn, addr netip.AddrPort) bool {
	return addr.IsValid() && reach(addr.Addr()) >= reach(c.addr.Addr())
}

// reach is how far an address is known: on this machine, in its network, or
// everywhere.
func reach(ip netip.Addr) int {
	switch {
	case ip.IsLoopback():
		return 0
	case ip.IsPrivate() || ip.IsLinkLocalUnicast():
		return 1
	}
	return 2
}

// pexMessage handles the addresses that a peer tells of. Who sends more often
// than once a minute, give or take the length of a tick, is not heard the second
// time: clients differ in what they count as a message too many. The peers that
// it has lost mean nothing to us: whether we reach them we see.
func (e *Engine) pexMessage(now time.Duration, c *Conn, payload []byte) {
	p := c.pex
	if p == nil || !e.exchangesPeers() || p.heard && now-p.heardAt < pexEvery-rechokeEvery {
		return
	}
	limit := maxPEX
	if !p.heard {
		limit = wire.MaxPEXPeers
	}
	p.heard, p.heardAt = true, now
	m, err := wire.ParsePEX(payload)
	if err != nil {
		e.close(c, "bad PEX message")
		return
	}
	for _, peer := range m.Added[:min(len(m.Added), limit)] {
		e.heardOf(c, peer)
	}
	e.dial(now)
}

// heardOf takes an address that c told of into the book. BEP 11: "Duplicate IP
// addresses (e.g. with different ports) should be ignored": else the book could
// aim all our dials at one victim. What one person's network is to us need not
// be careful of that.
func (e *Engine) heardOf(c *Conn, peer wire.PEXPeer) {
	ip := peer.Addr.Addr()
	switch {
	case !mayTell(c, peer.Addr), e.bans.hasIP(ip):
	case e.picker != nil && e.have.All() && peer.Flags&wire.PEXSeed != 0:
		// Two seeds have nothing to say to each other.
	case e.book.find(peer.Addr) != nil, reach(ip) == 2 && e.book.knowsIP(ip):
	default:
		e.book.add(peer.Addr, SourcePEX)
	}
}
