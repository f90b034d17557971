package swarm

import (
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// none is the position of a peer that is not in a list, and the index of a
// torrent that is not in the table.
const none = -1

// maxSmall is the length up to which a list lives in a slab. To look through 16
// times 12 bytes, three cache lines, is as fast as an index, and most swarms
// never grow past it. A list that has become large is small again at half of
// that, lest it change with each peer that comes and goes.
const maxSmall = 16

// isLarge marks the place of a list that is large.
const isLarge = 1 << 31

// list says where the peers of one torrent in one address family are: dense,
// seeds before leechers, so that a random peer of either kind is one index
// away and a change of kind is one swap.
type list struct {
	place    uint32 // the number of the block in the slab for num peers; or isLarge and the number of the large one
	num      uint32
	numSeeds uint32
}

// member is one peer; the address comes first and the seconds last, which
// makes 12 bytes of an IPv4 peer.
type member[A addr4 | addr6] struct {
	addr     A
	snatched bool   // its completed event was counted
	seen     uint32 // the last announce, in seconds
}

// family holds the lists of one address family.
type family[A addr4 | addr6] struct {
	keys    *hashKeys
	keepIDs bool
	listOf  func(torrent uint32) *list
	slabs   [maxSmall + 1]slab[A] // by the length of their blocks; 0 is not used
	larges  []large[A]
	num     int // peers
	seeds   int
}

// peers returns those of l, to be read and changed until the next one is added
// or removed anywhere.
func (f *family[A]) peers(l *list) peers[A] {
	switch {
	case l.place&isLarge != 0:
		return f.larges[l.place&^isLarge].peers
	case l.num == 0:
		return peers[A]{}
	}
	return f.slabs[l.num].block(l.place, int(l.num))
}

// update does to the list of a torrent what the announcer at addr asks for and
// returns its position, or none if it is not (any more) in the list.
func (f *family[A]) update(s *Swarms, torrent uint32, addr A, now time.Duration, req *tracker.Request, storable bool, rep *Reply) int {
	l := f.listOf(torrent)
	pos := f.find(l, addr)
	rep.Known, rep.WasSeed = pos != none, pos != none && pos < int(l.numSeeds)
	switch {
	case pos == none && !storable:
		return none
	case pos == none && s.numPeers() >= s.cfg.MaxPeers:
		rep.Full = true
		return none
	case pos != none && req.Event == tracker.Stopped:
		f.remove(torrent, pos)
		return none
	case pos == none:
		pos = f.add(torrent, addr)
	}
	pos = f.setSeed(l, pos, req.IsSeed())
	p := f.peers(l)
	m := &p.members[pos]
	m.seen = seconds(now)
	// A completed event that still lacks bytes is a false one, and a second
	// one of the same peer would only inflate the count.
	if req.Event == tracker.Completed && req.IsSeed() && !m.snatched {
		m.snatched, rep.Snatched = true, true
	}
	if p.ids != nil {
		p.ids[pos] = req.PeerID
	}
	return pos
}

func (f *family[A]) find(l *list, addr A) int {
	if l.place&isLarge != 0 {
		return f.larges[l.place&^isLarge].find(f.keys, addr)
	}
	members := f.peers(l).members
	for pos := range members {
		if members[pos].addr == addr {
			return pos
		}
	}
	return none
}

// add appends a leecher to the list of a torrent and returns its position.
func (f *family[A]) add(torrent uint32, addr A) int {
	l := f.listOf(torrent)
	pos := int(l.num)
	if l.place&isLarge == 0 && pos == maxSmall {
		f.enlarge(torrent)
	}
	if l.place&isLarge != 0 {
		f.larges[l.place&^isLarge].add(f.keys, addr, f.keepIDs)
		l.num++
	} else {
		f.resize(torrent, pos+1)
		f.peers(l).members[pos] = member[A]{addr: addr}
	}
	f.num++
	return pos
}

// remove takes the peer at pos out of the list of a torrent. The holes it would
// leave, at the end of the seeds and at the end of the leechers, are filled by
// the last of each.
func (f *family[A]) remove(torrent uint32, pos int) {
	l := f.listOf(torrent)
	pos = f.setSeed(l, pos, false)
	last := int(l.num) - 1
	f.swap(l, pos, last)
	f.num--
	if l.place&isLarge == 0 {
		f.resize(torrent, last)
		return
	}
	f.larges[l.place&^isLarge].removeLast(f.keys)
	l.num--
	if last <= maxSmall/2 {
		f.belittle(torrent)
	}
}

// setSeed makes the peer at pos a seed or a leecher and returns where it is
// then.
func (f *family[A]) setSeed(l *list, pos int, seed bool) int {
	switch isSeed := pos < int(l.numSeeds); {
	case seed && !isSeed:
		f.swap(l, pos, int(l.numSeeds))
		pos = int(l.numSeeds)
		l.numSeeds++
		f.seeds++
	case !seed && isSeed:
		l.numSeeds--
		f.seeds--
		f.swap(l, pos, int(l.numSeeds))
		pos = int(l.numSeeds)
	}
	return pos
}

func (f *family[A]) swap(l *list, i, j int) {
	switch {
	case i == j:
	case l.place&isLarge != 0:
		f.larges[l.place&^isLarge].swap(f.keys, i, j)
	default:
		f.peers(l).swap(i, j)
	}
}

// resize moves a small list to the slab for num peers, the first of which are
// those that it has.
func (f *family[A]) resize(torrent uint32, num int) {
	l := f.listOf(torrent)
	var place uint32
	if num > 0 {
		place = f.slabs[num].add(torrent, num, f.keepIDs)
		f.slabs[num].block(place, num).copyFrom(f.peers(l))
	}
	f.leaveSlab(l)
	l.place, l.num = place, uint32(num)
}

// leaveSlab frees the block of a small list.
func (f *family[A]) leaveSlab(l *list) {
	if l.num == 0 {
		return
	}
	if owner, moved := f.slabs[l.num].remove(l.place, int(l.num)); moved {
		f.listOf(owner).place = l.place
	}
}

// enlarge makes a list large.
func (f *family[A]) enlarge(torrent uint32) {
	l := f.listOf(torrent)
	b := large[A]{owner: torrent, peers: f.peers(l)}
	b.setRoom(len(b.members), f.keepIDs)
	b.rebuild(f.keys, 4*maxSmall)
	f.leaveSlab(l)
	l.place = isLarge | uint32(len(f.larges))
	f.larges = append(f.larges, b)
}

// belittle makes a list small. The last large one takes its place.
func (f *family[A]) belittle(torrent uint32) {
	l := f.listOf(torrent)
	i, last := l.place&^isLarge, len(f.larges)-1
	old := f.larges[i].peers
	f.larges[i] = f.larges[last]
	f.listOf(f.larges[i].owner).place = isLarge | i
	f.larges[last] = large[A]{}
	f.larges = f.larges[:last]

	num := len(old.members)
	l.place = f.slabs[num].add(torrent, num, f.keepIDs)
	f.slabs[num].block(l.place, num).copyFrom(old)
}

// setOwner tells the peers of l that their torrent has moved.
func (f *family[A]) setOwner(l *list, torrent uint32) {
	switch {
	case l.place&isLarge != 0:
		f.larges[l.place&^isLarge].owner = torrent
	case l.num > 0:
		f.slabs[l.num].owners[l.place] = torrent
	}
}
