// Package cdn serves a demand in the ways that need no peers: by an origin, by
// replicas behind a balancer, by mirrors, by caching proxies, and by a CDN with
// edges and parents. Together with a swarm that serves the same demand they
// make one figure.
//
// A Server has links and perhaps a cache; servers of one kind are a tier. A
// Client downloads one content, in requests of a slice each, over one
// connection to the server that routing picks. A cache that lacks a slice
// fetches it from the tier above.
//
// Transfers are fluid: the connections that have something to send share the
// uplinks of servers and the downlinks of receivers max-min fairly, as long TCP
// connections do, and every change of a rate is computed exactly, in integers.
// Nothing is a packet. docs/simulation.md says what is left out.
//
// Nothing here starts a goroutine, reads a clock or lets the order of a map
// reach an event, and every client and server draws from a random stream of its
// own: one Config and one seed give one run, to the last event.
//
// Every run is bounded, by the virtual time it is given, by the virtual time in
// which nothing moves, and by its number of events; the result says which of
// them ended it. Config.Progress can end it earlier.
package cdn
