package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/metainfo"
	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

func swarmSweepCommand() command {
	return command{
		name:    "swarm sweep",
		summary: "run a scenario for every combination of values",
		usage:   "[flags] --set KEY=V1,V2... SCENARIO",
		about: `
Each run has a folder, named by the hash of its scenario, its seed and the version of
Shoal. What is there is not run again: a sweep that was interrupted goes on where it
was. With --shard, several machines do a part each; put their folders into one, and
run the same sweep without --shard for the table of all.`,
		example: "shoal swarm sweep flash-crowd --set demand.peers=10,100,1000 --replicas 5",
		new:     func() runner { return new(swarmSweepRun) },
	}
}

type swarmSweepRun struct {
	swarmSeeds
	out     string
	set     []string
	shard   shardFlag
	workers int
	json    bool
}

func (r *swarmSweepRun) flags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&r.set, "set", nil, "run with each of these values: `KEY=V1,V2...`; with several keys, with each combination; repeatable")
	r.swarmSeeds.flags(fs)
	fs.StringVar(&r.out, "out", "", "write the results into folders in this `DIR` (default: the scenario's name and -sweep)")
	fs.Var(&r.shard, "shard", "run only the `I/N`th part of the runs, as 1/4")
	workersFlag(fs, &r.workers)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each run")
}

// shardFlag is "i/n": a pflag.Value. The zero value is all.
type shardFlag struct{ index, of int }

func (f *shardFlag) Type() string { return "I/N" }

func (f *shardFlag) String() string {
	if f.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", f.index+1, f.of)
}

func (f *shardFlag) Set(text string) error {
	i, n, ok := strings.Cut(text, "/")
	index, err := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if !ok || err != nil || err2 != nil || index < 1 || index > of {
		return errors.New("write the number of the part and how many there are, as 1/4")
	}
	f.index, f.of = index-1, of
	return nil
}

// has reports whether a run is in the shard.
func (f *shardFlag) has(i int) bool { return f.of == 0 || i%f.of == f.index }

func (r *swarmSweepRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name one scenario; \"shoal swarm list\" names those that there are")
	}
	if err := errors.Join(r.swarmSeeds.check(), checkWorkers(r.workers)); err != nil {
		return err
	}
	grid, err := combinations(r.set)
	if err != nil {
		return err
	}
	w := &swarmSweep{e: e, out: r.out}
	for _, set := range grid {
		s, err := loadScenario(e, args[0], set)
		if err != nil {
			return err
		}
		for _, seed := range r.of(s, 1) {
			w.cells = append(w.cells, sweepCell{set: set, scenario: s, seed: seed})
		}
		if len(w.cells) > maxRuns {
			return usagef("that are more than %d runs", maxRuns)
		}
	}
	if w.out == "" {
		w.out = w.cells[0].scenario.Name + "-sweep"
	}
	tidy, err := makeFolder(w.out)
	if err != nil {
		return err
	}
	defer tidy()
	return w.run(ctx, r.shard, r.workers, r.json)
}

// combinations returns each choice of a value for each key.
func combinations(set []string) (grid [][]string, err error) {
	if len(set) == 0 {
		return nil, usagef("say what to vary, as --set demand.peers=10,100,1000")
	}
	grid = [][]string{nil}
	known := map[string]bool{}
	for _, one := range set {
		key, text, ok := strings.Cut(one, "=")
		switch {
		case !ok:
			return nil, usagef("--set %s: write KEY=V1,V2, as demand.peers=10,100,1000", one)
		case known[key]:
			return nil, usagef("--set %s is there twice; write all values into one", key)
		}
		known[key] = true
		values := strings.Split(text, ",")
		if again, ok := firstTwice(values); ok {
			return nil, usagef("--set %s has the value %s twice, but the same run again is no further one; for more seeds, use --replicas", key, again)
		}
		var longer [][]string
		for _, chosen := range grid {
			for _, value := range values {
				longer = append(longer, append(slices.Clone(chosen), key+"="+value))
			}
		}
		if grid = longer; len(grid) > maxRuns {
			return nil, usagef("that are more than %d combinations", maxRuns)
		}
	}
	return grid, nil
}

// firstTwice finds a value that is there before.
func firstTwice(values []string) (again string, ok bool) {
	known := map[string]bool{}
	for _, value := range values {
		if known[value] {
			return value, true
		}
		known[value] = true
	}
	return "", false
}

// swarmSweep is a sweep under way.
type swarmSweep struct {
	e     *env
	out   string
	cells []sweepCell

	mu sync.Mutex // of the summaries of cells
}

