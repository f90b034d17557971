// Package server is Shoal's tracker: a [Server] answers announces and scrapes
// over HTTP (BEP 3, 7, 23, 24, 48) from swarms that it keeps in memory, for
// every torrent or for those on a [Whitelist].
//
// Requests come from strangers: queries are read byte by byte into fixed
// space, headers, connections and times are bounded, and torrents, peers and
// reply sizes by the [Config]. [Server.Run] serves until its context ends.
package server
