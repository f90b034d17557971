package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// digest stands for all the events of one host, in the order in which it was handed
// them. It is no cryptographic hash: that would cost more than many an event.
// Hosts have one each, so that kernels side by side need not agree on an order of
// all events.
type digest uint64

// The constants of the digest: digits of pi, so that they are nobody's choice.
const (
	digestKey0 = 0x243f6a8885a308d3
	digestKey1 = 0x13198a2e03707344
	digestKey2 = 0xa4093822299f31d0
)

// add takes an event in. Where it waited (its payload's slot) and how many
// events others scheduled do not count.
func (d *digest) add(ev *Event) {
	x := fold(uint64(*d)^uint64(ev.at)^digestKey0, uint64(ev.from())<<32|uint64(ev.Kind)<<24|uint64(ev.Sub)<<16|uint64(ev.size)^digestKey1)
	x = fold(x^uint64(ev.A)<<32^uint64(ev.B), uint64(ev.Flow)<<32^uint64(ev.C)^uint64(ev.acks)<<16^digestKey2)
	*d = digest(x)
}

// fold is the product of two numbers, folded in the middle.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// Hash stands for every event delivered so far: it is the SHA-256 of the digests of
// all hosts. Two runs with the same hash delivered the same events to each
// host, at the same times and in the same order.
func (w *world) Hash() (sum [32]byte) {
	hash := sha256.New()
	for _, h := range w.hosts {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(h.digest))
		hash.Write(b[:])
	}
	hash.Sum(sum[:0])
	return sum
}
