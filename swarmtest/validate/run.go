package validate

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// DefaultSeeds is the number of seeds that an experiment is run with.
const DefaultSeeds = 5

// Row is the outcome of one check.
type Row struct {
	Experiment *Experiment
	Check      *Check
	Values     []float64 // by seed
	Interval   stats.Interval
}

// Holds tells whether the check does.
func (r *Row) Holds() bool {
	if r.Check.Always {
		return !slices.ContainsFunc(r.Values, func(v float64) bool { return !r.Check.accepts(v) })
	}
	if !r.Interval.Known() { // one seed, or nothing was random
		return r.Check.accepts(r.Interval.Mean)
	}
	return r.Check.accepts(r.Interval.Low) && r.Check.accepts(r.Interval.High)
}

// accepts tells whether a number is what is expected. No NaN is.
func (c *Check) accepts(v float64) bool { return v >= c.Min && v <= c.Max }

// Options bound a run.
type Options struct {
	Seeds   int // how many, from 1 up; 0 for DefaultSeeds
	Workers int // how many at a time; 0 for one per core
	// OnRow, if not nil, is called with each row, in the order of the table, as soon
	// as it and all before it are there.
	OnRow func(Row)
	// OnTrial, if not nil, is called when an experiment with a seed begins and when it ends, by several
	// goroutines at a time.
	OnTrial func(e *Experiment, seed uint64, begins bool)
}

// Run runs experiments with every seed and returns a row for each check. The error
// is that of a context, or of a run that did not come to its end.
func Run(ctx context.Context, experiments []Experiment, o Options) ([]Row, error) {
	if o.Seeds == 0 {
		o.Seeds = DefaultSeeds
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	t := newTable(experiments, o.Seeds)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.fill(ctx, o) })
	var rows []Row
	for i := range experiments {
		select {
		case <-t.done[i]:
		case <-ctx.Done():
			return rows, group.Wait()
		}
		for c := range experiments[i].Checks {
			row := t.row(i, c)
			if rows = append(rows, row); o.OnRow != nil {
				o.OnRow(row)
			}
		}
	}
	return rows, group.Wait()
}

// table holds the numbers while they come in.
type table struct {
	experiments []Experiment
	values      [][][]float64 // by experiment, seed and check
	done        []chan struct{}
}

func newTable(experiments []Experiment, numSeeds int) *table {
	t := &table{experiments: experiments}
	for range experiments {
		t.values = append(t.values, make([][]float64, numSeeds))
		t.done = append(t.done, make(chan struct{}))
	}
	return t
}

// fill runs all, several at a time, one experiment after the other.
func (t *table) fill(ctx context.Context, o Options) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	for i := range t.experiments {
		var numDone atomic.Int32
		for seed := range o.Seeds {
			group.Go(func() error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				values, err := o.try(ctx, &t.experiments[i], uint64(seed)+1)
				if err != nil {
					return err
				}
				t.values[i][seed] = values
				if int(numDone.Add(1)) == o.Seeds {
					close(t.done[i])
				}
				return nil
			})
		}
	}
	return group.Wait()
}

// try runs an experiment with one seed.
func (o *Options) try(ctx context.Context, e *Experiment, seed uint64) ([]float64, error) {
	if o.OnTrial != nil {
		o.OnTrial(e, seed, true)
		defer o.OnTrial(e, seed, false)
	}
	values, err := e.run(ctx, seed)
	if err != nil {
		return nil, fmt.Errorf("%s, seed %d: %w", e.Name, seed, err)
	}
	return values, nil
}

func (t *table) row(experiment, check int) Row {
	r := Row{Experiment: &t.experiments[experiment], Check: &t.experiments[experiment].Checks[check]}
	for _, values := range t.values[experiment] {
		r.Values = append(r.Values, values[check])
	}
	r.Interval = stats.Mean(r.Values)
	if slices.Min(r.Values) == slices.Max(r.Values) { // rounding would make an interval of them
		r.Interval = stats.Interval{Mean: r.Values[0], Low: math.NaN(), High: math.NaN(), N: len(r.Values)}
	}
	return r
}
