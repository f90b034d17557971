package cdn

import (
	"math"
	"math/bits"
	"time"
)

// Rates are integers in units of 2^-20 bytes/s, so that a thousandth of a slow
// uplink is still exact to a millionth. Service is rate times time: it counts
// units of 2^-20 x 10^-9 bytes, in 128 bits, and nothing is lost to rounding
// but in the division of a link's rate among flows, which rounds down.
const (
	rateShift = 20
	// fastest stands for an unlimited rate, and is the greatest there is: 2^40
	// bytes/s.
	fastest uint64 = 1 << (MaxRateBits + rateShift)
	// serviceOfByte is what a byte takes.
	serviceOfByte uint64 = (1 << rateShift) * uint64(time.Second)
)

// MaxRateBits bounds the rates of a Config: 2^MaxRateBits bytes/s is about 9
// Tbit/s.
const MaxRateBits = 40

// never is later than every event.
const never = time.Duration(math.MaxInt64)

// rateOf converts bytes/s, 0 for unlimited.
func rateOf(bytesPerSecond int64) uint64 {
	if bytesPerSecond == 0 {
		return fastest
	}
	return uint64(bytesPerSecond) << rateShift
}

// service is an amount of data, 128 bits wide.
type service struct{ hi, lo uint64 }

func serviceOf(numBytes int64) service {
	hi, lo := bits.Mul64(uint64(numBytes), serviceOfByte)
	return service{hi, lo}
}

// during is the service of a rate in a time.
func during(rate uint64, d time.Duration) service {
	hi, lo := bits.Mul64(rate, uint64(d))
	return service{hi, lo}
}

func (s service) plus(t service) service {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	hi, _ := bits.Add64(s.hi, t.hi, carry)
	return service{hi, lo}
}

// minus is s - t, or none if t is more.
func (s service) minus(t service) service {
	if s.less(t) {
		return service{}
	}
	lo, borrow := bits.Sub64(s.lo, t.lo, 0)
	hi, _ := bits.Sub64(s.hi, t.hi, borrow)
	return service{hi, lo}
}

func (s service) less(t service) bool {
	return s.hi < t.hi || s.hi == t.hi && s.lo < t.lo
}

// bytes is how many whole bytes s is.
func (s service) bytes() int64 {
	if s.hi >= serviceOfByte {
		return math.MaxInt64
	}
	n, _ := bits.Div64(s.hi, s.lo, serviceOfByte)
	return int64(min(n, math.MaxInt64))
}

// at is how long a rate takes for s, rounded up to a nanosecond.
func (s service) at(rate uint64) time.Duration {
	if s.hi >= rate {
		return never
	}
	d, rest := bits.Div64(s.hi, s.lo, rate)
	if rest > 0 {
		d++
	}
	return time.Duration(min(d, uint64(never)))
}
