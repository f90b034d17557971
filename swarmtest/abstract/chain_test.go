package abstract

import (
	"math"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// The chain comes to what the fluid limit says, where downlinks bind and where uplinks do.
func TestQiuSrikantComesToItsLimit(t *testing.T) {
	for _, gamma := range []float64{0.001, 0.005} {
		f := theory.Fluid{Lambda: 0.04, Theta: 0.001, C: 0.002, Mu: 0.00125, Eta: 1, Gamma: gamma}
		x, y, stay := f.Steady()
		p := QiuSrikant(f, 100, 10_000, 40_000, 1)
		t.Logf("gamma %v: %+v, the limit has %.2f, %.2f, %.1f", gamma, p, x, y, stay)
		for _, c := range [][2]float64{{p.Leechers, x}, {p.Seeds, y}, {p.Stay, stay}} {
			if math.Abs(c[0]/c[1]-1) > 0.05 {
				t.Errorf("gamma %v: %+v, want %v, %v, %v", gamma, p, x, y, stay)
			}
		}
		if again := QiuSrikant(f, 100, 10_000, 40_000, 1); again != p {
			t.Errorf("one seed, two outcomes: %+v and %+v", p, again)
		}
	}
}

func TestTheClubGrowsAsItShould(t *testing.T) {
	for _, c := range []Club{
		{Lambda: 1, SeedUp: 0.5, Mu: 1, Pieces: 3, Start: 20_000},
		{Lambda: 1, SeedUp: 1.5, Mu: 1, Pieces: 3, Start: 20_000},
		{Lambda: 1, SeedUp: 0.25, Mu: 1, Gamma: 2, Pieces: 3, Start: 20_000},
	} {
		want := theory.OneClubDrift(c.Lambda, c.SeedUp, c.Mu, c.Gamma)
		if got := c.Drift(5_000, 1); math.Abs(got-want) > 0.1 {
			t.Errorf("%+v: grows by %.3f, want %.3f", c, got, want)
		} else {
			t.Logf("%+v: %.3f, theory %.3f", c, got, want)
		}
	}
}

func TestDoubling(t *testing.T) {
	if got := Doubling(9); !slices.Equal(got, []int{1, 2, 4, 8, 10}) {
		t.Errorf("%v", got)
	}
}
