package demand

import "math/rand/v2"

// drawer names the random streams of a client.
type drawer struct {
	seed  uint64
	class string
	index int
}

// draw is what a stream is for.
type draw uint64

// The numbers are part of what a seed means: a new draw goes to the end.
const (
	drawArrival draw = iota + 1
	drawNAT
	drawRegion
	drawISP
	drawPoint
	drawContent
	drawGiveUp
	drawSeedFor
	drawFault // and one more for each fault
)

// stream returns the beginning of the stream for one draw.
func (d drawer) stream(what draw) *rand.Rand {
	h := mix(d.seed)
	for _, c := range []byte(d.class) {
		h = mix(h ^ uint64(c))
	}
	return rand.New(rand.NewPCG(h, mix(mix(uint64(d.index))^uint64(what))))
}

// mix is the finalizer of splitmix64 (Steele, Lea, Flood, "Fast Splittable
// Pseudorandom Number Generators", 2014): seeds that are near each other lead far apart.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
