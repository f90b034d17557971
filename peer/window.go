package peer

import "time"

// A sendWindow's size, in bytes of blocks that the engine has released and the
// socket has not taken yet. What is released can no longer be cancelled, so a
// slow peer gets little of it; a fast one needs enough for large writes. What
// the network has in flight is in the kernel's buffer and not counted.
const (
	minSendWindow   = 64 << 10
	firstSendWindow = 128 << 10
	maxSendWindow   = 1 << 20
)

// A window that drains in less than windowTooShort doubles; one that takes
// longer than windowTooLong is halved. Both are arbitrary: the first is well
// above the time that our loop takes to fill a window again, the second is what
// a cancel should wait at most.
const (
	windowTooShort = 100 * time.Millisecond
	windowTooLong  = 4 * time.Second
)

// sendWindow decides how much credit a connection has, from how fast its
// socket takes what it is given.
type sendWindow struct {
	size    int
	counted int       // bytes drained since
	since   time.Time // zero before the first
	owed    int       // bytes by which the window shrank and that still drain
}

func newSendWindow() sendWindow { return sendWindow{size: firstSendWindow} }

// drained is told that the socket took n bytes of blocks, and returns the
// credit to give for them: n, more if the window grew, less if it shrank.
func (w *sendWindow) drained(n int, now time.Time) (credit int) {
	if w.since.IsZero() {
		w.since = now
	}
	credit = n
	if w.counted += n; w.counted >= w.size {
		by := w.resize(now.Sub(w.since))
		credit += max(by, 0)
		w.owed += max(-by, 0)
		w.counted, w.since = 0, now
	}
	paid := min(credit, w.owed)
	w.owed -= paid
	return credit - paid
}

// resize changes the size after a window's worth of bytes took so long, and
// returns by how much.
func (w *sendWindow) resize(took time.Duration) (by int) {
	size := w.size
	switch {
	case took < windowTooShort:
		w.size = min(2*size, maxSendWindow)
	case took > windowTooLong:
		w.size = max(size/2, minSendWindow)
	}
	return w.size - size
}
