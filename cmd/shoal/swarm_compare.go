package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/pflag"

	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

func swarmCompareCommand() command {
	return command{
		name:    "swarm compare",
		summary: "compare two scenarios, or two variants of one",
		usage:   "[flags] A [B]",
		about: `
Both run with the same seeds, and the difference is taken for each seed: what luck did to
both cancels out. Without B, it is A with the values of --set-b. Only systems with a name
that both have are compared.`,
		example: "shoal swarm compare poor-seed --set-b engine.picker=random",
		new:     func() runner { return new(swarmCompareRun) },
	}
}

// comparedReplicas is how many seeds a comparison has where nobody says it: with
// fewer, intervals are wide.
const comparedReplicas = 5

type swarmCompareRun struct {
	swarmSeeds
	out       string
	set, setB []string
	workers   int
	json      bool
}

func (r *swarmCompareRun) flags(fs *pflag.FlagSet) {
	r.swarmSeeds.flags(fs)
	fs.Lookup("replicas").Usage = fmt.Sprintf("run with `N` seeds, one after the other from --seed (default: the scenario's, at least %d)", comparedReplicas)
	setFlag(fs, &r.set)
	fs.StringArrayVar(&r.setB, "set-b", nil, "the same, for B only; repeatable")
	fs.StringVar(&r.out, "out", "", "write the report of each run into a folder in this `DIR` (default: none)")
	workersFlag(fs, &r.workers)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each system and figure")
}

func (r *swarmCompareRun) run(ctx context.Context, e *env, args []string) error {
	if err := errors.Join(r.swarmSeeds.check(), checkWorkers(r.workers)); err != nil {
		return err
	}
	switch {
	case len(args) == 0 || len(args) > 2:
		return usagef("name two scenarios, or one and --set-b")
	case len(args) == 1 && len(r.setB) == 0:
		return usagef("with what? name a second scenario, or a value with --set-b")
	case len(args) == 1:
		args = append(args, args[0])
	}
	a, err := loadScenario(e, args[0], r.set)
	if err != nil {
		return err
	}
	b, err := loadScenario(e, args[1], append(slices.Clone(r.set), r.setB...))
	if err != nil {
		return err
	}
	if a.Hash() == b.Hash() {
		return usagef("A and B are the same scenario")
	}
	if r.out != "" {
		if err := makeFolder(r.out); err != nil {
			return err
		}
	}
	c := &swarmComparison{e: e, out: r.out, seeds: r.of(a, max(comparedReplicas, b.Replicas))}
	return c.run(ctx, [2]*scenario.Scenario{a, b}, r.workers, r.json)
}

// swarmComparison runs two scenarios with the same seeds.
type swarmComparison struct {
	e     *env
	out   string
	seeds []uint64

	mu    sync.Mutex
	sides [2]comparedSide
}

// comparedSide is A or B.
type comparedSide struct {
	runs []*swarmreport.Summary // by the index of the seed
	// took are the durations of downloads, in seconds, by the name of the system, over all seeds.
	took map[string][]float64
}

func (c *swarmComparison) run(ctx context.Context, both [2]*scenario.Scenario, workers int, asJSON bool) error {
	common := commonSystems(both)
	if len(common) == 0 {
		return usagef("A and B have no system of the same name; give them one with the key name")
	}
	var jobs []swarmJob
	for side, s := range both {
		c.sides[side] = comparedSide{make([]*swarmreport.Summary, len(c.seeds)), map[string][]float64{}}
		for i, seed := range c.seeds {
			jobs = append(jobs, swarmJob{scenario: s, seed: seed, done: func(run *swarmresult.Run) error { return c.keep(side, i, run) }})
		}
	}
	if err := runJobs(ctx, c.e, "comparison", workers, jobs); err != nil {
		c.e.logf("a comparison needs all runs; there is none")
		return err
	}
	if asJSON {
		return c.printJSON(common)
	}
	return c.print(both, common)
}

// commonSystems are the names of systems that both have.
func commonSystems(both [2]*scenario.Scenario) (names []string) {
	for _, a := range both[0].Systems {
		if slices.ContainsFunc(both[1].Systems, func(b scenario.System) bool { return b.Name == a.Name }) {
			names = append(names, a.Name)
		}
	}
	return names
}

