package engine

import (
	"bytes"
	"container/heap"
	"crypto/sha1"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/wire"
)

// testNet is a handful of engines that are connected to each other: what one
// sends the other gets after delay. It has no bandwidth: who asks more gets
// more.
type testNet struct {
	t      *testing.T
	now    time.Duration
	delay  time.Duration
	geo    metainfo.Geometry
	nodes  []*testNode
	byAddr map[netip.AddrPort]*testNode
	nextID int // of a connection
	queue  netQueue
	log    hash.Hash // everything that the engines wanted done, in order
}

// testNode is an engine with an address.
type testNode struct {
	*Engine
	net    *testNet
	grants *freeGrants
	addr   netip.AddrPort
	dht    bool
	peers  map[int]*testNode // by the id of the connection: who is at the other end, where it has the same id
	known  map[int]*Conn     // by that id: as the engine knows the connection

	// tamper, if set, sees what is sent; false keeps it back.
	tamper func(out *Output) bool
	// stuck keeps the credit back that messages were paid from.
	stuck bool
	// private is what it takes the metadata for.
	private bool

	gotMetadata []byte
	completed   time.Duration
	nodesTold   []netip.AddrPort
	closed      []string
	sent        map[string]int // messages by kind
}

// netEvent is something that happens later.
type netEvent struct {
	at  time.Duration
	seq int
	do  func()
}

type netQueue struct {
	events []netEvent
	seq    int
}

