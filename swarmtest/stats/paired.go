package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// Verdict is what a comparison of B with A shows.
type Verdict string

// The verdicts.
const (
	Less         Verdict = "less"                // B's values are smaller
	Greater      Verdict = "greater"             // B's values are larger
	Undecided    Verdict = "no difference shown" // the interval holds 0
	Equal        Verdict = "equal"               // in every pair
	TooFewToTell Verdict = "too few runs"        // fewer than two pairs
)

// Comparison is that of two treatments on the same random numbers.
type Comparison struct {
	A, B Interval
	// Difference is that of B minus A in each pair.
	Difference Interval
	// P is the chance of a mean difference at least as far from 0 if there
	// were none (the two-sided paired t test), NaN if it is not known.
	P       float64
	Verdict Verdict
}

// Paired compares two treatments that were run with common random numbers:
// a[i] and b[i] come from the same seed. What the seed did to both cancels out in the differences,
// so fewer runs show more than with independent samples. The error is that of samples of different lengths.
func Paired(a, b []float64) (Comparison, error) {
	if len(a) != len(b) {
		return Comparison{}, fmt.Errorf("paired comparison of %d with %d runs: each needs its partner with the same seed", len(a), len(b))
	}
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = b[i] - a[i]
	}
	c := Comparison{A: Mean(a), B: Mean(b), Difference: Mean(differences)}
	c.P = pairedP(differences)
	c.Verdict = c.verdict(differences)
	return c, nil
}

// pairedP is the p-value of the two-sided t test that the mean is 0.
func pairedP(differences []float64) float64 {
	n := len(differences)
	if n < 2 {
		return math.NaN()
	}
	mean, deviation := stat.MeanStdDev(differences, nil)
	switch {
	case deviation == 0 && mean == 0:
		return 1
	case deviation == 0:
		return 0
	}
	t := math.Abs(mean) / (deviation / math.Sqrt(float64(n)))
	return 2 * studentT(n-1).Survival(t)
}

func (c *Comparison) verdict(differences []float64) Verdict {
	switch {
	case allZero(differences) && len(differences) > 0:
		return Equal
	case !c.Difference.Known():
		return TooFewToTell
	case c.Difference.High < 0:
		return Less
	case c.Difference.Low > 0:
		return Greater
	}
	return Undecided
}

func allZero(x []float64) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}
