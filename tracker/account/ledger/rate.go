package ledger

import (
	"math"
	"math/bits"
	"time"
)

// Rate is what counts of the bytes of an announce, in percent. The zero Rate
// counts nothing; NormalRate is the usual one.
type Rate struct{ UpPercent, DownPercent uint32 }

// NormalRate counts every byte once.
var NormalRate = Rate{100, 100}

// MaxPercent bounds a multiplier: ten times.
const MaxPercent = 1000

// Promotion is a Rate for a time, such as freeleech (nothing downloaded
// counts) for a weekend. It is in force from From on and before Until, both
// since the Unix epoch; an Until of 0 means for good. The zero Promotion is
// none, because it has no Rate.
type Promotion struct {
	Rate        Rate
	From, Until time.Duration
}

// ActiveAt reports whether the promotion is in force.
func (p Promotion) ActiveAt(now time.Duration) bool {
	return p.Rate != (Rate{}) && now >= p.From && (p.Until == 0 || now < p.Until)
}

// RateAt returns what counts while several promotions are announced: of those
// in force the best for the user, upwards and downwards apart.
func RateAt(now time.Duration, promotions ...Promotion) Rate {
	rate := NormalRate
	for _, p := range promotions {
		if p.ActiveAt(now) {
			rate.UpPercent = max(rate.UpPercent, p.Rate.UpPercent)
			rate.DownPercent = min(rate.DownPercent, p.Rate.DownPercent)
		}
	}
	return rate
}

// scale returns percent of n, which is not negative, or the largest int64.
func scale(n int64, percent uint32) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(percent))
	if hi >= 100 {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, 100)
	return int64(min(q, math.MaxInt64))
}

// add returns the sum of two numbers that are not negative, or the largest
// int64.
func add[T ~int64](a, b T) T {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
