package node

import (
	"testing"
	"time"
)

// Whoever asks as often as he may, asks no more destinations in two minutes
// and sends no more queries in a second than he may.
func TestBudgetOfDestinations(t *testing.T) {
	const perSecond, destinations = 50, 600
	b := newBudget(&Config{MaxQueries: perSecond, MaxDestinations: destinations})
	sent := map[time.Duration]int{} // by second
	total := 0
	for now := time.Duration(0); now < 20*time.Minute; now += 10 * time.Millisecond {
		if !b.allows(now) {
			if ready := b.ready(); ready <= now {
				t.Fatalf("at %v: not allowed, yet ready since %v", now, ready)
			}
			continue
		}
		b.spend(now, false)
		sent[now/time.Second]++
		total++
	}
	inTwoMinutes := func(from time.Duration) (sum int) {
		for second := from; second < from+120; second++ {
			sum += sent[second]
		}
		return sum
	}
	most := 0
	for second := range 19 * time.Duration(60) {
		most = max(most, inTwoMinutes(second))
		if sent[second] > (1+burstOf)*perSecond {
			t.Errorf("%d queries in one second", sent[second])
		}
	}
	if most > destinations || most < destinations*9/10 {
		t.Errorf("%d destinations in two minutes, want %d", most, destinations)
	}
	if want := destinations / 2 * 10; total < want {
		t.Errorf("%d queries in twenty minutes, want %d", total, want)
	}
}

// Retries cost no destination, and a negative number is no bound.
func TestBudgetIsSpent(t *testing.T) {
	b := newBudget(&Config{MaxDestinations: 2, MaxQueries: -1})
	b.spend(0, false)
	if b.allows(0) {
		t.Error("a second destination at once")
	}
	retries := newBudget(&Config{MaxDestinations: 2, MaxQueries: -1})
	for range 1000 {
		retries.spend(0, true)
	}
	if !retries.allows(0) {
		t.Error("retries count as destinations")
	}
	free := newBudget(&Config{MaxDestinations: -1, MaxQueries: -1})
	for range 1_000_000 {
		free.spend(0, false)
	}
	if !free.allows(0) || free.ready() > 0 {
		t.Error("a budget without a bound is spent")
	}
}
