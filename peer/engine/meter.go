package engine

import "time"

// meterTick is the resolution of a meter, meterDecay what is left of an old
// byte's weight after a tick: a time constant of five seconds.
const (
	meterTick  = 250 * time.Millisecond
	meterDecay = 0.95
)

// maxFade is the number of ticks after which nothing is left of a byte: less
// than one of a terabyte.
const maxFade = 540

// fades are what a meter fades by in so many ticks: left is what is left of a
// byte's weight, and seconds is what the ticks themselves add to meter.seconds.
var fades = func() (table [maxFade + 1]struct{ left, seconds float32 }) {
	table[0].left = 1
	for i := range maxFade {
		table[i+1].left = table[i].left * meterDecay
		table[i+1].seconds = (table[i].seconds + float32(meterTick.Seconds())) * meterDecay
	}
	return table
}()

// meter estimates a rate with exponentially fading memory. It starts exact: a
// meter that is one second old divides by one second.
type meter struct {
	bytes   float32 // faded
	seconds float32 // faded in the same way, so that the quotient is a rate
	tick    int32   // the tick that is being filled, from 1: they last for 17 years; 0 before the first
}

// add counts n bytes at now.
func (m *meter) add(now time.Duration, n int) {
	m.fade(now)
	m.bytes += float32(n)
}

// rate is the estimate in bytes/s. A meter younger than a tick is held to be a
// tick old.
func (m *meter) rate(now time.Duration) int {
	if m.tick == 0 {
		return 0
	}
	m.fade(now)
	current := (now - time.Duration(m.tick-1)*meterTick).Seconds()
	return int(float64(m.bytes) / max(float64(m.seconds)+current, meterTick.Seconds()))
}

// fade moves the meter on to now.
func (m *meter) fade(now time.Duration) {
	tick := 1 + int32(now/meterTick)
	if m.tick == 0 {
		m.tick = tick
		return
	}
	passed := tick - m.tick
	if passed <= 0 {
		return
	}
	m.tick = tick
	fade := &fades[min(passed, maxFade)]
	m.bytes *= fade.left
	m.seconds = m.seconds*fade.left + fade.seconds
}
