package validate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

const (
	kbit = 1000 / 8 // bytes
	kib  = 1 << 10
	mib  = 1 << 20
)

func engineRuns() []Experiment {
	return []Experiment{
		randomPopulations(), originAlone(),
		kumarRoss(10),
		kumarRoss(100),
		bharambe(100, 100*mib), fewNeighbours(), mundingerEngine(), effectiveness(),
	}
}

// largeRuns take minutes.
func largeRuns() []Experiment {
	return append(longPaperRuns(), bharambe(1000, 100*mib), bharambe(10_000, 100*mib))
}

// run runs a swarm to its end on one goroutine. Everybody must complete, and
// nobody who stays to the end may be faster than the bound.
func run(ctx context.Context, s sim.Swarm) (*sim.Result, error) {
	s.Interrupted = func() bool { return ctx.Err() != nil }
	r, err := s.Run()
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	if !r.Completed {
		return nil, fmt.Errorf("the swarm ended at %v because: %s", r.End, r.Reason)
	}
	return r, nil
}

func geometry(totalLen, pieceLen int64) metainfo.Geometry {
	g, err := metainfo.NewGeometry(totalLen, pieceLen)
	if err != nil {
		panic(err) // constants of this package
	}
	return g
}

// swarmOf is one origin and peers that are all there from the beginning.
func swarmOf(seed uint64, g metainfo.Geometry, origin sim.Link, peers []sim.Peer) sim.Swarm {
	all := append([]sim.Peer{{Class: "origin", Link: origin, Seed: true}}, peers...)
	return sim.Swarm{Seed: seed, Geometry: g, Peers: all}
}

// byBound is the last completion by the bound of Kumar and Ross.
func byBound(s sim.Swarm, r *sim.Result) float64 {
	var peers []theory.Peer
	for _, p := range s.Peers[1:] {
		peers = append(peers, theory.Peer{Up: float64(p.Link.Up), Down: float64(p.Link.Down)})
	}
	return r.LastCompletion().Seconds() / theory.Swarm(float64(s.Geometry.TotalLen()), float64(s.Peers[0].Link.Up), peers)
}

// randomPopulations are of all kinds: links from nothing to fast, two to
// twenty peers.
func randomPopulations() Experiment {
	return Experiment{
		Name: "five random populations that stay", Kind: Engine, Source: "Kumar and Ross 2006",
		Checks: []Check{always(atLeast("earliest last completion, x the bound", "never below 1", 1))},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			least := 1e9
			rng := rand.New(rand.NewPCG(seed, 3))
			for range 5 {
				var peers []sim.Peer
				for range 2 + rng.IntN(19) {
					link := sim.Link{Up: 1 + rng.IntN(200_000), Down: rng.IntN(2) * (50_000 + rng.IntN(mib))}
					peers = append(peers, sim.Peer{Link: link})
				}
				s := swarmOf(seed, geometry(6*mib, 128*kib), sim.Link{Up: 100_000 + rng.IntN(mib)}, peers)
				s.Latency = time.Millisecond
				r, err := run(ctx, s)
				if err != nil {
					return nil, err
				}
				least = min(least, byBound(s, r))
			}
			return []float64{least}, nil
		},
	}
}

func originAlone() Experiment {
	return Experiment{
		Name: "20 peers that do not upload", Kind: Engine, Source: "client-server bound",
		Checks: []Check{always(between("last completion, x N F/u_s", "1 to 1.01", 1, 1.01))},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := swarmOf(seed, geometry(16*mib, 256*kib), sim.Link{Up: mib}, sim.Repeat(20, sim.Peer{Link: sim.Link{Down: mib}}))
			s.Configure = func(peer int, cfg *engine.Config) {
				if peer > 0 {
					cfg.UploadSlots = -1
				}
			}
			r, err := run(ctx, s)
			if err != nil {
				return nil, err
			}
			return []float64{r.LastCompletion().Seconds() / (20 * 16)}, nil
		},
	}
}

// kumarRoss is the example of their paper with a tenth of the file.
func kumarRoss(numPeers int) Experiment {
	return Experiment{
		Name: fmt.Sprintf("%d peers of 2 and 0.3 Mbit/s, origin of 30, 1.5 Gbit", numPeers), Kind: Engine, Source: "Kumar and Ross 2006",
		Checks: []Check{between("last completion, x the bound", "1 to 1.15", 1, 1.15), reported("copies from the origin")},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			const totalLen = 1_500_000 * kbit
			s := swarmOf(seed, geometry(totalLen, 256*kib), sim.Link{Up: 30_000 * kbit},
				sim.Repeat(numPeers, sim.Peer{Link: sim.Link{Up: 300 * kbit, Down: 2000 * kbit}}))
			r, err := run(ctx, s)
			if err != nil {
				return nil, err
			}
			return []float64{byBound(s, r), float64(r.Peers[0].Up) / totalLen}, nil
		},
	}
}

