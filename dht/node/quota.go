package node

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"time"
)

// quota bounds the bytes that are sent in answer to each source and to its
// network, so that a forged source address cannot turn the node into a gun. It
// is a table of fixed size: with more sources than it has cells, those silent
// for longer are forgotten.
type quota struct {
	cells  []quotaCell // made by the first query; a power of two of them
	size   int
	secret [2]uint64 // against sources chosen to collide
}

// quotaCell counts the bytes sent to one source, which drain at its rate.
type quotaCell struct {
	key   uint64
	ms    uint32 // the clock when level was true
	level uint32
}

func (q *quota) init(maxSources int, rnd *rand.Rand) {
	if maxSources <= 0 {
		maxSources = defaultSources
	}
	q.size = 1 << bits.Len(uint(max(maxSources, 2)-1))
	q.secret = [2]uint64{rnd.Uint64(), rnd.Uint64()}
}

// allows reports whether an answer may be sent to from.
func (q *quota) allows(now time.Duration, from netip.AddrPort) bool {
	if q.cells == nil {
		q.cells = make([]quotaCell, q.size)
	}
	source, network, hasNetwork := q.keys(from)
	return q.cell(now, source, 1).level < sourceBurst &&
		(!hasNetwork || q.cell(now, network, networkAllowance).level < networkAllowance*sourceBurst)
}

// charge counts bytes that were sent to from.
func (q *quota) charge(now time.Duration, from netip.AddrPort, numBytes int) {
	source, network, hasNetwork := q.keys(from)
	q.cell(now, source, 1).level += uint32(numBytes)
	if hasNetwork {
		q.cell(now, network, networkAllowance).level += uint32(numBytes)
	}
}

// cell returns the cell of key, drained until now: of the two in which it may
// be, its own or else that which was used less recently.
func (q *quota) cell(now time.Duration, key uint64, allowance uint32) *quotaCell {
	ms := uint32(now / time.Millisecond)
	i := int(key) & (q.size - 1)
	c, other := &q.cells[i], &q.cells[i^1]
	if c.key != key && (other.key == key || ms-other.ms > ms-c.ms) {
		c = other
	}
	if c.key != key {
		*c = quotaCell{key: key, ms: ms}
	}
	drained := uint64(ms-c.ms) * uint64(sourceRate*allowance) / 1000
	if drained > 0 {
		c.level -= uint32(min(drained, uint64(c.level)))
		c.ms = ms
	}
	return c
}

// keys returns what a source and its network are counted under. A local
// source is one of many nodes at its address, and its network has no bound:
// those are tests and home networks.
func (q *quota) keys(from netip.AddrPort) (source, net uint64, hasNetwork bool) {
	ip := from.Addr()
	all := ip.As16()
	if local(ip) {
		return q.hash(&all, uint64(from.Port())), 0, false
	}
	source = q.hash(&all, 1<<16)
	if ip.Is4() {
		all[15] = 0
	} else {
		clear(all[8:])
	}
	return source, q.hash(&all, 1<<17), true
}

// hash mixes an address with the secret by two wide multiplications, which is
// quick and cannot be steered without knowing the secret.
func (q *quota) hash(ip *[16]byte, salt uint64) uint64 {
	high, low := bits.Mul64(binary.BigEndian.Uint64(ip[:])^q.secret[0], binary.BigEndian.Uint64(ip[8:])^q.secret[1]^salt)
	high, low = bits.Mul64(high^low^salt, q.secret[0]|1)
	return high ^ low
}
