package engine

import (
	"math/rand/v2"
	"testing"
)

// TestTableAgainstMap puts, removes and looks up ids of every kind of spacing.
func TestTableAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, spacing := range []uint32{1, 3, 16, 64} {
		var got table
		want := make(map[ConnID]*conn)
		for range 5000 {
			id := ConnID(rng.Uint32N(100) * spacing)
			switch {
			case want[id] != nil:
				delete(want, id)
				got.remove(id)
			case len(want) < 60:
				want[id] = &conn{id: id}
				got.put(want[id])
			}
			for i := range uint32(100) {
				if id := ConnID(i * spacing); got.get(id) != want[id] {
					t.Fatalf("spacing %d: get(%d) is wrong", spacing, id)
				}
			}
		}
		if got.used != len(want) {
			t.Fatalf("%d used, want %d", got.used, len(want))
		}
	}
}
