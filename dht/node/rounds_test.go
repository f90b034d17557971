package node

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRounds plays a torrent that finds nobody at first.
func TestRounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r Rounds
	if r.Due() != 0 {
		t.Errorf("the first round is at %v", r.Due())
	}
	at := 10 * time.Second
	for _, wait := range []time.Duration{1, 2, 4, 8} {
		r.Begin(at)
		r.End(0, rnd)
		if r.Due() != at+wait*time.Minute {
			t.Errorf("after %v without peers, the next is %v later, want %d minutes", at, r.Due()-at, wait)
		}
		at = r.Due()
	}
	for _, numFound := range []int{0, 1} {
		r.Begin(at)
		r.End(numFound, rnd)
		if wait := r.Due() - at; wait < announceEvery*9/10 || wait > announceEvery*11/10 || wait == announceEvery {
			t.Errorf("the next round is %v later", wait)
		}
	}
	r.Hurry()
	if wait := r.Due() - at; wait != MinAnnounceEvery {
		t.Errorf("who hurries waits %v", wait)
	}
	at = r.Due()
	r.Begin(at)
	r.Hurry() // while the round runs
	r.End(3, rnd)
	if wait := r.Due() - at; wait != MinAnnounceEvery {
		t.Errorf("who hurried during a round waits %v after its start", wait)
	}
	r.Begin(r.Due())
	r.End(3, rnd)
	if r.hurried {
		t.Error("a round does not end the hurry")
	}
}
