package swarm

import "github.com/shoal-bt/shoal/metainfo"

// blocksPerChunk is how many blocks are allocated at once. It bounds what a
// slab has too much: 6 KiB where blocks are longest.
const blocksPerChunk = 32

// slab holds the peers of all small swarms of one length, a block for each,
// densely: where a block leaves, the last one takes its place. So growing
// swarms leave no holes in memory.
type slab[A addr4 | addr6] struct {
	chunks []chunk[A]
	owners []uint32 // the torrent of each block
}

type chunk[A addr4 | addr6] struct {
	members []member[A]
	ids     []metainfo.PeerID // parallel to members, if ids are kept
}

// add makes a block for blockLen peers of the torrent owner and returns its
// number.
func (s *slab[A]) add(owner uint32, blockLen int, keepIDs bool) uint32 {
	n := len(s.owners)
	if n == len(s.chunks)*blocksPerChunk {
		c := chunk[A]{members: make([]member[A], blocksPerChunk*blockLen)}
		if keepIDs {
			c.ids = make([]metainfo.PeerID, blocksPerChunk*blockLen)
		}
		s.chunks = append(s.chunks, c)
	}
	s.owners = append(s.owners, owner)
	return uint32(n)
}

// block returns the peers of a block.
func (s *slab[A]) block(i uint32, blockLen int) peers[A] {
	c := &s.chunks[i/blocksPerChunk]
	from := int(i%blocksPerChunk) * blockLen
	p := peers[A]{members: c.members[from : from+blockLen]}
	if c.ids != nil {
		p.ids = c.ids[from : from+blockLen]
	}
	return p
}

// remove takes a block out. If another took its place, moved is true and owner
// that one's torrent.
func (s *slab[A]) remove(i uint32, blockLen int) (owner uint32, moved bool) {
	last := uint32(len(s.owners) - 1)
	owner, moved = s.owners[last], i != last
	if moved {
		s.block(i, blockLen).copyFrom(s.block(last, blockLen))
		s.owners[i] = owner
	}
	s.owners = s.owners[:last]
	if cap(s.owners) > 4*blocksPerChunk && len(s.owners) < cap(s.owners)/4 {
		s.owners = append(make([]uint32, 0, 2*len(s.owners)), s.owners...)
	}
	// One chunk stays in reserve, lest a peer that comes and goes has it made
	// each time.
	if spare := int(last)/blocksPerChunk + 2; len(s.chunks) > spare {
		s.chunks[spare] = chunk[A]{}
		s.chunks = s.chunks[:spare]
	}
	return owner, moved
}

// peers are those of one list, wherever they are kept.
type peers[A addr4 | addr6] struct {
	members []member[A]
	ids     []metainfo.PeerID // parallel to members, if ids are kept
}

func (p peers[A]) copyFrom(q peers[A]) {
	copy(p.members, q.members)
	copy(p.ids, q.ids)
}

func (p peers[A]) swap(i, j int) {
	p.members[i], p.members[j] = p.members[j], p.members[i]
	if p.ids != nil {
		p.ids[i], p.ids[j] = p.ids[j], p.ids[i]
	}
}
