package validate

import (
	"context"
	"embed"
	"fmt"
	"math"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// papers are the scenarios of published results. Each is a file that "shoal swarm
// run" takes as well.
//
//go:embed papers/*.toml
var papers embed.FS

// paperRuns reproduce published results with scenario files alone. Where the number in the
// paper is one of its own network, the check is of the shape: what is more than what.
func paperRuns() []Experiment {
	return []Experiment{
		clusters(), unequalLinks(), sevenISPs(), poorSeedOfAPaper(),
		zipfCache(0.6), zipfCache(1.0), oneAtATime(),
	}
}

// longPaperRuns are those of which a seed takes more than two seconds.
func longPaperRuns() []Experiment {
	return []Experiment{steadyTorrent(), dyingTorrent(), crowdOfEquals()}
}

// publish runs the scenario of a paper, with further values.
func publish(ctx context.Context, name string, seed uint64, set ...string) (*result.Run, error) {
	data, err := papers.ReadFile("papers/" + name + ".toml")
	if err != nil {
		return nil, err
	}
	s, err := scenario.Source{File: name + ".toml", Data: data, Set: set}.Parse()
	if err != nil {
		return nil, err
	}
	return lab.Run(ctx, s, seed, lab.Options{})
}

// clusters has leechers of three speeds, once with a seed that brings enough and once with one
// that does not.
func clusters() Experiment {
	return Experiment{
		Name: "13 leechers each of 200, 50 and 20 kB/s", Kind: Engine, Source: "Legout et al. 2007",
		Checks: []Check{
			atLeast("part of the fast ones' uploads that goes to fast ones", "more than by chance, 0.31", 12.0/39),
			atLeast("mean time of the slow ones, x that of the fast ones", "more than 1", 1),
			between("the same with a seed of 40 kB/s", "1, all wait for it: 0.95 to 1.05", 0.95, 1.05),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			rich, err := publish(ctx, "legout-2007-clusters", seed)
			if err != nil {
				return nil, err
			}
			poor, err := publish(ctx, "legout-2007-clusters", seed, "origin.up=40KB/s")
			if err != nil {
				return nil, err
			}
			fast := classOf(&rich.Systems[0], "fast")
			return []float64{
				float64(fast.down-fast.foreign) / float64(fast.up),
				classOf(&rich.Systems[0], "slow").mean() / fast.mean(),
				classOf(&poor.Systems[0], "slow").mean() / classOf(&poor.Systems[0], "fast").mean(),
			}, nil
		},
	}
}

// class adds up what the clients of a class did.
type class struct {
	up, down, foreign int64 // bytes
	took              time.Duration
	numDone, numAll   int
}

// classOf adds up a class, "" for all clients.
func classOf(s *result.System, name string) (c class) {
	for i := range s.Peers {
		p := &s.Peers[i]
		if p.Server || name != "" && p.Class != name {
			continue
		}
		c.up, c.down, c.foreign = c.up+p.Up, c.down+p.Down, c.foreign+p.CrossISP
		c.numAll++
		if took, ok := p.Duration(); ok {
			c.took += took
			c.numDone++
		}
	}
	return c
}

// mean is the mean time of those that completed, in seconds.
func (c class) mean() float64       { return c.took.Seconds() / float64(c.numDone) }
func (c class) shareRatio() float64 { return float64(c.up) / float64(c.down) }

func unequalLinks() Experiment {
	return Experiment{
		Name: "a crowd of fast, middle and slow links", Kind: Engine, Source: "Bharambe et al. 2006",
		Checks: []Check{
			atLeast("fast ones upload, x what they download", "more than 1", 1),
			atMost("slow ones upload, x what they download", "less than 1", 1),
			atLeast("mean time of the slow ones, x that of the fast ones", "more than 1", 1),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "bharambe-2006-classes", seed)
			if err != nil {
				return nil, err
			}
			fast, slow := classOf(&r.Systems[0], "fast"), classOf(&r.Systems[0], "slow")
			return []float64{fast.shareRatio(), slow.shareRatio(), slow.mean() / fast.mean()}, nil
		},
	}
}

