package result

import "time"

// Server is what one server did. What a kind of system does not count is 0.
type Server struct {
	Name string
	// Tier is a word for what it is: "origin", "parent", "edge", "proxy".
	Tier        string
	Region, ISP string
	// UpRate is its uplink's, bytes/s, 0 for unlimited.
	UpRate int64

	// Requests were asked of it, and Refused of them turned away, at once or
	// because the tier above refused. MostQueued is how many waited for their
	// turn at once.
	Requests, Refused int64
	MostQueued        int
	// MostConnections is how many clients used it at once.
	MostConnections int

	// Hits were answered from the cache, Misses were not; Coalesced of these
	// waited for a fetch that was under way. Revalidated is how many
	// conditional requests of the cache said that a slice is still good.
	Hits, Misses, Coalesced, Revalidated int64
	// Fetches are requests to the tier above for data, Evicted what left the
	// cache, in slices.
	Fetches, Evicted int64

	// In and Out are bytes of data, Pushed those of Out that it sent before the
	// start, HitOut those that the cache had when it was asked. Wasted are those
	// of In that it had no use for: fetched twice, or broken off.
	In, Out, Pushed, HitOut, Wasted int64
	// Peak is the most that it sent between two samples, in bytes/s; -1 where
	// that is not known.
	Peak float64
	// Occupied is how long its uplink carried data.
	Occupied time.Duration
	// Outages are when it was down, in their order.
	Outages []Outage
	// Cost is what it sent costs, in the unit of System.Cost.
	Cost float64
}

// Outage is a time in which a server was down.
type Outage struct {
	At, For time.Duration
}

// Use is the part of what an uplink could have sent until the end of a run that
// was sent; false where there is no limit, or no time.
func (s *Server) Use(end time.Duration) (part float64, ok bool) {
	if s.UpRate == 0 || end <= 0 {
		return 0, false
	}
	return float64(s.Out-s.Pushed) / (float64(s.UpRate) * end.Seconds()), true
}
