package server

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/swarm"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// maxUDPReply bounds an answer, in bytes. A packet of 1,280 bytes, with 48 of
// headers, is what every IPv6 link carries in one piece: 67 IPv6 peers, or the
// 200 IPv4 peers that swarm gives at most by default.
const maxUDPReply = 1280 - 48

// maxUDPRequest bounds what is read of a request, in bytes: a scrape of
// udp.MaxScrape torrents has 1,496. What is longer loses its end.
const maxUDPRequest = 1536

// udpHandler answers packets, one at a time. It allocates nothing.
type udpHandler struct {
	server *Server
	ids    connectionIDs
	wire   udp.AnnounceRequest
	req    tracker.Request
	peers  swarm.Peers
	url    []byte // the path and the query of the announce's URL
	tally  udpTally
}

// udpTally is what a handler has counted since it last told the Server.
type udpTally struct {
	Traffic
	connects, malformed, badID, lateID uint64
}

func newUDPHandlers(s *Server, n int) []*udpHandler {
	handlers := make([]*udpHandler, n)
	for i, ids := range newConnectionIDs(n) {
		handlers[i] = &udpHandler{server: s, ids: ids, url: make([]byte, 0, maxUDPRequest)}
	}
	return handlers
}

// answer is handle, but for packets that make it fail. Those get an error, if
// it is no longer than they are: it is not known whether they had a good id.
func (u *udpHandler) answer(now time.Duration, packet []byte, from netip.AddrPort, dst []byte) (reply []byte) {
	defer func() {
		if fault := recover(); fault != nil {
			u.server.note(fault)
			reply = dst
			if h, _, err := udp.ParseRequestHeader(packet); err == nil && len(packet) >= udp.ResponseHeaderLen+len(errFault.Error()) {
				reply = u.refuse(h, errFault, dst)
			}
		}
	}()
	return u.handle(now, packet, from, dst)
}

// handle appends to dst, which has room for maxUDPReply bytes, the answer to a
// packet. Nothing is appended if it deserves none: a wrong connection id means
// that the source may be forged, so whatever we said would reach a victim. An
// answer to who has shown no id yet is never longer than his packet.
func (u *udpHandler) handle(now time.Duration, packet []byte, from netip.AddrPort, dst []byte) []byte {
	h, body, err := udp.ParseRequestHeader(packet)
	if err != nil || from.Port() == 0 {
		u.tally.malformed++
		return dst
	}
	addr := plain(from.Addr())
	if h.Action == udp.Connect && h.ConnectionID == udp.ProtocolID {
		u.tally.connects++
		return udp.AppendConnectionID(appendHeader(dst, h), u.ids.issue(now, addr))
	}
	ok, late := u.ids.check(now, addr, h.ConnectionID)
	switch {
	case !ok:
		u.tally.badID++
		return dst
	case late:
		u.tally.lateID++
	}
	switch h.Action {
	case udp.Announce:
		return u.announce(now, h, body, addr, dst)
	case udp.Scrape:
		return u.scrape(h, body, dst)
	}
	u.tally.malformed++
	return dst
}

// appendHeader appends the header of the answer to h.
func appendHeader(dst []byte, h udp.RequestHeader) []byte {
	return udp.AppendResponseHeader(dst, udp.ResponseHeader{Action: h.Action, TransactionID: h.TransactionID})
}

func (u *udpHandler) refuse(h udp.RequestHeader, reason error, dst []byte) []byte {
	u.tally.Refused[reasonOf(reason)]++
	h.Action = udp.Error
	return append(appendHeader(dst, h), reason.Error()...)
}

