package demand

import (
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// arrivals returns when the clients of a class join, at most n, of which the
// class has a part of the scenario's rate: a Poisson process cut into several by independent
// choices is several independent Poisson processes.
func arrivals(s *scenario.Scenario, class, n int, part float64, seed uint64) []time.Duration {
	joins := make([]time.Duration, 0, n)
	sum := 0.0 // of a Poisson process with the rate 1
	for i := range n {
		rng := drawer{seed, s.Classes[class].Name, i}.stream(drawArrival)
		switch s.Demand.Arrivals {
		case scenario.AtOnce:
			joins = append(joins, 0)
		case scenario.Window:
			joins = append(joins, time.Duration(rng.Float64()*float64(s.Demand.Window)))
		default:
			sum += rng.ExpFloat64()
			join, ok := at(&s.Demand, sum/(s.Demand.Rate*part))
			if !ok {
				return joins
			}
			joins = append(joins, join)
		}
	}
	slices.Sort(joins)
	return joins
}

// at returns the time by which a process with a rate that varies has had as many
// arrivals as one with the full rate would have after so many seconds. There may be no such
// time. So another rate stretches the arrivals and leaves their pattern as it is.
func at(d *scenario.Demand, fullRate float64) (join time.Duration, ok bool) {
	seconds := fullRate
	switch d.Arrivals {
	case scenario.Decaying:
		// The integral of exp(-t/tau) is tau (1 - exp(-t/tau)).
		tau := d.Decay.Seconds()
		if fullRate >= tau {
			return 0, false
		}
		seconds = -tau * math.Log1p(-fullRate/tau)
	case scenario.OnOff:
		on := d.On.Seconds()
		seconds += math.Floor(fullRate/on) * d.Off.Seconds()
	}
	if seconds >= min(d.Until, longest).Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
