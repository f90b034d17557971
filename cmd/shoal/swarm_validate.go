package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	"github.com/shoal-bt/shoal/swarmtest/validate"
)

func swarmValidateCommand() command {
	return command{
		name:    "swarm validate",
		summary: "hold the simulator against theory and published measurements",
		usage:   "[flags]",
		about: `
Each row is a check: a formula by its textbook figures, a model of the literature by the
theory that assumes it, the engine by bounds and measurements, and the engine with a
rule taken away by the engine with it. A check holds if the 95 % interval of its mean over
the seeds lies inside what is expected; a proven bound must hold in every run. The
whole table has swarms of 10,000 peers and takes long; --quick leaves those of
1,000 and more out. The command fails if a check does not hold.`,
		example: "shoal swarm validate --quick --only bharambe",
		new:     func() runner { return new(swarmValidateRun) },
	}
}

type swarmValidateRun struct {
	quick   bool
	seeds   int
	only    string
	workers int
	json    bool
}

func (r *swarmValidateRun) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&r.quick, "quick", false, "leave the large swarms out")
	fs.IntVar(&r.seeds, "seeds", validate.DefaultSeeds, "run each check with `N` seeds")
	fs.StringVar(&r.only, "only", "", "run only checks whose name or source has `TEXT` in it")
	workersFlag(fs, &r.workers)
	fs.BoolVar(&r.json, "json", false, "print a JSON object for each check")
}

// validateJSON is a line of "shoal swarm validate --json".
type validateJSON struct {
	Kind       validate.Kind      `json:"kind"`
	Experiment string             `json:"experiment"`
	Source     string             `json:"source"`
	Check      string             `json:"check"`
	Expected   string             `json:"expected"`
	Values     []float64          `json:"values"`
	Mean       float64            `json:"mean"`
	Low        swarmreport.Number `json:"low"`
	High       swarmreport.Number `json:"high"`
	Verdict    string             `json:"verdict"`
}

func (r *swarmValidateRun) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) > 0:
		return usagef("it takes no argument, but got %q", args[0])
	case r.seeds < 1 || r.seeds > maxRuns:
		return usagef("--seeds %d: write a number from 1 to %d", r.seeds, maxRuns)
	}
	if err := checkWorkers(r.workers); err != nil {
		return err
	}
	experiments := validate.Named(validate.Experiments(r.quick), r.only)
	if len(experiments) == 0 {
		return usagef("no check has %q in its name", r.only)
	}
	table := newTable(e)
	if !r.json {
		fmt.Fprintln(table, "kind\tswarm or model\tmeasure\texpected\tmeasured\t95 % interval\tverdict")
	}
	t := &trials{start: time.Now(), total: len(experiments) * r.seeds, running: make(map[trial]time.Time)}
	stop := t.tellEvery(e, tellTrialsEvery)
	rows, err := validate.Run(ctx, experiments, validate.Options{
		Seeds: r.seeds, Workers: r.workers, OnRow: func(row validate.Row) { r.tell(e, table, &row) }, OnTrial: t.heard,
	})
	stop()
	if flushErr := table.Flush(); err == nil {
		err = flushErr
	}
	if err != nil {
		return err
	}
	return verdictOf(rows)
}

// tellTrialsEvery is how often stderr says what is running. Rows say it, too, when
// they are there, but one of 10,000 peers takes many minutes.
const tellTrialsEvery = 20 * time.Second

// trials are what runs, and how many did.
type trials struct {
	mu      sync.Mutex
	start   time.Time
	done    int
	total   int
	running map[trial]time.Time // since when
}

// trial is one experiment with one seed.
type trial struct {
	name string
	seed uint64
}

func (t *trials) heard(e *validate.Experiment, seed uint64, begins bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if begins {
		t.running[trial{e.Name, seed}] = time.Now()
		return
	}
	delete(t.running, trial{e.Name, seed})
	t.done++
}

// tellEvery says how far it is until stop is called.
func (t *trials) tellEvery(e *env, every time.Duration) (stop func()) {
	done, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				e.logf("%s", t.line(now))
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-told
	}
}

// line is one line with all that runs, what began first at its front.
func (t *trials) line(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	running := slices.SortedFunc(maps.Keys(t.running), func(a, b trial) int {
		return cmp.Or(t.running[a].Compare(t.running[b]), cmp.Compare(a.seed, b.seed), cmp.Compare(a.name, b.name))
	})
	text := fmt.Sprintf("%d of %s done in %v", t.done, count(t.total, "run"), now.Sub(t.start).Round(time.Second))
	for _, r := range running {
		text += fmt.Sprintf("; %s, seed %d, for %v", r.name, r.seed, now.Sub(t.running[r]).Round(time.Second))
	}
	return text
}

// tell prints a row: an object at once, a line of the table at the end, when the widths of
// its columns are known. Until then stderr says what was found.
func (r *swarmValidateRun) tell(e *env, table *tabwriter.Writer, row *validate.Row) {
	if r.json {
		e.printJSON(validateJSON{
			Kind: row.Experiment.Kind, Experiment: row.Experiment.Name, Source: row.Experiment.Source,
			Check: row.Check.Name, Expected: row.Check.Expected, Values: row.Values, Mean: row.Interval.Mean,
			Low: swarmreport.Number(row.Interval.Low), High: swarmreport.Number(row.Interval.High), Verdict: verdictText(row),
		})
		return
	}
	e.logf("%s, %s: %s %s", row.Experiment.Name, row.Check.Name, measured(row.Interval.Mean), verdictText(row))
	interval := "-"
	if row.Interval.Known() {
		interval = measured(row.Interval.Low) + " to " + measured(row.Interval.High)
	}
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Experiment.Kind, row.Experiment.Name,
		row.Check.Name, row.Check.Expected, measured(row.Interval.Mean), interval, verdictText(row))
}

// measured writes a figure with four digits, and all of a large one.
func measured(x float64) string {
	if math.Abs(x) >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.4g", x)
}

func verdictText(row *validate.Row) string {
	switch {
	case row.Check.Reported():
		return "reported"
	case row.Holds():
		return "holds"
	}
	return "FAILS"
}

func verdictOf(rows []validate.Row) error {
	var failed []string
	for _, row := range rows {
		if !row.Holds() {
			failed = append(failed, row.Experiment.Name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("of %s, %d failed: %s", count(len(rows), "check"), len(failed), strings.Join(failed, "; "))
	}
	return nil
}
