package cdn

import (
	"math/rand/v2"
	"slices"
	"time"
)

// route is the server that a client gets, and what it takes to find it.
func (r *run) route(i int32) (server int32, wait time.Duration) {
	c := &r.clients[i]
	switch {
	case len(r.edges) > 0 && r.Routing.Anycast:
		return r.anycast.edge(r, c.Region, uint64(c.key(i))), 0
	case len(r.edges) > 0:
		return r.resolve(i)
	}
	if proxy := r.proxyOf(c); proxy != none {
		return proxy, 0
	}
	return r.origin(c.Region, c.avoid, func() *rand.Rand { return r.clientRandom(i) }), 0
}

// place is what a proxy is for: an ISP, or a region.
func (r *run) place(isp, region int) int {
	if r.ProxyByRegion {
		return region
	}
	return isp
}

// assignProxies notes which proxies each ISP or region has.
func (r *run) assignProxies() {
	r.proxiesAt = make([][]int32, max(len(r.ISPs), len(r.Regions)))
	for _, id := range r.proxies {
		at := r.place(r.servers[id].ISP, r.servers[id].Region)
		r.proxiesAt[at] = append(r.proxiesAt[at], id)
	}
}

// proxyOf is the first proxy of a client's ISP or region that is up, or none.
func (r *run) proxyOf(c *client) int32 {
	for _, id := range r.proxiesAt[r.place(c.ISP, c.Region)] {
		if !r.servers[id].knownDown {
			return id
		}
	}
	return none
}

// origin chooses an origin for somebody in a region, who would rather not have
// the one that failed.
func (r *run) origin(region int, avoid int32, own func() *rand.Rand) int32 {
	up := make([]int32, 0, 8)
	for _, id := range r.origins {
		if !r.servers[id].knownDown && id != avoid {
			up = append(up, id)
		}
	}
	if len(up) == 0 {
		up = r.origins
	}
	switch r.Balance {
	case LeastConnections:
		return slices.MinFunc(up, r.byUsers)
	case RandomTwo:
		a := r.balance.IntN(len(up))
		b := (a + 1 + r.balance.IntN(max(len(up)-1, 1))) % len(up)
		if r.byUsers(up[b], up[a]) < 0 {
			a = b
		}
		return up[a]
	case Random:
		return up[own().IntN(len(up))]
	case Weighted:
		return r.weighted(up, own())
	case Nearest:
		return slices.MinFunc(up, r.byLatency(region))
	}
	r.turn++
	return up[(r.turn-1)%len(up)]
}

func (r *run) byUsers(a, b int32) int { return r.servers[a].users - r.servers[b].users }

func (r *run) byLatency(region int) func(a, b int32) int {
	return func(a, b int32) int {
		x, y := r.latency(region, r.servers[a].Region), r.latency(region, r.servers[b].Region)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return int(a) - int(b)
	}
}

func (r *run) weighted(up []int32, random *rand.Rand) int32 {
	sum := 0.0
	for _, id := range up {
		sum += r.servers[id].Weight
	}
	at := random.Float64() * sum
	for _, id := range up {
		if at -= r.servers[id].Weight; at < 0 {
			return id
		}
	}
	return up[len(up)-1]
}

// above is the server that a cache fetches a slice from, at the given attempt.
func (r *run) above(id int32, wanted sliceID, attempt int) int32 {
	s := &r.servers[id]
	if s.tier == Edge {
		if parent := r.parentOf(s, wanted, attempt); parent != none {
			return parent
		}
	}
	return r.origin(s.Region, none, func() *rand.Rand { return s.random })
}

// parentOf chooses among the parents that are up: the nearest one, or the one
// with the highest random weight for the slice (Thaler and Ravishankar 1998),
// so that all edges choose the same and little moves when one fails. Each
// further attempt takes the next one.
func (r *run) parentOf(s *server, wanted sliceID, attempt int) int32 {
	up := make([]int32, 0, 8)
	for _, id := range r.parents {
		if !r.servers[id].knownDown {
			up = append(up, id)
		}
	}
	if len(up) == 0 {
		return none
	}
	weight := func(id int32) uint64 { return mix(uint64(wanted) ^ mix(uint64(id))) }
	if r.NearestParent {
		slices.SortFunc(up, r.byLatency(s.Region))
	} else {
		slices.SortFunc(up, func(a, b int32) int {
			if weight(a) > weight(b) {
				return -1
			}
			return 1
		})
	}
	return up[attempt%len(up)]
}

// nearest is the edges by their latency from a region.
func (r *run) nearest(region int) []int32 {
	sorted := slices.Clone(r.edges)
	slices.SortFunc(sorted, r.byLatency(region))
	return sorted
}

// equallyNear is how many of edges that are sorted by latency are as near as
// the first one.
func (r *run) equallyNear(region int, sorted []int32) int {
	first := r.latency(region, r.servers[sorted[0]].Region)
	for n, id := range sorted {
		if r.latency(region, r.servers[id].Region) != first {
			return n
		}
	}
	return len(sorted)
}

// catchments are where anycast takes clients.
type catchments struct {
	table [][]int32 // by region: the edges it can be taken to, of which a hash chooses
	fixed []int32   // by region: the edge that paths lead to, or none for the nearest
}