func (q *netQueue) Len() int { return len(q.events) }
func (q *netQueue) Less(i, j int) bool {
	a, b := q.events[i], q.events[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (q *netQueue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *netQueue) Push(x any)    { q.events = append(q.events, x.(netEvent)) }
func (q *netQueue) Pop() any {
	last := q.events[len(q.events)-1]
	q.events = q.events[:len(q.events)-1]
	return last
}

func newTestNet(t *testing.T) *testNet {
	geo, err := metainfo.NewGeometry(8*2*metainfo.BlockLen, 2*metainfo.BlockLen)
	if err != nil {
		t.Fatal(err)
	}
	return &testNet{
		t: t, geo: geo, delay: 50 * time.Millisecond,
		byAddr: make(map[netip.AddrPort]*testNode), log: sha1.New(),
	}
}

// add adds a node. With magnet its engine knows nothing of the torrent;
// otherwise it is a seed.
func (w *testNet) add(cfg Config, magnet bool) *testNode {
	i := byte(len(w.nodes) + 1)
	n := &testNode{
		net: w, grants: new(freeGrants), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 6881),
		peers: make(map[int]*testNode), known: make(map[int]*Conn), sent: make(map[string]int), dht: cfg.DHTPort != 0,
	}
	cfg.Grants, cfg.Rand = n.grants, rand.New(rand.NewPCG(uint64(i), 7))
	cfg.PeerID, cfg.Port = metainfo.PeerIDFrom([12]byte{i}), n.addr.Port()
	if !magnet {
		cfg.Geometry = w.geo
		if cfg.Have == nil {
			cfg.Have = bitfield.NewFull(w.geo.NumPieces())
		}
	}
	var err error
	if n.Engine, err = New(w.now, cfg); err != nil {
		w.t.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	w.byAddr[n.addr] = n
	return n
}

func (w *testNet) after(d time.Duration, do func()) {
	w.queue.seq++
	heap.Push(&w.queue, netEvent{at: w.now + d, seq: w.queue.seq, do: do})
}

// connect connects two nodes at once.
func (w *testNet) connect(from, to *testNode) (id int) {
	w.nextID++
	id = w.nextID
	up := func(n, other *testNode, incoming bool) {
		addr := other.addr
		if incoming {
			addr = netip.AddrPortFrom(addr.Addr(), 50000+uint16(id))
		}
		n.peers[id], n.known[id] = other, &Conn{Owner: id}
		n.Receive(w.now, &Input{Kind: InConnUp, Conn: n.known[id], Addr: addr, PeerID: other.cfg.PeerID,
			Fast: true, Extended: true, DHT: other.dht, Incoming: incoming})
		n.Receive(w.now, &Input{Kind: InCredit, Conn: n.known[id], Length: 1 << 20})
	}
	up(from, to, false)
	up(to, from, true)
	return id
}

// disconnect ends a connection.
func (w *testNet) disconnect(n *testNode, id int) {
	other := n.peers[id]
	if other == nil {
		return
	}
	for _, end := range []*testNode{n, other} {
		delete(end.peers, id)
		end.Receive(w.now, &Input{Kind: InConnDown, Conn: end.known[id]})
	}
}

// run lets time go on, until done says so or the time is over.
func (w *testNet) run(until time.Duration, done func() bool) {
	for w.now < until {
		w.settle()
		if done != nil && done() {
			return
		}
		next := until
		if len(w.queue.events) > 0 {
			next = min(next, w.queue.events[0].at)
		}
		for _, n := range w.nodes {
			if at, ok := n.NextTimeout(); ok {
				next = min(next, at)
			}
		}
		w.now = max(w.now, next)
		for len(w.queue.events) > 0 && w.queue.events[0].at <= w.now {
			heap.Pop(&w.queue).(netEvent).do()
		}
		for _, n := range w.nodes {
			if at, ok := n.NextTimeout(); ok && at <= w.now {
				n.Advance(w.now)
			}
		}
	}
	w.settle()
}

// settle does what the engines want done, until they want no more.
func (w *testNet) settle() {
	for busy := true; busy; {
		busy = false
		for _, n := range w.nodes {
			for out, ok := n.Next(); ok; out, ok = n.Next() {
				busy = true
				n.do(*out)
			}
			check(w.t, n.Engine)
		}
	}
}

func (n *testNode) do(out Output) {
	if n.tamper != nil && !n.tamper(&out) {
		return
	}
	w := n.net
	n.log(out)
	switch out.Kind {
	case OutMessage:
		n.sent[messageKind(out.Message)]++
		out.Message.Payload = bytes.Clone(out.Message.Payload)
		n.send(out.Conn.Owner.(int), Input{Kind: InMessage, Message: out.Message})
		if out.Length > 0 && !n.stuck {
			n.Receive(w.now, &Input{Kind: InCredit, Conn: out.Conn, Length: out.Length})
		}
	case OutHave:
		for id := 1; id <= w.nextID; id++ {
			n.send(id, Input{Kind: InMessage, Message: wire.Message{Type: wire.Have, Index: uint32(out.Piece)}})
		}
	case OutBlock:
		n.send(out.Conn.Owner.(int), Input{Kind: InBlock, Piece: out.Piece, Begin: out.Begin, Length: out.Length, Claimed: true})
		n.Receive(w.now, &Input{Kind: InCredit, Conn: out.Conn, Length: out.Length})
	case OutVerify:
		n.Receive(w.now, &Input{Kind: InVerified, Piece: out.Piece, OK: true})
	case OutClose:
		n.closed = append(n.closed, out.Reason)
		w.after(0, func() { w.disconnect(n, out.Conn.Owner.(int)) })
	case OutDial:
		w.after(w.delay, func() { n.dialed(out.Addr) })
	case OutCompleted:
		n.completed = w.now
	case OutMetadata:
		n.gotMetadata = out.Metadata
		n.Receive(w.now, &Input{Kind: InGeometry, Geometry: w.geo, Private: n.private})
	case OutNode:
		n.nodesTold = append(n.nodesTold, out.Addr)
	}
}

// log notes what an engine wants done. The address of a connection in memory
// is not the same in the next run.
func (n *testNode) log(out Output) {
	var id any
	if out.Conn != nil {
		id = out.Conn.Owner
	}
	out.Conn = nil
	fmt.Fprintf(n.net.log, "%d %v %v %+v\n", n.net.now, n.addr, id, out)
}

// dialed ends a dial: who is at the address answers.
func (n *testNode) dialed(addr netip.AddrPort) {
	if other := n.net.byAddr[addr]; other != nil {
		n.net.connect(n, other)
	} else {
		n.Receive(n.net.now, &Input{Kind: InDialFailed, Addr: addr})
	}
}

// send delivers an input to the other end of a connection.
func (n *testNode) send(id int, in Input) {
	w, other := n.net, n.peers[id]
	if other == nil {
		return
	}
	in.Conn = other.known[id]
	w.after(w.delay, func() {
		if other.peers[id] == n {
			other.Receive(w.now, &in)
		}
	})
}

// messageKind names a message for counting: the ids of extensions are ours on
// both sides.
func messageKind(m wire.Message) string {
	if m.Type != wire.Extended {
		return m.Type.String()
	}
	switch m.ExtID {
	case pexExtID:
		return "pex"
	case metadataExtID:
		if msg, err := wire.ParseMetadata(m.Payload); err == nil {
			return [...]string{"metadata request", "metadata data", "metadata reject"}[msg.Type]
		}
	}
	return "handshake"
}
