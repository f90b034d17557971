package stats

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is that of every interval here.
const Confidence = 0.95

// Interval is an estimate with its 95 % confidence interval.
type Interval struct {
	Mean, Low, High float64
	// N is how many numbers it is made of.
	N int
}

// Known reports whether there is an interval: a single run has a value, but
// says nothing about how another one would differ.
func (i Interval) Known() bool { return !math.IsNaN(i.Low) && !math.IsNaN(i.High) }

// Half is half of the interval's width, NaN if it is not known.
func (i Interval) Half() float64 { return (i.High - i.Low) / 2 }

// Mean returns the mean of independent replicas with the interval of
// Student's t distribution.
func Mean(x []float64) Interval {
	mean, deviation := stat.MeanStdDev(x, nil)
	n := len(x)
	if n == 0 {
		mean = math.NaN()
	}
	if n < 2 {
		return Interval{mean, math.NaN(), math.NaN(), n}
	}
	half := studentT(n-1).Quantile((1+Confidence)/2) * deviation / math.Sqrt(float64(n))
	return Interval{mean, mean - half, mean + half, n}
}

// studentT is the distribution of a mean's error in units of its estimated
// deviation, with so many degrees of freedom.
func studentT(freedom int) distuv.StudentsT {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}
}

// Bootstrap returns statistic(x) with the percentile interval of so many
// resamples of x: for statistics with no formula, a median or a Jain index. The statistic gets its numbers in
// no order, in a slice that is valid for the call. Below two numbers there is no interval.
func Bootstrap(x []float64, statistic func([]float64) float64, resamples int, rng *rand.Rand) Interval {
	estimate := Interval{statistic(x), math.NaN(), math.NaN(), len(x)}
	if len(x) < 2 || resamples < 2 {
		return estimate
	}
	values := make([]float64, resamples)
	resample := make([]float64, len(x))
	for i := range values {
		for j := range resample {
			resample[j] = x[rng.IntN(len(x))]
		}
		values[i] = statistic(resample)
	}
	sorted := Sorted(values)
	estimate.Low = Quantile((1-Confidence)/2, sorted)
	estimate.High = Quantile((1+Confidence)/2, sorted)
	return estimate
}
