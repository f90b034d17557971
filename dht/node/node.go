package node

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// Config is what a node is made from. Rand must be set; the rest may be zero.
type Config struct {
	// Rand is the only source of randomness: ids, transaction ids, secrets.
	// Outside of a simulation it must be seeded from crypto/rand.
	Rand *rand.Rand

	// IPv4 and IPv6 say which networks the node takes part in; neither means
	// IPv4 alone.
	IPv4, IPv6 bool

	// ID is the node's id. The zero ID means one that fits External (BEP 42),
	// and any random one while that is not known.
	ID       krpc.ID
	External netip.Addr

	// ReadOnly says that the node answers no queries and asks others not to
	// send it any (BEP 43).
	ReadOnly bool

	// EnforceIDs obeys BEP 42's section "Enforcement": lookups end at, and
	// store on, only nodes whose ids fit their addresses.
	EnforceIDs bool

	// Version goes into every packet: two letters and two bytes (BEP 5, BEP
	// 20), not more than these four. Empty means none.
	Version string

	// MaxQueries bounds the queries a second, in the long run, and at twice
	// that in a burst; 0 means 100, negative means no bound.
	MaxQueries int

	// MaxDestinations bounds the nodes that are asked within two minutes, for
	// each of which a home router keeps an entry; 0 means 8,192, negative
	// means no bound.
	MaxDestinations int

	// MaxReplies bounds the answers a second to all sources together; 0 means
	// 20,000, negative means no bound.
	MaxReplies int

	MaxPeers   int // in store, of all torrents; 0 means 50,000
	MaxItems   int // in store (BEP 44); 0 means 2,000
	MaxSources int // addresses whose traffic is counted at a time, 16 bytes each; 0 means 4,096
}

// Node is one node of the DHT. It is not safe for concurrent use: whoever
// drives it owns it.
type Node struct {
	cfg     Config
	id      krpc.ID
	table4  *table // nil if the node is not in that network
	table6  *table
	version []byte

	queries    queries
	budget     budget
	timeouts   timeouts
	upkeep     int // queries that wait and are neither a walk's nor the driver's
	asking     int // queries of the driver that wait
	lastAnswer time.Duration
	lookups    []*lookup

	bootstraps []netip.AddrPort
	saved      []krpc.Node // of an earlier session, not asked yet
	joining    bool        // a lookup of our own id runs
	ready      bool
	refreshing bool // a lookup of a random id runs
	filling    int  // the next bucket of the first round of refreshes
	selfAt     time.Duration
	upkeepAt   time.Duration

	votes     votes
	tokens    tokens
	quota     quota
	replies   pace
	intervals *intervals // made by the first
	peers     *peerStore // made by the first announce
	items     *itemStore // made by the first put
	counts    Counts

	scratch *scratch
	outputs []Output
	taken   int    // outputs that Next has handed out
	arena   []byte // the packets of outputs
}

// New returns a node that starts at now. It fails if cfg lacks Rand or has a
// longer Version than there is room for in every packet.
func New(now time.Duration, cfg Config) (*Node, error) {
	if cfg.Rand == nil {
		return nil, errors.New("node: Config.Rand must be set")
	}
	if len(cfg.Version) > maxVersionLen {
		return nil, fmt.Errorf("node: Config.Version has %d bytes, it may have %d", len(cfg.Version), maxVersionLen)
	}
	if !cfg.IPv4 && !cfg.IPv6 {
		cfg.IPv4 = true
	}
	cfg.External = cfg.External.Unmap()
	n := &Node{cfg: cfg, id: cfg.ID, scratch: new(scratch), budget: newBudget(&cfg), replies: newPace(orDefault(cfg.MaxReplies, defaultReplies), time.Second, time.Second), upkeepAt: now + upkeepEvery, selfAt: now}
	if n.id == (krpc.ID{}) {
		n.id = idFor(cfg.External, cfg.Rand)
	}
	if cfg.IPv4 {
		n.table4 = &table{own: n.id}
	}
	if cfg.IPv6 {
		n.table6 = &table{own: n.id}
	}
	if cfg.Version != "" {
		n.version = []byte(cfg.Version)
	}
	n.votes.accepted = cfg.External
	n.quota.init(cfg.MaxSources, cfg.Rand)
	return n, nil
}

