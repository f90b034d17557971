package abstract

import "math/rand/v2"

// Club describes the swarm of Hajek and Zhu that nearly everybody is in the
// same club of: all have every piece but one.
type Club struct {
	Lambda float64 // arrivals, with no piece
	SeedUp float64 // uploads of the seed
	Mu     float64 // uploads of each peer
	Gamma  float64 // at which those who have everything leave, 0 for at once
	Pieces int     // at most 16
	Start  int     // members at the beginning
}

// Drift plays the chain: the seed and every peer contact peers at random, at
// their rates, and give one useful piece, drawn at random, if they have one. It returns
// by how many peers the swarm grew, per unit of time.
func (c Club) Drift(duration float64, seed uint64) float64 {
	r := clubChain{Club: c, rng: rand.New(rand.NewPCG(seed, 2)), full: 1<<c.Pieces - 1, numPeers: c.Start}
	r.count = make([]int, 1<<c.Pieces)
	r.count[r.full&^1] = c.Start
	var now float64
	for {
		rate := r.rates()
		if now += r.rng.ExpFloat64() / rate; now > duration {
			return float64(r.numPeers-c.Start) / duration
		}
		r.step(rate)
	}
}

// clubChain is the state of a run: how many peers have each set of pieces.
type clubChain struct {
	Club
	rng      *rand.Rand
	full     int // the set of all pieces
	count    []int
	numPeers int

	present []int     // the sets that somebody has
	useful  []contact // with their rates
}

// contact is all contacts in which peers of one set give a piece to those of another.
type contact struct {
	from, to int // sets; from is -1 for the seed
	rate     float64
}

// rates gathers what can happen, without the contacts in which nothing
// passes: in a large club nearly all would be that. It returns the sum of all rates.
func (r *clubChain) rates() (sum float64) {
	r.present = r.present[:0]
	for set, n := range r.count {
		if n > 0 {
			r.present = append(r.present, set)
		}
	}
	r.useful = r.useful[:0]
	for _, to := range r.present {
		share := float64(r.count[to]) / float64(r.numPeers)
		if to == r.full {
			continue
		}
		sum += r.contact(-1, to, r.SeedUp*share)
		for _, from := range r.present {
			if from&^to != 0 {
				sum += r.contact(from, to, r.Mu*float64(r.count[from])*share)
			}
		}
	}
	return sum + r.Lambda + r.Gamma*float64(r.count[r.full])
}

func (r *clubChain) contact(from, to int, rate float64) float64 {
	r.useful = append(r.useful, contact{from, to, rate})
	return rate
}

// step lets one event happen.
func (r *clubChain) step(rate float64) {
	u := r.rng.Float64() * rate
	for _, c := range r.useful {
		if u -= c.rate; u < 0 {
			r.give(c)
			return
		}
	}
	if u < r.Lambda || r.count[r.full] == 0 {
		r.count[0]++
		r.numPeers++
		return
	}
	r.count[r.full]--
	r.numPeers--
}

// give moves a peer to the set with one useful piece more.
func (r *clubChain) give(c contact) {
	useful := r.full &^ c.to
	if c.from >= 0 {
		useful &= c.from
	}
	set := c.to | r.draw(useful)
	r.count[c.to]--
	if set == r.full && r.Gamma == 0 {
		r.numPeers--
		return
	}
	r.count[set]++
}

// draw returns one of the pieces of a set, as a set.
func (r *clubChain) draw(set int) int {
	var pieces [16]int
	n := 0
	for piece := 1; piece <= set; piece <<= 1 {
		if set&piece != 0 {
			pieces[n] = piece
			n++
		}
	}
	return pieces[r.rng.IntN(n)]
}
