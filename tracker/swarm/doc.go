// Package swarm is the core of a tracker: who is in the swarm of which
// torrent. A peer is an address and a port that announced itself; the peers
// of a torrent are its swarm; a reply gives an announcer counts and a random
// choice of the others.
//
// [Swarms] is pure: no goroutine, clock or lock, time comes in as a duration
// since any fixed moment and randomness in the [Config]. The server splits
// torrents among several Swarms with a lock each, the simulator calls one
// directly. Torrents, peers and peers per reply are bounded by the Config;
// peers that fall silent leave by [Swarms.Expire].
package swarm