// ID returns the node's id. OutIdentity says when it changes.
func (n *Node) ID() krpc.ID { return n.id }

// NumNodes returns how many nodes are in the IPv4 and in the IPv6 table.
func (n *Node) NumNodes() (numIPv4, numIPv6 int) {
	if n.table4 != nil {
		numIPv4 = n.table4.size
	}
	if n.table6 != nil {
		numIPv6 = n.table6.size
	}
	return numIPv4, numIPv6
}

// AppendNodes appends the nodes of both tables to dst: what to save between
// sessions.
func (n *Node) AppendNodes(dst []krpc.Node) []krpc.Node {
	for _, t := range n.tables() {
		for at := range t.buckets {
			for i := range t.buckets[at].nodes {
				dst = append(dst, t.buckets[at].node(i))
			}
		}
	}
	return dst
}

// table returns the table of an address family, nil if the node is not in it.
func (n *Node) table(is6 bool) *table {
	if is6 {
		return n.table6
	}
	return n.table4
}

func (n *Node) tableOf(ip netip.Addr) *table { return n.table(ip.Is6()) }

// tables yields the tables that there are.
func (n *Node) tables() iter.Seq2[bool, *table] {
	return func(yield func(bool, *table) bool) {
		for _, is6 := range [...]bool{false, true} {
			if t := n.table(is6); t != nil && !yield(is6, t) {
				return
			}
		}
	}
}

// Receive tells the node one thing that happened at now, which is never
// earlier than the now of a call before. What the node wants done waits in
// Next; what was not taken from there of earlier calls is lost.
func (n *Node) Receive(now time.Duration, in Input) {
	n.clear()
	switch in.Kind {
	case InPacket:
		n.packet(now, in.Addr, in.Packet)
	case InNodes:
		n.meet(now, in.Addrs)
	case InLookup:
		n.request(now, in.Lookup, in.Request)
	case InCancel:
		if l := n.lookup(in.Lookup); l != nil {
			n.cancel(l)
		}
		n.cancelQuery(in.Lookup)
	case InQuery:
		n.question(now, in)
	case InSaved:
		n.restore(now, in.Nodes)
	}
	n.warm(now)
}

// Advance runs the timers that are due at now.
func (n *Node) Advance(now time.Duration) {
	n.clear()
	n.expire(now)
	if n.upkeepAt <= now {
		n.upkeepAt = now + upkeepEvery
		n.keepUp(now)
	}
	if n.budget.starved && n.budget.allows(now) {
		n.resume(now)
	}
	n.warm(now)
	n.peers.expire(now)
	n.items.expire(now)
}

// NextTimeout returns when Advance is to be called next.
func (n *Node) NextTimeout() (t time.Duration, ok bool) {
	t = n.upkeepAt
	if len(n.queries) > 0 {
		t = min(t, n.queries[0].due)
	}
	if n.budget.starved {
		t = min(t, n.budget.ready())
	}
	return t, true
}

// Next returns the next output, and false when there is none left.
func (n *Node) Next() (out Output, ok bool) {
	if n.taken == len(n.outputs) {
		return Output{}, false
	}
	n.taken++
	return n.outputs[n.taken-1], true
}

// clear makes room for new outputs. Memory for more than a few of them is
// given back: most nodes of a simulation are idle.
func (n *Node) clear() {
	if cap(n.outputs) > keptOutputs || cap(n.arena) > keptBytes {
		n.outputs, n.arena = nil, nil
	}
	clear(n.outputs)
	n.outputs, n.arena, n.taken = n.outputs[:0], n.arena[:0], 0
}

func (n *Node) out(o Output) { n.outputs = append(n.outputs, o) }

// send puts a packet into the outputs.
func (n *Node) send(to netip.AddrPort, msg *krpc.Message) {
	msg.Version = n.version
	n.counts.sent(msg)
	start := len(n.arena)
	n.arena = msg.Append(n.arena)
	n.out(Output{Kind: OutPacket, Addr: to, Packet: n.arena[start:len(n.arena):len(n.arena)]})
}

