package sim_test

import (
	"fmt"
	"log"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/sim"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// One seed and thirty downloaders that all have an uplink of 1 MiB/s, and the
// same once more with pieces that are picked in their order.
func ExampleSwarm() {
	const fileLen, uplink, numLeechers = 16 << 20, 1 << 20, 30
	geometry, err := metainfo.NewGeometry(fileLen, 256<<10)
	if err != nil {
		log.Fatal(err)
	}
	link := sim.Link{Up: uplink, Down: 8 * uplink} // bytes/s
	swarm := sim.Swarm{
		Seed:     1,
		Geometry: geometry,
		Peers: append([]sim.Peer{{Class: "seed", Link: link, Seed: true}},
			sim.Repeat(numLeechers, sim.Peer{Class: "leecher", Link: link})...),
	}
	lastCompletion := func(order engine.Order) float64 {
		swarm.Configure = func(peer int, cfg *engine.Config) { cfg.Order = order }
		result, err := swarm.Run()
		if err != nil {
			log.Fatal(err) // a mistake in the description
		}
		if !result.Completed {
			log.Fatal(result.Reason)
		}
		return result.LastCompletion().Seconds()
	}

	population := make([]theory.Peer, numLeechers)
	for i := range population {
		population[i] = theory.Peer{Up: uplink, Down: 8 * uplink}
	}
	bound := theory.Swarm(fileLen, uplink, population)
	rarestFirst, sequential := lastCompletion(engine.RarestFirst), lastCompletion(engine.Sequential)
	fmt.Printf("the bound: %.0f s\n", bound)
	fmt.Println("rarest first keeps it:", rarestFirst >= bound)
	fmt.Println("in their order takes longer:", sequential > rarestFirst)
	// Output:
	// the bound: 16 s
	// rarest first keeps it: true
	// in their order takes longer: true
}
