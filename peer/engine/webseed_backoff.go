package engine

import "time"

// The pauses of a WebSeedBackoff. All are arbitrary.
const (
	// WebSeedRetryFirst is the pause after the first failure, doubled with each that follows, and
	// WebSeedRetryLast the longest one.
	WebSeedRetryFirst = 5 * time.Second
	WebSeedRetryLast  = time.Hour

	// MaxWebSeedFails is how many failures in a row a web seed has until it is given up: with these pauses, after it
	// was gone for a day.
	MaxWebSeedFails = 34

	// webSeedJitter is the part of a pause that it may be longer.
	webSeedJitter = 0.25
)

// WebSeedBackoff says when a driver may ask a web seed again that failed: whose connection was refused or broke, whose
// answer did not come or was an error. The zero value is one that has not failed. A web
// seed that lies is another matter: the engine bans it, and it is not asked again.
type WebSeedBackoff struct {
	fails int // in a row
}

// Failed notes a failure, and returns how long to leave the web seed alone; again is false if it is given up.
//
// A server cuts all who use it off at once when it goes, and they must not come back at once. So pauses are up to a quarter
// longer than they would be: jitter is a random number from 0 to less than 1.
func (b *WebSeedBackoff) Failed(jitter float64) (pause time.Duration, again bool) {
	b.fails = min(b.fails+1, MaxWebSeedFails)
	return longer(b.pause(), jitter), b.fails < MaxWebSeedFails
}

// Busy notes an answer that says so, and returns how long to leave the web seed alone: for as long as it
// asked for (0 if it did not), up to an hour, and no less than after a failure. It is never given up for that.
// BEP 19: "A client does not need to discard a HTTP or FTP server URL if it gets a "busy" reply."
func (b *WebSeedBackoff) Busy(retryAfter time.Duration, jitter float64) (pause time.Duration) {
	b.fails = min(b.fails+1, MaxWebSeedFails-1)
	return longer(max(b.pause(), min(retryAfter, WebSeedRetryLast)), jitter)
}

// Served notes that the web seed sent what it was asked for.
func (b *WebSeedBackoff) Served() { b.fails = 0 }

func longer(pause time.Duration, jitter float64) time.Duration {
	return pause + time.Duration(webSeedJitter*jitter*float64(pause))
}

func (b *WebSeedBackoff) pause() time.Duration {
	pause := WebSeedRetryFirst
	for range b.fails - 1 {
		pause = min(2*pause, WebSeedRetryLast)
	}
	return pause
}
