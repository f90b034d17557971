package validate

import (
	"context"
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// closedForms are the figures of Kumar and Ross's example: 15 Gbit, an origin of 30 Mbit/s,
// peers with 2 Mbit/s down and 0.3 Mbit/s up. They are given in whole seconds.
func closedForms() (all []Experiment) {
	for _, c := range []struct {
		numPeers            int
		swarm, clientServer float64
	}{
		{10, 7500, 7500},
		{100, 25_000, 50_000},
		{1000, 45_455, 500_000},
	} {
		all = append(all, Experiment{
			Name: fmt.Sprintf("least distribution time, %d peers", c.numPeers), Kind: ClosedForm, Source: "Kumar and Ross 2006",
			Checks: []Check{
				between("swarm, s", fmt.Sprintf("%.0f", c.swarm), c.swarm-0.5, c.swarm+0.5),
				between("client-server, s", fmt.Sprintf("%.0f", c.clientServer), c.clientServer-0.5, c.clientServer+0.5),
			},
			run: func(context.Context, uint64) ([]float64, error) {
				peers := uniform(c.numPeers, theory.Peer{Up: 0.3, Down: 2})
				return []float64{theory.Swarm(15_000, 30, peers), theory.ClientServer(15_000, 30, peers)}, nil
			},
		})
	}
	return all
}

// uniform is a population of equal peers.
func uniform(numPeers int, p theory.Peer) []theory.Peer {
	peers := make([]theory.Peer, numPeers)
	for i := range peers {
		peers[i] = p
	}
	return peers
}
