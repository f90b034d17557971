package stats

import (
	"math"
	"slices"
	"sort"
)

// Sorted returns the finite numbers of x in ascending order.
func Sorted(x []float64) []float64 {
	sorted := make([]float64, 0, len(x))
	for _, v := range x {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	return sorted
}

// Quantile returns the p-quantile of sorted numbers by type 7 of Hyndman and
// Fan (1996), which R, NumPy and spreadsheets use: with h = (n-1)p it is the line between the numbers
// around position h, counted from 0. It is NaN of no numbers; a p outside of 0 to 1 counts as the nearer of
// the two. (stat.Quantile of Gonum has types 1 and 4 only.)
func Quantile(p float64, sorted []float64) float64 {
	if len(sorted) == 0 || math.IsNaN(p) {
		return math.NaN()
	}
	h := float64(len(sorted)-1) * min(max(p, 0), 1)
	below := int(h)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (h-float64(below))*(sorted[above]-sorted[below])
}

// ECDF is the empirical distribution of a sample.
type ECDF struct {
	sorted []float64
	// total is how many were to be observed: larger than len(sorted) if some
	// never happened, such as downloads that did not complete.
	total int
}

// NewECDF returns the distribution of x among total observations; those that
// are missing in x lie beyond every value. A total below len(x) counts as len(x).
func NewECDF(x []float64, total int) ECDF {
	sorted := Sorted(x)
	return ECDF{sorted, max(total, len(sorted))}
}

// At returns the part of the observations that are at most v, NaN without any.
func (e ECDF) At(v float64) float64 {
	if e.total == 0 {
		return math.NaN()
	}
	return float64(e.countTo(v)) / float64(e.total)
}

// countTo is how many numbers are at most v.
func (e ECDF) countTo(v float64) int {
	return sort.Search(len(e.sorted), func(i int) bool { return e.sorted[i] > v })
}

// Values returns the observed numbers in ascending order, not to be changed.
func (e ECDF) Values() []float64 { return e.sorted }

// Total is how many were to be observed.
func (e ECDF) Total() int { return e.total }
