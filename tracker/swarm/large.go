package swarm

import "github.com/shoal-bt/shoal/metainfo"

// large is the list of a swarm that has outgrown the slabs: memory of its own,
// and an index, a hash table with linear probing.
type large[A addr4 | addr6] struct {
	owner uint32 // the torrent
	peers[A]
	index []uint32 // position+1; 0 is free. The length is a power of two
}

// roomFor is the capacity for n peers: an eighth more, so that growing a swarm
// of a million copies it seldom and wastes little.
func roomFor(n int) int { return n + n/8 + 8 }

// setRoom moves the peers to where n and some more have room.
func (l *large[A]) setRoom(n int, keepIDs bool) {
	l.members = append(make([]member[A], 0, roomFor(n)), l.members...)
	if keepIDs {
		l.ids = append(make([]metainfo.PeerID, 0, roomFor(n)), l.ids...)
	}
}

func (l *large[A]) add(k *hashKeys, addr A, keepIDs bool) {
	n := len(l.members)
	if n == cap(l.members) {
		l.setRoom(n, keepIDs)
	}
	l.members = append(l.members, member[A]{addr: addr})
	if keepIDs {
		l.ids = append(l.ids, metainfo.PeerID{})
	}
	if isCrowded(n+1, len(l.index)) {
		l.rebuild(k, max(4*maxSmall, 2*len(l.index)))
		return
	}
	l.enter(k, n)
}

// removeLast takes out the last peer.
func (l *large[A]) removeLast(k *hashKeys) {
	last := len(l.members) - 1
	closeGap(l.index, l.slotOf(k, last), func(v uint32) int { return l.home(k, l.members[v-1].addr) })
	l.members = l.members[:last]
	if l.ids != nil {
		l.ids = l.ids[:last]
	}
	if last < cap(l.members)/2 {
		l.setRoom(last, l.ids != nil)
	}
	if isSparse(last, len(l.index)) {
		l.rebuild(k, len(l.index)/2)
	}
}

// swap exchanges two peers.
func (l *large[A]) swap(k *hashKeys, i, j int) {
	slotI, slotJ := l.slotOf(k, i), l.slotOf(k, j)
	l.index[slotI], l.index[slotJ] = uint32(j+1), uint32(i+1)
	l.peers.swap(i, j)
}

// find returns the position of addr, or none.
func (l *large[A]) find(k *hashKeys, addr A) int {
	for slot := l.home(k, addr); ; slot = l.next(slot) {
		pos := int(l.index[slot]) - 1
		if pos == none || l.members[pos].addr == addr {
			return pos
		}
	}
}

// slotOf returns where in the index the peer at pos is.
func (l *large[A]) slotOf(k *hashKeys, pos int) int {
	slot := l.home(k, l.members[pos].addr)
	for l.index[slot] != uint32(pos+1) {
		slot = l.next(slot)
	}
	return slot
}

func (l *large[A]) home(k *hashKeys, addr A) int { return int(hashAddr(k, addr)) & (len(l.index) - 1) }

func (l *large[A]) next(slot int) int { return (slot + 1) & (len(l.index) - 1) }

func (l *large[A]) enter(k *hashKeys, pos int) {
	slot := l.home(k, l.members[pos].addr)
	for l.index[slot] != 0 {
		slot = l.next(slot)
	}
	l.index[slot] = uint32(pos + 1)
}

func (l *large[A]) rebuild(k *hashKeys, numSlots int) {
	l.index = make([]uint32, numSlots)
	for pos := range l.members {
		l.enter(k, pos)
	}
}
