package stats

import "math"

// Jain returns the fairness index of Jain, Chiu and Hawe (1984),
// (sum x)^2 / (n sum x^2): 1 if all get the same, k/n if k of n get the same and the others nothing. It is NaN of nothing,
// and 1 if all get 0.
func Jain(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 {
		return 1
	}
	var sum, squares float64
	for _, v := range x {
		v /= largest // so that squares do not overflow
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

// Gini returns the Gini coefficient of numbers that are not negative: 0 if
// all have the same, (n-1)/n if one has everything. It is NaN of nothing, and 0 if all have 0.
func Gini(x []float64) float64 {
	sorted := Sorted(x)
	if len(sorted) == 0 {
		return math.NaN()
	}
	n := float64(len(sorted))
	var sum, weighted float64
	for i, v := range sorted {
		sum += v
		weighted += (2*float64(i+1) - n - 1) * v
	}
	if sum == 0 {
		return 0
	}
	return weighted / (n * sum)
}

// ShareRatio is what somebody gave for what they took. It is NaN if they took
// nothing.
func ShareRatio(up, down int64) float64 {
	if down <= 0 {
		return math.NaN()
	}
	return float64(up) / float64(down)
}

// Evenness returns how evenly copies are spread over pieces: the entropy of a
// copy drawn at random, divided by the largest that so many pieces can have. It is 1 if there is the same number
// of copies of each piece and 0 if all copies are of one. It is NaN without copies; one piece is even.
func Evenness(copies []int) float64 {
	var total float64
	for _, n := range copies {
		total += float64(max(n, 0))
	}
	switch {
	case total == 0:
		return math.NaN()
	case len(copies) == 1:
		return 1
	}
	var entropy float64
	for _, n := range copies {
		if n > 0 {
			part := float64(n) / total
			entropy -= part * math.Log(part)
		}
	}
	return entropy / math.Log(float64(len(copies)))
}
