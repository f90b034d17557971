package swarm

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/shoal-bt/shoal/metainfo"
)

// torrent is the swarm of one info-hash. IPv4 and IPv6 peers live apart, for
// most have the shorter address. It has no pointer: the garbage collector
// passes over a million of them.
type torrent struct {
	infoHash   metainfo.InfoHash
	downloaded uint32
	emptySince uint32 // in seconds, of an empty torrent
	v4, v6     list
}

func (t *torrent) isEmpty() bool { return t.v4.num == 0 && t.v6.num == 0 }

// chunkLen is how many torrents are allocated at once: 13 KiB, so that a few
// torrents cost little and growing copies nothing.
const chunkLen = 256

// table holds the torrents: densely, by index, and to be found by info-hash in
// slots, a hash table with linear probing. A map would take four times the
// memory.
type table struct {
	keys   hashKeys
	chunks [][]torrent // each of chunkLen
	num    int
	slots  []uint32 // index+1; 0 is free. The length is 0 or a power of two
}

func (t *table) at(i int) *torrent { return &t.chunks[i/chunkLen][i%chunkLen] }

// find returns the index of a torrent, or none.
func (t *table) find(h metainfo.InfoHash) int {
	if t.num == 0 {
		return none
	}
	for slot := t.home(h); ; slot = t.next(slot) {
		i := int(t.slots[slot]) - 1
		if i == none || t.at(i).infoHash == h {
			return i
		}
	}
}

// add makes a torrent and returns its index, which is the last.
func (t *table) add(h metainfo.InfoHash) int {
	if isCrowded(t.num+1, len(t.slots)) {
		t.rebuild(max(16, 2*len(t.slots)))
	}
	if t.num == len(t.chunks)*chunkLen {
		t.chunks = append(t.chunks, make([]torrent, chunkLen))
	}
	i := t.num
	t.num++
	*t.at(i) = torrent{infoHash: h}
	t.enter(i)
	return i
}

// isCrowded says whether n entries are too many for linear probing to be fast:
// more than 3/4 of the slots.
func isCrowded(n, slots int) bool { return 4*n > 3*slots }

// isSparse says whether half of the slots would do with room to spare.
func isSparse(n, slots int) bool { return slots > 64 && 16*n < 3*slots }

// remove takes the torrent at i out. The last one moves to its place; the
// caller sees to what points to that.
func (t *table) remove(i int) {
	last := t.num - 1
	t.leave(i)
	if i != last {
		t.leave(last)
		*t.at(i) = *t.at(last)
		t.enter(i)
	}
	*t.at(last) = torrent{}
	t.num--
	// One chunk stays in reserve, lest a torrent that comes and goes has it
	// made each time.
	if spare := t.num/chunkLen + 2; len(t.chunks) > spare {
		t.chunks[spare] = nil
		t.chunks = t.chunks[:spare]
	}
	if isSparse(t.num, len(t.slots)) {
		t.rebuild(len(t.slots) / 2)
	}
}

func (t *table) home(h metainfo.InfoHash) int { return int(t.keys.infoHash(h)) & (len(t.slots) - 1) }

func (t *table) next(slot int) int { return (slot + 1) & (len(t.slots) - 1) }

// enter makes the torrent at i known to the slots.
func (t *table) enter(i int) {
	slot := t.home(t.at(i).infoHash)
	for t.slots[slot] != 0 {
		slot = t.next(slot)
	}
	t.slots[slot] = uint32(i + 1)
}

// leave makes the slots forget the torrent at i.
func (t *table) leave(i int) {
	slot := t.home(t.at(i).infoHash)
	for t.slots[slot] != uint32(i+1) {
		slot = t.next(slot)
	}
	closeGap(t.slots, slot, func(v uint32) int { return t.home(t.at(int(v - 1)).infoHash) })
}

func (t *table) rebuild(numSlots int) {
	t.slots = make([]uint32, numSlots)
	for i := range t.num {
		t.enter(i)
	}
}

// closeGap empties a slot of a table with linear probing. Entries behind it
// that would no longer be found, because the way from their home leads over
// the gap, move into it.
func closeGap(slots []uint32, gap int, home func(entry uint32) int) {
	mask := len(slots) - 1
	for slot := (gap + 1) & mask; slots[slot] != 0; slot = (slot + 1) & mask {
		if way := (slot - home(slots[slot])) & mask; way >= (slot-gap)&mask {
			slots[gap] = slots[slot]
			gap = slot
		}
	}
	slots[gap] = 0
}

// hashKeys make the hash tables unpredictable. The attack: an announcer is free
// to invent info-hashes, ports and IPv6 addresses, and would choose such as fall
// into one place.
type hashKeys [3]uint64

func newHashKeys(r *rand.Rand) hashKeys { return hashKeys{r.Uint64(), r.Uint64(), r.Uint64()} }

func (k *hashKeys) infoHash(h metainfo.InfoHash) uint64 {
	a, b, c := binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:]), binary.LittleEndian.Uint32(h[16:])
	return fold(fold(a^k[0], b^k[1])^uint64(c), k[2])
}

func hashAddr[A addr4 | addr6](k *hashKeys, addr A) uint64 {
	var word uint64
	hash := k[0]
	for i := range len(addr) {
		word = word<<8 | uint64(addr[i])
		if i%8 == 7 {
			hash, word = fold(hash^word, k[1]), 0
		}
	}
	return fold(hash^word, k[2])
}

// fold multiplies to 128 bits and adds the halves without carry: every bit of
// both factors reaches every bit of the result.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b|1)
	return hi ^ lo
}
