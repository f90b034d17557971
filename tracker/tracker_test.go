package tracker

import "testing"

func TestEventsAreSpelledAsInBEP3(t *testing.T) {
	for name, want := range map[string]Event{
		"": None, "started": Started, "completed": Completed, "stopped": Stopped,
		"empty": None, "paused": None, "Started": None,
	} {
		if got := ParseEvent(name); got != want {
			t.Errorf("ParseEvent(%q) = %d, want %d", name, got, want)
		}
	}
	for _, e := range []Event{None, Completed, Started, Stopped} {
		if got := ParseEvent(e.String()); got != e {
			t.Errorf("event %d does not survive its spelling %q", e, e)
		}
	}
	if got := Event(9).String(); got != "event(9)" {
		t.Errorf("an unknown event prints as %q", got)
	}
}
