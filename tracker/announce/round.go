package announce

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// walk takes the round to its next tracker. BEP 12: "The tiers of announces
// will be processed sequentially; all URLs in each tier must be checked before
// the client goes on to the next tier"; one success ends the round ("On each
// announce, first try tracker1, then if that cannot be reached, try backup1
// and backup2 respectively"). A tracker whose back-off runs is one that was
// checked just now.
func (s *Schedule) walk(now time.Duration) {
	for _, tier := range s.tiers {
		for _, ep := range tier {
			if !ep.tried && ep.notBefore <= now {
				ep.tried = true
				s.walking = true
				s.ask(ep, s.event(ep))
				return
			}
		}
	}
	s.walking = false
	s.next = s.firstBackoff()
}

// firstBackoff is when the first tracker may be tried again.
func (s *Schedule) firstBackoff() time.Duration {
	first := never
	s.forEach(func(ep *endpoint) { first = min(first, ep.notBefore) })
	return first
}

// event is what ep is to hear next: an event that it missed is made up for,
// in the order of the events.
func (s *Schedule) event(ep *endpoint) tracker.Event {
	switch {
	case !ep.heardStarted:
		return tracker.Started
	case s.completed && !ep.heardComplete:
		return tracker.Completed
	}
	return tracker.None
}

func (s *Schedule) ask(ep *endpoint, event tracker.Event) {
	ep.asked, ep.askedEvent = true, event
	s.out = append(s.out, Announce{Tier: ep.tier, URL: ep.url, Event: event})
}

// outcome closes the announce a and returns its tracker, or nil if no such
// announce is under way.
func (s *Schedule) outcome(a Announce) (found *endpoint) {
	s.forEach(func(ep *endpoint) {
		if ep.url == a.URL && ep.asked && ep.askedEvent == a.Event {
			found = ep
		}
	})
	if found != nil {
		found.asked = false
	}
	return found
}

func (ep *endpoint) heard(event tracker.Event) {
	switch event {
	case tracker.Started:
		ep.heardStarted = true
	case tracker.Completed:
		ep.heardComplete = true
	case tracker.Stopped:
		ep.heardStarted = false
	}
}

// sayStopped lets a tracker know that we leave, if it knows that we came and
// nothing is under way to it.
func (s *Schedule) sayStopped(ep *endpoint) {
	if ep.heardStarted && !ep.asked && ep.notBefore != never {
		s.ask(ep, tracker.Stopped)
	}
}

// toFront obeys BEP 12: "if a connection with a tracker is successful, it will
// be moved to the front of the tier."
func (s *Schedule) toFront(ep *endpoint) {
	for _, tier := range s.tiers {
		if i := slices.Index(tier, ep); i > 0 {
			copy(tier[1:i+1], tier[:i])
			tier[0] = ep
		}
	}
}

// hasten brings the next round forward, but not to where it would find every
// tracker in its back-off.
func (s *Schedule) hasten(to time.Duration) {
	if !s.walking {
		s.next = min(s.next, max(to, s.firstBackoff()))
	}
}

func (s *Schedule) forEach(f func(*endpoint)) {
	for _, tier := range s.tiers {
		for _, ep := range tier {
			f(ep)
		}
	}
}
