package engine

import (
	"testing"
	"time"
)

func TestWebSeedBackoff(t *testing.T) {
	var b WebSeedBackoff
	const s = time.Second
	sum := time.Duration(0)
	for i := range MaxWebSeedFails {
		pause, again := b.Failed(0)
		if i < 4 && pause != []time.Duration{5 * s, 10 * s, 20 * s, 40 * s}[i] || pause > WebSeedRetryLast {
			t.Errorf("failure %d: a pause of %v", i, pause)
		}
		if again != (i < MaxWebSeedFails-1) {
			t.Errorf("failure %d: asked again is %v", i, again)
		}
		sum += pause
	}
	if sum < 24*time.Hour || sum > 27*time.Hour {
		t.Errorf("it is given up after %v", sum)
	}
	b.Served()
	if pause, again := b.Failed(0); pause != 5*s || !again {
		t.Errorf("when it has served, a failure makes a pause of %v, again %v", pause, again)
	}
}

func TestABusyWebSeedIsNotGivenUp(t *testing.T) {
	for _, c := range []struct{ retryAfter, first, last time.Duration }{
		{0, WebSeedRetryFirst, WebSeedRetryLast},
		{time.Second, WebSeedRetryFirst, WebSeedRetryLast},
		{77 * time.Second, 77 * time.Second, WebSeedRetryLast},
		{100 * time.Hour, WebSeedRetryLast, WebSeedRetryLast},
	} {
		var b WebSeedBackoff
		pause := b.Busy(c.retryAfter, 0)
		if pause != c.first {
			t.Errorf("%v: a pause of %v, want %v", c.retryAfter, pause, c.first)
		}
		for range 2 * MaxWebSeedFails {
			pause = b.Busy(c.retryAfter, 0)
		}
		if pause != c.last {
			t.Errorf("%v: the last pause is %v, want %v", c.retryAfter, pause, c.last)
		}
	}
}

// TestWebSeedPausesAreNotAlike: up to a quarter longer, and never shorter than what the server asked for.
func TestWebSeedPausesAreNotAlike(t *testing.T) {
	var b WebSeedBackoff
	if pause, _ := b.Failed(0.5); pause != 5625*time.Millisecond {
		t.Errorf("a pause of %v", pause)
	}
	if pause := b.Busy(time.Minute, 0.999); pause < 74*time.Second || pause >= 75*time.Second {
		t.Errorf("a pause of %v", pause)
	}
}
