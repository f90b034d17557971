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
		if int(p.copies[piece]) > 0 && rng.IntN(2) == 0 {
			p.lose(piece)
		} else {
			p.gain(piece)
		}
	}
	for piece := range numPieces {
		for int(p.copies[piece]) < piece%7 {
			p.gain(piece)
		}
		for int(p.copies[piece]) > piece%7 {
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
