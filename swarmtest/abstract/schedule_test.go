package abstract

import (
	"math"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// The schedule keeps the rules and hits the bound exactly, for every number of
// users up to 70 and parts up to 20.
func TestScheduleHitsTheMakespan(t *testing.T) {
	for users := 1; users <= 70; users++ {
		for parts := 1; parts <= 20; parts++ {
			ticks, err := Play(Schedule(parts, users), parts, users)
			if err != nil {
				t.Fatalf("%d users, %d parts: %v", users, parts, err)
			}
			if want := theory.Makespan(parts, users) * float64(parts); math.Abs(float64(ticks)-want) > 1e-9 {
				t.Fatalf("%d users, %d parts: %d part-times, want %v", users, parts, ticks, want)
			}
		}
	}
}

func TestPlayFindsMistakes(t *testing.T) {
	for name, ticks := range map[string][][]Transfer{
		"a part that is not there": {{{From: 1, To: 2, Part: 0}}},
		"two at once":              {{{From: 0, To: 1, Part: 0}, {From: 0, To: 2, Part: 0}}},
		"two received at once":     {{{From: 0, To: 1, Part: 0}}, {{From: 0, To: 2, Part: 1}, {From: 1, To: 2, Part: 0}}},
		"not everything":           {{{From: 0, To: 1, Part: 0}}},
	} {
		if _, err := Play(ticks, 2, 2); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
