package dhtnet

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// Liar is a hostile host's way to answer queries.
type Liar interface {
	// Answer fills in a response, whose Kind, Transaction and ID (that of the
	// host's node) are set. It returns false to let the node answer honestly.
	Answer(h *Host, from netip.AddrPort, query, response *krpc.Message) bool
}

// Sybils are hosts of one owner that tell everybody about each other, never
// about anybody else, and never of an honest peer. They take every announce and
// forget it.
type Sybils struct {
	members  []*Host
	claimers []*Host // every other member

	// Near makes half of them claim ids next to whatever they are asked for,
	// where their addresses do not let them be by BEP 42; all of them tell of
	// those. Otherwise they tell of the closest among them, under the ids of
	// their nodes.
	Near bool

	// Peer, if it is valid, is what they tell whoever asks for peers: poison.
	Peer netip.AddrPort
}

// Recruit adds a host to those that are told.
func (s *Sybils) Recruit(h *Host) {
	s.members = append(s.members, h)
	if len(s.members)%2 == 0 {
		s.claimers = append(s.claimers, h)
	}
}

// Answer is that of a Liar.
func (s *Sybils) Answer(h *Host, from netip.AddrPort, query, response *krpc.Message) bool {
	if s.Near && slices.Contains(s.claimers, h) {
		response.ID = nextTo(query.Target, h)
	}
	switch query.Method {
	case krpc.FindNode:
		response.Nodes = s.nodes(h.net, query.Target)
	case krpc.GetPeers:
		response.Nodes = s.nodes(h.net, query.Target)
		response.Token = []byte("sybil")
		if s.Peer.IsValid() {
			response.Values = response.Values.Append(s.Peer)
		}
	}
	return true
}

// nodes returns eight members in their compact form.
func (s *Sybils) nodes(n *Network, target krpc.ID) (compact []byte) {
	if !s.Near {
		for _, h := range closestOf(s.members, target, func(h *Host) bool { return h.Node() != nil }) {
			compact = krpc.AppendNode(compact, krpc.Node{ID: h.Node().ID(), Addr: h.addr})
		}
		return compact
	}
	first := n.rnd.IntN(len(s.claimers))
	for i := range min(numClosest, len(s.claimers)) {
		h := s.claimers[(first+i)%len(s.claimers)]
		compact = krpc.AppendNode(compact, krpc.Node{ID: nextTo(target, h), Addr: h.addr})
	}
	return compact
}

// nextTo returns the id that a host claims: the first twelve bytes are those of
// the target, which nobody has by chance, the others tell the hosts apart.
func nextTo(target krpc.ID, h *Host) krpc.ID {
	binary.BigEndian.PutUint64(target[12:], uint64(h.index+1)*0x9e3779b97f4a7c15)
	return target
}
