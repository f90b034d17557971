package node

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// The shape of a routing table. The buckets farthest from our id are larger
// than BEP 5's eight: they cost little, and they save the first hops of every
// lookup. The others have sixteen, which brings each hop a bit closer: in a
// network of 10,000 the first peers are found a tenth sooner. All are cut into
// cells of eight by the bits that follow, so that their nodes are spread over
// their range.
const (
	cellSize    = 8 // BEP 5: "Each bucket can only hold K nodes, currently eight"
	largeBits   = 4 // the bucket of shared length 0 has 1<<largeBits cells, the next half as many
	leastBits   = 1 // no bucket has less than 1<<leastBits cells
	maxSpares   = 2 // candidates kept for a bucket; arbitrary, small because of the memory
	growBy      = 4 // nodes that a bucket gets memory for at a time
	maxFails    = 2 // BEP 5: "fail to respond to multiple queries in a row"
	goodFor     = 15 * time.Minute
	fasterRatio = 0.75 // of the round trip at which a node takes the place of a slower one
)

// table is the routing table of one address family: nodes that answered a
// query of ours, and few of them in any one network. Its bucket i has those
// whose ids share exactly i leading bits with our own.
type table struct {
	own     krpc.ID
	buckets []bucket // up to the deepest that is not empty
	size    int
	removed int  // since the marks were made
	gap     bool // since takeSpare looked in vain, a node has failed or gone

	// marks has a bit for the network of each node, and of some that have gone.
	// Most nodes that we hear of are in a network without a mark, which saves
	// looking at every node of the table.
	marks [numMarks / 64]uint64
}

// numMarks is several times the nodes of a table: with 300 nodes one unknown
// network in four has a mark by chance. Twice as many would not fit into 16 KB
// beside a full table.
const numMarks = 1024

// bucket keeps its nodes packed: many tables fit into one simulation. Of an
// IPv6 address the first four bytes are in the entry and the others in tails.
type bucket struct {
	nodes   []entry
	tails   [][12]byte
	spares  []spare // heard of, not vetted; the newest last
	changed time.Duration
}

// spare is a node in 38 bytes; as a krpc.Node it would take 56.
type spare struct {
	id   krpc.ID
	ip   [16]byte
	port uint16
}

func (s *spare) node() krpc.Node {
	return krpc.Node{ID: s.id, Addr: netip.AddrPortFrom(netip.AddrFrom16(s.ip).Unmap(), s.port)}
}

// entry is one node, in 32 bytes.
type entry struct {
	id     krpc.ID
	head   [4]byte
	port   uint16
	seen   tick
	rttMs  uint16 // of its answers, smoothed
	fails  uint8  // queries in a row without an answer
	fits42 bool   // the id fits the address (BEP 42)
}

// tick is the clock in units of sixteen seconds. It wraps after twelve days,
// in which every node has answered or gone.
type tick uint16

const tickLen = 16 * time.Second

func ticks(d time.Duration) tick { return tick(d / tickLen) }

func (b *bucket) addr(i int) netip.AddrPort {
	e := &b.nodes[i]
	ip := netip.AddrFrom4(e.head)
	if b.is6() {
		var all [16]byte
		copy(all[copy(all[:], e.head[:]):], b.tails[i][:])
		ip = netip.AddrFrom16(all)
	}
	return netip.AddrPortFrom(ip, e.port)
}

func (b *bucket) is6() bool { return len(b.tails) > 0 }

func (b *bucket) node(i int) krpc.Node { return krpc.Node{ID: b.nodes[i].id, Addr: b.addr(i)} }

// add appends a node, and grows by a few at a time: doubling would waste up to
// half of the memory.
func (b *bucket) add(e entry, addr netip.AddrPort) {
	if len(b.nodes) == cap(b.nodes) {
		grown := make([]entry, len(b.nodes), len(b.nodes)+growBy)
		copy(grown, b.nodes)
		b.nodes = grown
	}
	e.port = addr.Port()
	if addr.Addr().Is4() {
		e.head = addr.Addr().As4()
	} else {
		all := addr.Addr().As16()
		e.head = [4]byte(all[:4])
		b.tails = append(b.tails, [12]byte(all[4:]))
	}
	b.nodes = append(b.nodes, e)
}

