package node

import (
	"encoding/binary"
	"math/bits"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// idBits is the length of the key space's numbers.
const idBits = 160

// words cuts an id into three numbers, the most significant first.
func words(id *krpc.ID) (a, b uint64, c uint32) {
	return binary.BigEndian.Uint64(id[0:]), binary.BigEndian.Uint64(id[8:]), binary.BigEndian.Uint32(id[16:])
}

// sharedBits returns how many leading bits x and y have in common, 0 to
// idBits.
func sharedBits(x, y *krpc.ID) int {
	xa, xb, xc := words(x)
	ya, yb, yc := words(y)
	switch {
	case xa != ya:
		return bits.LeadingZeros64(xa ^ ya)
	case xb != yb:
		return 64 + bits.LeadingZeros64(xb^yb)
	}
	return 128 + bits.LeadingZeros32(xc^yc)
}

// compareDistance is negative if x is closer to target than y, and positive
// if it is farther. BEP 5: "the distance metric is XOR and the result is
// interpreted as an unsigned integer".
func compareDistance(target, x, y *krpc.ID) int {
	ta, tb, tc := words(target)
	xa, xb, xc := words(x)
	ya, yb, yc := words(y)
	switch {
	case xa != ya:
		return order(xa^ta, ya^ta)
	case xb != yb:
		return order(xb^tb, yb^tb)
	}
	return order(uint64(xc^tc), uint64(yc^tc))
}

func order(x, y uint64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// flipped returns id with its i-th bit, counted from the most significant,
// turned over.
func flipped(id krpc.ID, i int) krpc.ID {
	id[i/8] ^= 0x80 >> (i % 8)
	return id
}

// bit returns the i-th bit of id, counted from the most significant.
func bit(id *krpc.ID, i int) byte { return id[i/8] >> (7 - i%8) & 1 }
