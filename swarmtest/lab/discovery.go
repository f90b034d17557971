package lab

import (
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// dht is the DHT of a system, nil if it has none.
func (r *run) dht(sys *scenario.System) *sim.DHT {
	if !sys.DHT {
		return nil
	}
	return &sim.DHT{Nodes: r.s.DHT.Nodes, Routers: r.s.DHT.Routers}
}

// nodePlaces are where the nodes of a system's DHT are that belong to no peer.
func (r *run) nodePlaces(sys *scenario.System) []demand.Place {
	if !sys.DHT {
		return nil
	}
	places := make([]demand.Place, r.s.DHT.Nodes)
	for i := range places {
		places[i] = demand.Node(r.s, r.seed, i)
	}
	return places
}

// discovery is how a peer found others.
func discovery(p *sim.PeerResult) result.Discovery {
	return result.Discovery{
		FirstPeer: p.FirstPeer, DHTUp: p.DHTUp, DHTDown: p.DHTDown,
		FromTracker: int(p.Found[engine.SourceTracker]), FromDHT: int(p.Found[engine.SourceDHT]),
		FromPEX: int(p.Found[engine.SourcePEX]), FromIncoming: int(p.Found[engine.SourceIncoming]),
	}
}
