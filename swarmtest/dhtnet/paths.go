package dhtnet

import (
	"math"
	"math/bits"
	"time"
)

// Paths are the ways between hosts: a round trip for each pair and a loss for
// each packet, both computed from hashes, so that no pair takes memory and the
// order of packets changes nothing. The zero Paths have no latency and no loss.
type Paths struct {
	Seed uint64

	// Round trips are lognormal: half of them are shorter than Median, and
	// their logarithm deviates by Sigma.
	Median time.Duration
	Sigma  float64

	// Loss is the share of packets that are lost, each way.
	Loss float64
}

// Internet returns the paths between ordinary hosts: a median round trip of
// 90 ms and a sigma of 0.6, so that one in twenty is above 240 ms, and 1 %
// loss.
func Internet(seed uint64) Paths {
	return Paths{Seed: seed, Median: 90 * time.Millisecond, Sigma: 0.6, Loss: 0.01}
}

// RoundTrip returns the round trip between two hosts, the same in both
// directions, in whole microseconds.
func (p *Paths) RoundTrip(a, b uint32) time.Duration {
	if a > b {
		a, b = b, a
	}
	h := p.hash(uint64(a)<<32 | uint64(b))
	// Box and Muller: two uniform numbers, the first not zero, make a normal one.
	u, v := float64(h>>32+1)/(1<<32), float64(uint32(h))/(1<<32)
	normal := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
	return time.Duration(float64(p.Median)*math.Exp(p.Sigma*normal) + 0.5).Truncate(time.Microsecond)
}

// Loses reports whether the packet with a number of its own is lost.
func (p *Paths) Loses(packet uint64) bool {
	return p.Loss > 0 && float64(p.hash(^packet)>>11)/(1<<53) < p.Loss
}

// hash mixes x with the seed by two wide multiplications (as wyhash does).
func (p *Paths) hash(x uint64) uint64 {
	high, low := bits.Mul64(x^0x9e3779b97f4a7c15, p.Seed^0xd1b54a32d192ed03)
	high, low = bits.Mul64(high^low^0x8bb84b93962eacc9, x^0x2d358dccaa6c78a5)
	return high ^ low
}
