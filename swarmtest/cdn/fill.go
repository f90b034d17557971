package cdn

import "slices"

// filling is the memory of one fill: the rates of the flows of all uplinks that
// depend on each other, by progressive filling. All rates grow together; a flow
// stops at its cap, or when one of its links is full.
type filling struct {
	epoch   uint64
	uplinks []int32
	links   []linkFill
	items   []bundleFill
}

// linkFill is an uplink, or a downlink that flows of several bundles share.
type linkFill struct {
	left      uint64 // of its rate
	unlimited bool
	sending   uint64 // flows whose rate is not known yet
}

// share is what each flow can still get.
func (l *linkFill) share() uint64 {
	if l.unlimited || l.sending == 0 {
		return fastest
	}
	return l.left / l.sending
}

type bundleFill struct {
	id       int32
	up, down int32 // in links; down is -1 if no other bundle shares it
	cap      uint64
	sending  uint64
	done     bool
}

// refill computes all rates that changes of flows have touched.
func (n *network) refill() {
	if len(n.dirty) == 0 {
		return
	}
	n.fill.epoch++
	for _, up := range n.dirty {
		if n.uplinks[up].visited == n.fill.epoch {
			continue
		}
		n.gather(up)
		n.fill.run()
		for i := range n.fill.items {
			n.setRate(n.fill.items[i].id, n.fill.items[i].cap)
		}
	}
	for _, up := range n.dirty {
		n.uplinks[up].dirty = false
	}
	n.dirty = n.dirty[:0]
}

// gather collects an uplink, and all that are bound to it by downlinks that
// have flows from several.
func (n *network) gather(up int32) {
	f := &n.fill
	f.uplinks, f.links, f.items = f.uplinks[:0], f.links[:0], f.items[:0]
	n.visit(up)
	for i := 0; i < len(f.uplinks); i++ {
		u := &n.uplinks[f.uplinks[i]]
		for _, id := range u.bundles {
			f.items = append(f.items, n.itemOf(id, u.slot))
		}
	}
	byCap := func(a, b bundleFill) int {
		switch {
		case a.cap < b.cap:
			return -1
		case a.cap > b.cap:
			return 1
		}
		return int(a.id) - int(b.id)
	}
	if !slices.IsSortedFunc(f.items, byCap) {
		slices.SortFunc(f.items, byCap)
	}
}

func (n *network) visit(up int32) {
	u := &n.uplinks[up]
	if u.visited == n.fill.epoch {
		return
	}
	u.visited = n.fill.epoch
	u.slot = n.fill.add(u.rate, u.sending)
	n.fill.uplinks = append(n.fill.uplinks, up)
}

func (f *filling) add(rate uint64, sending int) int32 {
	f.links = append(f.links, linkFill{left: rate, unlimited: rate == fastest, sending: uint64(sending)})
	return int32(len(f.links) - 1)
}

// itemOf describes a bundle. A downlink that no other bundle uses is a cap.
func (n *network) itemOf(id, up int32) bundleFill {
	b := &n.bundles[id]
	item := bundleFill{id: id, up: up, down: private, cap: b.cap, sending: uint64(b.sending)}
	if b.down == private {
		return item
	}
	d := &n.downs[b.down]
	if len(d.bundles) == 1 {
		item.cap = min(item.cap, d.rate/item.sending)
		return item
	}
	if d.visited != n.fill.epoch {
		d.visited = n.fill.epoch
		sending := 0
		for _, other := range d.bundles {
			sending += n.bundles[other].sending
			n.visit(n.bundles[other].up)
		}
		d.slot = n.fill.add(d.rate, sending)
	}
	item.down = d.slot
	return item
}

// run sets the cap of each item to the rate that its flows get.
func (f *filling) run() {
	for i := 0; i < len(f.items); {
		item := &f.items[i]
		if item.done {
			i++
			continue
		}
		full, share := f.bottleneck()
		if item.cap <= share {
			f.settle(item, item.cap)
			i++
			continue
		}
		for j := i; j < len(f.items); j++ {
			if it := &f.items[j]; !it.done && (it.up == full || it.down == full) {
				f.settle(it, share)
			}
		}
	}
}

// bottleneck is the link that is full first if all rates go on growing.
func (f *filling) bottleneck() (link int32, share uint64) {
	link, share = -1, fastest
	for i := range f.links {
		if s := f.links[i].share(); s < share {
			link, share = int32(i), s
		}
	}
	return link, share
}

func (f *filling) settle(item *bundleFill, rate uint64) {
	item.cap, item.done = rate, true
	f.links[item.up].take(rate, item.sending)
	if item.down != private {
		f.links[item.down].take(rate, item.sending)
	}
}

func (l *linkFill) take(rate, sending uint64) {
	l.sending -= sending
	if !l.unlimited {
		l.left -= rate * sending
	}
}
