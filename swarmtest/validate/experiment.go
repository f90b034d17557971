package validate

import (
	"context"
	"math"
	"slices"
	"strings"
)

// Kind is what an experiment compares with what is known.
type Kind string

// The kinds.
const (
	ClosedForm Kind = "closed form" // a formula with its textbook figures
	Abstract   Kind = "abstract"    // transfers as the theory assumes them, no engine
	Servers    Kind = "servers"     // origins and CDNs as swarmtest/cdn models them
	Engine     Kind = "engine"      // the client's engine in virtual time
	Ablation   Kind = "ablation"    // the engine with one of its rules taken away, by the engine with it
)

// Experiment gives a number for each of its checks, from one seed.
type Experiment struct {
	Name   string
	Kind   Kind
	Source string // of what is expected
	Checks []Check
	// run is for one seed. It ends early, with an error, when the context does.
	run func(ctx context.Context, seed uint64) ([]float64, error)
}

// Check is what one number is expected to be. It holds if the whole interval lies
// in Min to Max, or, with Always, if every single number does; with both infinite the
// number is only reported.
type Check struct {
	Name     string
	Expected string
	Min, Max float64
	Always   bool
}

// Reported tells whether nothing is expected of the number.
func (c *Check) Reported() bool { return math.IsInf(c.Min, -1) && math.IsInf(c.Max, 1) }

func atMost(name, expected string, limit float64) Check {
	return Check{Name: name, Expected: expected, Min: math.Inf(-1), Max: limit}
}

func atLeast(name, expected string, limit float64) Check {
	return Check{Name: name, Expected: expected, Min: limit, Max: math.Inf(1)}
}

func between(name, expected string, low, high float64) Check {
	return Check{Name: name, Expected: expected, Min: low, Max: high}
}

// always is for what no run may break: a bound that is proven.
func always(c Check) Check {
	c.Always = true
	return c
}

// near accepts a relative deviation.
func near(name, expected string, want, tolerance float64) Check {
	return between(name, expected, want*(1-tolerance), want*(1+tolerance))
}

func reported(name string) Check {
	return Check{Name: name, Expected: "reported", Min: math.Inf(-1), Max: math.Inf(1)}
}

// Experiments returns all of them, in the order of the table. The quick ones leave out what
// takes more than two seconds for a seed: some of the published results, and the swarms of 1,000 and 10,000 peers.
func Experiments(quick bool) []Experiment {
	all := closedForms()
	all = append(all, abstractModels()...)
	all = append(all, serverRuns()...)
	all = append(all, engineRuns()...)
	all = append(all, paperRuns()...)
	if !quick {
		all = append(all, largeRuns()...)
	}
	return append(all, ablations()...)
}

// Named returns the experiments whose names or sources have text in them, in upper or lower case.
func Named(experiments []Experiment, text string) []Experiment {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(text)) }
	return slices.DeleteFunc(slices.Clone(experiments), func(e Experiment) bool { return !has(e.Name) && !has(e.Source) })
}