func (u *udpHandler) announce(now time.Duration, h udp.RequestHeader, body []byte, from netip.Addr, dst []byte) []byte {
	options, err := udp.ParseAnnounceRequest(body, &u.wire)
	if err != nil {
		u.tally.malformed++
		return dst
	}
	cfg := u.server.cfg()
	if err := cfg.tracks(u.wire.InfoHash); err != nil {
		return u.refuse(h, err, dst)
	}
	if u.wire.IP != [4]byte{} && from.Is4() && contains(cfg.TrustedIP, from) {
		from = netip.AddrFrom4(u.wire.IP)
	}
	u.translate(from, cfg.NumWant)
	if cfg.Private != nil {
		if err := u.askPrivate(cfg.Private, options); err != nil {
			return u.refuse(h, err, dst)
		}
	}
	// The peers are written to where they belong.
	at := len(dst) + udp.AnnounceResponseLen
	u.peers.Reset()
	u.peers.V4, u.peers.V6 = dst[at:at], dst[at:at]
	rep := u.server.store.announce(now, &u.req, &u.peers)
	u.tally.Announces[u.req.Event]++
	dst = udp.AppendAnnounceResponse(appendHeader(dst, h), udp.AnnounceResponse{
		IntervalSec: uint32(cfg.Interval / time.Second),
		Leechers:    uint32(rep.Incomplete),
		Seeders:     uint32(rep.Complete),
	})
	return append(append(dst, u.peers.V4...), u.peers.V6...) // one of them is empty
}

// askPrivate asks about u.req with the key that the options have.
func (u *udpHandler) askPrivate(private Private, options []byte) (err error) {
	if u.url, err = udp.ParseURLData(u.url[:0], options); err != nil {
		return errURLData
	}
	key := keyOfURL(asString(u.url))
	if key == "" {
		return errNoUDPKey
	}
	return private.Announce(key, &u.req)
}

// translate makes the request of the packet. A reply has peers of the
// announcer's family only, and as many as fit; who does not say how many gets
// numWant, or swarm's number if that is 0.
func (u *udpHandler) translate(from netip.Addr, numWant int) {
	peerLen := compact.Len4
	if !from.Is4() {
		peerLen = compact.Len6
	}
	want := int(u.wire.NumWant)
	if want < 0 {
		if want = numWant; want == 0 {
			want = swarm.DefaultNumWant
		}
	}
	u.req = tracker.Request{
		InfoHash: u.wire.InfoHash, PeerID: u.wire.PeerID,
		Addr:     netip.AddrPortFrom(from, u.wire.Port),
		Uploaded: u.wire.Uploaded, Downloaded: u.wire.Downloaded, Left: u.wire.Left,
		Event: u.wire.Event, Key: u.wire.Key, SameFamily: true,
		NumWant: min(want, (maxUDPReply-udp.AnnounceResponseLen)/peerLen),
	}
}

// scrape answers for at most udp.MaxScrape torrents, in the order of the
// question; a torrent that is not tracked has zeros.
func (u *udpHandler) scrape(h udp.RequestHeader, body, dst []byte) []byte {
	cfg := u.server.cfg()
	if cfg.Private != nil {
		return u.refuse(h, errUDPScrape, dst)
	}
	u.tally.Scrapes++
	dst = appendHeader(dst, h)
	for range udp.MaxScrape {
		hash, rest, ok := udp.ParseInfoHash(body)
		if !ok {
			break
		}
		body = rest
		var stats tracker.ScrapeStats
		if cfg.tracks(hash) == nil {
			stats, _ = u.server.store.scrape(hash)
		}
		dst = udp.AppendScrapeStats(dst, stats)
	}
	return dst
}

// tell adds what was counted to the Server's counters, and begins anew. It is
// called for a batch of packets, because counters that all processors write to
// are slow.
func (u *udpHandler) tell() {
	c := &u.server.counters
	c.udp.add(&u.tally.Traffic)
	c.udpConnects.Add(u.tally.connects)
	c.udpMalformed.Add(u.tally.malformed)
	c.udpBadIDs.Add(u.tally.badID)
	c.udpLateIDs.Add(u.tally.lateID)
	u.tally = udpTally{}
}
