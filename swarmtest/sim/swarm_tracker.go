package sim

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/tracker"
	trackerswarm "github.com/shoal-bt/shoal/tracker/swarm"
)

// The tracker is asked and answers in virtual time, but not over the links:
// an announce is a few hundred bytes in half an hour.
const (
	// expireEvery is how often the tracker looks for peers that fell silent.
	expireEvery = time.Minute
	// minAnnounce is the least time between two announces that only ask for
	// more peers: the "min interval" of many trackers.
	minAnnounce = time.Minute
)

// trackerEntity is the tracker's core as an entity.
type trackerEntity struct {
	swarm *swarm
	id    ID
	core  *trackerswarm.Swarms
	peers trackerswarm.Peers
	addrs []netip.AddrPort
}

func (w *swarm) addTracker() error {
	t := &trackerEntity{swarm: w}
	t.id = w.kernel.Add(t, Link{})
	core, err := trackerswarm.New(trackerswarm.Config{
		Rand:    w.kernel.Rand(t.id, streamEngine),
		Timeout: max(2*w.cfg.AnnounceInterval, time.Second),
	})
	if err != nil {
		return err
	}
	t.core = core
	w.tracker = t
	w.kernel.At(expireEvery, Event{To: t.id, Kind: eventTimer})
	return nil
}

// Handle answers the announces of peers.
func (t *trackerEntity) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventTimer:
		t.core.Expire(now)
		t.swarm.kernel.At(now+expireEvery, Event{To: t.id, Kind: eventTimer})
	case eventAnnounce:
		t.answer(now, t.swarm.peers[ev.A], tracker.Event(ev.Sub))
	}
}

func (t *trackerEntity) answer(now time.Duration, p *peer, event tracker.Event) {
	w := t.swarm
	left := int64(0)
	if !p.complete {
		left = p.engine.Stats(now).Left
	}
	req := tracker.Request{
		InfoHash: w.infoHash, PeerID: p.peerID, Addr: addrOf(p.index, p.port()),
		Left: left, Event: event, NumWant: tracker.NumWantDefault,
	}
	t.peers.Reset()
	t.core.Announce(now, &req, &t.peers)
	if event == tracker.Stopped {
		return
	}
	// The addresses go by way of the payloads, as a compact list (BEP 23).
	w.kernel.At(now+w.cfg.Latency, Event{To: p.id, Kind: eventPeers, A: w.keep(t.peers.V4)})
}

// gotPeers hands a tracker's reply to the engine.
func (p *peer) gotPeers(now time.Duration, compact []byte) {
	t := p.swarm.tracker
	t.addrs = (&trackerswarm.Peers{V4: compact}).AppendTo(t.addrs[:0])
	p.foundPeers(now, t.addrs)
}
