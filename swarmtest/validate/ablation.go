package validate

import (
	"context"
	"math"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// ablations take one rule of the engine away, where theory says what it is for.
// Both swarms of a pair have the same seed, and the number is the quotient of what they
// needed.
func ablations() []Experiment {
	return []Experiment{randomOrder(), sequentialOrder(), noChoking(), noEndgame()}
}

// paired runs a swarm as it is and with a change of each engine's configuration.
func paired(ctx context.Context, s sim.Swarm, change func(peer int, cfg *engine.Config), measure func(*sim.Result) float64) (float64, error) {
	configure := s.Configure
	whole, err := run(ctx, s)
	if err != nil {
		return math.NaN(), err
	}
	s.Configure = func(peer int, cfg *engine.Config) {
		if configure != nil {
			configure(peer, cfg)
		}
		change(peer, cfg)
	}
	ablated, err := run(ctx, s)
	if err != nil {
		return math.NaN(), err
	}
	return measure(ablated) / measure(whole), nil
}

func lastCompletion(r *sim.Result) float64 { return r.LastCompletion().Seconds() }
func meanDuration(r *sim.Result) float64   { return r.MeanDuration().Seconds() }

// poorSeed is a crowd whose origin can hardly send one copy: what it sent
// twice delays everybody.
func poorSeed(seed uint64) sim.Swarm {
	s := leavingCrowd(seed, 60, 16*mib, 128*kib)
	s.Peers[0].Link = sim.Link{Up: 400 * kbit, Down: 400 * kbit}
	return s
}

func randomOrder() Experiment {
	return Experiment{
		Name: "random instead of rarest first, poor seed", Kind: Ablation, Source: "Bharambe et al. 2006; Legout et al. 2006",
		Checks: []Check{atLeast("last completion, x that of rarest first", "more than 1", 1)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			ratio, err := paired(ctx, poorSeed(seed), func(_ int, cfg *engine.Config) { cfg.Order = engine.Random }, lastCompletion)
			return []float64{ratio}, err
		},
	}
}

func sequentialOrder() Experiment {
	return Experiment{
		Name: "pieces in their order instead of rarest first, poor seed", Kind: Ablation, Source: "Legout et al. 2006",
		Checks: []Check{atLeast("mean time, x that of rarest first", "more than 1", 1)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			ratio, err := paired(ctx, poorSeed(seed), func(_ int, cfg *engine.Config) { cfg.Order = engine.Sequential }, meanDuration)
			return []float64{ratio}, err
		},
	}
}

// noChoking has free riders among the leechers. Without choking they get as
// much as those who give.
func noChoking() Experiment {
	return Experiment{
		Name: "no choking, a third of the leechers never uploads", Kind: Ablation, Source: "Cohen 2003; Legout et al. 2007",
		Checks: []Check{
			atLeast("mean time of those who upload, x that with choking", "more than 1", 1),
			reported("free riders' mean time by uploaders', with choking"),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := leavingCrowd(seed, 60, 16*mib, 128*kib)
			for i := range s.Peers {
				if s.Peers[i].SeedFor = 0; rides(i) {
					s.Peers[i].Class = "free rider"
				}
			}
			s.Configure = func(peer int, cfg *engine.Config) {
				if rides(peer) {
					cfg.UploadSlots = -1
				}
			}
			var apart float64
			ratio, err := paired(ctx, s, func(_ int, cfg *engine.Config) { cfg.NoChoking = true }, func(r *sim.Result) float64 {
				givers, riders := meanOf(r, false), meanOf(r, true)
				if apart == 0 { // the first is the one with choking
					apart = riders / givers
				}
				return givers
			})
			return []float64{ratio, apart}, err
		},
	}
}

// rides tells who is a free rider, by position; the origin is at 0.
func rides(peer int) bool { return peer > 0 && peer%3 == 0 }

// meanOf is the mean time of the leechers that ride free, or do not.
func meanOf(r *sim.Result, riders bool) float64 {
	var sum time.Duration
	var n int
	for i, p := range r.Peers {
		if !p.Seed && rides(i) == riders {
			sum += p.Complete - p.Join
			n++
		}
	}
	return sum.Seconds() / float64(n)
}

// noEndgame has uplinks of which some are very slow: a block that was asked of one of those
// holds up the end.
func noEndgame() Experiment {
	return Experiment{
		Name: "no endgame, one uplink in four is very slow", Kind: Ablation, Source: "Cohen 2003",
		Checks: []Check{atLeast("mean time, x that with endgame", "more than 1", 1)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := leavingCrowd(seed, 40, 4*mib, 128*kib)
			for i := range s.Peers {
				if i > 0 && i%4 == 0 {
					s.Peers[i].Link.Up = 8 * kbit
				}
			}
			ratio, err := paired(ctx, s, func(_ int, cfg *engine.Config) { cfg.NoEndgame = true }, meanDuration)
			return []float64{ratio}, err
		},
	}
}
