package sim

import (
	"encoding/binary"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
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
	core  *trackerswarm.Swarms
	peers trackerswarm.Peers
	host
	kernel *Kernel
}

func (w *swarm) addTracker() error {
	t := &trackerEntity{swarm: w}
	w.world().add(&t.host, t, Link{})
	t.kernel = w.world().kernelOf(t.id)
	core, err := trackerswarm.New(trackerswarm.Config{
		Rand:    w.world().Rand(t.id, streamEngine),
		Timeout: max(2*w.cfg.AnnounceInterval, time.Second),
	})
	if err != nil {
		return err
	}
	t.core = core
	w.tracker = t
	t.kernel.At(expireEvery, Event{To: t.id, Kind: eventTimer})
	return nil
}

// Handle answers the announces of peers.
func (t *trackerEntity) Handle(now time.Duration, ev Event) {
	switch ev.Kind {
	case eventTimer:
		t.core.Expire(now)
		t.kernel.At(now+expireEvery, Event{To: t.id, Kind: eventTimer})
	case eventAnnounce:
		if t.swarm.trackerDown(now) {
			t.refuse(now, ev)
			return
		}
		t.answer(now, t.swarm.peer(ev.from()), &ev)
	}
}

// answer answers an announce. Of the peer it reads only what never changes.
func (t *trackerEntity) answer(now time.Duration, p *peer, ev *Event) {
	w := t.swarm
	event, content := tracker.Event(ev.Sub), ev.C>>8
	t.peers.Reset()
	req := tracker.Request{
		InfoHash: w.infoHash(content), PeerID: p.peerID, Addr: addrOf(p.index, p.port()),
		Left: int64(uint64(ev.A)<<32 | uint64(ev.B)), Event: event, NumWant: tracker.NumWantDefault,
	}
	if w.cfg.Foreign > 0 {
		t.nameNeighbours(now, p, req)
		req.NumWant = w.cfg.Foreign
	}
	t.core.Announce(now, &req, &t.peers)
	if event == tracker.Stopped {
		return
	}
	t.kernel.atWith(now+atLeastMinLatency(w.cfg.Latency), Event{To: p.id, Kind: eventPeers, C: content}, append([]byte{}, t.peers.V4...))
}

// nameNeighbours names peers of the announcer's ISP: to the core they are a swarm of their own.
func (t *trackerEntity) nameNeighbours(now time.Duration, p *peer, req tracker.Request) {
	binary.BigEndian.PutUint64(req.InfoHash[:], uint64(p.cfg.ISP))
	req.NumWant = max(trackerswarm.DefaultNumWant-t.swarm.cfg.Foreign, 0)
	t.core.Announce(now, &req, &t.peers)
}

// refuse is what a machine answers on which no tracker runs. A goodbye is lost, as it would be.
func (t *trackerEntity) refuse(now time.Duration, ev Event) {
	p := t.swarm.peer(ev.from())
	if tracker.Event(ev.Sub) != tracker.Stopped {
		t.kernel.At(now+atLeastMinLatency(t.swarm.cfg.Latency), Event{To: p.id, Kind: eventNoTracker, Sub: uint8(ev.C), A: uint32(ev.Sub), C: ev.C >> 8})
	}
}

// gotPeers hands a tracker's reply to the engine.
func (p *peer) gotPeers(now time.Duration, compact []byte) {
	p.trackerAnswered()
	state := p.state()
	state.addrs = (&trackerswarm.Peers{V4: compact}).AppendTo(state.addrs[:0])
	p.foundPeers(now, state.addrs, engine.SourceTracker)
}
