package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
)

// bans are the peers that sent false data. A ban holds the address; where the
// address stands for everybody on this machine, or there is none (a web seed), the peer id.
type bans struct {
	ips map[netip.Addr]struct{}
	ids map[metainfo.PeerID]struct{}
}

func (b *bans) len() int { return len(b.ips) + len(b.ids) }

func (b *bans) has(c *Conn) bool {
	if c.webSeed || c.addr.Addr().IsLoopback() {
		_, banned := b.ids[c.peerID]
		return banned
	}
	return b.hasIP(c.addr.Addr())
}

func (b *bans) hasIP(ip netip.Addr) bool {
	_, banned := b.ips[ip]
	return banned
}

func (b *bans) add(who identity) {
	switch {
	case b.len() >= maxBans:
	case who.ip.IsLoopback() || !who.ip.IsValid():
		if b.ids == nil {
			b.ids = make(map[metainfo.PeerID]struct{})
		}
		b.ids[who.peerID] = struct{}{}
	default:
		if b.ips == nil {
			b.ips = make(map[netip.Addr]struct{})
		}
		b.ips[who.ip] = struct{}{}
	}
}

// ban closes every connection of a peer and lets none of them in again.
func (e *Engine) ban(who identity, reason string) {
	e.bans.add(who)
	for _, c := range e.conns {
		if e.bans.has(c) {
			e.close(c, "banned: "+reason)
		}
	}
}
