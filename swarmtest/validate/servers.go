package validate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/cdn"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// serverRuns hold the systems without peers against their closed forms.
func serverRuns() []Experiment {
	return []Experiment{originOfTheTextbook(), copiesOfTiers(), processorSharing(0.5, 10), processorSharing(0.8, 1)}
}

// serve runs a system to its end. All clients must have what they want.
func serve(c cdn.Config, seed uint64) (*cdn.Result, error) {
	r, err := c.Run(seed)
	if err == nil && !r.System.Completed {
		err = fmt.Errorf("the run ended because: %s", r.System.Reason)
	}
	return r, err
}

// originOfTheTextbook is the client-server row of the example of Kumar and Ross, in full.
func originOfTheTextbook() Experiment {
	const numClients = 1000
	return Experiment{
		Name: "origin alone, 1000 clients of the textbook", Kind: Servers, Source: "Kumar and Ross 2006",
		Checks: []Check{always(between("last completion, x the closed form", "1 to 1.01", 1, 1.01))},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			r, err := serve(cdn.Config{
				Kind: result.Origin, Contents: []cdn.Content{{Len: 15_000_000 * kbit}}, Limit: 1000 * time.Hour,
				Clients: make([]cdn.Client, numClients), Origins: []cdn.Server{{Up: 30_000 * kbit}},
			}, seed)
			if err != nil {
				return nil, err
			}
			want := theory.ClientServer(15_000, 30, uniform(numClients, theory.Peer{Down: 2}))
			return []float64{lastOf(r).Seconds() / want}, nil
		},
	}
}

func lastOf(r *cdn.Result) (last time.Duration) {
	for _, p := range r.System.Peers {
		last = max(last, p.Complete)
	}
	return last
}

// copiesOfTiers counts what the origin of a CDN sends: the file once to the
// parents, once to each edge without them, and to every client that asks at the same
// moment where nothing waits for what is fetched already.
func copiesOfTiers() Experiment {
	const numEdges, numClients = 8, 200
	return Experiment{
		Name: "CDN of 8 edges, 200 clients at once", Kind: Servers, Source: "by counting",
		Checks: []Check{
			always(between("copies from the origin, with a parent", "1", 1, 1)),
			always(between("copies, without one", "8, one for each edge", numEdges, numEdges)),
			always(between("copies, without coalescing", "200, one for each client", numClients, numClients)),
		},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			rng := rand.New(rand.NewPCG(seed, 5))
			numSlices := 1 + rng.Int64N(20)
			c := cdn.Config{
				Kind: result.CDN, Contents: []cdn.Content{{Len: numSlices * cdn.DefaultSliceLen}},
				Clients: make([]cdn.Client, numClients), Origins: []cdn.Server{{Up: 100 * mib}}, Edges: make([]cdn.Server, numEdges),
			}
			for i := range c.Edges {
				c.Edges[i] = cdn.Server{Up: 20 * mib, Region: i}
				c.Regions = append(c.Regions, fmt.Sprint(i))
			}
			for i := range c.Clients {
				c.Clients[i] = cdn.Client{Down: 4 * mib, Region: i % numEdges}
			}
			c.Between = nearby(numEdges)
			parent, alone := c, c
			parent.Parents = []cdn.Server{{Up: 100 * mib}}
			alone.Edges = append([]cdn.Server(nil), c.Edges...)
			for i := range alone.Edges {
				alone.Edges[i].Cache.NoCoalescing = true
			}
			return copiesOf(seed, parent, c, alone)
		},
	}
}

// nearby is a latency of 5 ms inside each region, and 40 ms between them.
func nearby(numRegions int) [][]time.Duration {
	between := make([][]time.Duration, numRegions)
	for a := range between {
		for b := range numRegions {
			latency := 40 * time.Millisecond
			if a == b {
				latency = 5 * time.Millisecond
			}
			between[a] = append(between[a], latency)
		}
	}
	return between
}

// copiesOf is how many copies the origin sent in each system.
func copiesOf(seed uint64, systems ...cdn.Config) (copies []float64, err error) {
	for _, c := range systems {
		r, err := serve(c, seed)
		if err != nil {
			return nil, err
		}
		for _, s := range r.System.Sources {
			if s.Name == result.FromOrigin {
				copies = append(copies, float64(s.Bytes)/float64(c.Contents[0].Len))
			}
		}
	}
	return copies, nil
}

// processorSharing is one server to which downloads come as a Poisson process.
// They share its uplink, so it is a queue of the kind M/G/1 with processor sharing:
// the mean time is E[S]/(1-rho), whatever the lengths. One download in so many is
// 91 times as long as the others; with one in one all are alike.
func processorSharing(rho float64, oneIn int) Experiment {
	const numClients, up, shortLen = 100_000, 1_000_000, 10_000
	lengths := "all alike"
	if oneIn > 1 {
		lengths = fmt.Sprintf("one in %d is long", oneIn)
	}
	meanLen := shortLen * (1 + 90/float64(oneIn))
	return Experiment{
		Name: fmt.Sprintf("one server at a load of %v, downloads of which %s", rho, lengths), Kind: Servers, Source: "Kleinrock 1976",
		Checks: []Check{near("mean time, x E[S]/(1-rho)", "1, 5 %", 1, 0.05)},
		run: func(_ context.Context, seed uint64) ([]float64, error) {
			rng := rand.New(rand.NewPCG(seed, 6))
			c := cdn.Config{
				Kind: result.Origin, Contents: []cdn.Content{{Len: shortLen}, {Len: 91 * shortLen}}, Latency: -1,
				Clients: make([]cdn.Client, numClients), Origins: []cdn.Server{{Up: up}},
			}
			var at time.Duration
			for i := range c.Clients {
				at += time.Duration(rng.ExpFloat64() * meanLen / up / rho * float64(time.Second))
				c.Clients[i].Join = at
				if rng.IntN(oneIn) == 0 {
					c.Clients[i].Content = 1
				}
			}
			r, err := serve(c, seed)
			if err != nil {
				return nil, err
			}
			var sum time.Duration
			counted := r.System.Peers[numClients/10 : numClients] // without the beginning, and the server
			for _, p := range counted {
				sum += p.Complete - p.Join
			}
			return []float64{sum.Seconds() / float64(len(counted)) * (1 - rho) / (meanLen / up)}, nil
		},
	}
}