func (b *bucket) remove(i int) {
	b.nodes = slices.Delete(b.nodes, i, i+1)
	if b.tails != nil {
		b.tails = slices.Delete(b.tails, i, i+1)
	}
}

// cellBits returns the number of bits that tell the cells of bucket i apart.
func cellBits(i int) int { return max(largeBits-i, leastBits) }

// sameCell reports whether x and y, both of bucket i, are in the same cell.
func sameCell(i int, x, y *krpc.ID) bool { return sharedBits(x, y) > i+cellBits(i) }

// bucketOf returns the bucket of id, and false for our own id.
func (t *table) bucketOf(id *krpc.ID) (int, bool) {
	i := sharedBits(&t.own, id)
	return i, i < idBits
}

// find returns where the node with the id is; i is negative if it is not here.
func (t *table) find(id *krpc.ID) (b *bucket, i int) {
	at, ok := t.bucketOf(id)
	if !ok || at >= len(t.buckets) {
		return nil, -1
	}
	b = &t.buckets[at]
	for i := range b.nodes {
		if b.nodes[i].id == *id {
			return b, i
		}
	}
	return b, -1
}

// answered notes that a node answered a query: it is vetted now, and enters
// the table if it may. It reports whether the node is in it.
func (t *table) answered(now time.Duration, n krpc.Node, rtt time.Duration) bool {
	at, ok := t.bucketOf(&n.ID)
	if !ok {
		return false
	}
	if b, i := t.find(&n.ID); i >= 0 {
		// An id stays where it is while its node answers there: otherwise
		// whoever copies the id would take the place.
		return b.addr(i) == n.Addr && t.refresh(now, b, i, rtt)
	}
	t.dropSpare(at, n.Addr)
	if !t.makeRoom(at, n, rtt) {
		return false
	}
	b := t.bucket(now, at)
	b.add(entry{id: n.ID, seen: ticks(now), rttMs: millis(rtt), fits42: fitsAddress(&n.ID, n.Addr.Addr())}, n.Addr)
	b.changed = now
	t.size++
	t.mark(n.Addr.Addr())
	return true
}

// bucket returns bucket at, made if it was not there. There is no memory for
// more than are needed, for they hardly become more.
func (t *table) bucket(now time.Duration, at int) *bucket {
	if at >= cap(t.buckets) {
		grown := make([]bucket, len(t.buckets), at+1)
		copy(grown, t.buckets)
		t.buckets = grown
	}
	for len(t.buckets) <= at {
		t.buckets = append(t.buckets, bucket{changed: now})
	}
	return &t.buckets[at]
}

func (t *table) refresh(now time.Duration, b *bucket, i int, rtt time.Duration) bool {
	e := &b.nodes[i]
	e.seen, e.fails, b.changed = ticks(now), 0, now
	e.rttMs = uint16((3*uint32(e.rttMs) + uint32(millis(rtt))) / 4)
	return true
}

// makeRoom reports whether a new node may enter bucket at, and removes the
// node whose place it takes.
func (t *table) makeRoom(at int, n krpc.Node, rtt time.Duration) bool {
	if neighbour, i := t.inNetwork(n.Addr.Addr()); neighbour != nil {
		// One node of a network. Its place is free for another only when it
		// fails, or when it is the same node under a new id.
		if neighbour.nodes[i].fails == 0 && neighbour.addr(i) != n.Addr {
			return false
		}
		t.remove(neighbour, i)
	}
	if at >= len(t.buckets) {
		return true
	}
	b := &t.buckets[at]
	worst, full := t.worstOfCell(at, &n.ID)
	switch {
	case !full:
		return true
	case !better(&b.nodes[worst], fitsAddress(&n.ID, n.Addr.Addr()), millis(rtt)):
		t.spare(at, n)
		return false
	}
	t.remove(b, worst)
	return true
}

