package peer

import "time"

// What a peer can make grow, and how long it can make us wait.
const (
	// maxInbox bounds the events that wait for a torrent's loop. Readers that
	// find it full wait in turn, so that a flood of messages ends in the
	// sender's socket and not in our memory. An event has a quarter of a KiB.
	maxInbox = 4096

	// readerBatch is how many messages a reader collects before it hands them
	// to the loop, unless it has to wait for the socket earlier.
	readerBatch = 64

	// maxQueuedControl bounds the bytes of messages, blocks not counted, that
	// wait for a peer that does not read. The longest single message is a
	// bitfield of half a MiB.
	maxQueuedControl = 1 << 20

	// writeTimeout is how long a socket may take nothing at all before its
	// peer counts as one that never reads.
	writeTimeout = 60 * time.Second

	// blockTimeout is how long a block may take from its first byte to its
	// last. While it is on its way its slot is taken, and no other peer can
	// fill it: who sends one byte a minute would hold up a whole piece.
	blockTimeout = 60 * time.Second

	// connectTimeout and handshakeTimeout end a dial, and an incoming
	// connection that says nothing. A reachable peer needs a tenth.
	connectTimeout   = 10 * time.Second
	handshakeTimeout = 10 * time.Second

	// maxHandshakes bounds the incoming connections that have not said yet
	// what they want, maxHandshakesPerAddr those from one address, so that one
	// host cannot take the places of all others. Both are arbitrary; an honest
	// handshake takes a round trip.
	maxHandshakes        = 256
	maxHandshakesPerAddr = 64

	// finderGrace is how long finders have to say goodbye. A tracker that
	// does not answer in this time will notice by itself.
	finderGrace = 5 * time.Second

	// maxStatsAge is how old a snapshot may be. It keeps a caller that asks
	// all the time from waking the loop each time.
	maxStatsAge = 250 * time.Millisecond

	// The pause before a store that failed is tried again, doubled each time.
	minStoreRetry = 2 * time.Second
	maxStoreRetry = 30 * time.Second

	// syncEvery is how often what was written is brought to the disk, so that
	// it need not be verified again after the power was lost.
	syncEvery = time.Minute

	// cacheBytes is the memory of a torrent's read cache: enough for the large
	// writes of the few fast peers that profit from it.
	cacheBytes = 8 << 20

	// acceptPause is the pause after a failed accept: without it a process
	// out of descriptors would spin.
	acceptPause = 100 * time.Millisecond

	// maxWebSeeds bounds the web seeds that a torrent uses at a time; others take
	// the place of one that fails. Arbitrary: one good server is enough, and each may be asked for as
	// much block memory as several peers.
	maxWebSeeds = 4

	// maxWebSeedFailures bounds what is kept for Torrent.WebSeedFailures. Arbitrary: some failures
	// of each web seed that is in use.
	maxWebSeedFailures = 4 * maxWebSeeds

	// maxRedirects is how many redirects a request follows. Arbitrary; a mirror system
	// needs one or two.
	maxRedirects = 5

	// maxSkipped is how many bytes before a range are read and dropped, of a server that
	// sends whole files only. Arbitrary: less than it takes to ask anew elsewhere.
	maxSkipped = 1 << 20
)
