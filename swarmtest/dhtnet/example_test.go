package dhtnet_test

import (
	"fmt"
	"log"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/swarmtest/dhtnet"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// A hundred nodes join through four routers; one announces a torrent, a fifth of
// all fall silent, and another one finds it.
func ExampleNetwork() {
	n := dhtnet.New(sim.New(1), dhtnet.Internet(1))
	if err := n.Grow(100, 30*time.Second, nil); err != nil {
		log.Fatal(err) // a mistake in the description
	}
	n.Run(time.Minute)
	hash := n.RandomID()
	n.Any().Search(node.Request{Method: krpc.GetPeers, Target: hash, Store: true, Port: 6881}, nil)
	n.RunFor(20 * time.Second)
	n.SilenceSome(0.2)
	s := n.Any().Search(node.Request{Method: krpc.GetPeers, Target: hash}, nil)
	n.RunFor(20 * time.Second)
	fmt.Println(len(s.Peers), "peer, within a second:", s.First < time.Second)
	fmt.Println(s.Learned, "of the", s.Closest, "closest nodes were learned")
	// Output:
	// 1 peer, within a second: true
	// 8 of the 8 closest nodes were learned
}