// better reports whether a vetted newcomer should take the place of old. The
// two are in one cell and so equally close to any target outside of it: there,
// and only there, a low round trip is preferred.
func better(old *entry, fits42 bool, rttMs uint16) bool {
	switch {
	case old.fails > 0:
		return true
	case old.fits42 != fits42:
		return fits42
	}
	return float64(rttMs) < fasterRatio*float64(old.rttMs)
}

// worstOfCell returns the node that id would replace in its cell of bucket at,
// and whether the cell is full.
func (t *table) worstOfCell(at int, id *krpc.ID) (worst int, full bool) {
	b, inCell := &t.buckets[at], 0
	worst = -1
	for i := range b.nodes {
		if e := &b.nodes[i]; sameCell(at, &e.id, id) {
			inCell++
			if worst < 0 || worse(e, &b.nodes[worst]) {
				worst = i
			}
		}
	}
	return worst, inCell >= cellSize
}

func worse(x, y *entry) bool {
	switch {
	case x.fails != y.fails:
		return x.fails > y.fails
	case x.fits42 != y.fits42:
		return !x.fits42
	}
	return x.rttMs > y.rttMs
}

// inNetwork returns the node that is in the same network as ip, nil if there
// is none. Local networks have room for many.
func (t *table) inNetwork(ip netip.Addr) (*bucket, int) {
	if word, mask := markOf(ip); local(ip) || t.marks[word]&mask == 0 {
		return nil, -1
	}
	all := ip.As16()
	for at := range t.buckets {
		b := &t.buckets[at]
		for i := range b.nodes {
			if b.inNetwork(i, ip, &all) {
				return b, i
			}
		}
	}
	return nil, -1
}

func (t *table) mark(ip netip.Addr) {
	word, mask := markOf(ip)
	t.marks[word] |= mask
}

// markOf returns the place of a network's mark.
func markOf(ip netip.Addr) (word int, mask uint64) {
	all := ip.As16()
	key := binary.BigEndian.Uint64(all[:])
	if ip.Is4() {
		key = uint64(binary.BigEndian.Uint32(all[12:]) >> 8)
	}
	at := key * 0x9e3779b97f4a7c15 >> 54 // Fibonacci hashing: the highest 10 bits
	return int(at / 64), 1 << (at % 64)
}

// inNetwork compares bytes: the table is searched for every node heard of.
func (b *bucket) inNetwork(i int, ip netip.Addr, all *[16]byte) bool {
	e := &b.nodes[i]
	if ip.Is4() {
		return !b.is6() && [3]byte(e.head[:]) == [3]byte(all[12:])
	}
	return b.is6() && e.head == [4]byte(all[:]) && [4]byte(b.tails[i][:]) == [4]byte(all[4:])
}

func (t *table) remove(b *bucket, i int) {
	b.remove(i)
	t.size--
	t.gap = true
	if t.removed++; t.removed > t.size/4 {
		t.markAll()
	}
}

// markAll takes away the marks of networks that have gone.
func (t *table) markAll() {
	t.removed, t.marks = 0, [numMarks / 64]uint64{}
	for at := range t.buckets {
		for i := range t.buckets[at].nodes {
			t.mark(t.buckets[at].addr(i).Addr())
		}
	}
}

// failed notes that a node did not answer. One that failed often enough is
// removed, unless nobody answered since: then it is our own network that is
// down, and the table must outlive that.
func (t *table) failed(n krpc.Node, othersAnswer bool) {
	b, i := t.find(&n.ID)
	if i < 0 || b.addr(i) != n.Addr {
		return
	}
	if b.nodes[i].fails < maxFails {
		b.nodes[i].fails++
	}
	t.gap = true
	if b.nodes[i].fails >= maxFails && othersAnswer {
		t.remove(b, i)
	}
}

