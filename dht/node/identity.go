package node

import (
	"net/netip"
	"time"
)

// The vote on our external address.
const (
	numVotes    = 16
	votesNeeded = 8 // of numVotes, each from another network; arbitrary
)

// votes are what nodes last said about our address. BEP 42: "Since a single
// node can not be trusted, there should be some mechanism ... This could be
// done by voting".
type votes struct {
	accepted netip.Addr
	last     []ballot // made by the first
	next     int
}

type ballot struct {
	voter netip.Prefix
	ip    netip.Addr
}

// vote counts what the node at voter says is our address, and takes on an id
// that fits it when enough agree and ours does not. The id follows the IPv4
// address of a node that is in both networks: BEP 32 wants one id in both.
func (n *Node) vote(now time.Duration, voter netip.Addr, external netip.AddrPort) {
	ip := external.Addr()
	if !ip.IsValid() || ip.Is4() != voter.Is4() || ip.Is6() && n.table4 != nil || local(ip) || ip == n.votes.accepted {
		return
	}
	if !n.votes.add(ballot{network(voter), ip}) {
		return
	}
	n.votes = votes{accepted: ip}
	if !fitsAddress(&n.id, ip) {
		n.id = idFor(ip, n.cfg.Rand)
		for _, t := range n.tables() {
			t.rekey(now, n.id)
		}
		n.filling = 0
		n.selfAt = now
	}
	n.out(Output{Kind: OutIdentity, Addr: netip.AddrPortFrom(ip, 0)})
}

// add reports whether b makes the number of votes that are needed. A network
// has one vote, its last.
func (v *votes) add(b ballot) bool {
	agree, at := 1, -1
	for i, other := range v.last {
		switch {
		case other.voter == b.voter:
			at = i
		case other.ip == b.ip:
			agree++
		}
	}
	switch {
	case at >= 0:
		v.last[at] = b
	case len(v.last) < numVotes:
		v.last = append(v.last, b)
	default:
		v.last[v.next%numVotes] = b
		v.next++
	}
	return agree >= votesNeeded
}
