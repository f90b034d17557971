package validate

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/shoal-bt/shoal/swarmtest/abstract"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

func abstractModels() []Experiment {
	all := []Experiment{makespan(), doubling()}
	for _, gamma := range []float64{0.001, 0.005} {
		all = append(all, fluidLimit(gamma))
	}
	for _, c := range []abstract.Club{
		{Lambda: 1, SeedUp: 0.5, Mu: 1},
		{Lambda: 1, SeedUp: 1, Mu: 1},
		{Lambda: 1, SeedUp: 1.5, Mu: 1},
		{Lambda: 1, SeedUp: 0.25, Mu: 1, Gamma: 2},
	} {
		all = append(all, missingPiece(c))
	}
	return all
}

// makespan draws how many users and parts there are.
func makespan() Experiment {
	return Experiment{
		Name: "best schedule for equal uplinks, by its bound", Kind: Abstract, Source: "Mundinger, Weber and Weiss 2008",
		Checks: []Check{always(between("part-times by M + floor(log2 N)", "1, exactly", 1, 1))},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			rng := rand.New(rand.NewPCG(seed, 1))
			parts, users := 1+rng.IntN(100), 1+rng.IntN(300)
			ticks, err := abstract.Play(abstract.Schedule(parts, users), parts, users)
			return []float64{float64(ticks) / float64(parts+bits.Len(uint(users))-1)}, err
		},
	}
}

func doubling() Experiment {
	return Experiment{
		Name: "flash crowd for one part", Kind: Abstract, Source: "Yang and de Veciana 2004",
		Checks: []Check{between("growth of complete copies in each F/u", "2, until all have it", 2-1e-9, 2+1e-9)},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			rng := rand.New(rand.NewPCG(seed, 1))
			holders := abstract.Doubling(1000 + rng.IntN(100_000))
			whole := holders[:len(holders)-1] // the last one is what was left
			return []float64{math.Pow(float64(whole[len(whole)-1]), 1/float64(len(whole)-1))}, nil
		},
	}
}

// fluidLimit plays the chain with a hundred times the arrivals, for the model
// is the limit of many peers, and divides by that again.
func fluidLimit(gamma float64) Experiment {
	f := theory.Fluid{Lambda: 0.04, Theta: 0.001, C: 0.002, Mu: 0.00125, Eta: 1, Gamma: gamma}
	x, y, stay := f.Steady()
	return Experiment{
		Name: fmt.Sprintf("steady state, seeds leave at rate %v", gamma), Kind: Abstract, Source: "Qiu and Srikant 2004",
		Checks: []Check{
			near("leechers", fmt.Sprintf("%.1f, 5 %%", x), x, 0.05),
			near("seeds", fmt.Sprintf("%.1f, 5 %%", y), y, 0.05),
			near("time in the swarm, s", fmt.Sprintf("%.0f, 5 %%", stay), stay, 0.05),
		},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			p := abstract.QiuSrikant(f, 100, 10_000, 60_000, seed)
			return []float64{p.Leechers, p.Seeds, p.Stay}, nil
		},
	}
}

func missingPiece(c abstract.Club) Experiment {
	c.Pieces, c.Start = 4, 100_000
	want := theory.OneClubDrift(c.Lambda, c.SeedUp, c.Mu, c.Gamma)
	stay := "peers leave at once"
	if c.Gamma > 0 {
		stay = fmt.Sprintf("they stay %v uploads", c.Mu/c.Gamma)
	}
	return Experiment{
		Name: fmt.Sprintf("missing piece, seed %v of the arrivals, %s", c.SeedUp/c.Lambda, stay), Kind: Abstract, Source: "Hajek and Zhu 2011",
		Checks: []Check{between("drift of the club", fmt.Sprintf("%.2f, 0.05", want), want-0.05, want+0.05)},
		run:    func(_ context.Context, seed uint64) ([]float64, error) { return []float64{c.Drift(30_000, seed)}, nil },
	}
}
