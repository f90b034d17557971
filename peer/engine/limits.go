package engine

import (
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// The bounds on what a peer can make an engine keep or do. Where a number is
// arbitrary, its comment says so.
const (
	// defaultMaxPeers bounds the connections of one torrent. Arbitrary; 50 to
	// 100 is what clients settled on, and more hardly speeds a swarm up.
	defaultMaxPeers = 80

	// dialShare is the part of MaxPeers, in percent, that we fill by dialling:
	// the rest is left to peers that cannot be dialled.
	dialShare = 70

	// A connection may lose its place to a newcomer (see makeRoomFor) when it is
	// older than evictGrace and no block came or went for evictIdle, and one in
	// evictEvery does. Arbitrary: in the grace a peer gets two optimistic turns.
	evictGrace = 2 * time.Minute
	evictIdle  = time.Minute
	evictEvery = 10 * time.Second

	// maxSeedDials is how many addresses a seed dials at once, seedDialsPerTick
	// how many in ten seconds after that. Arbitrary: enough for a seed that starts to be found useful,
	// too few for a hundred seeds that hang up on each other.
	maxSeedDials     = 20
	seedDialsPerTick = 5

	// maxKnown bounds the addresses kept, maxKnownPerSource those that one
	// InPeers may add: no single source fills the book.
	maxKnown          = 2000
	maxKnownPerSource = 500

	// maxKnownUnvouched bounds the addresses from the DHT, and those from PEX:
	// there is room for others, whatever strangers put in.
	maxKnownUnvouched = maxKnown / 2

	// maxPEX is how many addresses a PEX message adds and drops, after the
	// first. BEP 11: "the combined amount of added v4/v6 contacts should not
	// exceed 50 entries. The same applies to dropped entries."
	maxPEX = 50

	// maxLostContacts bounds the lost connections that peers are yet to be
	// told of. Arbitrary: some minutes' worth; who is told late misses some.
	maxLostContacts = 256

	// maxMetadataLen bounds the info dictionary in bytes, and what is kept of
	// all its copies together: no torrent that Shoal reads is longer.
	maxMetadataLen = metainfo.MaxTorrentLen

	// maxMetadataAsked is how many pieces of metadata a peer is asked for at a
	// time, maxMetadataDuplicates how many peers for one piece. Arbitrary: four
	// pieces keep a fast peer busy, and are less than any client queues.
	maxMetadataAsked      = 4
	maxMetadataDuplicates = 2

	// maxMetadataAlone bounds the copies that are fetched by one peer each
	// after a copy of several has failed. Arbitrary.
	maxMetadataAlone = 8

	// maxMetadataUnasked bounds the answers in a row that nobody asked for:
	// some cross on the way the moment at which they are needed no more.
	maxMetadataUnasked = 4 * maxMetadataAsked

	// maxMetadataQueued bounds the pieces of metadata that a peer waits for,
	// maxMetadataServed is the factor of BEP 9 by which it may ask for more than
	// there are, maxMetadataRejected ends its patience with us. All are
	// arbitrary; some clients ask for all pieces at once.
	maxMetadataQueued   = 512
	maxMetadataServed   = 8
	maxMetadataRejected = 1000

	// maxPerAddress bounds the connections from one IP address that is
	// neither loopback nor private. Several people may share an address;
	// more than this is somebody who takes our slots.
	maxPerAddress = 8

	// maxQueued bounds the blocks a peer may have asked for at a time. It is
	// what our extension handshake says in "reqq" (BEP 10).
	maxQueued = 2000

	// maxRequestLen is the longest block served. BEP 3 names 16 KiB, old
	// clients ask for up to 128 KiB.
	maxRequestLen = 128 << 10

	// maxChokedRequests is how many requests in a row a choked peer may send
	// before it is closed: BEP 6 asks for patience, "it can take several
	// seconds for buffers to drain".
	maxChokedRequests = 2 * maxQueued

	// maxUnasked is how many blocks in a row a peer without the Fast Extension
	// may send that were not asked for (a choke may cross them on the way).
	maxUnasked = 1000

	// maxSuggested bounds the suggestions of a peer that are remembered.
	maxSuggested = 16

	// maxEarlyHaves bounds the haves kept of a peer before the geometry is
	// known; who sends more without a bitfield is closed.
	maxEarlyHaves = 1 << 16

	// maxBans bounds the banned addresses, maxSuspects the failed pieces
	// whose blocks are remembered, maxRemembered the addresses whose place in
	// the rotation is.
	maxBans       = 10000
	maxSuspects   = 16
	maxRemembered = 4096

	// maxDuplicates is how many peers are asked for one block in endgame.
	// BEP 3 asks everyone; three waste less and are as fast, because the
	// least asked block is always next.
	maxDuplicates = 3

	// allowedFastPieces is k of BEP 6: "We currently set k to 10".
	allowedFastPieces = 10

	// maxStarters is how many peers are offered such pieces at a time. Arbitrary: beside four
	// slots, two take a third of an uplink at most.
	maxStarters = 2

	// maxStrikes is how many failed pieces a peer may have had a part in,
	// less the good ones, before it is banned without proof.
	maxStrikes = 5
)

// The rhythm of the protocol.
const (
	// rechokeEvery and optimisticEvery are BEP 3's: it "avoids fibrillation by
	// only changing who's choked once every ten seconds", and the optimistic
	// unchoke "rotates every 30 seconds".
	rechokeEvery    = 10 * time.Second
	optimisticEvery = 30 * time.Second

	// longestTurn bounds a turn that goes on until a piece is through: who asks for no
	// last blocks, or takes none, must not keep the slot. Arbitrary.
	longestTurn = 4 * optimisticEvery

	// rememberFor is how long an address keeps its place in the rotation
	// after its last connection: leaving and coming back gains nothing.
	rememberFor = time.Hour

	// keepAliveAfter: BEP 3, "Keepalives are generally sent once every two
	// minutes". silentAfter is when a peer that says nothing is gone.
	keepAliveAfter = 110 * time.Second
	silentAfter    = 4 * time.Minute

	// snubAfter: a peer that unchoked us and sends nothing for a minute.
	snubAfter = time.Minute

	// aloneFor is how long a peer on parole has for its piece before others
	// may help. Arbitrary: as long as a silent peer has.
	aloneFor = snubAfter

	// wholePiece: a peer that can bring a whole piece within this time gets
	// one of its own, which keeps blame and disk access simple; slower ones
	// join in a piece, so that it can be passed on soon.
	wholePiece = 3 * time.Second

	// The first retry of a failed dial, doubled each time up to the last; an
	// address that failed maxDials times is forgotten.
	redialFirst = 30 * time.Second
	redialLast  = 30 * time.Minute
	maxDials    = 8

	// The same for an address that the user named.
	redialUserFirst = 5 * time.Second
	redialUserLast  = time.Minute

	// needPeersBelow is with how few peers, and no address left to dial, more
	// are asked for. The original client announced again below twenty.
	needPeersBelow = 20

	// seedCallEvery is how often at most a seed with an idle uplink asks for
	// addresses between its regular announces. Arbitrary.
	seedCallEvery = 5 * time.Minute

	// With fewer than hungryBelow peers no address waits longer than
	// redialHungry, and none is forgotten. Both are arbitrary.
	hungryBelow  = 5
	redialHungry = time.Minute

	// pexEvery: BEP 11, "no more than 1 PEX message per minute".
	pexEvery = time.Minute

	// metadataTimeout is how long a piece of metadata may take before another
	// peer is asked. Arbitrary: 4 KB/s bring maxMetadataAsked pieces in time.
	metadataTimeout = 16 * time.Second

	// metadataAloneFor is how long a peer that fetches the metadata alone is
	// left in peace if others wait for its place, and how long it then pauses,
	// doubled each time. Arbitrary.
	metadataAloneFor = 30 * time.Second

	// A peer that refused to send metadata is asked again after a pause,
	// doubled each time. Arbitrary.
	metadataPauseFirst = 10 * time.Second
	metadataPauseLast  = 5 * time.Minute
)

// The request window, in blocks (see window.go).
const (
	firstWindow   = 4
	minWindow     = 2
	maxWindow     = 2000
	defaultReqQ   = 250 // BEP 10: "The default in in libtorrent is 250."
	queueTime     = 500 * time.Millisecond
	maxQueueBytes = 4 << 20
)
