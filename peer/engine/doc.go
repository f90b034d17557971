// Package engine decides everything that one peer does in one torrent.
//
// An Engine is the swarm as one peer sees it: its connections, the pieces it
// has and wants, and the blocks in flight between them. An Input tells it what
// happened; an Output is what it wants done. It opens no socket and no file,
// starts no goroutine, and takes its time and its randomness as parameters, so
// the real client and the simulator run the same code, and the same inputs
// from the same seed give the same outputs, byte for byte.
//
// The driver's loop is always the same:
//
//	e.Receive(now, &in)         // any number of times
//	e.Advance(now)              // when NextTimeout has passed
//	for out, ok := e.Next(); ok; out, ok = e.Next() { do(out) }
//	deadline, ok := e.NextTimeout()
//
// A connection may also be a web seed (BEP 19): a server that is asked like a peer, but
// only for what peers do not bring.
//
// A torrent may begin as a magnet link: then the engine first fetches the info
// dictionary from its peers, hands it out, and is told the geometry.
//
// Everything a peer can make grow is bounded: connections and half-open dials
// and buffered bytes by the Grants, known addresses, requests queued by a
// peer, suggestions, suspects, bans, metadata and PEX messages by the constants
// in limits.go. Nothing
// needs to be cancelled: an engine that is no longer driven does nothing.
package engine
