package theory

import "math"

// Zipf returns the popularities of n contents by Zipf's law: that of rank r, from 1, is
// proportional to r^-alpha. They add up to 1.
func Zipf(n int, alpha float64) []float64 {
	p, sum := make([]float64, n), 0.0
	for i := range p {
		p[i] = math.Pow(float64(i+1), -alpha)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// Che is the hit ratio of an LRU cache that holds size contents, each asked for with the
// probability p, by the approximation of Che, Tung and Wang, "Hierarchical Web Caching Systems"
// (2002): a content is there if it was asked for within the characteristic time, which is the
// one in which size different ones are asked for. Size is less than the number of contents.
func Che(p []float64, size float64) (hits float64) {
	different := func(requests float64) (sum float64) {
		for _, q := range p {
			sum -= math.Expm1(-q * requests)
		}
		return sum
	}
	low, high := 0.0, 1.0
	for different(high) < size && !math.IsInf(high, 1) {
		high *= 2
	}
	for range 100 {
		if middle := (low + high) / 2; different(middle) < size {
			low = middle
		} else {
			high = middle
		}
	}
	for _, q := range p {
		hits -= q * math.Expm1(-q*low)
	}
	return hits
}
