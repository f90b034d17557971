package demand

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// Client is one download.
type Client struct {
	Class int // in the scenario's Classes
	Index int // in its class
	Place

	Join time.Duration
	// GiveUp is when it leaves if it has not completed, since the start, and
	// SeedFor how long it stays when it has. Both may be scenario.Forever.
	GiveUp, SeedFor time.Duration

	Up, Down    int64 // bytes/s, scenario.Unlimited for no limit
	Unreachable bool  // behind a NAT
	FreeRider   bool  // uploads nothing

	Content int // from 0, the most popular one
}

// Clients returns the clients of a scenario, class by class, in the order of
// their joining.
func Clients(s *scenario.Scenario, seed uint64) []Client {
	if s.Demand.Arrivals == scenario.Trace {
		return fromTrace(s, seed)
	}
	var all []Client
	m := maker{s, seed, popularity(&s.Content)}
	for class, n := range classSizes(s) {
		part := float64(n) / float64(s.NumPeers())
		for i, join := range arrivals(s, class, n, part, seed) {
			all = append(all, m.client(class, i, join))
		}
	}
	return all
}

// fromTrace has the clients of a trace: those of a class are numbered in the
// order in which they join.
func fromTrace(s *scenario.Scenario, seed uint64) []Client {
	rows := slices.Clone(s.Trace)
	slices.SortStableFunc(rows, func(a, b scenario.Arrival) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Join, b.Join))
	})
	var all []Client
	m := maker{s, seed, popularity(&s.Content)}
	index := 0
	for i, row := range rows {
		if i > 0 && rows[i-1].Class != row.Class {
			index = 0
		}
		c := m.client(row.Class, index, row.Join)
		c.Content = row.Content
		if row.Stay != scenario.Forever {
			c.GiveUp = row.Join + row.Stay
		}
		all = append(all, c)
		index++
	}
	return all
}

// classSizes returns how many clients each class has. Shares are rounded so that they
// add up: those with the largest remainders are rounded up.
func classSizes(s *scenario.Scenario) []int {
	sizes := make([]int, len(s.Classes))
	shares := 0.0
	for i, c := range s.Classes {
		sizes[i] = c.Count
		shares += c.Share
	}
	if shares == 0 {
		return sizes
	}
	left := s.Demand.Peers
	remainders := make([]float64, len(sizes))
	byRemainder := make([]int, len(sizes))
	for i, c := range s.Classes {
		exact := c.Share / shares * float64(s.Demand.Peers)
		sizes[i] = int(exact)
		left -= sizes[i]
		remainders[i] = exact - math.Floor(exact)
		byRemainder[i] = i
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for i := 0; left > 0; i, left = i+1, left-1 {
		sizes[byRemainder[i%len(sizes)]]++
	}
	return sizes
}

// maker makes clients.
type maker struct {
	s          *scenario.Scenario
	seed       uint64
	popularity []float64
}

// client draws all of a client but when it joins.
func (m *maker) client(class, index int, join time.Duration) Client {
	cfg := &m.s.Classes[class]
	d := drawer{m.seed, cfg.Name, index}
	return Client{
		Class: class, Index: index, Place: drawPlace(m.s, cfg, d),
		Join: join, GiveUp: giveUp(cfg, join, d), SeedFor: seedFor(cfg, d),
		Up: cfg.Up, Down: cfg.Down,
		Unreachable: d.stream(drawNAT).Float64() < cfg.NAT,
		FreeRider:   cfg.FreeRider,
		Content:     popular(m.popularity, d.stream(drawContent).Float64()),
	}
}

func giveUp(cfg *scenario.Class, join time.Duration, d drawer) time.Duration {
	if cfg.GiveUp == scenario.Forever {
		return scenario.Forever
	}
	return join + max(exponential(cfg.GiveUp, d.stream(drawGiveUp).ExpFloat64()), time.Microsecond)
}

func seedFor(cfg *scenario.Class, d drawer) time.Duration {
	if cfg.SeedFor == scenario.Forever || cfg.SeedTimes == scenario.Fixed {
		return cfg.SeedFor
	}
	return exponential(cfg.SeedFor, d.stream(drawSeedFor).ExpFloat64())
}

// exponential scales a draw with the mean 1. A draw is at most some fifty, so a sum of a few
// of them fits into a Duration.
func exponential(mean time.Duration, draw float64) time.Duration {
	return time.Duration(min(float64(mean)*draw, float64(longest)))
}

// longest is more than any time that a scenario can name.
const longest = 20 * 365 * 24 * time.Hour

// popularity has, for each content, the weights of it and all before it: by Zipf's law
// that of rank r, counted from 1, is r^-exponent.
func popularity(c *scenario.Content) []float64 {
	sums := make([]float64, c.Count)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -c.Zipf)
		sums[i] = sum
	}
	return sums
}

// popular returns the content for a draw u from 0 to 1.
func popular(sums []float64, u float64) int {
	content, _ := slices.BinarySearch(sums, u*sums[len(sums)-1])
	return min(content, len(sums)-1)
}
