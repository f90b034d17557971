package theory

import (
	"math"
	"testing"
)

func TestMakespan(t *testing.T) {
	for _, c := range []struct {
		parts, users int
		want         float64
	}{
		{1, 1, 1}, {1, 2, 2}, {1, 3, 2}, {1, 4, 3}, {1, 1023, 10},
		{10, 1, 1}, {10, 7, 1.2}, {10, 8, 1.3}, {100, 1000, 1.09},
	} {
		if got := Makespan(c.parts, c.users); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%d parts, %d users: %v, want %v", c.parts, c.users, got, c.want)
		}
	}
}

// The two examples of Qiu and Srikant: downlinks bind in one, uplinks in the other.
func TestSteadyState(t *testing.T) {
	for _, c := range []struct{ gamma, leechers, seeds, stay float64 }{
		{0.001, 40.0 / 3, 80.0 / 3, 1000.0 / 3},
		{0.005, 15, 5, 375},
	} {
		f := Fluid{Lambda: 0.04, Theta: 0.001, C: 0.002, Mu: 0.00125, Eta: 1, Gamma: c.gamma}
		x, y, stay := f.Steady()
		if math.Abs(x-c.leechers) > 1e-9 || math.Abs(y-c.seeds) > 1e-9 || math.Abs(stay-c.stay) > 1e-9 {
			t.Errorf("gamma %v: %v leechers, %v seeds, %v; want %v, %v, %v", c.gamma, x, y, stay, c.leechers, c.seeds, c.stay)
		}
		// It is where nothing changes any more.
		done := f.Completions(x, y)
		if grow := f.Lambda - f.Theta*x - done; math.Abs(grow) > 1e-12 {
			t.Errorf("gamma %v: leechers grow by %v", c.gamma, grow)
		}
		if grow := done - f.Gamma*y; math.Abs(grow) > 1e-12 {
			t.Errorf("gamma %v: seeds grow by %v", c.gamma, grow)
		}
	}
}

func TestOneClubDrift(t *testing.T) {
	for _, c := range []struct{ lambda, seedUp, mu, gamma, want float64 }{
		{1, 0.5, 1, 0, 0.5}, // nobody stays: the seed alone
		{1, 1, 1, 0, 0},
		{1, 1.5, 1, 0, -0.5},
		{1, 0.25, 1, 2, 0.5}, // everybody completes one half more
		{1, 0, 1, 2, 1},
	} {
		if got := OneClubDrift(c.lambda, c.seedUp, c.mu, c.gamma); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Contents that are all alike are hit in proportion to the cache; of two contents a cache for
// one has the more popular one more often than not.
func TestChe(t *testing.T) {
	if got := Che(Zipf(1000, 0), 250); math.Abs(got-0.25) > 1e-9 {
		t.Errorf("all alike, room for a quarter: %v", got)
	}
	if p := Zipf(2, 1); math.Abs(p[0]-2.0/3) > 1e-12 || math.Abs(p[1]-1.0/3) > 1e-12 {
		t.Errorf("Zipf of two: %v", p)
	}
	// exp(-2x/3) + exp(-x/3) = 1 has the solution exp(-x/3) = (sqrt 5 - 1)/2.
	q := (math.Sqrt(5) - 1) / 2
	if got, want := Che(Zipf(2, 1), 1), 2.0/3*(1-q*q)+1.0/3*(1-q); math.Abs(got-want) > 1e-9 {
		t.Errorf("room for one of two: %v, want %v", got, want)
	}
	if low, high := Che(Zipf(1000, 0.6), 100), Che(Zipf(1000, 1.2), 100); low >= high {
		t.Errorf("hit ratios %v and %v: the steeper the better", low, high)
	}
}