// steadyTorrent has 0.2 arrivals in a second; a file takes an uplink 256 s, and seeds stay for
// 100 s. All that is uploaded is downloaded: lambda = mu (eta x + y), and y is lambda/gamma and the origin.
func steadyTorrent() Experiment {
	const lambda, perUplink, stay = 0.2, 256, 100
	seeds := lambda*stay + 1.0
	leechers := lambda*perUplink - seeds // at eta 1
	return Experiment{
		Name: "leechers come at a constant rate and seed for 100 s", Kind: Engine, Source: "Qiu and Srikant 2004; Legout et al. 2006",
		Checks: []Check{
			near("seeds", fmt.Sprintf("%.0f, 15 %%", seeds), seeds, 0.15),
			between("leechers", fmt.Sprintf("%.1f by eta: for 0.75 to 1.05", leechers), leechers/1.05, leechers/0.75),
			atLeast("entropy", "close to 1: 0.9 at least", 0.9),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "qiu-srikant-2004-steady", seed)
			if err != nil {
				return nil, err
			}
			return steadyMeans(&r.Systems[0], 600*time.Second, 2400*time.Second), nil
		},
	}
}

// steadyMeans are the means over the samples of a time: seeds, leechers and entropy.
func steadyMeans(s *result.System, from, to time.Duration) []float64 {
	sums, n := make([]float64, 3), 0.0
	for i := range s.Samples {
		at := &s.Samples[i]
		if at.At >= from && at.At <= to {
			sums[0] += float64(at.Seeds)
			sums[1] += float64(at.Leechers)
			sums[2] += at.Entropy
			n++
		}
	}
	for i := range sums {
		sums[i] /= n
	}
	return sums
}

// dyingTorrent compares two torrents of which one is four times as popular. Guo et al. have a
// torrent live for tau log(lambda/gamma). That is of a fluid: the last seed of few leaves sooner, by a
// time that hardly depends on lambda. So the check is of the difference.
func dyingTorrent() Experiment {
	const tau, popular = 1000, 4
	const numSeeds = 3 // of one torrent too much is up to who comes last
	return Experiment{
		Name: "fewer and fewer come, seeds leave", Kind: Engine, Source: "Guo et al. 2005",
		Checks: []Check{
			between("life of a torrent 4 times as popular, longer by x tau log 4", "1, from 0.6 to 1.4", 0.6, 1.4),
			atMost("part that comes too late, x that of the less popular", "less than 1", 1),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			var lives, late [2]float64
			for i := range uint64(numSeeds) {
				for which, rate := range []string{"0.1/s", "0.4/s"} {
					r, err := publish(ctx, "guo-2005-lifetime", numSeeds*seed+i, "demand.rate="+rate)
					if err != nil {
						return nil, err
					}
					last, done, asked := lastOfSystem(&r.Systems[0])
					lives[which] += last.Seconds() / numSeeds
					late[which] += (1 - done/asked) / numSeeds
				}
			}
			return []float64{(lives[1] - lives[0]) / (tau * math.Log(popular)), late[1] / late[0]}, nil
		},
	}
}

// lastOfSystem is the last completion, and how many completed of how many.
func lastOfSystem(s *result.System) (last time.Duration, done, asked float64) {
	for i := range s.Peers {
		if p := &s.Peers[i]; !p.Server {
			last = max(last, p.Complete)
		}
	}
	c := classOf(s, "")
	return last, float64(c.numDone), float64(c.numAll)
}

func sevenISPs() Experiment {
	const numISPs, each = 7, 14
	chance := 1 - float64(each-1)/(numISPs*each-1)
	return Experiment{
		Name: "98 leechers of 7 ISPs", Kind: Engine, Source: "Bindal et al. 2006",
		Checks: []Check{
			near("bytes from other ISPs, random neighbours", fmt.Sprintf("by chance: %.2f, 5 %%", chance), chance, 0.05),
			atMost("the same, one foreign neighbour named", "a half of that at most", chance/2),
			atMost("mean time, x that with random neighbours", "nearly the same: 1.1 at most", 1.1),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "bindal-2006-isps", seed)
			if err != nil {
				return nil, err
			}
			random, near := classOf(&r.Systems[0], ""), classOf(&r.Systems[1], "")
			return []float64{
				float64(random.foreign) / float64(random.down), float64(near.foreign) / float64(near.down), near.mean() / random.mean(),
			}, nil
		},
	}
}

