// Package bitfield holds a set of piece indices in the layout of BEP 3's
// bitfield message: the first byte holds the indices 0 to 7 from high bit to
// low bit, and the spare bits at the end are zero.
package bitfield

import (
	"errors"
	"iter"
	"math"
	"math/bits"
)

// ErrLength says that the bytes of a bitfield are too few or too many for its
// pieces; ErrSpare that a bit past the last piece is set. A peer that sends
// either is broken or hostile.
var (
	ErrLength = errors.New("bitfield: wrong number of bytes for the pieces of the torrent")
	ErrSpare  = errors.New("bitfield: a bit past the last piece is set")
)

// Set is a set of the integers from 0 to Len()-1. The zero Set has length 0.
// A Set is not safe for concurrent use.
type Set struct {
	bytes []byte
	n     int32
	count int32
}

// smallSet is a set with its memory in one piece: who looks at one of them has
// the other in the processor's cache as well.
type smallSet struct {
	Set
	memory [64]byte
}

// New returns an empty set for n indices.
func New(n int) *Set {
	if n > 8*len(smallSet{}.memory) {
		s := new(Set)
		s.Init(n, nil)
		return s
	}
	s := new(smallSet)
	s.Init(n, s.memory[:])
	return &s.Set
}

// Init makes s an empty set for n indices. It is for sets that are part of a
// larger struct: they use memory, which may be part of it as well, if that has
// room for (n+7)/8 bytes. Such a set must not be copied, but by Clone.
func (s *Set) Init(n int, memory []byte) {
	if n > math.MaxInt32 {
		panic("bitfield: too many indices")
	}
	numBytes := (n + 7) / 8
	if len(memory) < numBytes {
		memory = make([]byte, numBytes)
	}
	*s = Set{bytes: memory[:numBytes:numBytes], n: int32(n)}
	clear(s.bytes)
}

// NewFull returns the set of all n indices.
func NewFull(n int) *Set {
	s := New(n)
	s.Fill()
	return s
}

// Parse copies the payload of a bitfield message for n pieces into a set. The
// errors are ErrLength and ErrSpare.
func Parse(b []byte, n int) (*Set, error) {
	if len(b) != (n+7)/8 {
		return nil, ErrLength // before anything is allocated
	}
	s := New(n)
	if err := s.SetBytes(b); err != nil {
		return nil, err
	}
	return s, nil
}

// SetBytes makes the members those in b, the payload of a bitfield message. If
// it fails, with ErrLength or ErrSpare, the set is as it was.
func (s *Set) SetBytes(b []byte) error {
	if len(b) != len(s.bytes) {
		return ErrLength
	}
	if s.n%8 != 0 && b[len(b)-1]<<(s.n%8) != 0 {
		return ErrSpare
	}
	copy(s.bytes, b)
	s.count = 0
	for _, x := range b {
		s.count += int32(bits.OnesCount8(x))
	}
	return nil
}

// Len is the number of indices the set ranges over, members or not.
func (s *Set) Len() int { return int(s.n) }

// Count is the number of members.
func (s *Set) Count() int { return int(s.count) }

// All reports whether every index is a member; a set of length 0 has them all.
func (s *Set) All() bool { return s.count == s.n }

// Has reports whether i is a member. An index outside the range is not.
func (s *Set) Has(i int) bool {
	return uint(i) < uint(s.n) && s.bytes[i>>3]&(0x80>>(i&7)) != 0
}

// Add makes i a member and reports whether it was not one before. It panics
// if i is outside the range: check what a peer sent first.
func (s *Set) Add(i int) bool {
	if uint(i) >= uint(s.n) {
		panic("bitfield: index out of range")
	}
	b, bit := &s.bytes[i>>3], byte(0x80>>(i&7))
	if *b&bit != 0 {
		return false
	}
	*b |= bit
	s.count++
	return true
}

// Remove takes i out of the set and reports whether it was a member.
func (s *Set) Remove(i int) bool {
	if !s.Has(i) {
		return false
	}
	s.bytes[i>>3] &^= 0x80 >> (i & 7)
	s.count--
	return true
}

// Fill makes every index a member.
func (s *Set) Fill() {
	for i := range s.bytes {
		s.bytes[i] = 0xff
	}
	if s.n%8 != 0 {
		s.bytes[len(s.bytes)-1] = 0xff << (8 - s.n%8)
	}
	s.count = s.n
}

// Clone returns a copy.
func (s *Set) Clone() *Set {
	c := New(s.Len())
	copy(c.bytes, s.bytes)
	c.count = s.count
	return c
}

// Bytes returns the payload of a bitfield message. It is the set's own
// memory: read it, or copy it before the set changes.
func (s *Set) Bytes() []byte { return s.bytes }

// Members yields the members in ascending order. The set may change on the
// way: a later member that is removed is not yielded.
func (s *Set) Members() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range s.bytes {
			for x := s.bytes[i]; x != 0; {
				lead := bits.LeadingZeros8(x)
				x &^= 0x80 >> lead
				if s.Has(i<<3+lead) && !yield(i<<3+lead) {
					return
				}
			}
		}
	}
}

// HasOther reports whether s has a member that other lacks. Both sets must
// have the same length.
func (s *Set) HasOther(other *Set) bool {
	for i, x := range s.bytes {
		if x&^other.bytes[i] != 0 {
			return true
		}
	}
	return false
}
