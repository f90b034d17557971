package peer

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// Stats is a snapshot of a torrent.
type Stats struct {
	engine.Stats
	InfoHash metainfo.InfoHash
	Name     string // as the torrent says: remote text, unsafe to print raw; empty while it is not known
}

// snapshot is what the loop published last.
type snapshot struct {
	at    time.Duration
	stats engine.Stats
}

// Stats returns a snapshot, at most 250 ms old, or of the end if the torrent
// has stopped. The loop takes it when it is asked for, so nothing is spent on
// snapshots that nobody looks at.
func (t *Torrent) Stats() Stats {
	if t.client.now()-t.last.Load().at >= maxStatsAge {
		t.ask(t.publish)
	}
	stats := Stats{Stats: t.last.Load().stats, InfoHash: t.infoHash}
	if content := t.content(); content != nil {
		stats.Name = content.info.Name
	}
	return stats
}

// Peers returns a snapshot of the connections, in the order in which they came
// up. It is empty when the torrent has stopped.
func (t *Torrent) Peers() (peers []engine.PeerStats) {
	t.ask(func() { peers = t.engine.AppendPeers(nil, t.now) })
	return peers
}

// ask has the loop call f and waits until it has, or has ended.
func (t *Torrent) ask(f func()) {
	done := make(chan struct{})
	if t.inbox.put(event{do: func() { f(); close(done) }}) {
		<-done
	}
}

// publish takes a snapshot, in the loop.
func (t *Torrent) publish() {
	t.last.Store(&snapshot{at: t.now, stats: t.engine.Stats(t.now)})
}
