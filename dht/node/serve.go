package node

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// fixedReplyLen is more than what a reply has besides nodes, values, filters
// and an item: brackets, ip, id, token, t, v and y.
const fixedReplyLen = 160

// scratch is memory for the parts of one reply, kept for the next.
type scratch struct {
	parsed        krpc.Message
	token         [tokenLen]byte
	nodes, nodes6 []byte
	values        krpc.Values
}

// serve answers a query.
func (n *Node) serve(now time.Duration, from netip.AddrPort, m *krpc.Message, refusal *krpc.Refusal) {
	// BEP 43: a read-only node "no longer responds to 'query' messages".
	switch {
	case !m.Answerable():
		return
	case n.cfg.ReadOnly || refusal == nil && m.ID == n.id:
		n.counts.Ignored++
		return
	case !n.quota.allows(now, from) || !n.replies.allows(now):
		n.counts.OverQuota++
		return
	}
	start := len(n.arena)
	if refusal == nil {
		refusal = n.answer(now, from, m)
	}
	if refusal != nil {
		n.refuse(from, m, refusal)
	}
	n.quota.charge(now, from, len(n.arena)-start)
	n.replies.spend(now)
	// BEP 43: "If it is found, the node should not add the message sender to
	// its routing table."
	if refusal == nil && !m.ReadOnly {
		n.asked(now, krpc.Node{ID: m.ID, Addr: from})
	}
}

// refuse answers by an error. Its text is one of ours, and short.
func (n *Node) refuse(to netip.AddrPort, m *krpc.Message, r *krpc.Refusal) {
	var text [128]byte
	n.send(to, &krpc.Message{Kind: krpc.Error, Transaction: m.Transaction, Code: r.Code, Text: append(text[:0], r.Text...)})
}

// answer answers a query, or says why not.
func (n *Node) answer(now time.Duration, from netip.AddrPort, m *krpc.Message) *krpc.Refusal {
	reply := krpc.Message{Kind: krpc.Response, Transaction: m.Transaction, ID: n.id, External: from}
	switch m.Method {
	case krpc.AnnouncePeer:
		return n.storePeer(now, from, m, &reply)
	case krpc.Put:
		return n.storeItem(now, from, m, &reply)
	case krpc.Ping:
		n.send(from, &reply)
		return nil
	}
	n.addNodes(&reply, from, m)
	switch m.Method {
	case krpc.GetPeers:
		n.servePeers(now, from, m, &reply)
	case krpc.Get:
		n.serveItem(now, from, m, &reply)
	case krpc.SampleInfohashes:
		reply.Samples, reply.Interval, reply.Num = n.peers.sample(now, n.cfg.Rand)
		n.send(from, &reply)
	default: // find_node, and what answers like it
		n.send(from, &reply)
	}
	return nil
}

// addNodes adds the closest nodes of the families that the query wants. BEP
// 32: "In the absence of a 'want' parameter, the reply should include 'nodes'
// if the request was sent over IPv4, and should include 'nodes6' if the request
// was sent over IPv6."
func (n *Node) addNodes(reply *krpc.Message, from netip.AddrPort, m *krpc.Message) {
	want := m.Want
	switch {
	case want != 0:
	case from.Addr().Is4():
		want = krpc.WantNodes4
	default:
		want = krpc.WantNodes6
	}
	if want&krpc.WantNodes4 != 0 && n.table4 != nil {
		n.scratch.nodes = appendClosest(n.scratch.nodes[:0], n.table4, &m.Target, from)
		reply.Nodes = n.scratch.nodes
	}
	if want&krpc.WantNodes6 != 0 && n.table6 != nil {
		n.scratch.nodes6 = appendClosest(n.scratch.nodes6[:0], n.table6, &m.Target, from)
		reply.Nodes6 = n.scratch.nodes6
	}
}

// appendClosest appends the closest nodes, without local ones for a stranger,
// who would not believe them, and without the one who asks.
func appendClosest(b []byte, t *table, target *krpc.ID, from netip.AddrPort) []byte {
	var found [numClosest + 1]krpc.Node
	count := 0
	for _, node := range t.closest(found[:0], target, len(found)) {
		if count < numClosest && node.Addr != from && mayTell(from, node.Addr) {
			b = krpc.AppendNode(b, node)
			count++
		}
	}
	return b
}