// bharambe is the default of Bharambe, Herley and Padmanabhan: leechers join
// within ten seconds and leave when they are done.
func bharambe(numPeers int, totalLen int64) Experiment {
	copies := reported("copies from the origin")
	if numPeers == 1000 {
		copies = between(copies.Name, "about 16: 12 to 20", 12, 20)
	}
	return Experiment{
		Name: fmt.Sprintf("%d leechers of 1500 and 400 kbit/s, origin of 6000", numPeers), Kind: Engine, Source: "Bharambe et al. 2006",
		Checks: []Check{
			atLeast("use of the leechers' uplinks", "0.90 at least", 0.9),
			atMost("mean time, x the bound", "1.15 at most", 1.15),
			copies,
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := leavingCrowd(seed, numPeers, totalLen, 256*kib)
			r, err := run(ctx, s)
			if err != nil {
				return nil, err
			}
			bound := float64(numPeers) * float64(totalLen) / float64(6000*kbit+numPeers*400*kbit)
			return []float64{uplinkUse(&s, r), r.MeanDuration().Seconds() / bound, float64(r.Peers[0].Up) / float64(totalLen)}, nil
		},
	}
}

// fewNeighbours is that crowd with ten neighbours each. It shows whether the swarm is one: those who come
// first could fill each other's places, and keep the origin's pieces among themselves.
func fewNeighbours() Experiment {
	return Experiment{
		Name: "100 leechers with 10 neighbours each, 25 MiB", Kind: Engine, Source: "Bharambe et al. 2006",
		Checks: []Check{atLeast("use of the leechers' uplinks", "0.90 at least", 0.9)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := leavingCrowd(seed, 100, 25*mib, 256*kib)
			s.Configure = func(_ int, cfg *engine.Config) { cfg.MaxPeers = 10 }
			return runForUse(ctx, s)
		},
	}
}

func leavingCrowd(seed uint64, numPeers int, totalLen, pieceLen int64) sim.Swarm {
	peers := sim.Repeat(numPeers, sim.Peer{Link: sim.Link{Up: 400 * kbit, Down: 1500 * kbit}, SeedFor: -1})
	for i := range peers {
		peers[i].Join = time.Duration(i) * 10 * time.Second / time.Duration(numPeers)
	}
	return swarmOf(seed, geometry(totalLen, pieceLen), sim.Link{Up: 6000 * kbit, Down: 6000 * kbit}, peers)
}

// runForUse runs a swarm for nothing but uplinkUse.
func runForUse(ctx context.Context, s sim.Swarm) ([]float64, error) {
	r, err := run(ctx, s)
	if err != nil {
		return nil, err
	}
	return []float64{uplinkUse(&s, r)}, nil
}

// uplinkUse is what the leechers sent by what their uplinks could have, while
// they were there.
func uplinkUse(s *sim.Swarm, r *sim.Result) float64 {
	var sent, could float64
	for i, p := range r.Peers {
		if !p.Seed {
			sent += float64(p.Up)
			could += (p.Complete - p.Join).Seconds() * float64(s.Peers[i].Link.Up)
		}
	}
	return sent / could
}

// mundingerEngine compares the engine, which knows only its neighbours, with the
// best schedule that there is.
func mundingerEngine() Experiment {
	const numPeers, numParts = 63, 128
	return Experiment{
		Name: "63 users with uplinks like the server's, 128 parts", Kind: Engine, Source: "Mundinger, Weber and Weiss 2008",
		Checks: []Check{
			always(atLeast("last completion, x the best schedule", "never below 1", 1)),
			reported("mean completion, x the best schedule"),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			const rate, partLen = mib / 2, 256 * kib
			s := swarmOf(seed, geometry(numParts*partLen, partLen), sim.Link{Up: rate}, sim.Repeat(numPeers, sim.Peer{Link: sim.Link{Up: rate}}))
			s.Latency = 5 * time.Millisecond
			r, err := run(ctx, s)
			if err != nil {
				return nil, err
			}
			best := theory.Makespan(numParts, numPeers) * numParts * partLen / rate
			return []float64{r.LastCompletion().Seconds() / best, r.MeanDuration().Seconds() / best}, nil
		},
	}
}

// effectiveness measures Qiu and Srikant's eta: the part of a leecher's uplink
// that finds use, in a swarm that leechers join at random times and leave when they are
// done. They argue that it is close to 1 when there are many pieces.
func effectiveness() Experiment {
	return Experiment{
		Name: "leechers at random times, one in 4 s, leave when done", Kind: Engine, Source: "Qiu and Srikant 2004",
		Checks: []Check{reported("eta, the use of leechers' uplinks")},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			s := leavingCrowd(seed, 150, 16*mib, 128*kib)
			rng := rand.New(rand.NewPCG(seed, 4))
			var at time.Duration
			for i := range s.Peers[1:] {
				at += time.Duration(rng.ExpFloat64() * float64(4*time.Second))
				s.Peers[1+i].Join = at
			}
			s.Peers[0].Link.Up = 800 * kbit
			return runForUse(ctx, s)
		},
	}
}
