package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// about fails the test if got is not within a tolerance of want.
func about(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: %.10g, want %.10g", what, got, want)
	}
}

func TestQuantileIsType7(t *testing.T) {
	ten := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, c := range []struct {
		p    float64
		x    []float64
		want float64
	}{
		{0.25, ten, 3.25}, {0.5, ten, 5.5}, {0.95, ten, 9.55}, {0, ten, 1}, {1, ten, 10}, // R: quantile(1:10, p)
		{-1, ten, 1}, {2, ten, 10},
		{0.5, []float64{7}, 7}, {0.1, []float64{1, 11}, 2},
		{0.5, nil, math.NaN()}, {math.NaN(), ten, math.NaN()},
	} {
		about(t, "quantile", Quantile(c.p, c.x), c.want, 1e-12)
	}
}

func TestECDFCountsTheMissing(t *testing.T) {
	e := NewECDF([]float64{3, 1, 2, math.NaN()}, 5)
	for v, want := range map[float64]float64{0.5: 0, 1: 0.2, 2.5: 0.4, 3: 0.6, 100: 0.6} {
		about(t, "part", e.At(v), want, 0)
	}
	if !slices.Equal(e.Values(), []float64{1, 2, 3}) || e.Total() != 5 {
		t.Errorf("values %v of %d", e.Values(), e.Total())
	}
	about(t, "of nothing", NewECDF(nil, 0).At(1), math.NaN(), 0)
}

// sleep is the extra sleep of ten patients under two drugs (Cushny and
// Peebles 1905), on which Student first used his distribution.
var sleep = [2][]float64{
	{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0},
	{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4},
}

func TestPairedComparisonOfStudentsSleep(t *testing.T) {
	c, err := Paired(sleep[0], sleep[1])
	if err != nil {
		t.Fatal(err)
	}
	about(t, "mean difference", c.Difference.Mean, 1.58, 1e-9) // R: t.test(..., paired = TRUE)
	about(t, "low", c.Difference.Low, 0.7001142, 1e-6)
	about(t, "high", c.Difference.High, 2.4598858, 1e-6)
	about(t, "p", c.P, 0.002832890, 1e-8)
	if c.Verdict != Greater || c.A.N != 10 {
		t.Errorf("verdict %q of %d", c.Verdict, c.A.N)
	}
	independent := Mean(sleep[1]).Low - Mean(sleep[0]).High
	if independent > 0 {
		t.Error("the two intervals do not overlap: the pairs would not have been needed")
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want Verdict
	}{
		{[]float64{1, 2, 3}, []float64{0.1, 1, 2.1}, Less},
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, Equal},
		{[]float64{1, 2, 3}, []float64{2, 3, 4}, Greater}, // by 1 each time: no doubt left
		{[]float64{1, 2, 3}, []float64{2, 1, 3.5}, Undecided},
		{[]float64{1}, []float64{2}, TooFewToTell},
		{nil, nil, TooFewToTell},
	} {
		if got, err := Paired(c.a, c.b); err != nil || got.Verdict != c.want {
			t.Errorf("%v with %v: %q (%v), want %q", c.a, c.b, got.Verdict, err, c.want)
		}
	}
	if _, err := Paired([]float64{1}, nil); err == nil {
		t.Error("no error for a run without a partner")
	}
}

func TestIntervalsCoverTheMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	covered := 0
	const trials = 2000
	for range trials {
		x := make([]float64, 5)
		for i := range x {
			x[i] = 10 + rng.NormFloat64()
		}
		if ci := Mean(x); ci.Low <= 10 && 10 <= ci.High {
			covered++
		}
	}
	// 0.95 with a standard error of 0.005
	about(t, "coverage", float64(covered)/trials, Confidence, 0.02)
	if one := Mean([]float64{4}); one.Known() || one.Mean != 4 || !math.IsNaN(Mean(nil).Mean) {
		t.Errorf("one run: %v, none: %v", one, Mean(nil))
	}
}

func TestBootstrapIsSeededAndNearTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, 200)
	for i := range x {
		x[i] = rng.ExpFloat64()
	}
	mean := func(x []float64) float64 { return stat.Mean(x, nil) }
	run := func(seed uint64) Interval { return Bootstrap(x, mean, 2000, rand.New(rand.NewPCG(seed, 0))) }
	if run(1) != run(1) || run(1) == run(2) {
		t.Error("the interval does not depend on the seed, and on nothing else")
	}
	about(t, "half width", run(1).Half(), Mean(x).Half(), 0.02)
	if few := Bootstrap(x[:1], mean, 100, rng); few.Known() {
		t.Errorf("an interval of one number: %v", few)
	}
}