// gone removes a node that is not where it was.
func (t *table) gone(n krpc.Node) {
	if b, i := t.find(&n.ID); i >= 0 && b.addr(i) == n.Addr {
		t.remove(b, i)
	}
}

// renamed reports whether the node that is at an address by our table now says
// that it has another id.
func (t *table) renamed(n krpc.Node) bool {
	b, i := t.inNetwork(n.Addr.Addr())
	return b != nil && b.addr(i) == n.Addr && b.nodes[i].id != n.ID
}

// wants reports whether a node that we heard of is worth a query: its network
// is not in the table yet and its cell has room or a node that fails. One that
// is not becomes a spare.
func (t *table) wants(n krpc.Node) bool {
	at, ok := t.bucketOf(&n.ID)
	if !ok {
		return false
	}
	if _, i := t.find(&n.ID); i >= 0 {
		return false
	}
	if at < len(t.buckets) {
		worst, full := t.worstOfCell(at, &n.ID)
		if full && t.buckets[at].nodes[worst].fails == 0 {
			t.spare(at, n)
			return false
		}
	}
	b, i := t.inNetwork(n.Addr.Addr())
	return b == nil || b.nodes[i].fails > 0
}

// spare keeps a node that its full bucket may need later; the oldest goes.
func (t *table) spare(at int, n krpc.Node) {
	t.dropSpare(at, n.Addr)
	b := &t.buckets[at]
	if b.spares == nil {
		b.spares = make([]spare, 0, maxSpares)
	}
	if len(b.spares) == maxSpares {
		b.spares = slices.Delete(b.spares, 0, 1)
	}
	b.spares = append(b.spares, spare{n.ID, n.Addr.Addr().As16(), n.Addr.Port()})
}

func (t *table) dropSpare(at int, addr netip.AddrPort) {
	if at < len(t.buckets) {
		b := &t.buckets[at]
		b.spares = slices.DeleteFunc(b.spares, func(s spare) bool { return s.port == addr.Port() && s.node().Addr == addr })
	}
}

// takeSpare returns the newest spare whose cell has room now. There is none
// while nobody fails or goes.
func (t *table) takeSpare() (krpc.Node, bool) {
	if !t.gap {
		return krpc.Node{}, false
	}
	for at := range t.buckets {
		b := &t.buckets[at]
		for i := len(b.spares) - 1; i >= 0; i-- {
			n := b.spares[i].node()
			if worst, full := t.worstOfCell(at, &n.ID); !full || b.nodes[worst].fails > 0 {
				b.spares = slices.Delete(b.spares, i, i+1)
				return n, true
			}
		}
	}
	t.gap = false
	return krpc.Node{}, false
}

// questionable returns the node that has been silent for longest, if that is
// longer than BEP 5's fifteen minutes, and its bucket.
func (t *table) questionable(now time.Duration) (n krpc.Node, at int, ok bool) {
	longest := tick(goodFor / tickLen)
	for i := range t.buckets {
		b := &t.buckets[i]
		for j := range b.nodes {
			if silent := ticks(now) - b.nodes[j].seen; silent > longest {
				longest, n, at, ok = silent, b.node(j), i, true
			}
		}
	}
	return n, at, ok
}

// stale returns a bucket that has not changed for fifteen minutes. BEP 5:
// "Buckets that have not been changed in 15 minutes should be 'refreshed.'"
func (t *table) stale(now time.Duration) (at int, ok bool) {
	for i := range min(len(t.buckets), maxRefreshed) {
		if now-t.buckets[i].changed >= goodFor {
			return i, true
		}
	}
	return 0, false
}

// rekey moves every node to where it belongs under a new own id.
func (t *table) rekey(now time.Duration, own krpc.ID) {
	old := *t
	*t = table{own: own}
	for at := range old.buckets {
		b := &old.buckets[at]
		for i := range b.nodes {
			t.answered(now, b.node(i), time.Duration(b.nodes[i].rttMs)*time.Millisecond)
		}
	}
}

func millis(d time.Duration) uint16 { return uint16(min(d/time.Millisecond, 60_000)) }
