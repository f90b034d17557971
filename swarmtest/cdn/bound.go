package cdn

import (
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// bound is the least time at which the last of the clients that completed could
// have done so, and the formula. It holds for every choice of servers and every
// order of requests, so it takes the uplinks of a tier together, and of each
// content one copy through the tiers above the edges. Only the way through a
// proxy is no choice.
func (r *run) bound() (time.Duration, string) {
	switch {
	case r.Kind == result.CDN:
		least := theory.Served(r.uplinks(r.edges), r.served(r.everybody()))
		once := r.onceEach(r.everybody())
		for _, tier := range r.aboveEdges() {
			least = max(least, theory.Served(r.uplinks(tier), once))
		}
		return inTime(least), "CDN: the slowest downlink, the uplinks of each tier"
	case r.Kind == result.Cache && !r.failing(Proxy):
		return inTime(r.boundOfProxies()), "caches: the slowest downlink, the uplink of each proxy, the origin's"
	}
	fronts := slices.Concat(r.proxies, r.origins)
	return inTime(theory.Served(r.uplinks(fronts), r.served(r.everybody()))), "client-server: the slowest downlink, the uplinks of all servers"
}

// boundOfProxies is for clients that each have one proxy, or none. The origin
// sends each content once to each proxy, and to every client without one.
func (r *run) boundOfProxies() (least float64) {
	var direct []*client
	behind := make([][]*client, len(r.servers))
	for i := range r.clients {
		c := &r.clients[i]
		if proxy := r.proxyOf(c); proxy != none {
			behind[proxy] = append(behind[proxy], c)
		} else {
			direct = append(direct, c)
		}
	}
	fromOrigin := r.served(direct)
	for _, id := range r.proxies {
		least = max(least, theory.Served(r.uplinks([]int32{id}), r.served(behind[id])))
		if !r.servers[id].Cache.Push {
			fromOrigin = append(fromOrigin, r.onceEach(behind[id])...)
		}
	}
	return max(least, theory.Served(r.uplinks(r.origins), fromOrigin))
}

func (r *run) everybody() []*client {
	all := make([]*client, len(r.clients))
	for i := range all {
		all[i] = &r.clients[i]
	}
	return all
}

// failing says that servers of a tier fail.
func (r *run) failing(t Tier) bool {
	return slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Tier == t })
}

// aboveEdges are the tiers that all contents must pass.
func (r *run) aboveEdges() (tiers [][]int32) {
	if r.pushed(r.edges) {
		return nil
	}
	if len(r.parents) > 0 && !r.failing(Parent) { // edges go around parents that are down
		tiers = append(tiers, r.parents)
	}
	if !r.pushed(r.parents) {
		tiers = append(tiers, r.origins)
	}
	return tiers
}

// inTime rounds a bound down: it must not be beaten by the last digit of a
// float.
func inTime(seconds float64) time.Duration {
	if seconds <= 0 || math.IsInf(seconds, 0) {
		return 0
	}
	return max(0, time.Duration(seconds*float64(time.Second))-1)
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

// served are the downloads of some clients that came to their end, as far as
// servers were needed.
func (r *run) served(clients []*client) (demands []theory.Demand) {
	for _, c := range clients {
		if c.phase == done && c.fromServers > 0 {
			demands = append(demands, theory.Demand{At: c.Join.Seconds(), Len: float64(c.fromServers), Down: float64(r.down(c))})
		}
	}
	return demands
}

// onceEach is one copy of each content that one of some clients got, from when
// it was first asked for, perhaps by one that left.
func (r *run) onceEach(clients []*client) (demands []theory.Demand) {
	place := map[int]int{} // of a content in demands
	for _, c := range clients {
		at, there := place[c.Content]
		if !there {
			at = len(demands)
			place[c.Content] = at
			demands = append(demands, theory.Demand{At: c.Join.Seconds()})
		}
		d := &demands[at]
		d.At = min(d.At, c.Join.Seconds())
		if c.phase == done && c.fromServers > 0 {
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