// sweepCell is one run of a sweep.
type sweepCell struct {
	set      []string // "key=value", in the order of the flags
	scenario *scenario.Scenario
	seed     uint64
	summary  *swarmreport.Summary // nil until it has run
}

// folder names a run: 64 bits of the hash are enough to tell a sweep's scenarios apart.
func (w *swarmSweep) folder(c *sweepCell) string {
	return filepath.Join(w.out, fmt.Sprintf("%s-seed%d-%s", c.scenario.Hash()[:16], c.seed, metainfo.Version))
}

// load takes the result of an earlier sweep.
func (w *swarmSweep) load(c *sweepCell) {
	s, err := swarmreport.ReadSummary(w.folder(c))
	if err == nil && s.ScenarioHash == c.scenario.Hash() && s.Seed == c.seed && s.Version == metainfo.Version {
		c.summary = s
	}
}

func (w *swarmSweep) run(ctx context.Context, shard shardFlag, workers int, asJSON bool) error {
	var jobs []swarmJob
	for i := range w.cells {
		c := &w.cells[i]
		if w.load(c); c.summary == nil && shard.has(i) {
			jobs = append(jobs, swarmJob{scenario: c.scenario, seed: c.seed, done: func(run *swarmresult.Run) error { return w.write(c, run) }})
		}
	}
	if known := w.numDone(); known > 0 {
		w.e.logf("%d of %s are there already", known, count(len(w.cells), "run"))
	}
	err := runJobs(ctx, w.e, "sweep", workers, jobs)
	if err != nil {
		w.e.logf("%d of %s are in %s; the same command goes on from there", w.numDone(), count(len(w.cells), "run"), printable(w.out))
		return err
	}
	sweep := w.sweep()
	if err := swarmreport.WriteSweep(w.out, sweep); err != nil {
		return err
	}
	if asJSON {
		return w.printJSON()
	}
	w.print(sweep)
	return nil
}

func (w *swarmSweep) numDone() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.cells {
		if w.cells[i].summary != nil {
			n++
		}
	}
	return n
}

// write puts a result where load finds it, in one step: half a result must not
// be taken for a whole one.
func (w *swarmSweep) write(c *sweepCell, run *swarmresult.Run) error {
	dir := w.folder(c)
	partial := dir + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.RemoveAll(dir)); err != nil {
		return err
	}
	if err := swarmreport.Write(partial, run); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c.summary = swarmreport.Summarize(run)
	return nil
}

// sweep returns the runs that there are, those of one combination together.
func (w *swarmSweep) sweep() *swarmreport.Sweep {
	first := w.cells[0].scenario
	sweep := &swarmreport.Sweep{Name: first.Name, Title: first.Title, Version: metainfo.Version}
	for _, assignment := range w.cells[0].set {
		key, _, _ := strings.Cut(assignment, "=")
		sweep.Parameters = append(sweep.Parameters, key)
	}
	for i := range w.cells {
		c := &w.cells[i]
		switch last := len(sweep.Points) - 1; {
		case c.summary == nil:
		case last >= 0 && slices.Equal(sweep.Points[last].Values, c.values()):
			sweep.Points[last].Runs = append(sweep.Points[last].Runs, c.summary)
		default:
			sweep.Points = append(sweep.Points, swarmreport.Point{Values: c.values(), Runs: []*swarmreport.Summary{c.summary}})
		}
	}
	return sweep
}

// values are those of the parameters, in their order.
func (c *sweepCell) values() (values []string) {
	for _, assignment := range c.set {
		_, value, _ := strings.Cut(assignment, "=")
		values = append(values, value)
	}
	return values
}

func (w *swarmSweep) print(sweep *swarmreport.Sweep) {
	table := &swarmTable{heading: sweep.Parameters}
	for _, point := range sweep.Points {
		table.add(point.Values, point.Runs)
	}
	table.print(w.e)
	if missing := len(w.cells) - w.numDone(); missing > 0 {
		w.e.printf("\n%s of other shards are not there yet\n", count(missing, "run"))
	}
	w.e.printf("\n%s\n", printable(filepath.Join(w.out, "report.html")))
}

// sweepRunJSON is a line of "shoal swarm sweep --json".
type sweepRunJSON struct {
	Set map[string]string `json:"set"`
	swarmRunJSON
}

func (w *swarmSweep) printJSON() error {
	for i := range w.cells {
		c := &w.cells[i]
		if c.summary == nil {
			continue
		}
		line := sweepRunJSON{map[string]string{}, swarmRunJSON{c.summary, w.folder(c)}}
		for _, assignment := range c.set {
			key, value, _ := strings.Cut(assignment, "=")
			line.Set[key] = value
		}
		if err := w.e.printJSON(line); err != nil {
			return err
		}
	}
	return nil
}
