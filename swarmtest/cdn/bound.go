package cdn

import (
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// bound is the least time at which the last of the clients that completed could
// have done so, and the formula. It holds for every routing and every order of
// requests, so it takes the uplinks of a tier together, and of each content
// one copy through the tiers above the edges.
func (r *run) bound() (time.Duration, string) {
	least := theory.Served(r.uplinks(r.fronts()), r.served())
	if r.Kind != result.CDN {
		return inTime(least), "client-server: the slowest downlink, the uplinks of all servers"
	}
	once := r.onceEach()
	for _, tier := range r.aboveEdges() {
		least = max(least, theory.Served(r.uplinks(tier), once))
	}
	return inTime(least), "CDN: the slowest downlink, the uplinks of each tier"
}

// aboveEdges are the tiers that all contents must pass.
func (r *run) aboveEdges() (tiers [][]int32) {
	if r.pushed(r.edges) {
		return nil
	}
	failing := false
	for _, f := range r.Faults {
		failing = failing || f.Tier == Parent // edges go around parents that are down
	}
	if len(r.parents) > 0 && !failing {
		tiers = append(tiers, r.parents)
	}
	if !r.pushed(r.parents) {
		tiers = append(tiers, r.origins)
	}
	return tiers
}

// inTime rounds a bound down: it must not be beaten by the last digit of a float.
func inTime(seconds float64) time.Duration {
	if seconds <= 0 || math.IsInf(seconds, 0) {
		return 0
	}
	return max(0, time.Duration(seconds*float64(time.Second))-1)
}

// fronts are the servers that clients may use.
func (r *run) fronts() []int32 {
	if len(r.edges) > 0 {
		return r.edges
	}
	return append(r.proxies[:len(r.proxies):len(r.proxies)], r.origins...)
}

// uplinks is the sum of the uplinks of servers, in bytes/s, 0 for unlimited.
func (r *run) uplinks(ids []int32) (sum float64) {
	for _, id := range ids {
		if r.servers[id].Up == 0 {
			return 0
		}
		sum += float64(r.servers[id].Up)
	}
	return sum
}

// served are the downloads that came to their end, as far as servers were needed.
func (r *run) served() (demands []theory.Demand) {
	for i := range r.clients {
		if c := &r.clients[i]; c.phase == done && c.fromServers > 0 {
			demands = append(demands, theory.Demand{At: c.Join.Seconds(), Len: float64(c.fromServers), Down: float64(r.down(c))})
		}
	}
	return demands
}

// onceEach is one copy of each content that somebody got, from when it was
// first asked for, perhaps by a client that left.
func (r *run) onceEach() []theory.Demand {
	demands := make([]theory.Demand, len(r.Contents))
	for i := range demands {
		demands[i].At = math.Inf(1)
	}
	for i := range r.clients {
		c := &r.clients[i]
		d := &demands[c.Content]
		d.At = min(d.At, c.Join.Seconds())
		if c.phase == done {
			d.Len = float64(r.Contents[c.Content].Len)
		}
	}
	return slices.DeleteFunc(demands, func(d theory.Demand) bool { return d.Len == 0 })
}

// pushed says that a cache of a tier had contents before the start.
func (r *run) pushed(ids []int32) bool {
	for _, id := range ids {
		if r.servers[id].Cache.Push {
			return true
		}
	}
	return false
}
