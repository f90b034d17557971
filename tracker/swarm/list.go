package swarm

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// none is the position of a peer that is not in a list.
const none = -1

// minIndexed is the length from which a list keeps an index. Up to here
// looking through 16 times 12 bytes, three cache lines, is as fast as a map,
// and most swarms never grow past it.
const minIndexed = 17

// list holds the peers of one torrent in one address family: dense and
// without pointers, seeds before leechers, so that a random peer of either
// kind is one index away and a change of kind is one swap.
type list[A addr4 | addr6] struct {
	members  []member[A]
	ids      []metainfo.PeerID // parallel to members, if ids are kept
	index    map[A]uint32      // positions, of a long list
	numSeeds int
}

// member is one peer; the address comes first and the seconds last, which
// makes 12 bytes of an IPv4 peer.
type member[A addr4 | addr6] struct {
	addr     A
	snatched bool   // its completed event was counted
	seen     uint32 // the last announce, in seconds
}

// update does to l what the announcer at addr asks for and returns its
// position, or none if it is not (any more) in the list.
func update[A addr4 | addr6](s *Swarms, l *list[A], addr A, now time.Duration, req *tracker.Request, storable bool, rep *Reply) int {
	pos := l.find(addr)
	rep.Known, rep.WasSeed = pos != none, pos != none && pos < l.numSeeds
	switch {
	case pos == none && !storable:
		return none
	case pos == none && s.numPeers() >= s.cfg.MaxPeers:
		rep.Full = true
		return none
	case pos != none && req.Event == tracker.Stopped:
		remove(s, l, pos)
		return none
	case pos == none:
		pos = add(s, l, addr)
	}
	pos = setSeed(s, l, pos, req.IsSeed())
	m := &l.members[pos]
	m.seen = seconds(now)
	// A completed event that still lacks bytes is a false one, and a second
	// one of the same peer would only inflate the count.
	if req.Event == tracker.Completed && req.IsSeed() && !m.snatched {
		m.snatched, rep.Snatched = true, true
	}
	if l.ids != nil {
		l.ids[pos] = req.PeerID
	}
	return pos
}

func (l *list[A]) find(addr A) int {
	if l.index != nil {
		if pos, ok := l.index[addr]; ok {
			return int(pos)
		}
		return none
	}
	for pos := range l.members {
		if l.members[pos].addr == addr {
			return pos
		}
	}
	return none
}

// add appends a leecher and returns its position.
func add[A addr4 | addr6](s *Swarms, l *list[A], addr A) int {
	l.members = append(l.members, member[A]{addr: addr})
	if s.cfg.KeepPeerIDs {
		l.ids = append(l.ids, metainfo.PeerID{})
	}
	*counter(&s.stats, l)++
	pos := len(l.members) - 1
	if l.index != nil {
		l.index[addr] = uint32(pos)
	} else if len(l.members) >= minIndexed {
		l.buildIndex()
	}
	return pos
}

// remove takes the peer at pos out. The holes it would leave, at the end of
// the seeds and at the end of the leechers, are filled by the last of each.
func remove[A addr4 | addr6](s *Swarms, l *list[A], pos int) {
	pos = setSeed(s, l, pos, false)
	last := len(l.members) - 1
	l.swap(pos, last)
	delete(l.index, l.members[last].addr)
	l.members = l.members[:last]
	if l.ids != nil {
		l.ids = l.ids[:last]
	}
	*counter(&s.stats, l)--
	l.shrink()
}

// setSeed makes the peer at pos a seed or a leecher and returns where it is
// then.
func setSeed[A addr4 | addr6](s *Swarms, l *list[A], pos int, seed bool) int {
	switch isSeed := pos < l.numSeeds; {
	case seed && !isSeed:
		l.swap(pos, l.numSeeds)
		pos = l.numSeeds
		l.numSeeds++
		s.stats.Seeds++
	case !seed && isSeed:
		l.numSeeds--
		s.stats.Seeds--
		l.swap(pos, l.numSeeds)
		pos = l.numSeeds
	}
	return pos
}

func (l *list[A]) swap(i, j int) {
	if i == j {
		return
	}
	l.members[i], l.members[j] = l.members[j], l.members[i]
	if l.ids != nil {
		l.ids[i], l.ids[j] = l.ids[j], l.ids[i]
	}
	if l.index != nil {
		l.index[l.members[i].addr] = uint32(i)
		l.index[l.members[j].addr] = uint32(j)
	}
}

func (l *list[A]) buildIndex() {
	l.index = make(map[A]uint32, 2*len(l.members))
	for pos := range l.members {
		l.index[l.members[pos].addr] = uint32(pos)
	}
}

// shrink gives memory back when a swarm is down to a quarter of its height.
func (l *list[A]) shrink() {
	if cap(l.members) < 4*minIndexed || len(l.members) > cap(l.members)/4 {
		return
	}
	l.members = append(make([]member[A], 0, 2*len(l.members)), l.members...)
	if l.ids != nil {
		l.ids = append(make([]metainfo.PeerID, 0, 2*len(l.ids)), l.ids...)
	}
	l.index = nil
	if len(l.members) >= minIndexed {
		l.buildIndex()
	}
}

// counter is the count of all peers of l's address family.
func counter[A addr4 | addr6](st *Stats, _ *list[A]) *int {
	if len(*new(A)) == len(addr4{}) {
		return &st.Peers4
	}
	return &st.Peers6
}
