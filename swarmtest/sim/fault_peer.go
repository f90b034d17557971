package sim

import (
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/announce"
)

// severed is a connection that a crash has cut off: what to say to the other end, if anything ever comes
// from there again.
type severed struct {
	dst     ID
	remote  uint32
	latency time.Duration
}

// crash takes the machine away. Nobody is told.
func (p *peer) crash(now time.Duration, f *Fault) {
	if !p.present() {
		return
	}
	for _, flow := range p.flows {
		if flow == nil {
			continue
		}
		if flow.state == flowing {
			p.severed = append(p.severed, severed{flow.dst, flow.remote, flow.latency})
		}
		p.kernel.closeFlow(p.host, flow)
	}
	p.joined, p.timerAt, p.webSeeds = false, 0, nil
	p.leaveDHT()
	p.life++
	p.failures, p.owed, p.retryAt = 0, tracker.None, 0
	if f.For == 0 {
		p.end(now)
		return
	}
	p.at(now+f.For, Event{Kind: eventJoin})
}

// comeBack resets the connections that the other ends believe in. Each of them would have found out with
// the next segment that it sends again, at most a minute or two later.
func (p *peer) comeBack(now time.Duration) {
	for _, s := range p.severed {
		p.reset(now, s)
	}
	p.severed = nil
	p.before.add(p.engine, now)
}

// reset says that there is no such connection.
func (p *peer) reset(now time.Duration, s severed) {
	if s.dst == p.id {
		return // it was held by a partition, and nobody knows any more from where it came
	}
	p.kernel.At(now+s.latency, Event{To: s.dst, Kind: eventClosed, Flow: s.remote})
}

// crashed reports whether the peer is away and will come back.
func (p *peer) crashed() bool { return p.engine != nil && !p.joined && !p.gone }

// account is what engines have counted.
type account struct {
	wasted    int64
	hashFails int
	bans      int
	found     engine.Found
}

func (a *account) add(e *engine.Engine, now time.Duration) {
	if e == nil {
		return
	}
	s := e.Stats(now)
	a.wasted += s.Wasted
	a.hashFails += s.HashFails
	a.bans += s.Banned
	for source, n := range s.Found {
		a.found[source] += n
	}
}

// partedFrom reports whether a partition lies between the peer and another one.
func (p *peer) partedFrom(now time.Duration, other ID) bool {
	return len(p.kernel.cuts) > 0 && p.kernel.whole(other, p.id, now) > now
}

// noAnswer ends a dial whose answer a partition keeps back. A web seed is asked again until it answers.
func (p *peer) noAnswer(now time.Duration, f *flow, ev Event) {
	if at := p.kernel.whole(f.dst, p.id, now); f.web != nil && at < never {
		p.kernel.At(at, ev)
		return
	}
	p.kernel.closeFlow(p.host, f)
	if f.web == nil {
		addr := addrOf(p.swarm.indexOf(f.dst), listenPort)
		p.engine.Receive(now, &engine.Input{Kind: engine.InDialFailed, Addr: addr})
	}
}

// announceFailed waits before the next try as tracker/announce does: a time that doubles
// with each failure. There is no jitter.
func (p *peer) announceFailed(now time.Duration, event tracker.Event) {
	p.owe(event)
	doublings := min(p.failures, maxDoublings)
	p.failures++
	p.retryAt = now + min(announce.BackoffBase<<doublings, announce.BackoffMax)
	p.at(p.retryAt, Event{Kind: eventRetry, Sub: p.life})
}

// tell announces, or leaves it to the next try if the tracker does not answer.
func (p *peer) tell(now time.Duration, event tracker.Event) {
	if p.failures > 0 {
		p.owe(event)
		return
	}
	p.announce(now, event)
}

func (p *peer) owe(event tracker.Event) {
	if event != tracker.None && p.owed != tracker.Started {
		p.owed = event
	}
}

// maxDoublings are more than lead to announce.BackoffMax.
const maxDoublings = 16

// retry announces again.
func (p *peer) retry(now time.Duration) {
	if p.failures == 0 || now < p.retryAt {
		return // another announce came through, or failed later
	}
	event := p.owed
	p.owed = tracker.None
	p.announce(now, event)
}

// trackerAnswered notes that an announce came through.
func (p *peer) trackerAnswered() { p.failures, p.retryAt, p.owed = 0, 0, tracker.None }

// sentEnough leaves if the peer has sent what it came for, and reports whether it did.
func (p *peer) sentEnough(now time.Duration) bool {
	switch {
	case p.leaveAfter == 0:
		return false
	case p.publisher != nil:
		return p.publisher.sentEnough(now)
	case p.sent < p.leaveAfter:
		return false
	}
	p.leave(now)
	return true
}
