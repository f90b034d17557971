// Package server is Shoal's tracker: a [Server] answers announces and scrapes
// over HTTP (BEP 3, 7, 23, 24, 48) and UDP (BEP 15) from swarms that it keeps in
// memory, for every torrent or for those on a [TorrentList]. Over HTTP a front
// answers the plain requests, and net/http all that is odd.
//
// Requests come from strangers: queries and packets are read byte by byte into
// fixed space, headers, connections and times are bounded, and torrents, peers
// and reply sizes by the [Config]; who has not shown that he receives what is
// sent to his address gets no more than he sent. [Server.Run] and
// [Server.RunUDP] serve until their contexts end.
package server