func (c *swarmComparison) keep(side, i int, run *swarmresult.Run) error {
	if c.out != "" {
		dir := filepath.Join(c.out, fmt.Sprintf("%c-seed-%d", 'a'+side, c.seeds[i]))
		if err := swarmreport.Write(dir, run); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := &c.sides[side]
	kept.runs[i] = swarmreport.Summarize(run)
	for k := range run.Systems {
		system := &run.Systems[k]
		for p := range system.Peers {
			if d, completed := system.Peers[p].Duration(); completed && !system.Peers[p].Server {
				kept.took[system.Name] = append(kept.took[system.Name], d.Seconds())
			}
		}
	}
	return nil
}

// index is the place of a system in the runs.
func (s *comparedSide) index(system string) int {
	return slices.IndexFunc(s.runs[0].Systems, func(s swarmreport.SystemSummary) bool { return s.Name == system })
}

// values are a figure of a system for each seed.
func (s *comparedSide) values(m *swarmMetric, system string) []float64 {
	return m.values(s.runs, s.index(system))
}

// interval is over the seeds that have the figure.
func (s *comparedSide) interval(m *swarmMetric, system string) stats.Interval {
	return m.interval(s.runs, s.index(system))
}

// compare compares one figure of one system, over the seeds for which both have it.
func (c *swarmComparison) compare(m *swarmMetric, system string) (stats.Comparison, error) {
	a, b := c.sides[0].values(m, system), c.sides[1].values(m, system)
	var pairsA, pairsB []float64
	for i := range a {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
			pairsA, pairsB = append(pairsA, a[i]), append(pairsB, b[i])
		}
	}
	return stats.Paired(pairsA, pairsB)
}

// distributions compares how long downloads took.
func (c *swarmComparison) distributions(system string) stats.KS {
	return stats.KolmogorovSmirnov(c.sides[0].took[system], c.sides[1].took[system])
}

func (c *swarmComparison) print(both [2]*scenario.Scenario, common []string) error {
	for side, s := range both {
		c.e.printf("%c: %s (%s)\n", 'A'+side, printable(s.Title), printable(s.Name))
	}
	for _, system := range common {
		c.e.printf("\n%s\n", printable(system))
		if err := c.printSystem(system); err != nil {
			return err
		}
	}
	c.e.printf("\n%s, 95 %% intervals; differences are B - A, in pairs with the same seed\n", count(len(c.seeds), "seed"))
	return nil
}

func (c *swarmComparison) printSystem(system string) error {
	table := newTable(c.e)
	fmt.Fprintln(table, "  \tA\tB\tdifference\t")
	for i := range swarmMetrics {
		m := &swarmMetrics[i]
		a, b := c.sides[0].interval(m, system), c.sides[1].interval(m, system)
		if math.IsNaN(a.Mean) && math.IsNaN(b.Mean) {
			continue
		}
		cmp, err := c.compare(m, system)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", m.title, m.intervalText(a), m.intervalText(b), m.intervalText(cmp.Difference), cmp.Verdict)
	}
	table.Flush()
	if ks := c.distributions(system); !math.IsNaN(ks.D) {
		c.e.printf("  the distributions of download times are at most %.3g apart (Kolmogorov-Smirnov, p = %.2g)\n", ks.D, ks.P)
	}
	return nil
}

// intervalJSON is a mean with its 95 % interval, null where there is none.
type intervalJSON struct {
	Mean swarmreport.Number `json:"mean"`
	Low  swarmreport.Number `json:"low"`
	High swarmreport.Number `json:"high"`
	N    int                `json:"n"`
}

func newIntervalJSON(i stats.Interval) intervalJSON {
	return intervalJSON{swarmreport.Number(i.Mean), swarmreport.Number(i.Low), swarmreport.Number(i.High), i.N}
}

// comparisonJSON is a line of "shoal swarm compare --json".
type comparisonJSON struct {
	System     string             `json:"system"`
	Metric     string             `json:"metric"`
	A          intervalJSON       `json:"a"`
	B          intervalJSON       `json:"b"`
	Difference intervalJSON       `json:"difference"` // B - A
	P          swarmreport.Number `json:"p"`
	Verdict    string             `json:"verdict"`
	// KS is that of the download times of the system.
	KSDistance swarmreport.Number `json:"ks_distance"`
	KSP        swarmreport.Number `json:"ks_p"`
}

func (c *swarmComparison) printJSON(common []string) error {
	for _, system := range common {
		ks := c.distributions(system)
		for i := range swarmMetrics {
			cmp, err := c.compare(&swarmMetrics[i], system)
			if err != nil {
				return err
			}
			if err := c.e.printJSON(comparisonJSON{
				system, swarmMetrics[i].name, newIntervalJSON(cmp.A), newIntervalJSON(cmp.B), newIntervalJSON(cmp.Difference),
				swarmreport.Number(cmp.P), string(cmp.Verdict), swarmreport.Number(ks.D), swarmreport.Number(ks.P),
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
