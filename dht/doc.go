// Package dht joins the program to the BitTorrent DHT: a [Server] opens the
// UDP sockets of one node, drives the node of dht/node that decides, and keeps
// its state in a file between sessions. A Lookup walks through the network to
// an info-hash or a stored item, a Query asks one node, and Announce keeps a
// torrent's peers coming for as long as it runs. One Server serves all torrents
// of a process.
//
// One goroutine owns the node. Others read the sockets, resolve the names of
// routers and write the state; all of them end with [Server.Close]. Packets are
// read, answered and sent in batches without an allocation, and each is bounded
// in length; what a stranger can make grow is bounded by dht/node. Lookups and
// queries beyond a number wait for their turn. The end of a context ends the
// call that was given it, and the lookup behind it.
package dht
