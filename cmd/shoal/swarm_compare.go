package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/pflag"

	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

func swarmCompareCommand() command {
	return command{
		name:    "swarm compare",
		summary: "compare two scenarios, or two variants of one",
		usage:   "[flags] A [B]",
		about: `
Both run with the same seeds, and the difference is taken for each seed: what luck did to
both cancels out. Without B, it is A with the values of --set-b. Systems of the same name
are compared, or the only one with the only one.`,
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
	fs.StringArrayVar(&r.setB, "set-b", nil, "put `KEY=VALUE` in the place of what B says; repeatable")
	fs.StringVar(&r.out, "out", "", "write the report of the comparison into this `DIR`, and that of each run into a folder in it (default: none)")
	workersFlag(fs, &r.workers)
	fs.BoolVar(&r.json, "json", false, "print a JSON object")
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
		tidy, err := makeFolder(r.out)
		if err != nil {
			return err
		}
		defer tidy()
	}
	c := &swarmComparison{e: e, out: r.out, seeds: r.of(a, max(comparedReplicas, b.Replicas))}
	return c.run(ctx, [2]*scenario.Scenario{a, b}, r.workers, r.json)
}

// swarmComparison runs two scenarios with the same seeds.
type swarmComparison struct {
	e     *env
	out   string
	seeds []uint64

	mu   sync.Mutex
	runs [2][]*swarmreport.Digest // of A and B, by the index of the seed
}

func (c *swarmComparison) run(ctx context.Context, both [2]*scenario.Scenario, workers int, asJSON bool) error {
	if !comparable(both) {
		return usagef("A and B have no system of the same name; give them one with the key name")
	}
	var jobs []swarmJob
	for side, s := range both {
		c.runs[side] = make([]*swarmreport.Digest, len(c.seeds))
		for i, seed := range c.seeds {
			jobs = append(jobs, swarmJob{scenario: s, seed: seed, done: func(run *swarmresult.Run) error { return c.keep(side, i, run) }})
		}
	}
	if err := runJobs(ctx, c.e, "comparison", workers, jobs); err != nil {
		c.e.logf("a comparison needs all runs; there is none")
		return err
	}
	comparison, err := swarmreport.Compare(c.runs[0], c.runs[1])
	if err != nil {
		return err
	}
	if c.out != "" {
		if err := swarmreport.WriteComparison(c.out, c.runs[0], c.runs[1]); err != nil {
			return err
		}
	}
	if asJSON {
		return c.e.printJSON(comparison)
	}
	c.print(comparison)
	return nil
}

// comparable reports whether A and B have systems to compare.
func comparable(both [2]*scenario.Scenario) bool {
	a, b := both[0].Systems, both[1].Systems
	return len(a) == 1 && len(b) == 1 || slices.ContainsFunc(a, func(a scenario.System) bool {
		return slices.ContainsFunc(b, func(b scenario.System) bool { return b.Name == a.Name })
	})
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
	c.runs[side][i] = swarmreport.NewDigest(run)
	return nil
}

func (c *swarmComparison) print(comparison *swarmreport.Comparison) {
	c.e.printf("A: %s (%s)\nB: %s (%s)\n", printable(comparison.A.Title), comparison.A.ScenarioHash[:16],
		printable(comparison.B.Title), comparison.B.ScenarioHash[:16])
	for i := range comparison.Systems {
		c.printSystem(&comparison.Systems[i])
	}
	c.e.printf("\n%s, 95 %% intervals; differences are B - A, in pairs with the same seed\n", count(len(c.seeds), "seed"))
	if c.out != "" {
		c.e.printf("%s\n", printable(filepath.Join(c.out, "report.html")))
	}
}

func (c *swarmComparison) printSystem(system *swarmreport.SystemComparison) {
	name := system.A
	if system.B != name {
		name += ", " + system.B
	}
	done := [2]string{}
	for side, called := range []string{system.A, system.B} {
		runs := summariesOf(c.runs[side])
		done[side] = doneText(runs, slices.IndexFunc(runs[0].Systems, func(s swarmreport.SystemSummary) bool { return s.Name == called }))
	}
	c.e.printf("\n%s\n", printable(name))
	table := newTable(c.e)
	fmt.Fprintf(table, "  \tA\tB\tdifference\n  done\t%s\t%s\n", done[0], done[1])
	for i := range swarmColumns {
		column := &swarmColumns[i]
		for k := range system.Metrics {
			if m := &system.Metrics[k]; m.Metric == column.metric {
				fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", column.title, column.interval(m.A), column.interval(m.B), column.interval(m.Difference), m.Verdict)
			}
		}
	}
	table.Flush()
	if ks := system.DownloadTimes; ks.D.Known() {
		c.e.printf("  the distributions of download times are at most %.3g apart (Kolmogorov-Smirnov, p = %.2g)\n", float64(ks.D), float64(ks.P))
	}
}
