package dhtnet

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Summary is what many searches came to. What never happened counts as later
// than everything that did.
type Summary struct {
	Searches           int
	Found              int // searches that found a peer
	FirstP50, FirstP99 time.Duration
	ConvergedP50       time.Duration
	ConvergedP99       time.Duration
	Learned, Answered  float64 // shares of the true closest eight
	QueriesP50         int
	QueriesP99         int
	QueriesMost        int
	QueriesMean        float64
	Stored             float64 // nodes that confirmed, of each search that stored
}

// Summarize sums up searches.
func Summarize(searches []*Search) (s Summary) {
	var first, converged []time.Duration
	var queries []int
	closest, learned, answered, sum, stored := 0, 0, 0, 0, 0
	for _, each := range searches {
		first, converged = append(first, orLate(each.First)), append(converged, orLate(each.Converged))
		queries = append(queries, each.Queries)
		sum += each.Queries
		closest, learned, answered, stored = closest+each.Closest, learned+each.Learned, answered+each.Answered, stored+each.Stored
		if each.First != Never {
			s.Found++
		}
	}
	if s.Searches = len(searches); s.Searches == 0 {
		return s
	}
	s.FirstP50, s.FirstP99 = percentile(first, 50), percentile(first, 99)
	s.ConvergedP50, s.ConvergedP99 = percentile(converged, 50), percentile(converged, 99)
	s.QueriesP50, s.QueriesP99, s.QueriesMost = percentile(queries, 50), percentile(queries, 99), slices.Max(queries)
	s.QueriesMean, s.Stored = float64(sum)/float64(s.Searches), float64(stored)/float64(s.Searches)
	s.Learned, s.Answered = float64(learned)/float64(max(closest, 1)), float64(answered)/float64(max(closest, 1))
	return s
}

func orLate(d time.Duration) time.Duration {
	if d == Never {
		return math.MaxInt64
	}
	return d
}

// percentile sorts values, of which there is at least one. It returns the
// least that is not exceeded by percent of them.
func percentile[T int | time.Duration](values []T, percent int) T {
	slices.Sort(values)
	return values[(len(values)*percent-1)/100]
}

// String returns the figures in one line.
func (s Summary) String() string {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	return fmt.Sprintf("%d of %d found; first peers p50 %d p99 %d ms; converged p50 %d p99 %d ms; closest eight: learned %.2f %%, answered %.2f %%; queries mean %.1f p50 %d p99 %d most %d",
		s.Found, s.Searches, ms(s.FirstP50), ms(s.FirstP99), ms(s.ConvergedP50), ms(s.ConvergedP99),
		100*s.Learned, 100*s.Answered, s.QueriesMean, s.QueriesP50, s.QueriesP99, s.QueriesMost)
}
