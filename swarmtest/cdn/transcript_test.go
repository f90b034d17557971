package cdn

import (
	"bytes"
	"testing"
)

// Whatever differs in an event is seen in the hash of the transcript.
func TestTranscriptHasEverything(t *testing.T) {
	sum := func(n int, change func(*event, *uint32, *int64)) []byte {
		log := newTranscript()
		for range n {
			ev, other, numBytes := event{at: 5, kind: evJoin, who: 7}, uint32(9), int64(11)
			change(&ev, &other, &numBytes)
			log.add(ev.at, ev.kind, ev.who, other, numBytes)
		}
		return log.sum()
	}
	for _, n := range []int{1, 5000} {
		same := sum(n, func(*event, *uint32, *int64) {})
		for name, change := range map[string]func(*event, *uint32, *int64){
			"time":   func(ev *event, _ *uint32, _ *int64) { ev.at = 1 << 40 },
			"kind":   func(ev *event, _ *uint32, _ *int64) { ev.kind = evLeave },
			"who":    func(ev *event, _ *uint32, _ *int64) { ev.who = -1 },
			"other":  func(_ *event, other *uint32, _ *int64) { *other = 1 << 31 },
			"length": func(_ *event, _ *uint32, numBytes *int64) { *numBytes = 1 << 50 },
		} {
			if bytes.Equal(sum(n, change), same) {
				t.Errorf("%d events: another %s has the same hash", n, name)
			}
		}
		if bytes.Equal(sum(n+1, func(*event, *uint32, *int64) {}), same) {
			t.Errorf("one more than %d events has the same hash", n)
		}
	}
}
