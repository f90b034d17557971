package node

import "time"

// What a node sends.
const (
	numClosest = 8 // BEP 5: "the K (8) closest good nodes"
	alpha      = 8 // queries of a lookup to nodes that are closer than the next one asked

	// See sets. With two of them or three to ask in each, fewer lookups
	// withstand a network of which a fifth lies; with eight, they are slower.
	numSets      = 4
	closestOfSet = 4 // have answered when the lookup ends in a set
	holdersOfSet = 2 // are to store, beside the closest eight of all

	// BEP 32: "must not send UDP datagrams with a payload larger than 1024
	// octets". A stored value of 1,000 bytes cannot obey that.
	maxReplyLen     = 1024
	maxItemReplyLen = 1200
	maxVersionLen   = 4

	// What an idle node keeps memory for, between calls; arbitrary.
	keptOutputs = 4
	keptBytes   = 1536 // of packets
)

// The budget of queries.
const (
	defaultQueries = 100 // a second, in the long run; a lookup takes about 20
	burstOf        = 2   // seconds' worth of queries may go at once

	// RFC 4787: "A NAT UDP mapping timer MUST NOT expire in less than two
	// minutes". Cheap routers have room for some thousands of mappings.
	destinationLife     = 2 * time.Minute
	defaultDestinations = 8192
)

// Manners of a lookup.
const (
	maxUnanswered   = 16  // queries without an answer, expired ones included
	maxQueries      = 100 // of one lookup in one address family, announces not counted
	maxTries        = 2   // queries to one node in one lookup
	numWiden        = 2   // nodes asked for what silent ones hide
	maxCandidates   = 128 // the closest nodes that a lookup remembers
	maxUnfit        = 64  // of them, those whose ids do not fit their addresses
	alphaIneligible = 2   // one of those is asked only while fewer queries than this run
	maxPerNetwork   = 3   // candidates of one network: an owner of many addresses in one place cannot fill a lookup
	maxPerResponse  = 16  // nodes believed in one response; 8 of each family are usual
	maxRefusalText  = 128 // bytes kept of what another node says in an error
	maxPeersTold    = 200 // peers believed in one response: more do not fit into a packet
)

// Time-outs of a query. The first frees the lookup's slot, and adapts; a
// reply counts until the second, after which a query is forgotten.
const (
	minTimeout     = 250 * time.Millisecond
	maxTimeout     = 2 * time.Second
	defaultTimeout = time.Second     // before there are minSamples
	forgetAfter    = 5 * time.Second // arbitrary: hardly a round trip takes longer
	minSamples     = 16
	numSamples     = 64
)

// The upkeep of the table.
const (
	upkeepEvery = 3 * time.Second // how often the table is looked over: 300 times in goodFor, a full table
	// Only so many buckets are refreshed: as many as a network of 2^24 nodes has.
	// Whoever answers under ids next to ours could make there be 160, and each
	// refresh is a lookup.
	maxRefreshed = 24
	maxUpkeep    = 8 // unanswered queries for upkeep
	// Of those, so many may be to nodes that asked us: a flood of queries from
	// forged addresses must not end the upkeep.
	maxUpkeepAsked = 4
	selfEvery      = 15 * time.Minute // between lookups of our own id
	retryJoin      = 10 * time.Second // between attempts while the table is empty
	retrySparse    = time.Minute      // and while it has fewer than numClosest nodes: whom we joined through knew hardly anyone
	rotateEvery    = 5 * time.Minute  // BEP 5: "a secret that changes every five minutes and tokens up to ten minutes old are accepted"
	maxBootstraps  = 64               // addresses kept for the next attempt to join
	maxSaved       = 1024             // nodes taken over from an earlier session: more than two full tables have
	maxSavedHeard  = 32               // of them, those that a lookup starts from: twice as many as it asks in vain at a time
)

// What a driver may ask for at a time.
const (
	// MaxLookups is how many lookups run at a time, two of the node's own
	// included. One more ends at once, with an empty Result.
	MaxLookups = 256
	// MaxAsking is how many queries of InQuery wait for an answer. One more is
	// not sent.
	MaxAsking = 64
)

// The bounds of the stores.
const (
	defaultMaxPeers  = 50_000           // peers of all torrents
	peersPerTorrent  = 2_000            // of each family; BEP 33: "try to keep max(seeds,peers) below 6000"
	peerExpiry       = 30 * time.Minute // clients announce every 15 minutes or so
	defaultMaxItems  = 2_000            // of 1,000 bytes at most
	itemExpiry       = 2 * time.Hour    // BEP 44: "these items MAY expire in 2 hours"
	ownerShare       = 32               // one network holds at most one of 32 parts of a store, and of a torrent
	maxSamples       = 16               // info-hashes in one reply; more would not fit beside 16 nodes
	sampleEvery      = 5 * time.Minute
	defaultSources   = 4096   // sources whose bytes are counted at a time
	defaultReplies   = 20_000 // a second; a flood of 10,000 must not cost others their answers
	sourceRate       = 4 << 10
	sourceBurst      = 16 << 10
	networkAllowance = 4 // times the quota of one source for its whole network
)
