// Package peer is the BitTorrent client: the shell around peer/engine.
//
// A Client listens, dials and shares one process's slots, rates, connections
// and memory among its torrents. A Torrent is one engine and the goroutine
// that owns it; everything else (the readers and writers of connections, dials,
// disk workers, finders) appends to the torrent's inbox and never touches the
// engine. A Finder is where addresses of peers come from: trackers, the DHT,
// and whatever else the caller joins to a torrent.
//
// A Torrent that is added without its info dictionary (a magnet link) connects
// and fetches that first: Metadata tells when it is there, SetInfo begins the
// download.
//
// The bytes of blocks do not pass through the loop. A reader claims the block's
// slot in the piece being assembled and reads the payload straight into it; a
// worker hashes and writes whole pieces; a writer takes the blocks it answers
// with from a read-ahead cache and sends many of them with one vectored write.
//
// Bounded are: connections, half-open dials and handshakes, connections from
// one address, an inbox's length, what is queued for a peer that does not read,
// and the block memory of the process (limits.go has the figures). Torrent.Stop
// and Client.Close end everything and wait for it; their context bounds only
// how long finders may take to say goodbye.
package peer
