package engine

import (
	"math/rand/v2"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// picker chooses the next piece to begin. The pieces stand in one slice,
// grouped into buckets: first those that are not to be picked (had, in flight
// or not wanted), then by availability, rarest first. So a "have" is one swap
// across a bucket's edge, and the rarest piece is at hand without a sort.
//
// A seed has every piece and changes no order: seeds are one integer.
//
// There are many haves for each piece that is picked, and the swaps of one touch
// memory all over the picker. So they wait in a list, and are made together,
// in their order, when somebody wants to know.
type picker struct {
	order  []int32  // the pieces, grouped into buckets
	place  []int32  // place[piece] is its index in order
	copies []uint16 // copies[piece] counts the connected non-seeds that have it
	open   bitfield.Set
	late   []int32 // changes of copies that are not made yet: of piece one more, of ^piece one fewer

	// edges[b] is where bucket b begins; the last element is len(order).
	// Bucket 0 holds what is not to be picked, bucket 1+n what n peers have.
	edges []int32

	seeds int
	low   int // no piece below it can be picked: for sequential order
}

// maxLate bounds the changes that wait. Arbitrary: so many make the reading of
// the picker's memory cheap for each, and take less of it than a few pieces.
const maxLate = 128

// newPicker returns a picker of which nothing can be picked yet.
func newPicker(numPieces int) *picker {
	p := &picker{
		order:  make([]int32, numPieces),
		place:  make([]int32, numPieces),
		copies: make([]uint16, numPieces),
		late:   make([]int32, 0, maxLate),
		edges:  []int32{0, int32(numPieces)},
		low:    numPieces,
	}
	p.open.Init(numPieces, nil)
	for i := range p.order {
		p.order[i], p.place[i] = int32(i), int32(i)
	}
	return p
}

// admit makes a piece one that can be picked.
func (p *picker) admit(piece int) {
	p.catchUp()
	if !p.open.Add(piece) {
		return
	}
	p.low = min(p.low, piece)
	for b := 0; b <= int(p.copies[piece]); b++ {
		p.raise(piece, b)
	}
}

// exclude makes a piece one that cannot be picked.
func (p *picker) exclude(piece int) {
	p.catchUp()
	if !p.open.Remove(piece) {
		return
	}
	for b := int(p.copies[piece]) + 1; b > 0; b-- {
		p.lower(piece, b)
	}
}

// gain counts one more copy of a piece, lose one fewer.
func (p *picker) gain(piece int) { p.change(int32(piece)) }
func (p *picker) lose(piece int) { p.change(^int32(piece)) }

func (p *picker) change(late int32) {
	if len(p.late) == maxLate {
		p.catchUp()
	}
	p.late = append(p.late, late)
}

// catchUp makes the changes that wait.
func (p *picker) catchUp() {
	for _, late := range p.late {
		if late >= 0 {
			p.gainNow(int(late))
		} else {
			p.loseNow(int(^late))
		}
	}
	p.late = p.late[:0]
}

func (p *picker) gainNow(piece int) {
	if p.open.Has(piece) {
		p.raise(piece, int(p.copies[piece])+1)
	}
	p.copies[piece]++
}

func (p *picker) loseNow(piece int) {
	if p.open.Has(piece) {
		p.lower(piece, int(p.copies[piece])+1)
	}
	p.copies[piece]--
}

// numCopies counts the connected non-seeds that have a piece.
func (p *picker) numCopies(piece int) int {
	p.catchUp()
	return int(p.copies[piece])
}

// raise moves a piece from bucket b to the next: it changes places with the
// last of its bucket, and the edge moves over it.
func (p *picker) raise(piece, b int) {
	if b+2 == len(p.edges) {
		p.edges = append(p.edges, int32(len(p.order)))
	}
	p.edges[b+1]--
	p.swap(p.place[piece], p.edges[b+1])
}

// lower moves a piece from bucket b to the one before.
func (p *picker) lower(piece, b int) {
	p.swap(p.place[piece], p.edges[b])
	p.edges[b]++
}

func (p *picker) swap(i, j int32) {
	a, b := p.order[i], p.order[j]
	p.order[i], p.order[j] = b, a
	p.place[a], p.place[b] = j, i
}

// complete is the number of whole copies among the connected peers: the
// availability of the rarest piece.
func (p *picker) complete() int {
	p.catchUp()
	if len(p.copies) == 0 {
		return p.seeds
	}
	least := p.copies[0]
	for _, n := range p.copies[1:] {
		least = min(least, n)
	}
	return int(least) + p.seeds
}

// fewestCopies is the number of connected non-seeds that have the rarest piece which can be picked.
func (p *picker) fewestCopies() int {
	p.catchUp()
	b := 1
	for b+1 < len(p.edges) && p.edges[b] == p.edges[b+1] {
		b++
	}
	return b - 1
}

// canGet reports whether anything can be picked that a connected peer has.
func (p *picker) canGet() bool {
	p.catchUp()
	return p.canPick() && (p.seeds > 0 || len(p.edges) > 2 && int(p.edges[2]) < len(p.order))
}

// canPick reports whether anything can be picked at all.
func (p *picker) canPick() bool { return int(p.edges[1]) < len(p.order) }

// pick returns the next piece to begin among those in has, or -1.
func (p *picker) pick(order Order, has *bitfield.Set, rng *rand.Rand) int {
	if !p.canPick() {
		return -1
	}
	p.catchUp()
	switch {
	case order == Sequential:
		return p.pickFirst(has)
	case order == Random:
		return p.scan(int(p.edges[1]), len(p.order), has, rng)
	case has.Count() <= fewPieces:
		return p.pickAmong(has, rng)
	}
	for b := 1; b+1 < len(p.edges); b++ {
		if piece := p.scan(int(p.edges[b]), int(p.edges[b+1]), has, rng); piece >= 0 {
			return piece
		}
	}
	return -1
}

// fewPieces is up to how many pieces of a peer are looked at one by one: the
// buckets would mostly hold what it does not have.
const fewPieces = 32

// scan looks through order[from:to] from a random place for a piece in has, so
// that ties fall at random.
func (p *picker) scan(from, to int, has *bitfield.Set, rng *rand.Rand) int {
	n := to - from
	if n == 0 {
		return -1
	}
	start := rng.IntN(n)
	for i := range n {
		at := start + i
		if at >= n {
			at -= n
		}
		if piece := int(p.order[from+at]); has.Has(piece) {
			return piece
		}
	}
	return -1
}

// pickAmong picks the rarest of the few pieces in has, ties at random.
func (p *picker) pickAmong(has *bitfield.Set, rng *rand.Rand) int {
	best, ties := -1, 0
	for piece := range has.Members() {
		switch {
		case !p.open.Has(piece):
		case best < 0 || p.copies[piece] < p.copies[best]:
			best, ties = piece, 1
		case p.copies[piece] == p.copies[best]:
			if ties++; rng.IntN(ties) == 0 {
				best = piece
			}
		}
	}
	return best
}

// pickFirst picks the piece with the lowest index.
func (p *picker) pickFirst(has *bitfield.Set) int {
	for p.low < len(p.order) && !p.open.Has(p.low) {
		p.low++
	}
	for piece := p.low; piece < len(p.order); piece++ {
		if p.open.Has(piece) && has.Has(piece) {
			return piece
		}
	}
	return -1
}

// pickScarce returns a piece that only seeds have, at random, or -1.
func (p *picker) pickScarce(rng *rand.Rand) int {
	p.catchUp()
	if len(p.edges) < 3 || p.edges[1] == p.edges[2] {
		return -1
	}
	from, to := int(p.edges[1]), int(p.edges[2])
	return int(p.order[from+rng.IntN(to-from)])
}
