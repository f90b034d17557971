package bitfield

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLayout(t *testing.T) {
	s := New(10)
	s.Add(0)
	s.Add(9)
	// BEP 3: "The first byte of the bitfield corresponds to indices 0 - 7
	// from high bit to low bit, respectively."
	if !bytes.Equal(s.Bytes(), []byte{0x80, 0x40}) {
		t.Errorf("bytes %x", s.Bytes())
	}
	if got := slices.Collect(s.Members()); !slices.Equal(got, []int{0, 9}) {
		t.Errorf("members %v", got)
	}
}

// TestInit lays a set into memory that has room for it, exactly or more, and
// into memory that has not.
func TestInit(t *testing.T) {
	for _, room := range []int{0, 1, 2, 3} {
		memory := bytes.Repeat([]byte{0xff}, room)
		var s Set
		s.Init(12, memory)
		if s.Len() != 12 || s.Count() != 0 || len(s.Bytes()) != 2 || s.Has(0) {
			t.Fatalf("room %d: length %d, %d members, bytes %x", room, s.Len(), s.Count(), s.Bytes())
		}
		s.Add(11)
		if inside := room >= 2; inside && memory[1] != 0x10 || !inside && bytes.Contains(memory, []byte{0x10}) {
			t.Errorf("room %d: the memory is %x", room, memory)
		}
		if room == 3 && memory[2] != 0xff {
			t.Errorf("the set wrote behind its end: %x", memory)
		}
	}
}

func TestSetBytes(t *testing.T) {
	s := New(12)
	s.Add(3)
	for _, bad := range [][]byte{nil, {0xff}, {0xff, 0xff}, {0xff, 0xf0, 0}} {
		if err := s.SetBytes(bad); err == nil || s.Count() != 1 || !s.Has(3) {
			t.Errorf("%x: error %v, members %v", bad, err, slices.Collect(s.Members()))
		}
	}
	if err := s.SetBytes([]byte{0x80, 0x10}); err != nil || s.Count() != 2 || !s.Has(0) || !s.Has(11) || s.Has(3) {
		t.Errorf("error %v, members %v", err, slices.Collect(s.Members()))
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		bytes []byte
		n     int
		want  error
	}{
		{nil, 0, nil},
		{[]byte{0}, 0, ErrLength},
		{nil, 1, ErrLength},
		{[]byte{0xff}, 8, nil},
		{[]byte{0xff, 0x80}, 9, nil},
		{[]byte{0xff, 0xc0}, 9, ErrSpare},
		{[]byte{0xff, 0x01}, 9, ErrSpare},
		{[]byte{0x01}, 7, ErrSpare},
		{[]byte{0xfe}, 7, nil},
		{[]byte{0, 0}, 8, ErrLength},
	} {
		s, err := Parse(test.bytes, test.n)
		if err != test.want {
			t.Errorf("Parse(%x, %d) = %v, want %v", test.bytes, test.n, err, test.want)
		}
		if err == nil && (s.Count() != test.n || !s.All()) {
			t.Errorf("Parse(%x, %d) has %d members", test.bytes, test.n, s.Count())
		}
	}
	payload := []byte{0x80}
	s, _ := Parse(payload, 8)
	payload[0] = 0
	if !s.Has(0) {
		t.Error("the set shares the bytes of the message")
	}
}

// A set does as a map does, whatever is done to it.
func TestAgainstMap(t *testing.T) {
	for _, n := range []int{1, 7, 8, 9, 63, 100} {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		s, want := New(n), map[int]bool{}
		for range 2000 {
			i := rng.IntN(n)
			if rng.IntN(2) == 0 {
				if s.Add(i) == want[i] {
					t.Fatalf("n %d: Add(%d) is wrong", n, i)
				}
				want[i] = true
			} else {
				if s.Remove(i) != want[i] {
					t.Fatalf("n %d: Remove(%d) is wrong", n, i)
				}
				delete(want, i)
			}
			if s.Count() != len(want) || s.All() != (len(want) == n) {
				t.Fatalf("n %d: count %d, want %d", n, s.Count(), len(want))
			}
		}
		for i := -2; i < n+2; i++ {
			if s.Has(i) != want[i] {
				t.Fatalf("n %d: Has(%d) = %v", n, i, s.Has(i))
			}
		}
	}
}

func TestOutside(t *testing.T) {
	s := New(9)
	if s.Remove(9) || s.Remove(-1) || s.Has(9) || s.Has(-1) {
		t.Error("an index outside of the range is a member")
	}
	defer func() {
		if recover() == nil {
			t.Error("Add(9) to a set of 9 did not panic")
		}
	}()
	s.Add(9)
}

func TestFill(t *testing.T) {
	for n := range 20 {
		s := NewFull(n)
		if s.Count() != n || !s.All() || s.Len() != n {
			t.Errorf("NewFull(%d) has %d members", n, s.Count())
		}
		if _, err := Parse(s.Bytes(), n); err != nil {
			t.Errorf("NewFull(%d): %v", n, err)
		}
	}
}

func TestCloneIsApart(t *testing.T) {
	s := New(4)
	c := s.Clone()
	s.Add(1)
	if c.Has(1) || c.Count() != 0 || !s.HasOther(c) || c.HasOther(s) {
		t.Error("a clone follows its original")
	}
}

// The documented promise: the set may change while its members are yielded.
func TestMembersWhileChanging(t *testing.T) {
	s := NewFull(16)
	var got []int
	for i := range s.Members() {
		got = append(got, i)
		s.Remove(i + 1)
	}
	if want := []int{0, 2, 4, 6, 8, 10, 12, 14}; !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	for range s.Members() {
		break
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0xff, 0x80}, 9)
	f.Add([]byte{0xff, 0xc0}, 9)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1<<16 {
			return
		}
		s, err := Parse(b, n)
		if err != nil {
			return
		}
		again := New(n)
		for i := range s.Members() {
			again.Add(i)
		}
		if !bytes.Equal(again.Bytes(), b) || again.Count() != s.Count() {
			t.Fatalf("%x became %x", b, again.Bytes())
		}
	})
}
