package cdn

import (
	"errors"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// Result is what happened in a run.
type Result struct {
	// System is the run as reports read it. Its Peers are the clients in
	// their order and then the servers: origins, parents, edges, proxies. A client's FirstPiece is
	// its first byte. Its Sources are what each tier sent, so bytes that go through two tiers
	// are in two of them.
	System result.System
	// Servers are what the servers did, in their order in System.Peers.
	Servers []ServerStats
	// Retries is how often clients were refused, Breaks how often a connection broke
	// under a transfer.
	Retries, Breaks int
	// GaveUp is how many clients had enough of being refused.
	GaveUp int
}

// ServerStats are the figures of one server.
type ServerStats struct {
	Tier Tier
	Name string

	// Requests were asked of it, and Refused of them turned away. MostQueued is how many waited
	// for their turn at once.
	Requests, Refused int64
	MostQueued        int
	// MostConnections is how many clients were connected at once.
	MostConnections int

	// Hits were answered from the cache, Misses were not; Coalesced of these waited for a fetch
	// that was under way. Revalidated were stale, and good after a conditional request.
	Hits, Misses, Coalesced, Revalidated int64
	// Fetches are requests to the tier above for data, Evicted what left the
	// cache, in slices.
	Fetches, Evicted int64

	// In and Out are bytes of data, HitOut those of Out that the cache had. Wasted are those of In that it had
	// no use for: fetched twice, or broken off.
	In, Out, HitOut, Wasted int64
	// Occupied is how long its uplink carried data.
	Occupied time.Duration
}

// Run runs the system to its end and says what happened. The error is a mistake in the
// Config; a run that gets nowhere is not an error, see System.Reason.
func (c Config) Run(seed uint64) (*Result, error) {
	_ = seed
	return nil, errNotYet
}

var errNotYet = errors.New("not yet")
