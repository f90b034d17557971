package cdn

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

func (s service) big() *big.Int {
	b := new(big.Int).SetUint64(s.hi)
	return b.Lsh(b, 64).Add(b, new(big.Int).SetUint64(s.lo))
}

func TestServiceIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		numBytes := random.Int64N(maxContentLen) >> random.IntN(50)
		rate := 1 + random.Uint64N(fastest)>>random.IntN(60)
		d := time.Duration(random.Int64N(int64(maxTime)) >> random.IntN(60))
		a, b := serviceOf(numBytes), during(rate, d)
		if want := new(big.Int).Mul(big.NewInt(numBytes), new(big.Int).SetUint64(serviceOfByte)); a.big().Cmp(want) != 0 {
			t.Fatalf("%d bytes are %v, want %v", numBytes, a.big(), want)
		}
		if want := new(big.Int).Add(a.big(), b.big()); a.plus(b).big().Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v, want %v", a, b, a.plus(b).big(), want)
		}
		want := new(big.Int).Sub(a.big(), b.big())
		if want.Sign() < 0 {
			want.SetInt64(0)
		}
		if a.minus(b).big().Cmp(want) != 0 {
			t.Fatalf("%v - %v = %v, want %v", a, b, a.minus(b).big(), want)
		}
		if a.bytes() != numBytes {
			t.Fatalf("%d bytes came back as %d", numBytes, a.bytes())
		}
		checkTime(t, a, rate)
	}
}

// checkTime checks that at is the first nanosecond at which all is served.
func checkTime(t *testing.T, s service, rate uint64) {
	t.Helper()
	d := s.at(rate)
	if d == never {
		return
	}
	if during(rate, d).less(s) {
		t.Fatalf("after %v a rate of %d has not served %v", d, rate, s)
	}
	if d > 0 && !during(rate, d-1).less(s) {
		t.Fatalf("a rate of %d has served %v before %v", rate, s, d)
	}
}

func TestServiceAtItsLimits(t *testing.T) {
	if got := serviceOf(1).at(1); got != time.Duration(serviceOfByte) {
		t.Errorf("a byte at the least rate takes %v", got)
	}
	if got := (service{hi: 1}).at(1); got != never {
		t.Errorf("2^64 at rate 1 take %v, want never", got)
	}
	if got := (service{hi: math.MaxUint64}).bytes(); got != math.MaxInt64 {
		t.Errorf("%d bytes, want the most there are", got)
	}
	if got := windowRate(1<<62, time.Nanosecond); got != fastest {
		t.Errorf("a great window over a short way gives the rate %d", got)
	}
	if got, want := windowRate(mib, 100*time.Millisecond), rateOf(10*mib); got != want {
		t.Errorf("1 MiB each 100 ms is the rate %d, want %d", got, want)
	}
}
