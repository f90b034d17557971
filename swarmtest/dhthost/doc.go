// Package dhthost drives the DHT node of one simulated host: the node.Node that
// the client runs. A Host hands its node packets, inputs and the time, and does
// what the node wants done by way of its World, which is the simulator around
// it: swarmtest/dhtnet, a network of nothing but nodes, or swarmtest/sim, where
// nodes share their access links with the peers of a swarm.
//
// It has no clock, no randomness and no order of its own. What is bounded is
// bounded by the node; a Host that is no longer driven does nothing.
package dhthost
