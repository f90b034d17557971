package sim

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
)

// Result is what happened in a run.
type Result struct {
	// Reason says what ended the run, and Completed that every peer that was to
	// complete, and did not leave before, has.
	Reason    string
	Completed bool
	// End is the virtual time of the end.
	End time.Duration
	// Events is the number of events delivered; Hash stands for them all, see
	// Kernel.Hash.
	Events uint64
	Hash   [32]byte
	// Peers are in the order of Swarm.Peers.
	Peers []PeerResult
	// WebSeeds are in the order of Swarm.WebSeeds.
	WebSeeds []WebSeedResult
}

// PeerResult is what one peer did. Times are since the start of the run,
// 0 for what did not happen; bytes are those of blocks.
type PeerResult struct {
	Class                             string
	Seed                              bool
	Join, FirstPiece, Complete, Leave time.Duration
	// Up is what its uplink sent, Down what reached it; of that Wasted counts
	// what the engine had no use for, FromSeeds what came from peers that were
	// seeds at the start, and FromWebSeeds what came from web seeds. Lost came, too, but on connections that it had closed.
	Up, Down, Wasted, FromSeeds, FromWebSeeds, Lost int64
	// CrossISP is the part of Down that came from peers with another ISP.
	CrossISP int64
	// MessagesUp and MessagesDown are the bytes of all else.
	MessagesUp, MessagesDown int64
	// HashFails counts pieces that did not match, and Bans the peers that it banned for it. BannedBy
	// is how many have banned it, if it is Corrupt.
	HashFails, Bans, BannedBy int
	// Occupied is how long its uplink carried blocks.
	Occupied time.Duration

	// FirstPeer is when its first connection with a peer was up. Found counts the addresses that it
	// learned, by who told it of them first; its own may be among them.
	FirstPeer time.Duration
	Found     engine.Found
	// DHTUp and DHTDown are the bytes of its packets in the DHT, with headers of IP and UDP. They are
	// part of MessagesUp and MessagesDown.
	DHTUp, DHTDown int64
}

func (w *swarm) result(reason string, end time.Duration) *Result {
	world := w.world()
	r := &Result{
		Reason: reason, Completed: w.tally().toComplete == 0,
		End: end, Events: w.shards.events(), Hash: world.Hash(),
		Peers: make([]PeerResult, len(w.peers)), WebSeeds: w.webSeedResults(),
	}
	for i, p := range w.peers {
		traffic := world.Traffic(p.id)
		r.Peers[i] = PeerResult{
			Class: p.cfg.Class, Seed: p.cfg.Seed,
			Join: p.cfg.Join, FirstPiece: p.firstPiece, Complete: p.completedAt, Leave: p.leftAt,
			Up: p.sentByAll(), Down: p.received, FromSeeds: p.fromSeeds, FromWebSeeds: p.fromWebSeeds, Lost: p.lost, CrossISP: p.crossISP,
			MessagesUp: traffic.MessagesUp, MessagesDown: traffic.MessagesDown, Occupied: traffic.Occupied,
			FirstPeer: p.firstPeer,
		}
		if p.dht != nil {
			r.Peers[i].DHTUp, r.Peers[i].DHTDown = p.dht.node.up, p.dht.node.down
		}
		counted := p.before
		counted.add(p.engine, r.End)
		r.Peers[i].Wasted, r.Peers[i].HashFails, r.Peers[i].Bans = counted.wasted, counted.hashFails, counted.bans
		r.Peers[i].Found = counted.found
		if p.cfg.Corrupt {
			r.Peers[i].BannedBy = w.bannedBy(p)
		}
	}
	return r
}

// bannedBy counts those that let a peer in no more.
func (w *swarm) bannedBy(p *peer) (n int) {
	addr := addrOf(p.index, listenPort).Addr()
	for _, other := range w.peers {
		if other.engine != nil && other.engine.Bans(addr) {
			n++
		}
	}
	return n
}

// LastCompletion is when the last peer completed.
func (r *Result) LastCompletion() (last time.Duration) {
	for _, p := range r.Peers {
		last = max(last, p.Complete)
	}
	return last
}

// Durations returns how long each peer that completed took, from its joining,
// in ascending order.
func (r *Result) Durations() []time.Duration {
	var took []time.Duration
	for _, p := range r.Peers {
		if p.Complete > 0 {
			took = append(took, p.Complete-p.Join)
		}
	}
	slices.Sort(took)
	return took
}

// MeanDuration is the mean of Durations, 0 if nobody completed.
func (r *Result) MeanDuration() time.Duration {
	took := r.Durations()
	if len(took) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	return sum / time.Duration(len(took))
}
