package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// KS is the outcome of a Kolmogorov-Smirnov test.
type KS struct {
	// D is the largest distance of the two distribution functions, 0 to 1.
	D float64
	// P is the chance of a D at least as large if both were the same
	// distribution. It supposes that the observations are independent: downloads of one swarm are
	// not quite, and their P is too small.
	P float64
}

// Limits of the exact computations; beyond them P is that of the limit
// distribution. R's ks.test has the same ones.
const (
	maxExactPairs  = 10_000 // n times m, the cells of the two-sample recursion
	maxExactSample = 100
)

// KolmogorovSmirnov compares two samples. Values that occur several times are taken
// into account where P is exact. Both fields are NaN if a sample is empty.
func KolmogorovSmirnov(a, b []float64) KS {
	a, b = Sorted(a), Sorted(b)
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return KS{math.NaN(), math.NaN()}
	}
	ends, distance := walk(a, b)
	ks := KS{D: float64(distance) / (float64(n) * float64(m))}
	if n*m <= maxExactPairs {
		ks.P = exactTwoSampleP(n, m, distance, ends)
	} else {
		ks.P = kolmogorovSurvival(math.Sqrt(float64(n)*float64(m)/float64(n+m)) * ks.D)
	}
	return ks
}

// walk goes through both samples in ascending order. ends says for each number of values passed whether the next
// one is larger, and distance is the greatest of |i m - j n| there, when i and j of them have come from the one and the other.
func walk(a, b []float64) (ends []bool, distance int) {
	n, m := len(a), len(b)
	ends = make([]bool, n+m+1)
	for i, j := 0, 0; i < n || j < m; {
		var v float64
		if j == m || i < n && a[i] <= b[j] {
			v = a[i]
		} else {
			v = b[j]
		}
		for ; i < n && a[i] == v; i++ {
		}
		for ; j < m && b[j] == v; j++ {
		}
		ends[i+j] = true
		distance = max(distance, i*m-j*n, j*n-i*m)
	}
	return ends, distance
}

// exactTwoSampleP is the chance that a random order of n and m equals somewhere reaches
// the distance. Among the first i+j of a random order with i from a, the last one is from a with
// chance i/(i+j): that is the recursion. Distances count only where a run of equal values ends.
func exactTwoSampleP(n, m, distance int, ends []bool) float64 {
	reached := make([]float64, m+1) // the chance for i and every j
	for i := 0; i <= n; i++ {
		for j := 0; j <= m; j++ {
			far := max(i*m-j*n, j*n-i*m) >= distance
			switch {
			case i+j == 0:
				reached[j] = 0
			case far && ends[i+j]:
				reached[j] = 1
			default:
				reached[j] = lastStep(reached, i, j)
			}
		}
	}
	if distance == 0 {
		return 1
	}
	return min(reached[m], 1)
}

// lastStep mixes the chances of the two places from which (i, j) is reached.
// reached holds the row of i from 0 to j-1 and that of i-1 from j on.
func lastStep(reached []float64, i, j int) (p float64) {
	if i > 0 {
		p += reached[j] * float64(i) / float64(i+j)
	}
	if j > 0 {
		p += reached[j-1] * float64(j) / float64(i+j)
	}
	return p
}

// KolmogorovSmirnovOne compares a sample with a continuous distribution, given by its distribution function.
// Both fields are NaN if the sample is empty.
func KolmogorovSmirnovOne(x []float64, cdf func(float64) float64) KS {
	x = Sorted(x)
	n := len(x)
	if n == 0 {
		return KS{math.NaN(), math.NaN()}
	}
	var d float64
	for i, v := range x {
		expected := cdf(v)
		d = max(d, float64(i+1)/float64(n)-expected, expected-float64(i)/float64(n))
	}
	if n <= maxExactSample {
		return KS{d, min(max(1-kolmogorovExact(n, d), 0), 1)}
	}
	return KS{d, kolmogorovSurvival(math.Sqrt(float64(n)) * d)}
}

// kolmogorovExact is the chance that D of n observations is below d, by
// Marsaglia, Tsang and Wang, "Evaluating Kolmogorov's Distribution" (2003): n!/n^n times one element of the n-th power of a matrix
// whose size is about 2nd.
func kolmogorovExact(n int, d float64) float64 {
	if d >= 1 {
		return 1
	}
	if d*float64(n) <= 0.5 {
		return 0 // no sample comes closer
	}
	k := int(math.Ceil(float64(n) * d))
	h := float64(k) - float64(n)*d
	var power mat.Dense
	power.Pow(marsagliaMatrix(2*k-1, h), n)
	p := power.At(k-1, k-1)
	for i := 1; i <= n; i++ {
		p *= float64(i) / float64(n)
	}
	return p
}

// marsagliaMatrix is H of the paper's section 2, of a size and with h = k - nd.
func marsagliaMatrix(size int, h float64) *mat.Dense {
	matrix := mat.NewDense(size, size, nil)
	for i := range size {
		for j := 0; j < min(i+2, size); j++ {
			matrix.Set(i, j, 1)
		}
	}
	for i := range size {
		matrix.Set(i, 0, matrix.At(i, 0)-math.Pow(h, float64(i+1)))
		matrix.Set(size-1, i, matrix.At(size-1, i)-math.Pow(h, float64(size-i)))
	}
	if 2*h > 1 {
		matrix.Set(size-1, 0, matrix.At(size-1, 0)+math.Pow(2*h-1, float64(size)))
	}
	factorial := 1.0
	for below := 1; below <= size; below++ { // how far below the diagonal above the main one
		factorial *= float64(below)
		for i := below - 1; i < size; i++ {
			matrix.Set(i, i-below+1, matrix.At(i, i-below+1)/factorial)
		}
	}
	return matrix
}

// kolmogorovSurvival is the chance that the limit distribution of sqrt(n) D
// is above x.
func kolmogorovSurvival(x float64) float64 {
	if x <= 0 {
		return 1
	}
	if x < 1 { // the series that converges fast for small x
		var below float64
		for k := 1; k <= 20; k++ {
			odd := float64(2*k - 1)
			below += math.Exp(-odd * odd * math.Pi * math.Pi / (8 * x * x))
		}
		return 1 - math.Sqrt(2*math.Pi)/x*below
	}
	var p float64
	for k := 20; k >= 1; k-- {
		term := 2 * math.Exp(-2*float64(k*k)*x*x)
		if k%2 == 0 {
			term = -term
		}
		p += term
	}
	return min(max(p, 0), 1)
}