// poorSeedOfAPaper has a seed with the uplink of one leecher: its time for one copy bounds the transient state.
func poorSeedOfAPaper() Experiment {
	return Experiment{
		Name: "60 leechers, a seed with the uplink of one", Kind: Engine, Source: "Legout et al. 2006",
		Checks: []Check{
			always(atLeast("last completion, x the seed's time for one copy", "never below 1", 1)),
			atMost("mean completion, x the seed's time for one copy", "shortly after one copy: 1.5 at most", 1.5),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "legout-2006-poor-seed", seed)
			if err != nil {
				return nil, err
			}
			copyTime := float64(r.ContentLen) / (400 * kbit)
			last, _, _ := lastOfSystem(&r.Systems[0])
			return []float64{last.Seconds() / copyTime, classOf(&r.Systems[0], "").mean() / copyTime}, nil
		},
	}
}

// crowdOfEquals compares crowds of which one is eight times as large.
func crowdOfEquals() Experiment {
	return Experiment{
		Name: "crowds of 32 and 256 with the seed's uplink", Kind: Engine, Source: "Yang and de Veciana 2004",
		Checks: []Check{
			between("mean time of 256 in a swarm, x that of 32", "1 to 1.6: log 256 by log 32", 1, 1.6),
			near("the same from an origin", "8, 1 %", 8, 0.01),
		},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			small, err := publish(ctx, "yang-2004-crowd", seed)
			if err != nil {
				return nil, err
			}
			large, err := publish(ctx, "yang-2004-crowd", seed, "demand.peers=256")
			if err != nil {
				return nil, err
			}
			var ratios []float64
			for i := range large.Systems {
				ratios = append(ratios, classOf(&large.Systems[i], "").mean()/classOf(&small.Systems[i], "").mean())
			}
			return ratios, nil
		},
	}
}

// zipfCache is an edge that holds a tenth of the contents.
func zipfCache(alpha float64) Experiment {
	const numContents, numHeld = 1000, 100
	hits := theory.Che(theory.Zipf(numContents, alpha), numHeld)
	return Experiment{
		Name: fmt.Sprintf("LRU for 100 of 1000 contents, Zipf %v", alpha), Kind: Servers, Source: "Che, Tung and Wang 2002",
		Checks: []Check{between("hit ratio", fmt.Sprintf("%.3f, 0.02", hits), hits-0.02, hits+0.02)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "che-2002-cache", seed, fmt.Sprint("content.zipf=", alpha))
			if err != nil {
				return nil, err
			}
			var fetched int64
			for _, source := range r.Systems[0].Sources {
				if source.Name == result.FromOrigin {
					fetched = source.Bytes
				}
			}
			return []float64{1 - float64(fetched)/float64(r.ContentLen)/float64(r.Downloads)}, nil
		},
	}
}

// oneAtATime is the queue M/D/1: a download waits for rho/(2(1-rho)) of what one takes.
func oneAtATime() Experiment {
	const rho = 0.8
	want := 1 + rho/(2*(1-rho))
	return Experiment{
		Name: "a server that serves one at a time, at a load of 0.8", Kind: Servers, Source: "Pollaczek 1930; Khinchine 1932",
		Checks: []Check{near("mean time, x the time that one takes", fmt.Sprintf("%.0f, 7 %%", want), want, 0.07)},
		run: func(ctx context.Context, seed uint64) ([]float64, error) {
			r, err := publish(ctx, "khinchine-1932-queue", seed)
			if err != nil {
				return nil, err
			}
			return []float64{classOf(&r.Systems[0], "").mean()}, nil
		},
	}
}
