// Package node decides everything that one node of the BitTorrent DHT does:
// its routing Table of nodes that answered, its Lookups towards an id, and the
// service that it gives to others: nodes, peers, stored items (BEP 5, 32, 33,
// 42, 43, 44, 51). An Input tells a Node what happened, an Output is what it
// wants done. It opens no socket, starts no goroutine, and takes its time and
// its randomness as parameters, so the real program and the simulator run the
// same code, and the same inputs from the same seed give the same outputs.
//
// The driver's loop is always the same:
//
//	n.Receive(now, in)          // and after each, or after Advance:
//	n.Advance(now)              // when NextTimeout has passed
//	for out, ok := n.Next(); ok; out, ok = n.Next() { do(out) }
//	deadline, ok := n.NextTimeout()
//
// Everything a stranger can make grow is bounded: nodes by the shape of the
// table, candidates and queries of a lookup, peers and items in store and each
// network's share of them, replies and the bytes sent to each source, all by
// the constants in limits.go. Nothing needs to be cancelled: a node that is no
// longer driven does nothing.
package node
