package abstract

import (
	"math/rand/v2"

	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// Population is what a chain found, averaged over time.
type Population struct {
	Leechers, Seeds float64
	// Stay is the mean time of those who completed, from their arrival.
	Stay float64
}

// QiuSrikant plays the chain of which theory.Fluid is the limit: leechers
// arrive, complete, give up and, as seeds, leave one by one at random times. It
// counts after warmUp, until end, both in the model's unit of time. The limit is that of
// many peers: scale multiplies the arrivals, and the populations are divided by it again.
func QiuSrikant(f theory.Fluid, scale, warmUp, end float64, seed uint64) Population {
	f.Lambda *= scale
	c := fluidChain{Fluid: f, rng: rand.New(rand.NewPCG(seed, 1))}
	for c.now < end {
		c.step(max(warmUp, 0), end)
	}
	counted := (end - warmUp) * scale
	p := Population{Leechers: c.leecherTime / counted, Seeds: c.seedTime / counted}
	if c.completed > 0 {
		p.Stay = c.stayed / float64(c.completed)
	}
	return p
}

// fluidChain is the state of a run.
type fluidChain struct {
	theory.Fluid
	rng *rand.Rand
	now float64

	arrived []float64 // when each leecher that is there came, in no order
	seeds   int

	leecherTime, seedTime float64 // sums over the counted time
	stayed                float64
	completed             int
}

// step goes to the next event.
func (c *fluidChain) step(from, end float64) {
	leechers := float64(len(c.arrived))
	arrive, quit := c.Lambda, c.Theta*leechers
	complete, leave := c.Completions(leechers, float64(c.seeds)), c.Gamma*float64(c.seeds)
	rate := arrive + quit + complete + leave
	next := c.now + c.rng.ExpFloat64()/rate
	if counted := min(next, end) - max(c.now, from); counted > 0 {
		c.leecherTime += counted * leechers
		c.seedTime += counted * float64(c.seeds)
	}
	c.now = next
	switch u := c.rng.Float64() * rate; {
	case u < arrive:
		c.arrived = append(c.arrived, next)
	case u < arrive+quit && len(c.arrived) > 0:
		c.removeLeecher()
	case u < arrive+quit+complete && len(c.arrived) > 0:
		if came := c.removeLeecher(); next > from {
			c.stayed += next - came
			c.completed++
		}
		c.seeds++
	case c.seeds > 0:
		c.seeds--
	}
}

// removeLeecher takes out one that is drawn at random, and returns when it came.
func (c *fluidChain) removeLeecher() (came float64) {
	i, last := c.rng.IntN(len(c.arrived)), len(c.arrived)-1
	came = c.arrived[i]
	c.arrived[i] = c.arrived[last]
	c.arrived = c.arrived[:last]
	return came
}

// Doubling plays a flash crowd for a file of one part: in each file-time everybody
// who has it gives it to one who has not. It returns how many of numUsers users and the
// server have it after each file-time, the server alone first.
func Doubling(numUsers int) []int {
	holders := []int{1}
	for have := 1; have < numUsers+1; {
		have = min(2*have, numUsers+1)
		holders = append(holders, have)
	}
	return holders
}
