// Package stats says what numbers of experiments mean: quantiles, intervals
// over replicas, paired comparisons, tests of distributions, and measures of fairness.
//
// Everything is a pure function. What is random takes its generator as an argument, no argument is changed, and
// an answer that does not exist (the mean of nothing, the interval of one run) is NaN. Confidence is 95 % everywhere.
package stats