// packet handles what arrived from the network.
func (n *Node) packet(now time.Duration, from netip.AddrPort, packet []byte) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if !reachable(from) || n.tableOf(from.Addr()) == nil {
		n.counts.Unreachable++
		return
	}
	m := &n.scratch.parsed
	refusal := m.Parse(packet)
	n.counts.received(m, refusal)
	if m.Kind == krpc.Query {
		n.serve(now, from, m, refusal)
		return
	}
	q := n.queries.find(m.Transaction, from)
	if refusal != nil || q == nil {
		if refusal == nil {
			n.counts.Unsolicited++
		}
		return
	}
	heap.Remove(&n.queries, q.heapAt)
	n.settled(q)
	n.lastAnswer = now
	if q.asker != 0 {
		n.answerAsker(now, q, packet)
	}
	if m.Kind == krpc.Response {
		n.response(now, q, m)
	} else if q.walk != nil {
		if q.store {
			q.walk.lookup.refusedBy(m)
		}
		q.walk.refused(now, q)
	}
}

// response handles the answer to a query.
func (n *Node) response(now time.Duration, q *query, m *krpc.Message) {
	rtt, table := now-q.sent, n.tableOf(q.to.Addr())
	n.timeouts.add(rtt)
	if m.ID == n.id || q.hasID && m.ID != q.id {
		n.imposter(now, q)
		return
	}
	table.answered(now, krpc.Node{ID: m.ID, Addr: q.to}, rtt)
	n.vote(now, q.to.Addr(), m.External)
	for node := range believed(q.to, m) {
		n.consider(now, node, maxUpkeep)
	}
	n.heedInterval(now, q, m)
	if q.walk != nil {
		q.walk.answered(now, q, m)
	}
	if !n.ready && !n.joining && now >= n.selfAt && !n.isEmpty() {
		n.join(now) // the first node of a network, whom others found
	}
}

// imposter handles a response under our own id, or under another than that of
// the node that was asked: whatever it says is not from whom we asked.
func (n *Node) imposter(now time.Duration, q *query) {
	if q.hasID {
		n.tableOf(q.to.Addr()).gone(q.node())
	}
	if q.walk != nil {
		q.walk.imposter(now, q)
	}
}

// believed yields the nodes of a response that may be taken up.
func believed(from netip.AddrPort, m *krpc.Message) iter.Seq[krpc.Node] {
	return func(yield func(krpc.Node) bool) {
		count := 0
		for node := range m.AllNodes() {
			if count++; count > maxPerResponse || mayTell(from, node.Addr) && !yield(node) {
				return
			}
		}
	}
}

// request starts a lookup for the driver.
func (n *Node) request(now time.Duration, id LookupID, req *Request) {
	if id == 0 || id >= refreshLookup || req == nil || len(n.lookups) >= MaxLookups || !req.valid() {
		n.out(Output{Kind: OutDone, Lookup: id, Result: new(Result)})
		return
	}
	n.startLookup(now, id, *req, n.bootstraps)
}

// valid reports whether a request makes sense: whether there is something to
// store if it is to store.
func (r *Request) valid() bool {
	switch r.Method {
	case krpc.GetPeers:
		return !r.Store || r.Port != 0 || r.ImpliedPort
	case krpc.Get:
		return !r.Store || r.Item.valid()
	case krpc.FindNode, krpc.SampleInfohashes:
		return !r.Store
	}
	return false
}

// valid reports whether others would parse what is to be put.
func (item *Item) valid() bool {
	return item != nil && len(item.Value) > 0 && len(item.Value) <= krpc.MaxValueLen && len(item.Salt) <= krpc.MaxSaltLen &&
		(item.Key == nil || len(item.Key) == krpc.KeyLen && len(item.Sig) == krpc.SignatureLen && item.Seq >= 0)
}

func (n *Node) lookup(id LookupID) *lookup {
	for _, l := range n.lookups {
		if l.id == id && !l.own() {
			return l
		}
	}
	return nil
}
