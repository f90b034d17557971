package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/swarmtest/real"
	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

func swarmRunCommand() command {
	return command{
		name:    "swarm run",
		summary: "run a scenario, and write a report",
		usage:   "[flags] SCENARIO",
		about: `
SCENARIO is the name of one that comes with Shoal, or a file. Results go into a folder:
report.html for people, run.json, peers.csv and timeseries.csv for programs. With
several seeds, each has a folder in it, and the folder itself the report on all.

With --real, a small scenario is run once more with real processes of Shoal, sockets of the
loopback interface, and nginx as the origin if it is installed. That takes as long as
the simulated time. What was measured is in the report beside what was simulated.`,
		example: "shoal swarm run flash-crowd --set demand.peers=200",
		new:     func() runner { return new(swarmRunRun) },
	}
}

type swarmRunRun struct {
	swarmSeeds
	out     string
	set     []string
	workers int
	wire    bool
	real    bool
	json    bool
}

func (r *swarmRunRun) flags(fs *pflag.FlagSet) {
	r.swarmSeeds.flags(fs)
	fs.StringVar(&r.out, "out", "", "write the results into this `DIR` (default: one with the scenario's name)")
	setFlag(fs, &r.set)
	workersFlag(fs, &r.workers)
	fs.BoolVar(&r.wire, "wire", false, "put every message of simulated peers through the codec; the results are the same")
	fs.BoolVar(&r.real, "real", false, "run it with real processes, too, on loopback")
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each seed")
}

// setFlag binds --set for a single value.
func setFlag(fs *pflag.FlagSet, set *[]string) {
	fs.StringArrayVar(set, "set", nil, "put `KEY=VALUE` in the place of what the scenario says, as content.length=10MiB or class.dsl.up=1Mbit/s; repeatable")
}

func (r *swarmRunRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return usagef("name one scenario; \"shoal swarm list\" names those that there are")
	}
	if err := errors.Join(r.swarmSeeds.check(), checkWorkers(r.workers)); err != nil {
		return err
	}
	s, err := loadScenario(e, args[0], r.set)
	if err != nil {
		return err
	}
	out := r.out
	if out == "" {
		out = s.Name
	}
	w := &runWriter{e: e, out: out, seeds: r.of(s, 1), wire: r.wire}
	if r.real {
		if w.real, err = realOptions(s); err != nil {
			return err
		}
		r.workers = 1 // what is measured has the machine for itself
	}
	tidy, err := makeFolder(out)
	if err != nil {
		return err
	}
	defer tidy()
	return w.run(ctx, s, r.workers, r.json)
}

// realOptions are the programs of a run with real processes: this one, and nginx if
// it is there.
func realOptions(s *scenario.Scenario) (*real.Options, error) {
	if err := real.Check(s); err != nil {
		return nil, usagef("%v", err)
	}
	shoal, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("which program is this? %w", err)
	}
	options := &real.Options{Shoal: shoal}
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} { // the latter is in the path of root only
		if options.Nginx, err = exec.LookPath(name); err == nil {
			break
		}
	}
	return options, nil
}

// runWriter runs a scenario with several seeds, and writes the reports.
type runWriter struct {
	e     *env
	out   string
	seeds []uint64
	wire  bool
	real  *real.Options // nil: only simulated

	mu   sync.Mutex
	runs []*swarmreport.Digest // by the index of the seed, nil until it has run
}

func (w *runWriter) run(ctx context.Context, s *scenario.Scenario, workers int, asJSON bool) error {
	w.runs = make([]*swarmreport.Digest, len(w.seeds))
	jobs := make([]swarmJob, len(w.seeds))
	for i, seed := range w.seeds {
		jobs[i] = swarmJob{scenario: s, seed: seed, wire: w.wire, real: w.real, done: func(run *swarmresult.Run) error { return w.write(i, run) }}
	}
	err := runJobs(ctx, w.e, s.Name, workers, jobs)
	if err != nil {
		w.tellRest()
		return err
	}
	if len(w.runs) > 1 {
		if err := swarmreport.WriteReplicas(w.out, w.runs); err != nil {
			return err
		}
	}
	if asJSON {
		return w.printJSON()
	}
	w.print(s)
	return nil
}

// folder is where the results of a seed are.
func (w *runWriter) folder(i int) string {
	if len(w.seeds) == 1 {
		return w.out
	}
	return filepath.Join(w.out, fmt.Sprintf("seed-%d", w.seeds[i]))
}

func (w *runWriter) write(i int, run *swarmresult.Run) error {
	if err := swarmreport.Write(w.folder(i), run); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs[i] = swarmreport.NewDigest(run)
	return nil
}

// tellRest says what there is of a command that did not come to its end.
func (w *runWriter) tellRest() {
	done := 0
	for _, run := range w.runs {
		if run != nil {
			done++
		}
	}
	if done == 0 {
		w.e.logf("no run came to its end; nothing was written")
		return
	}
	w.e.logf("the results of %d of %s are in %s", done, count(len(w.seeds), "run"), printable(w.out))
}

// swarmRunJSON is a line of "shoal swarm run --json": what run.json has, but
// for the scenario, and where it is.
type swarmRunJSON struct {
	*swarmreport.Summary
	Directory string `json:"directory"`
}

func (w *runWriter) printJSON() error {
	for i, run := range w.runs {
		if err := w.e.printJSON(swarmRunJSON{run.Summary, w.folder(i)}); err != nil {
			return err
		}
	}
	return nil
}

func (w *runWriter) print(s *scenario.Scenario) {
	w.e.printf("%s\n\n", printable(s.Title))
	table := &swarmTable{}
	table.add(nil, summariesOf(w.runs))
	table.print(w.e)
	page := printable(filepath.Join(w.out, "report.html"))
	if len(w.seeds) > 1 {
		w.e.printf("\nmeans over %s, with 95 %% intervals: %s\n", count(len(w.seeds), "seed"), page)
		return
	}
	for _, sentence := range w.runs[0].Sentences() {
		if sentence != "" {
			w.e.printf("\n%s\n", printable(sentence))
		}
	}
	w.e.printf("\n%s (seed %d, scenario %s)\n", page, w.seeds[0], w.runs[0].ScenarioHash[:16])
}

func summariesOf(runs []*swarmreport.Digest) (summaries []*swarmreport.Summary) {
	for _, run := range runs {
		summaries = append(summaries, run.Summary)
	}
	return summaries
}
