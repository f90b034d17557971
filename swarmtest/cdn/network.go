package cdn

import (
	"slices"
	"time"
)

// network moves data as a fluid. A flow is a connection from an uplink to a
// receiver, which sends its parts one after the other; flows that have none
// take no part in the sharing.
//
// Flows with the same uplink, the same downlink and the same cap always get the
// same rate, so they are a bundle, and the bundle counts what one of its flows
// was served: a flow whose part ends at a mark of that count need not be
// touched when rates change. There are few bundles even if there are many
// flows.
type network struct {
	now     time.Duration
	uplinks []uplink
	downs   []downlink
	bundles []bundle
	flows   []flow
	free    []int32 // of flows
	index   map[bundleKey]int32

	dirty []int32 // uplinks whose flows changed since the last fill
	due   []int32 // a heap of bundles with a flow that sends, by finish

	fill filling
}

type uplink struct {
	rate    uint64
	bundles []int32 // those with a flow that sends, by cap
	sending int
	dirty   bool

	out       int64 // bytes of parts that are through, or broken off
	busySince time.Duration
	occupied  time.Duration

	visited uint64 // the fill that last took it in
	slot    int32  // its place among the links of that fill
}

// downlink is one that several flows may share. Flows to receivers that have
// only one flow at a time have the downlink as their cap instead.
type downlink struct {
	rate    uint64
	bundles []int32 // those with a flow that sends

	visited uint64
	slot    int32
}

// private is the downlink of bundles whose receivers have one flow each.
const private = -1

type bundleKey struct {
	up, down int32
	cap      uint64
}

type bundle struct {
	bundleKey
	sending int
	rate    uint64
	// served is what one flow that sent all the time was served until since.
	served service
	since  time.Duration
	marks  []mark // a heap; entries of flows that were closed are skipped

	finish time.Duration // when the first mark is reached
	place  int           // in network.due, -1 if not there
}

// mark is where the part that a flow sends ends.
type mark struct {
	end  service
	flow int32
	seq  uint32
}

func (m *mark) before(o *mark) bool {
	return m.end.less(o.end) || m.end == o.end && m.flow < o.flow
}

type flow struct {
	bundle  int32
	seq     uint32 // of the part, so that marks of others are known
	sending bool
	end     service // the mark of the part that is being sent
	parts   []part  // the first one is being sent
}

// part is something to send. tag is the owner's.
type part struct {
	len int64
	tag int32
}

func newNetwork() *network {
	return &network{index: map[bundleKey]int32{}}
}

// addUplink adds an uplink of so many bytes/s.
func (n *network) addUplink(rate int64) int32 {
	n.uplinks = append(n.uplinks, uplink{rate: rateOf(rate)})
	return int32(len(n.uplinks) - 1)
}

// addDownlink adds a downlink that flows may share.
func (n *network) addDownlink(rate int64) int32 {
	if rate == 0 {
		return private
	}
	n.downs = append(n.downs, downlink{rate: rateOf(rate)})
	return int32(len(n.downs) - 1)
}

// open opens a flow. It never gets more than cap.
func (n *network) open(up, down int32, cap uint64) int32 {
	key := bundleKey{up: up, down: down, cap: cap}
	b, there := n.index[key]
	if !there {
		b = int32(len(n.bundles))
		n.bundles = append(n.bundles, bundle{bundleKey: key, place: -1, finish: never})
		n.index[key] = b
	}
	if len(n.free) == 0 {
		n.flows = append(n.flows, flow{bundle: b})
		return int32(len(n.flows) - 1)
	}
	id := n.free[len(n.free)-1]
	n.free = n.free[:len(n.free)-1]
	f := &n.flows[id]
	f.bundle = b
	return id
}

// send queues a part.
func (n *network) send(id int32, p part) {
	f := &n.flows[id]
	f.parts = append(f.parts, p)
	if f.sending {
		return
	}
	f.sending = true
	b := &n.bundles[f.bundle]
	f.end = b.servedAt(n.now)
	n.begin(id)
	n.count(f.bundle, 1)
	n.schedule(f.bundle)
}

// begin puts the mark of a flow's first part into its bundle.
func (n *network) begin(id int32) {
	f := &n.flows[id]
	f.seq++
	f.end = f.end.plus(serviceOf(f.parts[0].len))
	n.bundles[f.bundle].push(mark{end: f.end, flow: id, seq: f.seq})
}

// close closes a flow. It returns the tag of the part that it was sending, or
// none, and how much of it is sent; what waits behind it is dropped.
func (n *network) close(id int32) (tag int32, sent int64) {
	f := &n.flows[id]
	tag = none
	if f.sending {
		tag, sent = f.parts[0].tag, n.progress(f)
		n.uplinks[n.bundles[f.bundle].up].out += sent
		n.count(f.bundle, -1)
	}
	f.seq++
	f.sending = false
	f.parts = f.parts[:0]
	n.schedule(f.bundle)
	n.free = append(n.free, id)
	return tag, sent
}

