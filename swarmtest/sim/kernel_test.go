package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// script is an entity that calls a function with each event.
type script func(now time.Duration, ev Event)

func (s script) Handle(now time.Duration, ev Event) { s(now, ev) }

const forever = 1000 * time.Hour

func TestEventsComeInTheOrderOfTimeThenOfScheduling(t *testing.T) {
	k := New(1)
	r := rand.New(rand.NewPCG(1, 1))
	type delivery struct {
		at time.Duration
		n  uint32
	}
	var got, want []delivery
	id := k.Add(script(func(now time.Duration, ev Event) { got = append(got, delivery{now, ev.A}) }), Link{})
	for n := range uint32(5000) {
		at := time.Duration(r.IntN(500))
		want = append(want, delivery{at, n})
		k.At(at, Event{To: id, Kind: KindUser, A: n})
	}
	slices.SortStableFunc(want, func(a, b delivery) int { return int(a.at - b.at) })
	if reason := k.Run(forever, forever); reason != "nothing left to happen" {
		t.Errorf("reason %q", reason)
	}
	if !slices.Equal(got, want) {
		t.Error("events out of order")
	}
}

func TestThePastIsNow(t *testing.T) {
	k := New(1)
	var times []time.Duration
	var id ID
	id = k.Add(script(func(now time.Duration, ev Event) {
		times = append(times, now)
		if len(times) == 1 {
			k.At(now-time.Second, Event{To: id, Kind: KindUser})
		}
	}), Link{})
	k.At(time.Minute, Event{To: id, Kind: KindUser})
	k.Run(forever, forever)
	if want := []time.Duration{time.Minute, time.Minute}; !slices.Equal(times, want) {
		t.Errorf("delivered at %v, want %v", times, want)
	}
}

func TestEveryRunEndsAndSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name            string
		period          time.Duration
		progress        bool
		limit, patience time.Duration
		want            string
	}{
		{"limit", time.Second, true, time.Hour, time.Minute, "time limit of 1h0m0s"},
		{"no progress", time.Second, false, time.Hour, time.Minute, "no progress since 0s"},
		{"one instant", 0, true, time.Hour, time.Minute, "events at 0s"},
	} {
		k := New(1)
		var id ID
		id = k.Add(script(func(now time.Duration, ev Event) {
			k.At(now+c.period, Event{To: id, Kind: KindUser})
			if c.progress {
				k.Progress()
			}
		}), Link{})
		k.At(0, Event{To: id, Kind: KindUser})
		if reason := k.Run(c.limit, c.patience); !strings.Contains(reason, c.want) {
			t.Errorf("%s: the run ended because %q, want %q", c.name, reason, c.want)
		}
		if k.Now() > c.limit {
			t.Errorf("%s: ended at %v, beyond the limit", c.name, k.Now())
		}
	}
}

func TestStopEndsTheRunOnceAndRunGoesOn(t *testing.T) {
	k := New(1)
	n := 0
	id := k.Add(script(func(time.Duration, Event) {
		n++
		k.Stop("enough")
		k.Stop("too late")
	}), Link{})
	k.At(1, Event{To: id, Kind: KindUser})
	k.At(2, Event{To: id, Kind: KindUser})
	for want := 1; want <= 2; want++ {
		if reason := k.Run(forever, forever); reason != "enough" || n != want {
			t.Fatalf("reason %q after %d events, want %q after %d", reason, n, "enough", want)
		}
	}
}

func TestRandomStreamsAreIndependentOfTheOthers(t *testing.T) {
	a, b := New(7), New(7)
	for range 5 {
		b.Rand(3, 0).Uint64()
	}
	if a.Rand(2, 0).Uint64() != b.Rand(2, 0).Uint64() {
		t.Error("draws of one entity shift those of another")
	}
	seen := map[uint64]bool{}
	for id := range ID(100) {
		for stream := range uint32(3) {
			seen[a.Rand(id, stream).Uint64()] = true
		}
	}
	seen[New(8).Rand(2, 0).Uint64()] = true
	if len(seen) != 301 {
		t.Errorf("%d different streams, want 301", len(seen))
	}
}

func TestTheHashSeesEveryField(t *testing.T) {
	hash := func(at time.Duration, ev Event) [32]byte {
		k := New(1)
		k.Add(script(func(time.Duration, Event) {}), Link{})
		k.Add(script(func(time.Duration, Event) {}), Link{})
		k.At(at, ev)
		k.Run(forever, forever)
		return k.Hash()
	}
	base := Event{Kind: KindUser}
	same := hash(5, base)
	if hash(5, base) != same {
		t.Error("the same event has two hashes")
	}
	changes := []func(*Event){
		func(e *Event) { e.To = 1 }, func(e *Event) { e.Kind++ }, func(e *Event) { e.Sub = 1 }, func(e *Event) { e.Flow = 1 },
		func(e *Event) { e.A = 1 }, func(e *Event) { e.B = 1 }, func(e *Event) { e.C = 1 },
	}
	for i, change := range changes {
		ev := base
		change(&ev)
		if hash(5, ev) == same {
			t.Errorf("change %d does not reach the hash", i)
		}
	}
	if hash(6, base) == same {
		t.Error("the time does not reach the hash")
	}
}

func BenchmarkKernel(b *testing.B) {
	k := New(1)
	r := rand.New(rand.NewPCG(1, 1))
	var delays [1024]time.Duration
	for i := range delays {
		delays[i] = time.Duration(r.IntN(1e9))
	}
	n := 0
	ids := make([]ID, 10_000)
	entity := script(func(now time.Duration, ev Event) {
		n++
		k.At(now+delays[n%len(delays)], ev)
	})
	for i := range ids {
		ids[i] = k.Add(entity, Link{})
		for range 3 {
			k.At(delays[i%len(delays)], Event{To: ids[i], Kind: KindUser})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		k.step()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}