func (r *run) newCatchments() catchments {
	a := catchments{table: make([][]int32, len(r.Regions)), fixed: make([]int32, len(r.Regions))}
	for region := range a.fixed {
		a.fixed[region] = none
		if region < len(r.Routing.Catchment) && r.Routing.Catchment[region] >= 0 {
			a.fixed[region] = r.edges[r.Routing.Catchment[region]]
		}
	}
	a.follow(r)
	return a
}

// follow computes the routes to all edges that announce their address.
func (a *catchments) follow(r *run) {
	for region := range a.table {
		if fixed := a.fixed[region]; fixed != none && !r.servers[fixed].unrouted {
			a.table[region] = []int32{fixed}
			continue
		}
		sorted := r.nearest(region)
		routed := slices.DeleteFunc(slices.Clone(sorted), func(id int32) bool { return r.servers[id].unrouted })
		if len(routed) == 0 {
			routed = sorted
		}
		a.table[region] = routed[:r.equallyNear(region, routed)]
	}
}

// edge is where the network takes a client. Of several paths of the same length
// it always gets the same, by a hash, as routers do.
func (a *catchments) edge(_ *run, region int, key uint64) int32 {
	paths := a.table[region]
	return paths[mix(key)%uint64(len(paths))]
}

// change changes the route of a region.
func (r *run) change(i int32) {
	change := r.Routing.Changes[i]
	to := none
	if change.Edge >= 0 {
		to = r.edges[change.Edge]
	}
	r.anycast.fixed[change.Region] = to
	r.reroute()
}

// reroute lets the network follow. Packets of connections that were elsewhere
// reach an edge that does not know them and resets them, a round trip later.
func (r *run) reroute() {
	r.anycast.follow(r)
	for i := range r.clients {
		c := &r.clients[i]
		if c.server == none {
			continue
		}
		to := r.anycast.edge(r, c.Region, uint64(c.key(int32(i))))
		if to == c.server {
			continue
		}
		roundTrip := 2 * r.latency(c.Region, r.servers[to].Region)
		if c.phase == active {
			r.breakOff(int32(i), roundTrip)
		} else {
			c.gen++
			r.after(roundTrip, evConnect, int32(i))
		}
	}
}

// names is what the CDN's name server and the resolvers know.
type names struct {
	answers map[question]answer
	turn    []int     // by region: of the edges that are equally near
	nearest [][]int32 // by region: the edges, nearest first
	// load is the number of users of each edge when it was last looked at.
	load     []int
	loadFrom time.Duration
}

// question is by whom a name is asked for. Answers are kept for each.
type question struct {
	region, isp, number int // of a resolver; isp is -1 for public ones
	client              int // the client's region, if the resolver tells it
}

type answer struct {
	edge  int32
	until time.Duration
}

// resolve asks the client's resolver for an edge.
func (r *run) resolve(i int32) (edge int32, wait time.Duration) {
	c := &r.clients[i]
	q := question{region: c.Region, isp: c.ISP, number: int(mix(uint64(c.key(i))) % uint64(r.Routing.ResolversPerISP))}
	if c.Resolver > 0 {
		q = question{region: r.Routing.PublicResolvers[c.Resolver-1], isp: -1, number: c.Resolver}
	}
	where := q.region
	if r.Routing.ClientSubnet {
		q.client, where = c.Region, c.Region
	}
	wait = 2 * r.latency(c.Region, q.region)
	known, there := r.dns.answers[q]
	if !there || known.until <= r.now {
		known = answer{edge: r.answer(where), until: r.now + r.Routing.TTL}
		r.dns.answers[q] = known
		wait += r.Routing.Lookup
	}
	return known.edge, wait
}

// answer is the edge that the CDN's name server tells somebody in a region.
func (r *run) answer(region int) int32 {
	sorted := r.dns.near(r, region)
	up := make([]int32, 0, len(sorted))
	for _, id := range sorted {
		if !r.servers[id].knownDown {
			up = append(up, id)
		}
	}
	if len(up) == 0 {
		up = sorted
	}
	if r.Routing.MinShare > 0 {
		up = r.light(up)
	}
	r.dns.turn[region]++
	return up[(r.dns.turn[region]-1)%r.equallyNear(region, up)]
}

func (d *names) near(r *run, region int) []int32 {
	if d.nearest[region] == nil {
		d.nearest[region] = r.nearest(region)
	}
	return d.nearest[region]
}

// light returns the edges that have a share left for one more, or the one with
// the greatest.
func (r *run) light(edges []int32) []int32 {
	if r.dns.load == nil || r.now-r.dns.loadFrom >= r.Routing.LoadAge {
		r.dns.load, r.dns.loadFrom = r.dns.load[:0], r.now
		for _, id := range r.edges {
			r.dns.load = append(r.dns.load, r.servers[id].clients)
		}
	}
	share := func(id int32) uint64 {
		return rateOf(r.servers[id].Up) / uint64(r.dns.load[id-r.edges[0]]+1)
	}
	var with []int32
	best := edges[0]
	for _, id := range edges {
		if share(id) >= rateOf(r.Routing.MinShare) {
			with = append(with, id)
		}
		if share(id) > share(best) {
			best = id
		}
	}
	if len(with) == 0 {
		return []int32{best}
	}
	return with
}
