package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

func TestPickerPicksTheRarest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const numPieces = 100
	p := newPicker(numPieces)
	for piece := range numPieces {
		p.admit(piece)
	}
	// Piece i has i%7 copies, made and unmade in a random order.
	for range 3000 {
		piece := rng.IntN(numPieces)
		if p.numCopies(piece) > 0 && rng.IntN(2) == 0 {
			p.lose(piece)
		} else {
			p.gain(piece)
		}
	}
	for piece := range numPieces {
		for p.numCopies(piece) < piece%7 {
			p.gain(piece)
		}
		for p.numCopies(piece) > piece%7 {
			p.lose(piece)
		}
	}
	all := bitfield.NewFull(numPieces)
	for copies := 0; copies < 7; copies++ {
		for range (numPieces - copies + 6) / 7 {
			piece := p.pick(RarestFirst, all, rng)
			if piece%7 != copies {
				t.Fatalf("picked piece %d with %d copies while one with %d is left", piece, piece%7, copies)
			}
			p.exclude(piece)
		}
	}
	if piece := p.pick(RarestFirst, all, rng); piece != -1 {
		t.Fatalf("picked %d from nothing", piece)
	}
}

// TestPickerIsLateUnseen has two pickers go through the same, one of which makes
// every change at once: they pick the same.
func TestPickerIsLateUnseen(t *testing.T) {
	const numPieces = 50
	rng := rand.New(rand.NewPCG(3, 3))
	late, prompt := newPicker(numPieces), newPicker(numPieces)
	both := func(f func(p *picker)) { f(late); f(prompt); prompt.catchUp() }
	copies := make([]int, numPieces)
	has := bitfield.NewFull(numPieces)
	for step := range 20000 {
		piece := rng.IntN(numPieces)
		switch rng.IntN(40) {
		case 0:
			both(func(p *picker) { p.admit(piece) })
		case 1:
			both(func(p *picker) { p.exclude(piece) })
		case 2:
			order, seed := Order(rng.IntN(3)), rng.Uint64()
			pick := func(p *picker) int { return p.pick(order, has, rand.New(rand.NewPCG(seed, 0))) }
			if a, b := pick(late), pick(prompt); a != b {
				t.Fatalf("step %d: picked %d, and %d without delay", step, a, b)
			}
		case 3:
			if late.canGet() != prompt.canGet() || late.complete() != prompt.complete() || late.numCopies(piece) != copies[piece] {
				t.Fatalf("step %d: the two differ in what can be got", step)
			}
		default:
			if copies[piece] > 0 && rng.IntN(2) == 0 {
				copies[piece]--
				both(func(p *picker) { p.lose(piece) })
			} else {
				copies[piece]++
				both(func(p *picker) { p.gain(piece) })
			}
		}
	}
}

// TestPickerTiesAtRandom expects each of equally rare pieces equally often: 8
// pieces and 8,000 picks are 1,000 each, give or take five standard deviations.
func TestPickerTiesAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const numPieces, picks = 64, 64000
	p := newPicker(numPieces)
	for piece := range numPieces {
		p.admit(piece)
	}
	few, many := bitfield.New(numPieces), bitfield.NewFull(numPieces)
	for piece := range 8 {
		few.Add(piece * 5)
	}
	for _, has := range []*bitfield.Set{few, many} {
		counts := make([]int, numPieces)
		n := has.Count()
		for range picks {
			counts[p.pick(RarestFirst, has, rng)]++
		}
		for piece := range has.Members() {
			if d := counts[piece] - picks/n; d*d > 25*picks/n {
				t.Errorf("of %d equal pieces %d was picked %d times of %d", n, piece, counts[piece], picks)
			}
		}
	}
}

func TestPickerOrders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := newPicker(10)
	for piece := range 10 {
		p.admit(piece)
		p.gain(piece)
	}
	p.lose(9) // the rarest
	has := bitfield.NewFull(10)
	has.Remove(0)
	if got := p.pick(Sequential, has, rng); got != 1 {
		t.Errorf("sequential picked %d, want 1", got)
	}
	p.exclude(1)
	if got := p.pick(Sequential, has, rng); got != 2 {
		t.Errorf("sequential picked %d, want 2", got)
	}
	p.admit(1)
	if got := p.pick(Sequential, has, rng); got != 1 {
		t.Errorf("sequential picked %d, want 1 again", got)
	}
	seen := bitfield.New(10)
	for range 200 {
		seen.Add(p.pick(Random, has, rng))
	}
	if seen.Count() != 9 {
		t.Errorf("random picked %d of 9 pieces in 200 times", seen.Count())
	}
	if got := p.pick(RarestFirst, has, rng); got != 9 {
		t.Errorf("rarest first picked %d, want 9", got)
	}
}

// BenchmarkPickerHave is one "have" on the largest torrent: a swap.
func BenchmarkPickerHave(b *testing.B) {
	const numPieces = 1 << 21
	rng := rand.New(rand.NewPCG(1, 1))
	p := newPicker(numPieces)
	for piece := range numPieces {
		p.admit(piece)
	}
	b.ReportAllocs()
	for b.Loop() {
		piece := rng.IntN(numPieces)
		p.gain(piece)
		p.lose(piece)
	}
}
