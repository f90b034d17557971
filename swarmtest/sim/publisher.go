package sim

import (
	"time"

	"github.com/shoal-bt/shoal/peer/quota"
)

// publisher is a process that seeds several contents: a torrent for each, with an engine of its own, on one host
// with one link. One quota divides among them what the process may use, as in the client.
type publisher struct {
	host
	quota    *quota.Quota
	torrents []*peer   // by content
	node     *peerNode // nil if there is no DHT, and before the start
}

// addPublisher adds a seed of several contents.
func (w *swarm) addPublisher(index int) {
	cfg := &w.cfg.Peers[index]
	all := &publisher{quota: newQuota(cfg)}
	w.world().add(&all.host, all, cfg.Link)
	for content := range w.cfg.Contents {
		p := &peer{host: &all.host, swarm: w, index: index, cfg: cfg, content: uint32(content), publisher: all}
		all.torrents = append(all.torrents, p)
		p.start()
	}
	w.peers = append(w.peers, all.torrents[0])
}

// Handle hands an event to the torrent that it is for.
func (all *publisher) Handle(now time.Duration, ev Event) {
	if ev.Kind == eventPacket || ev.Kind == eventNodeTimer {
		if all.node != nil && len(all.node.finders) > 0 {
			all.node.handle(now, ev)
		}
		return
	}
	all.torrents[all.contentOf(&ev)].Handle(now, ev)
}

// contentOf is the content that an event is about.
func (all *publisher) contentOf(ev *Event) uint32 {
	switch ev.Kind {
	case KindMessage, KindBlock, KindSent:
		return uint32(all.torrents[0].kernel.through.content)
	case KindLost:
		return 0 // nobody has it any more
	case eventConnected, eventClosed:
		if f := all.flow(ev.Flow); f != nil {
			return uint32(f.content)
		}
		return 0 // to tell the other end so, any of them will do
	}
	return ev.C
}

// sentEnough is peer.sentEnough for all torrents together.
func (all *publisher) sentEnough(now time.Duration) bool {
	if p := all.torrents[0]; p.sentByAll() < p.cfg.LeaveAfter {
		return false
	}
	for _, p := range all.torrents {
		p.leave(now)
	}
	return true
}

// torrents are those of the process that p is, or is a part of.
func (p *peer) torrents() []*peer {
	if p.publisher == nil {
		return []*peer{p}
	}
	return p.publisher.torrents
}

// sentByAll is how many bytes of blocks all torrents of the process sent.
func (p *peer) sentByAll() (sum int64) {
	if p.publisher == nil {
		return p.sent
	}
	for _, torrent := range p.publisher.torrents {
		sum += torrent.sent
	}
	return sum
}