// servePeers answers get_peers within maxReplyLen.
func (n *Node) servePeers(now time.Duration, from netip.AddrPort, m *krpc.Message, reply *krpc.Message) {
	// BEP 33: "This can be achieved by not responding with tokens to get_peers
	// requests for an infohash which has reached this limit."
	if n.peers.hasRoom(m.Target, from.Addr()) {
		reply.Token = n.token(now, from)
	}
	room := maxReplyLen - fixedReplyLen - len(reply.Nodes) - len(reply.Nodes6)
	if m.Scrape && n.scrape(reply, m.Target) {
		room -= 2 * (krpc.FilterLen + 12)
	}
	if room < 0 {
		// BEP 33: "only returning the mandatory node lists even when
		// additional ones are requested."
		if from.Addr().Is4() {
			room += len(reply.Nodes6)
			reply.Nodes6 = nil
		} else {
			room += len(reply.Nodes)
			reply.Nodes = nil
		}
	}
	family, valueLen := familyOf(from.Addr()), len("6:")+6
	if family == 1 {
		valueLen = len("18:") + 18
	}
	n.scratch.values = n.peers.get(n.scratch.values[:0], n.cfg.Rand, m.Target, family, max(room, 0)/valueLen, m.NoSeed)
	if len(n.scratch.values) > 0 {
		reply.Values = n.scratch.values
	}
	n.send(from, reply)
}

// token returns the token of the address, in the node's scratch.
func (n *Node) token(now time.Duration, from netip.AddrPort) []byte {
	n.scratch.token = n.tokens.make(now, n.cfg.Rand, from.Addr())
	return n.scratch.token[:]
}

// scrape adds BEP 33's filters to a reply, if there is anything to count.
func (n *Node) scrape(reply *krpc.Message, hash krpc.ID) bool {
	var seeds, leechers krpc.Filter
	if !n.peers.scrape(hash, &seeds, &leechers) {
		return false
	}
	reply.BFsd, reply.BFpe = seeds[:], leechers[:]
	return true
}

// serveItem answers get within maxItemReplyLen. BEP 44: if the stored seq "is
// less than or equal to the seq field then the k, v, and sig fields SHOULD be
// omitted".
func (n *Node) serveItem(now time.Duration, from netip.AddrPort, m *krpc.Message, reply *krpc.Message) {
	reply.Token = n.token(now, from)
	if v := n.items.get(m.Target); v != nil {
		reply.Seq, reply.HasSeq = v.seq, v.key != nil
		if v.key == nil || !m.HasSeq || v.seq > m.Seq {
			reply.Value, reply.Key, reply.Sig = v.value, v.key, v.sig
		}
	}
	if reply.Value != nil {
		n.fitItem(reply)
	}
	n.send(from, reply)
}

// fitItem leaves out of a reply what would make it longer than
// maxItemReplyLen: the largest values leave no room for nodes, and the largest
// signed ones none for a long transaction.
func (n *Node) fitItem(reply *krpc.Message) {
	if n.replyLen(reply) > maxItemReplyLen {
		reply.Nodes, reply.Nodes6 = nil, nil
	}
	if n.replyLen(reply) > maxItemReplyLen {
		reply.Token, reply.External = nil, netip.AddrPort{}
	}
	if n.replyLen(reply) > maxItemReplyLen {
		reply.Value, reply.Key, reply.Sig = nil, nil, nil
	}
}

func (n *Node) replyLen(reply *krpc.Message) int {
	var b [2 * maxItemReplyLen]byte
	reply.Version = n.version
	return len(reply.Append(b[:0]))
}

// storePeer answers announce_peer. BEP 5: "The queried node must verify that
// the token was previously sent to the same IP address as the querying node.
// Then the queried node should store the IP address of the querying node and
// the supplied port number".
func (n *Node) storePeer(now time.Duration, from netip.AddrPort, m *krpc.Message, reply *krpc.Message) *krpc.Refusal {
	if !n.tokens.check(now, n.cfg.Rand, from.Addr(), m.Token) {
		return refuseToken
	}
	if n.peers == nil {
		n.peers = newPeerStore(n.cfg.MaxPeers)
	}
	addr := from
	if !m.ImpliedPort {
		addr = netip.AddrPortFrom(from.Addr(), m.Port)
	}
	// Tokens are not tied to the torrent: this one may have been given for
	// another.
	if !n.peers.announce(now, m.Target, addr, m.Seed) {
		return refuseFull
	}
	n.send(from, reply)
	return nil
}

// storeItem answers put.
func (n *Node) storeItem(now time.Duration, from netip.AddrPort, m *krpc.Message, reply *krpc.Message) *krpc.Refusal {
	if !n.tokens.check(now, n.cfg.Rand, from.Addr(), m.Token) {
		return refuseToken
	}
	if n.items == nil {
		n.items = newItemStore(n.cfg.MaxItems)
	}
	if refusal := n.items.put(now, from.Addr(), m); refusal != nil {
		return refusal
	}
	n.send(from, reply)
	return nil
}
