// Package dhtnet is a network of DHT nodes in virtual time. A Network sits on
// a sim.Kernel; each of its Hosts runs the node.Node that the client runs, and
// is reached over Paths with a latency and a loss of their own. A Search is a
// lookup that is measured against the truth, which only the network knows: the
// closest nodes that are alive.
//
// Networks come to be as real ones do: a Host knows the addresses of a few
// routers and joins by way of them. Nothing writes into a routing table. Hosts
// may be silenced, may be behind a NAT, or may lie (see Liar).
//
// Packets are real bytes, and everything is drawn from the kernel's seed: the
// hash of the kernel's events, among them a checksum of each packet, is the
// same for the same seed. A network may share the kernel with others and with
// engines; a host may sit behind the access link of an engine's peer. All of it
// is for one goroutine.
//
// What grows is what the caller adds: hosts, and the packets that are under way
// between them. Nothing needs to be cancelled; a network whose kernel does not
// run does nothing.
package dhtnet
