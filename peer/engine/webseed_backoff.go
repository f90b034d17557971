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
)

// WebSeedBackoff says when a driver may ask a web seed again that failed: whose connection was refused or broke, whose
// answer did not come or was an error. The zero value is one that has not failed. A web
// seed that lies is another matter: the engine bans it, and it is not asked again.
type WebSeedBackoff struct {
	fails int // in a row
}

// Failed notes a failure, and returns how long to leave the web seed alone; again is false if it is given up.
func (b *WebSeedBackoff) Failed() (pause time.Duration, again bool) {
	b.fails = min(b.fails+1, MaxWebSeedFails)
	return b.pause(), b.fails < MaxWebSeedFails
}

// Busy notes an answer that says so, and returns how long to leave the web seed alone: for as long as it
// asked for (0 if it did not), up to an hour, and no less than after a failure. It is never given up for that.
// BEP 19: "A client does not need to discard a HTTP or FTP server URL if it gets a "busy" reply."
func (b *WebSeedBackoff) Busy(retryAfter time.Duration) (pause time.Duration) {
	b.fails = min(b.fails+1, MaxWebSeedFails-1)
	return max(b.pause(), min(retryAfter, WebSeedRetryLast))
}

// Served notes that the web seed sent what it was asked for.
func (b *WebSeedBackoff) Served() { b.fails = 0 }

func (b *WebSeedBackoff) pause() time.Duration {
	pause := WebSeedRetryFirst
	for range b.fails - 1 {
		pause = min(2*pause, WebSeedRetryLast)
	}
	return pause
}