func TestFairness(t *testing.T) {
	about(t, "Jain, one of four", Jain([]float64{5, 0, 0, 0}), 0.25, 1e-12)
	about(t, "Jain, equal", Jain([]float64{3, 3, 3}), 1, 1e-12)
	about(t, "Jain, huge", Jain([]float64{1e300, 1e300}), 1, 1e-12)
	about(t, "Jain, 1 2 3", Jain([]float64{1, 2, 3}), 36.0/42, 1e-12)
	about(t, "Jain, nothing for all", Jain([]float64{0, 0}), 1, 0)
	about(t, "Jain, nobody", Jain(nil), math.NaN(), 0)
	about(t, "Gini, one of four", Gini([]float64{0, 0, 0, 1}), 0.75, 1e-12)
	about(t, "Gini, equal", Gini([]float64{3, 3, 3}), 0, 1e-12)
	about(t, "Gini, 1 2 3", Gini([]float64{3, 1, 2}), 2.0/9, 1e-12)
	about(t, "Gini, nothing", Gini([]float64{0, 0}), 0, 0)
	about(t, "share ratio", ShareRatio(3, 2), 1.5, 0)
	about(t, "share ratio of who took nothing", ShareRatio(3, 0), math.NaN(), 0)
}

func TestEvenness(t *testing.T) {
	about(t, "equal", Evenness([]int{4, 4, 4}), 1, 1e-12)
	about(t, "all of one", Evenness([]int{0, 9, 0}), 0, 0)
	about(t, "half of four", Evenness([]int{1, 1, 0, 0}), 0.5, 1e-12)
	about(t, "one piece", Evenness([]int{3}), 1, 0)
	about(t, "none", Evenness([]int{0, 0}), math.NaN(), 0)
}

func TestKolmogorovsDistribution(t *testing.T) {
	about(t, "limit, 10 %", kolmogorovSurvival(1.2238478702), 0.10, 1e-8)
	about(t, "limit, 5 %", kolmogorovSurvival(1.3580986393), 0.05, 1e-8)
	about(t, "limit, 1 %", kolmogorovSurvival(1.6276236115), 0.01, 1e-8)
	about(t, "where the series meet", kolmogorovSurvival(1-1e-12), kolmogorovSurvival(1), 1e-9)
	// the example of Marsaglia, Tsang and Wang
	about(t, "n = 10", kolmogorovExact(10, 0.274), 0.6284796154565043, 1e-12)
	// one observation: 2d - 1
	about(t, "n = 1", kolmogorovExact(1, 0.8), 0.6, 1e-12)
	about(t, "n = 1, hopeless", kolmogorovExact(1, 0.4), 0, 0)
	// Massey's table: the 5 % point of n = 20 is 0.29408
	about(t, "n = 20", 1-kolmogorovExact(20, 0.29408), 0.05, 1e-5)
}

// The exact p-value is that of all orders, counted one by one, also with values that occur
// several times.
func TestTwoSamplesByEnumeration(t *testing.T) {
	for _, c := range [][2][]float64{
		{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}}, // 2/252
		{{1, 2, 3}, {2.5, 3.5, 4.5, 5}},
		{{1, 1, 2, 3}, {1, 2, 2, 4, 4}},
		{{1, 1}, {1, 1, 1}},
	} {
		got := KolmogorovSmirnov(c[0], c[1])
		about(t, "D", got.D, stat.KolmogorovSmirnov(Sorted(c[0]), nil, Sorted(c[1]), nil), 1e-12)
		about(t, "p", got.P, enumeratedP(c[0], c[1], got.D), 1e-12)
	}
	about(t, "apart", KolmogorovSmirnov([]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}).P, 2.0/252, 1e-12)
}

// enumeratedP goes through all ways to give the values of both samples to
// samples of the same lengths.
func enumeratedP(a, b []float64, d float64) float64 {
	all := append(slices.Clone(a), b...)
	atLeast, ways := 0, 0
	for chosen := range 1 << len(all) {
		var x, y []float64
		for i, v := range all {
			if chosen>>i&1 == 1 {
				x = append(x, v)
			} else {
				y = append(y, v)
			}
		}
		if len(x) != len(a) {
			continue
		}
		ways++
		if stat.KolmogorovSmirnov(Sorted(x), nil, Sorted(y), nil) >= d-1e-12 {
			atLeast++
		}
	}
	return float64(atLeast) / float64(ways)
}

// Under the hypothesis a p-value is below 0.1 in one of ten tests, above and below the limits of
// the exact computation.
func TestPValuesAreUniform(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	normal := distuv.Normal{Mu: 0, Sigma: 1}
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		return x
	}
	const trials = 400
	for _, n := range []int{20, 150} {
		var rejectedTwo, rejectedOne int
		for range trials {
			if KolmogorovSmirnov(draw(n), draw(n+7)).P < 0.1 {
				rejectedTwo++
			}
			if KolmogorovSmirnovOne(draw(n), normal.CDF).P < 0.1 {
				rejectedOne++
			}
		}
		about(t, "two samples", float64(rejectedTwo)/trials, 0.1, 0.05)
		about(t, "one sample", float64(rejectedOne)/trials, 0.1, 0.05)
	}
	if p := KolmogorovSmirnovOne(draw(50), distuv.Normal{Mu: 1, Sigma: 1}.CDF).P; p > 1e-3 {
		t.Errorf("another distribution is not told apart: p = %v", p)
	}
	if none := KolmogorovSmirnov(nil, draw(3)); !math.IsNaN(none.P) || !math.IsNaN(KolmogorovSmirnovOne(nil, normal.CDF).D) {
		t.Error("an empty sample has a p-value")
	}
}
