package lab

import (
	"time"

	"github.com/shoal-bt/shoal/swarmtest/cdn"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// servers runs a system in which clients do not help each other.
func (r *run) servers(sys *scenario.System) (*result.System, error) {
	s := r.s
	cfg := cdn.Config{
		Name: sys.Name, Kind: sys.Kind,
		Clients: r.downloads(), Latency: orNone(s.Network.Latency), Between: r.betweenRegions(),
		SliceLen: sys.Slice, Balance: cdn.Balance(sys.Balance),
		SampleEvery: s.Samples.Every, Limit: s.Limits.Time, Patience: r.patience(),
		Prices: cdn.Prices{},
		Progress: func(now time.Duration, done, total int) bool {
			r.at.Part = float64(done) / float64(max(total, 1))
			r.report(now, done, total)
			return r.ctx.Err() == nil
		},
	}
	if p := &s.Prices; !p.Free() {
		cfg.Prices = cdn.Prices{Currency: p.Currency, Origin: p.Origin, Parent: p.Parent, Edge: p.Edge, Proxy: p.Proxy}
	}
	for range s.Content.Count {
		cfg.Contents = append(cfg.Contents, cdn.Content{Len: s.Content.Length})
	}
	for i := range s.Regions {
		cfg.Regions = append(cfg.Regions, s.Regions[i].Name)
	}
	for i := range s.ISPs {
		cfg.ISPs = append(cfg.ISPs, s.ISPs[i].Name)
	}
	r.addServers(&cfg, sys)
	res, err := cfg.Run(r.seed)
	if err != nil {
		return nil, err
	}
	return &res.System, nil
}

// downloads are the clients as cdn has them. When they have completed, they go: nobody
// needs them.
func (r *run) downloads() []cdn.Client {
	clients := make([]cdn.Client, len(r.clients))
	for i := range r.clients {
		c := &r.clients[i]
		clients[i] = cdn.Client{
			Class: r.s.Classes[c.Class].Name, Join: c.Join, Leave: never(c.GiveUp), Up: c.Up, Down: c.Down,
			Region: c.Region, ISP: c.ISP, Content: c.Content,
		}
	}
	return clients
}

// betweenRegions returns the latencies between regions, nil if all are alike.
// With coordinates they are those of the middles of regions.
func (r *run) betweenRegions() [][]time.Duration {
	if r.s.Network.Model == scenario.Constant {
		return nil
	}
	places := make([]demand.Place, len(r.s.Regions))
	for i := range places {
		places[i].Region = i
		if at := r.s.Regions[i].At; at != nil {
			places[i].X, places[i].Y = at[0], at[1]
		}
	}
	between := make([][]time.Duration, len(places))
	for i, a := range places {
		for _, b := range places {
			between[i] = append(between[i], demand.Latency(r.s, a, b))
		}
	}
	return between
}

// addServers puts the servers of a system where they belong.
func (r *run) addServers(cfg *cdn.Config, sys *scenario.System) {
	cfg.Origins = []cdn.Server{r.origin()}
	cache := cdn.Cache{Disk: sys.Disk, TTL: ttl(sys), NoCoalescing: !sys.Coalescing, Push: sys.Push}
	switch sys.Kind {
	case result.Replicas, result.Mirrors:
		cfg.Origins = r.spread(sys.Servers, cdn.Server{Up: sys.Up})
	case result.Cache:
		cfg.ProxyByRegion = sys.Per == scenario.PerRegion
		cfg.Proxies = r.proxies(sys, cdn.Server{Up: sys.ProxyUp, Down: sys.ProxyDown, Cache: cache})
	case result.CDN:
		cfg.Edges = r.spread(sys.Edges, cdn.Server{Up: sys.EdgeUp, Down: sys.EdgeDown, Cache: cache})
		parent := cache
		parent.Disk, parent.Push = sys.ParentDisk, false
		cfg.Parents = r.spread(sys.Parents, cdn.Server{Up: sys.ParentUp, Down: sys.ParentDown, Cache: parent})
		cfg.Routing = cdn.Routing{
			Anycast: sys.Routing == scenario.Anycast, TTL: sys.DNSTTL, ResolversPerISP: sys.Resolvers, ClientSubnet: sys.ClientSubnet,
			MinShare: sys.MinShare, Detect: sys.Detect, Convergence: sys.Convergence,
		}
	}
	r.addFaults(cfg, sys)
}

// ttl follows the convention of cdn.Cache.
func ttl(sys *scenario.System) time.Duration {
	if sys.TTL == scenario.Forever {
		return -1
	}
	return sys.TTL
}

// origin is one server with the links of all of the origin's.
func (r *run) origin() cdn.Server {
	o, at := &r.s.Origin, demand.Origin(r.s)
	return cdn.Server{
		Region: at.Region, ISP: at.ISP, Up: r.s.OriginUp(), Down: o.Down * int64(o.Count),
		MaxRequests: o.MaxRequests, Queue: o.Queue,
	}
}

// spread returns n servers, in the regions in turn.
func (r *run) spread(n int, like cdn.Server) []cdn.Server {
	servers := make([]cdn.Server, n)
	for i := range servers {
		servers[i] = like
		servers[i].Region = i % max(len(r.s.Regions), 1)
	}
	return servers
}

// proxies returns one for each ISP, where it is, or one for each region.
func (r *run) proxies(sys *scenario.System, like cdn.Server) []cdn.Server {
	servers := r.spread(r.s.NumServers(sys, scenario.Proxy), like)
	if sys.Per == scenario.PerISP {
		for i := range r.s.ISPs {
			servers[i].ISP, servers[i].Region = i, max(r.s.Region(r.s.ISPs[i].Region), 0)
		}
	}
	return servers
}

// tiers are the values of scenario.Fault.Tier.
var tiers = map[string]cdn.Tier{scenario.Edge: cdn.Edge, scenario.Parent: cdn.Parent, scenario.Proxy: cdn.Proxy}

// addFaults adds the faults of servers that the system has.
func (r *run) addFaults(cfg *cdn.Config, sys *scenario.System) {
	for _, f := range r.s.Faults {
		if f.Kind == scenario.ServerFails && f.Server < r.s.NumServers(sys, f.Tier) {
			cfg.Faults = append(cfg.Faults, cdn.Fault{Tier: tiers[f.Tier], Server: f.Server, At: f.At, For: never(f.For)})
		}
	}
}
