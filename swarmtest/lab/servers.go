package lab

import (
	"math"
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
		Clients: r.downloads(sys), Latency: orNone(s.Network.Latency), Between: r.betweenRegions(),
		SliceLen: sys.Slice, Balance: cdn.Balance(sys.Balance), Browser: cdn.Browser{TTL: foreverIsNegative(sys.BrowserTTL)},
		Pipeline: s.HTTP.Pipeline, Handshakes: s.HTTP.Handshakes, Window: s.HTTP.Window, Timeout: s.HTTP.Timeout,
		Retry:       cdn.Retry{First: s.HTTP.Retry, Most: s.HTTP.RetryMost, Attempts: s.HTTP.Attempts},
		SampleEvery: s.Samples.Every, Limit: s.Limits.Time, Patience: r.patience(),
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
	if cfg.Handshakes == 0 {
		cfg.Handshakes = -1
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
func (r *run) downloads(sys *scenario.System) []cdn.Client {
	clients := make([]cdn.Client, len(r.clients))
	for i := range r.clients {
		c := &r.clients[i]
		clients[i] = cdn.Client{
			Class: r.s.Classes[c.Class].Name, Join: c.Join, Leave: never(c.GiveUp), Up: c.Up, Down: c.Down,
			Region: c.Region, ISP: c.ISP, Content: c.Content, Resolver: r.resolver(sys, c),
		}
	}
	r.shareMachines(clients)
	return clients
}

// shareMachines lets the downloads of one person be at one place, that of the first one.
func (r *run) shareMachines(clients []cdn.Client) {
	at := map[int]*cdn.Client{}
	for i, user := range demand.Users(r.s, r.seed, r.clients) {
		c := &clients[i]
		c.User = user
		if first, known := at[user]; known {
			c.Region, c.ISP, c.Resolver = first.Region, first.ISP, first.Resolver
		} else {
			at[user] = c
		}
	}
}

// resolver is the public resolver that a client asks, the nearest, as cdn.Client has it: 0 if it
// asks its ISP's.
func (r *run) resolver(sys *scenario.System, c *demand.Client) (nearest int) {
	if sys.PublicDNS == 0 || !demand.AsksPublicResolver(r.s, r.seed, c, sys.PublicDNS) {
		return 0
	}
	least := time.Duration(math.MaxInt64)
	for i, name := range sys.PublicResolvers {
		latency := demand.Latency(r.s, c.Place, r.middle(r.s.Region(name)))
		if r.s.Region(name) == c.Region { // also where all latencies are the same
			latency = -1
		}
		if latency < least {
			nearest, least = i+1, latency
		}
	}
	return nearest
}

// middle is the middle of a region.
func (r *run) middle(region int) demand.Place {
	p := demand.Place{Region: region}
	if at := r.s.Regions[region].At; at != nil {
		p.X, p.Y = at[0], at[1]
	}
	return p
}

// betweenRegions returns the latencies between regions, nil if all are alike.
// With coordinates they are those of the middles of regions.
func (r *run) betweenRegions() [][]time.Duration {
	if r.s.Network.Model == scenario.Constant {
		return nil
	}
	places := make([]demand.Place, len(r.s.Regions))
	for i := range places {
		places[i] = r.middle(i)
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
	cache := cdn.Cache{
		Disk: sys.Disk, ByObject: sys.Evict == scenario.Contents, TTL: foreverIsNegative(sys.TTL), NoCoalescing: !sys.Coalescing, Push: sys.Push,
	}
	front := cdn.Server{MaxRequests: sys.MaxRequests, Queue: sys.Queue, Cache: cache}
	cfg.Routing.Detect = sys.Detect
	switch sys.Kind {
	case result.Replicas, result.Mirrors:
		front.Up = sys.Up
		tier := map[string]string{result.Replicas: scenario.Replica, result.Mirrors: scenario.Mirror}[sys.Kind]
		cfg.Origins = r.spread(sys, tier, front)
	case result.Cache:
		cfg.ProxyByRegion = sys.Per == scenario.PerRegion
		front.Up, front.Down = sys.ProxyUp, sys.ProxyDown
		cfg.Proxies = r.proxies(sys, front)
	case result.CDN:
		front.Up, front.Down = sys.EdgeUp, sys.EdgeDown
		cfg.Edges = r.spread(sys, scenario.Edge, front)
		cfg.Parents = r.spread(sys, scenario.Parent, parent(sys, cache))
		cfg.NearestParent = sys.ParentChoice == scenario.Nearest
		cfg.Routing = r.routing(sys)
	}
	r.addFaults(cfg, sys)
}

// parent is a parent with a cache like that of the edges, but for what is said of parents.
func parent(sys *scenario.System, cache cdn.Cache) cdn.Server {
	cache.Disk, cache.TTL, cache.NoCoalescing, cache.Push = sys.ParentDisk, foreverIsNegative(sys.ParentTTL), !sys.ParentCoalescing, sys.ParentPush
	return cdn.Server{Up: sys.ParentUp, Down: sys.ParentDown, MaxRequests: sys.ParentMaxRequests, Queue: sys.ParentQueue, Cache: cache}
}

// routing is how clients come to the edges of a CDN.
func (r *run) routing(sys *scenario.System) cdn.Routing {
	routing := cdn.Routing{
		Anycast: sys.Routing == scenario.Anycast, TTL: orNone(sys.DNSTTL), Lookup: orNone(sys.DNSLookup), ResolversPerISP: sys.Resolvers, ClientSubnet: sys.ClientSubnet,
		MinShare: sys.MinShare, LoadAge: sys.LoadAge, Detect: sys.Detect, Convergence: sys.Convergence,
	}
	for _, name := range sys.PublicResolvers {
		routing.PublicResolvers = append(routing.PublicResolvers, r.s.Region(name))
	}
	return routing
}

// foreverIsNegative follows the convention of cdn for the times that caches keep something.
func foreverIsNegative(d time.Duration) time.Duration {
	if d == scenario.Forever {
		return -1
	}
	return d
}

// origin is one server with the links of all of the origin's.
func (r *run) origin() cdn.Server {
	o, at := &r.s.Origin, demand.Origin(r.s)
	return cdn.Server{
		Region: at.Region, ISP: at.ISP, Up: r.s.OriginUp(), Down: o.Down * int64(o.Count),
		MaxRequests: o.MaxRequests, Queue: o.Queue,
	}
}

// spread returns the servers of a tier, in the regions in turn and in nobody's network, but for
// those that differ.
func (r *run) spread(sys *scenario.System, tier string, like cdn.Server) []cdn.Server {
	servers := make([]cdn.Server, r.s.NumServers(sys, tier))
	if len(r.s.ISPs) > 0 {
		like.ISP = cdn.NoISP
	}
	for i := range servers {
		servers[i] = like
		servers[i].Region = i % max(len(r.s.Regions), 1)
	}
	r.override(servers, sys, tier)
	return servers
}

// proxies returns those of each ISP, where it is, or of each region.
func (r *run) proxies(sys *scenario.System, like cdn.Server) []cdn.Server {
	servers := make([]cdn.Server, r.s.NumServers(sys, scenario.Proxy))
	with := r.s.ISPsWithProxy()
	for i := range servers {
		servers[i] = like
		place := i / sys.Proxies
		switch {
		case sys.Per == scenario.PerRegion:
			servers[i].Region = place
			if len(r.s.ISPs) > 0 {
				servers[i].ISP = cdn.NoISP
			}
		case len(with) > 0:
			servers[i].ISP, servers[i].Region = with[place], max(r.s.Region(r.s.ISPs[with[place]].Region), 0)
		}
	}
	r.override(servers, sys, scenario.Proxy)
	return servers
}

// override changes the servers of a tier that differ from the others.
func (r *run) override(servers []cdn.Server, sys *scenario.System, tier string) {
	for number, o := range r.s.Overrides(sys, tier) {
		s := &servers[number]
		if o.Region != "" {
			s.Region = r.s.Region(o.Region)
		}
		if o.ISP != "" {
			s.ISP = r.s.ISP(o.ISP)
		}
		instead(&s.Up, o.Up)
		instead(&s.Down, o.Down)
		instead(&s.Weight, o.Weight)
		instead(&s.Cache.Disk, o.Disk)
		instead(&s.MaxRequests, o.MaxRequests)
		instead(&s.Queue, o.Queue)
	}
}

// instead sets a value if there is another.
func instead[T comparable](value *T, other T) {
	var zero T
	if other != zero {
		*value = other
	}
}

// tiers are the values of scenario.Fault.Tier.
var tiers = map[string]cdn.Tier{
	scenario.OriginTier: cdn.Origin, scenario.Replica: cdn.Origin, scenario.Mirror: cdn.Origin,
	scenario.Edge: cdn.Edge, scenario.Parent: cdn.Parent, scenario.Proxy: cdn.Proxy,
}

// addFaults adds the faults of servers and routes that the system has.
func (r *run) addFaults(cfg *cdn.Config, sys *scenario.System) {
	var begin, end []cdn.RouteChange // one may begin when another one ends
	for i := range r.s.Faults {
		f := &r.s.Faults[i]
		switch {
		case f.Kind == scenario.ServerFails && f.Server < r.s.NumServers(sys, f.Tier):
			cfg.Faults = append(cfg.Faults, cdn.Fault{Tier: tiers[f.Tier], Server: f.Server, At: f.At, For: never(f.For)})
		case f.Kind == scenario.Route && cfg.Routing.Anycast && f.Server < len(cfg.Edges):
			region := r.s.Region(f.Region)
			begin = append(begin, cdn.RouteChange{At: f.At, Region: region, Edge: f.Server})
			if f.For != scenario.Forever {
				end = append(end, cdn.RouteChange{At: f.At + f.For, Region: region, Edge: -1})
			}
		}
	}
	cfg.Routing.Changes = append(end, begin...)
}
