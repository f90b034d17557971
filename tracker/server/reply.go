package server

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/swarm"
)

// appendInt and appendString append a bencoded value (BEP 3); keys of a
// dictionary are strings, and the callers write them in sorted order.
func appendInt(b []byte, n int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'e')
}

func appendString[S string | []byte](b []byte, s S) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

func appendFailure(b []byte, reason string) []byte {
	b = append(b, "d14:failure reason"...)
	return append(appendString(b, reason), 'e')
}

// fullWarning is told to a peer that got peers but was not stored itself.
const fullWarning = "the tracker is full: other peers cannot find you here"

func (c *Config) appendAnnounce(b []byte, req *tracker.Request, rep swarm.Reply, peers *swarm.Peers) []byte {
	b = append(b, "d8:complete"...)
	b = appendInt(b, int64(rep.Complete))
	b = append(b, "10:downloaded"...)
	b = appendInt(b, int64(rep.Downloaded))
	b = append(b, "11:external ip"...) // BEP 24
	b = appendString(b, req.Addr.Addr().AsSlice())
	b = append(b, "10:incomplete"...)
	b = appendInt(b, int64(rep.Incomplete))
	b = append(b, "8:interval"...)
	b = appendInt(b, int64(c.Interval/time.Second))
	b = append(b, "12:min interval"...)
	b = appendInt(b, int64(c.MinInterval/time.Second))
	b = append(b, "5:peers"...)
	if req.Compact {
		b = appendCompact(b, peers)
	} else {
		b = appendList(b, peers, req.NoPeerID)
	}
	if rep.Full {
		b = append(b, "15:warning message"...)
		b = appendString(b, fullWarning)
	}
	return append(b, 'e')
}

// appendCompact appends the value of peers (BEP 23) and, if there are IPv6
// peers, the pair peers6 (BEP 7).
func appendCompact(b []byte, peers *swarm.Peers) []byte {
	b = appendString(b, peers.V4)
	if len(peers.V6) > 0 {
		b = append(b, "6:peers6"...)
		b = appendString(b, peers.V6)
	}
	return b
}

// appendList appends peers as BEP 3 has them: a list of dictionaries with ip,
// peer id and port.
func appendList(b []byte, peers *swarm.Peers, noPeerID bool) []byte {
	b = append(b, 'l')
	addrs := peers.AppendTo(nil)
	num4 := len(addrs) - len(peers.V6)/18
	for i, addr := range addrs {
		ids, at := peers.IDs4, i
		if i >= num4 {
			ids, at = peers.IDs6, i-num4
		}
		if noPeerID || at >= len(ids) {
			b = appendPeer(b, addr, nil)
		} else {
			b = appendPeer(b, addr, &ids[at])
		}
	}
	return append(b, 'e')
}

func appendPeer(b []byte, addr netip.AddrPort, id *metainfo.PeerID) []byte {
	b = append(b, "d2:ip"...)
	b = appendString(b, addr.Addr().String())
	if id != nil {
		b = append(b, "7:peer id"...)
		b = appendString(b, id[:])
	}
	b = append(b, "4:port"...)
	b = appendInt(b, int64(addr.Port()))
	return append(b, 'e')
}

// appendScrapeEntry appends one pair of "files" (BEP 48).
func appendScrapeEntry(b []byte, h metainfo.InfoHash, st tracker.ScrapeStats) []byte {
	b = appendString(b, h[:])
	b = append(b, "d8:complete"...)
	b = appendInt(b, int64(st.Complete))
	b = append(b, "10:downloaded"...)
	b = appendInt(b, int64(st.Downloaded))
	b = append(b, "10:incomplete"...)
	b = appendInt(b, int64(st.Incomplete))
	return append(b, 'e')
}
