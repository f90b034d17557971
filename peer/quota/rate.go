package quota

import (
	"slices"
	"time"
)

const (
	// burst is how much of its rate a limiter that was idle gives at once. With
	// the block that may go beyond it, a limit of 4 MiB/s lets less than 1 % more
	// through in its first second; a driver that sleeps until its turn needs
	// no more, because its turn is kept.
	burst = 5 * time.Millisecond
	// maxRate, in bytes/s, keeps pay within 64 bits. It is 34 Gbit/s.
	maxRate = 1 << 32
	// patience is how long a turn is kept for a torrent that does not come,
	// and how much a busy driver may catch up when it comes late. It
	// is longer than a loaded machine makes a program wait, and arbitrary.
	patience = 250 * time.Millisecond
)

// limiter is a token bucket kept as the time at which all that was granted is
// paid for (the virtual scheduling algorithm of ATM, ITU-T I.371). A grant
// pushes that time on by exactly its bytes over the rate, a fraction of a
// nanosecond included, so there is no drift. It may be granted as soon as the
// time has come, however large it is: a want greater than the burst waits
// afterwards instead of for ever.
type limiter struct {
	rate     int64 // bytes/s, 0 for unlimited
	paid     time.Duration
	fraction int64 // of a nanosecond beyond paid, in 1/rate ns

	turns     []*turn // booked and not taken yet, in the order of booking: at most one for each torrent
	caughtUp  time.Duration
	catchesUp bool
}

// turn is one torrent's place in a limiter's future.
type turn struct {
	booked   bool
	at       time.Duration
	numBytes int64
}

func (l *limiter) setRate(now time.Duration, rate int) {
	for _, t := range l.turns {
		t.booked = false
	}
	*l = limiter{rate: min(max(int64(rate), 0), maxRate), paid: now}
}

// ready is when the next grant can be made, if none was wanted since idle.
// The times before idle, but for the burst, are forfeited.
func (l *limiter) ready(idle time.Duration) time.Duration {
	if earliest := idle - burst; l.paid < earliest {
		l.paid, l.fraction = earliest, 0
	}
	if l.fraction > 0 {
		return l.paid + 1
	}
	return l.paid
}

// pay moves paid by the time that numBytes take, which may be negative.
func (l *limiter) pay(numBytes int64) {
	if l.rate == 0 {
		return
	}
	// Whole seconds first, so that the product stays below 2^63.
	l.paid += time.Duration(numBytes/l.rate) * time.Second
	l.fraction += numBytes % l.rate * int64(time.Second)
	ns := l.fraction / l.rate
	l.fraction -= ns * l.rate
	if l.fraction < 0 {
		l.fraction += l.rate
		ns--
	}
	l.paid += time.Duration(ns)
}

// expire returns the turns that nobody took, so that what one torrent does not
// use goes to the others.
func (l *limiter) expire(now time.Duration) {
	for len(l.turns) > 0 && l.turns[0].at+patience < now {
		l.cancel(l.turns[0])
	}
}

// cancel returns a turn that was booked.
func (l *limiter) cancel(t *turn) {
	l.pay(-t.numBytes)
	l.remove(t)
}

// remove forgets a turn. It is nearly always the first.
func (l *limiter) remove(t *turn) {
	t.booked = false
	i := slices.Index(l.turns, t)
	l.turns = slices.Delete(l.turns, i, i+1)
}

// take grants numBytes now, or books a turn and says when it is.
func (l *limiter) take(now time.Duration, t *turn, numBytes int64) (ok bool, again time.Duration) {
	l.expire(now)
	if t.booked {
		return l.takeTurn(now, t, numBytes)
	}
	idle := now
	if l.catchesUp && l.caughtUp == now {
		idle = now - patience // a late driver is not an idle one
	}
	at := l.ready(idle)
	l.pay(numBytes)
	if at <= now {
		return true, 0
	}
	*t = turn{booked: true, at: at, numBytes: numBytes}
	l.turns = append(l.turns, t)
	return false, at
}

// takeTurn takes a turn that was booked, if it has come.
func (l *limiter) takeTurn(now time.Duration, t *turn, numBytes int64) (ok bool, again time.Duration) {
	if now < t.at {
		return false, t.at
	}
	l.pay(numBytes - t.numBytes) // it may want another block by now
	l.remove(t)
	l.catchesUp, l.caughtUp = true, now
	return true, 0
}

// meter is one torrent's way through its own limit and the process's.
type meter struct {
	own     limiter
	process *limiter
	turn    turn

	waits bool          // the own limit allowed it, the process did not yet
	since time.Duration // when that began
}

func (m *meter) ask(now time.Duration, want int) (granted int, again time.Duration) {
	if want <= 0 {
		return 0, now
	}
	if m.own.rate > 0 && !m.waits {
		if at := m.own.ready(now); at > now {
			return 0, at
		}
	}
	if m.process.rate > 0 {
		if ok, at := m.process.take(now, &m.turn, int64(want)); !ok {
			if !m.waits {
				m.waits, m.since = true, now
			}
			return 0, at
		}
	}
	m.payOwn(now, int64(want))
	return want, 0
}

// payOwn counts a grant against the torrent's own limit. The time in which it
// waited for the process is not forfeited.
func (m *meter) payOwn(now time.Duration, numBytes int64) {
	idle := now
	if m.waits {
		idle = m.since
		m.waits = false
	}
	if m.own.rate > 0 {
		m.own.ready(idle)
		m.own.pay(numBytes)
	}
}

func (m *meter) leave() {
	if m.turn.booked {
		m.process.cancel(&m.turn)
	}
}
