package validate

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// What takes no engine holds, with every seed; so do the names.
func TestClosedFormsAndModelsHold(t *testing.T) {
	experiments := slices.Concat(closedForms(), abstractModels(), []Experiment{originOfTheTextbook(), copiesOfTiers()})
	var seen []string
	rows, err := Run(t.Context(), experiments, Options{OnRow: func(r Row) {
		seen = append(seen, r.Experiment.Name+r.Check.Name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if len(r.Values) != DefaultSeeds || !r.Holds() {
			t.Errorf("%s: %s: %v, want %s", r.Experiment.Name, r.Check.Name, r.Values, r.Check.Expected)
		}
		if seen[i] != r.Experiment.Name+r.Check.Name {
			t.Errorf("row %d came as %q", i, seen[i])
		}
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) != len(rows) {
		t.Error("two rows have one name")
	}
}

// The quick engine runs hold with one seed; `shoal swarm validate` uses more.
func TestTheEngineHolds(t *testing.T) {
	quick := []Experiment{randomPopulations(), originAlone(), kumarRoss(10), bharambe(50, 16*mib), noEndgame(), processorSharing(0.8, 1)}
	quick = append(quick, poorSeedOfAPaper(), zipfCache(0.6), oneAtATime())
	rows, err := Run(t.Context(), quick, Options{Seeds: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if t.Logf("%s: %s %.3f", r.Experiment.Name, r.Check.Name, r.Interval.Mean); !r.Holds() {
			t.Errorf("want %s", r.Check.Expected)
		}
	}
}

// Each paper's file is a scenario that says what it shows.
func TestPapersAreScenarios(t *testing.T) {
	entries, err := papers.ReadDir("papers")
	if err != nil || len(entries) == 0 {
		t.Fatal("no papers", err)
	}
	for _, entry := range entries {
		data, err := papers.ReadFile("papers/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Source{File: entry.Name(), Data: data}.Parse()
		if err != nil {
			t.Error(err)
		} else if s.Shows == "" || s.Description == "" {
			t.Errorf("%s does not say what it shows, or whose it is", entry.Name())
		}
	}
}

func TestNamed(t *testing.T) {
	for text, want := range map[string]bool{"bharambe": true, "KUMAR": true, "random populations": true, "nobody": false} {
		if got := Named(Experiments(false), text); (len(got) > 0) != want || len(got) == len(Experiments(false)) {
			t.Errorf("%q: %d experiments", text, len(got))
		}
	}
}

// A run under way ends when the context does.
func TestRunsAreInterrupted(t *testing.T) {
	for _, e := range []Experiment{bharambe(1000, 1000*mib), crowdOfEquals()} {
		ctx, cancel := context.WithCancel(t.Context())
		begun := 0
		_, err := Run(ctx, []Experiment{e}, Options{Seeds: 1, Workers: 1, OnTrial: func(_ *Experiment, _ uint64, begins bool) {
			begun++
			cancel()
		}})
		if !errors.Is(err, context.Canceled) || begun != 2 {
			t.Errorf("%s: %v, %d calls", e.Name, err, begun)
		}
	}
}

func TestVerdicts(t *testing.T) {
	bound := always(atLeast("", "", 1))
	for _, c := range []struct {
		check  Check
		values []float64
		want   bool
	}{
		{atMost("", "", 2), []float64{1, 1.1, 0.9}, true},
		{atMost("", "", 2), []float64{1.9, 2.3, 1.7}, false}, // the mean alone is not enough
		{atMost("", "", 2), []float64{2}, true},
		{between("", "", 1, 2), []float64{1.5, math.NaN()}, false},
		{bound, []float64{5, 1, 9}, true},
		{bound, []float64{5, 0.999, 9}, false},
		{bound, []float64{math.NaN(), 2}, false},
		{reported(""), []float64{1, 7}, true},
	} {
		r := Row{Check: &c.check, Values: c.values, Interval: stats.Mean(c.values)}
		if r.Holds() != c.want {
			t.Errorf("%+v with %v: %t", c.check, c.values, r.Holds())
		}
	}
}

func TestAFailedRunAndACancelledOneEnd(t *testing.T) {
	broken := errors.New("broken")
	fails := Experiment{Name: "fails", Checks: []Check{reported("x")}, run: func(_ context.Context, seed uint64) ([]float64, error) {
		if seed == 3 {
			return nil, broken
		}
		return []float64{1}, nil
	}}
	if _, err := Run(t.Context(), []Experiment{fails}, Options{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Experiments(true), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