// progress is how much of the part that it sends a flow has sent.
func (n *network) progress(f *flow) int64 {
	left := f.end.minus(n.bundles[f.bundle].servedAt(n.now))
	done := serviceOf(f.parts[0].len).minus(left)
	return min(done.bytes(), f.parts[0].len)
}

// next is when the next part is through; never, if none is being sent.
func (n *network) next() time.Duration {
	n.refill()
	if len(n.due) == 0 {
		return never
	}
	return max(n.bundles[n.due[0]].finish, n.now)
}

// finished takes a part that is through by now.
func (n *network) finished() (id int32, p part, ok bool) {
	if len(n.due) == 0 {
		return 0, part{}, false
	}
	first := n.due[0]
	b := &n.bundles[first]
	if b.finish > n.now {
		return 0, part{}, false
	}
	id = b.marks[0].flow
	b.pop()
	f := &n.flows[id]
	p = f.parts[0]
	n.uplinks[b.up].out += p.len
	f.parts = f.parts[:copy(f.parts, f.parts[1:])]
	if len(f.parts) > 0 {
		n.begin(id)
	} else {
		f.seq++
		f.sending = false
		n.count(first, -1)
	}
	n.schedule(first)
	return id, p, true
}

// count notes that one flow more or less of a bundle sends.
func (n *network) count(id int32, change int) {
	b := &n.bundles[id]
	u := &n.uplinks[b.up]
	was, busy := b.sending, u.sending
	b.sending += change
	u.sending += change
	switch {
	case busy == 0:
		u.busySince = n.now
	case u.sending == 0:
		u.occupied += n.now - u.busySince
	}
	n.soil(b.up)
	if b.down != private {
		d := &n.downs[b.down]
		for _, other := range d.bundles {
			n.soil(n.bundles[other].up)
		}
		d.bundles = member(d.bundles, id, was, b.sending, func(a int32) int { return int(a) - int(id) })
	}
	u.bundles = member(u.bundles, id, was, b.sending, func(a int32) int { return n.byCap(a, id) })
}

// member adds id to a sorted list, or takes it out, as the number of its flows
// says.
func member(list []int32, id int32, was, is int, compare func(int32) int) []int32 {
	if (was == 0) == (is == 0) {
		return list
	}
	at, _ := slices.BinarySearchFunc(list, id, func(a, _ int32) int { return compare(a) })
	if is > 0 {
		return slices.Insert(list, at, id)
	}
	return slices.Delete(list, at, at+1)
}

// byCap orders bundles by cap, and equal ones by index.
func (n *network) byCap(a, b int32) int {
	if x, y := n.bundles[a].cap, n.bundles[b].cap; x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return int(a) - int(b)
}

func (n *network) soil(up int32) {
	if u := &n.uplinks[up]; !u.dirty {
		u.dirty = true
		n.dirty = append(n.dirty, up)
	}
}

// occupied is how long an uplink has carried data.
func (n *network) occupied(up int32) time.Duration {
	u := &n.uplinks[up]
	if u.sending > 0 {
		return u.occupied + n.now - u.busySince
	}
	return u.occupied
}

// sent adds to out what each uplink sent until now, also of parts that are
// being sent.
func (n *network) sent(out []int64) {
	for i := range n.uplinks {
		out[i] += n.uplinks[i].out
	}
	for i := range n.flows {
		if f := &n.flows[i]; f.sending {
			out[n.bundles[f.bundle].up] += n.progress(f)
		}
	}
}

// servedAt is what a flow that sent all the time was served until t.
func (b *bundle) servedAt(t time.Duration) service {
	return b.served.plus(during(b.rate, t-b.since))
}

// setRate changes the rate of each of a bundle's flows from now on.
func (n *network) setRate(id int32, rate uint64) {
	b := &n.bundles[id]
	if b.rate == rate {
		return
	}
	b.served = b.servedAt(n.now)
	b.since = n.now
	b.rate = rate
	n.schedule(id)
}

// schedule finds out when a bundle's first part is through.
func (n *network) schedule(id int32) {
	b := &n.bundles[id]
	for len(b.marks) > 0 && n.flows[b.marks[0].flow].seq != b.marks[0].seq {
		b.pop()
	}
	finish := never
	if len(b.marks) > 0 && b.rate > 0 {
		if wait := b.marks[0].end.minus(b.served).at(b.rate); wait < never-b.since {
			finish = b.since + wait
		}
	}
	n.move(id, finish)
}
