package lab

import (
	"fmt"
	"math"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/sim"
)

// A hybrid is a swarm without a seed, whose clients have web seeds (BEP 19): the origin's
// server, or edges to which all contents were pushed before the start.

// webSeedPlaces are where the web seeds of a system are, none if it is no hybrid.
func (r *run) webSeedPlaces(sys *scenario.System) []demand.Place {
	switch {
	case sys.Kind != result.Hybrid:
		return nil
	case sys.WebEdges == 0:
		return []demand.Place{demand.Origin(r.s)}
	}
	places := make([]demand.Place, sys.WebEdges)
	for i := range places {
		places[i].Region = i % max(len(r.s.Regions), 1)
		if r.s.Network.Model == scenario.Coordinates {
			at := r.s.Regions[places[i].Region].At
			places[i].X, places[i].Y = at[0], at[1]
		}
	}
	return places
}

// webSeeds are the servers at those places.
func (r *run) webSeeds(sys *scenario.System) []sim.WebSeed {
	servers := make([]sim.WebSeed, len(r.places)-r.numSeeds-len(r.clients))
	for i := range servers {
		if sys.WebEdges > 0 {
			servers[i] = sim.WebSeed{Class: result.FromEdges, Link: sim.Link{Up: int(sys.WebEdgeUp)}}
		} else {
			servers[i] = sim.WebSeed{Class: result.FromOrigin, Link: sim.Link{
				Up: int(r.s.OriginUp()), Down: int(r.s.Origin.Down) * r.s.Origin.Count,
			}}
		}
	}
	return servers
}

// assignWebSeeds gives each client the nearest web seeds, and of several as near those whose turn it is.
func (r *run) assignWebSeeds(sys *scenario.System, leechers []sim.Peer) {
	servers := r.places[r.numSeeds+len(r.clients):]
	for i := range leechers {
		taken := make([]bool, len(servers))
		for range min(sys.WebSeeds, len(servers)) {
			n := r.nearestWebSeed(i, servers, taken)
			taken[n] = true
			leechers[i].WebSeeds = append(leechers[i].WebSeeds, n)
		}
	}
}

// nearestWebSeed is the one that is nearest to a client, of those that are not taken.
func (r *run) nearestWebSeed(client int, servers []demand.Place, taken []bool) int {
	var nearest []int
	least := time.Duration(math.MaxInt64)
	for n, place := range servers {
		if taken[n] {
			continue
		}
		switch latency := demand.Latency(r.s, r.clients[client].Place, place); {
		case latency < least:
			nearest, least = []int{n}, latency
		case latency == least:
			nearest = append(nearest, n)
		}
	}
	return nearest[client%len(nearest)]
}

// configureHybrid says when a client asks a web seed.
func configureHybrid(sys *scenario.System, cfg *engine.Config) {
	if sys.Kind != result.Hybrid {
		return
	}
	cfg.WebSeedBelow = int(sys.WebSeedBelow)
	if sys.WebSeedBelow == scenario.Unlimited {
		cfg.WebSeedBelow = math.MaxInt
	}
}

// sources are the bytes by sender, in one order for samples and the end.
func (r *run) sources(sys *scenario.System, fromSeeds, fromWebSeeds, fromPeers int64) []result.Source {
	switch {
	case sys.Kind != result.Hybrid:
		return []result.Source{{Name: seedName, Bytes: fromSeeds}, {Name: peersName, Bytes: fromPeers}}
	case sys.WebEdges == 0:
		return []result.Source{{Name: result.FromWebSeeds, Bytes: fromWebSeeds}, {Name: peersName, Bytes: fromPeers}}
	}
	return []result.Source{
		{Name: result.FromEdges, Bytes: fromWebSeeds}, {Name: peersName, Bytes: fromPeers},
		{Name: result.FromOrigin, Bytes: int64(sys.WebEdges) * int64(r.s.Content.Count) * r.s.Content.Length},
	}
}

// cost is what all that was sent costs.
func (r *run) cost(sources []result.Source) (sum float64) {
	for _, source := range sources {
		price := r.s.Prices.Origin
		switch source.Name {
		case result.FromEdges:
			price = r.s.Prices.Edge
		case peersName:
			price = 0
		}
		sum += float64(source.Bytes) / 1e9 * price
	}
	return sum
}

// serverUp is what the seeds or web seeds of a system can send together, in bytes/s.
func (r *run) serverUp(sys *scenario.System) float64 {
	up := float64(r.s.OriginUp())
	if sys.Kind == result.Hybrid && sys.WebEdges > 0 {
		up = float64(sys.WebEdgeUp) * float64(sys.WebEdges)
	}
	return up
}

// webSeedRows are the rows of the servers, behind those of the clients.
func (r *run) webSeedRows(sys *scenario.System, res *sim.Result) (rows []result.Peer) {
	servers := r.webSeeds(sys)
	for i := range res.WebSeeds {
		w := &res.WebSeeds[i]
		index := r.numSeeds + len(r.clients) + i
		place := r.places[index]
		rows = append(rows, result.Peer{
			Index: index, Class: w.Class, Region: r.region(place), Server: true,
			Up: w.Up, MessagesUp: w.MessagesUp, MessagesDown: w.MessagesDown, Occupied: w.Occupied, BannedBy: w.BannedBy,
			UpRate: int64(servers[i].Link.Up), DownRate: int64(servers[i].Link.Down),
		})
		if sys.WebEdges == 0 {
			rows[i].ISP = r.isp(place)
		}
	}
	return rows
}

// webSeedServers are what the web seeds of a hybrid did, as far as that is counted, and the origin that
// sent to edges before the start.
func (r *run) webSeedServers(sys *scenario.System, rows []result.Peer) (servers []result.Server) {
	tier, price := scenario.OriginTier, r.s.Prices.Origin
	if sys.WebEdges > 0 {
		pushed := int64(sys.WebEdges) * r.s.Content.Length
		servers = []result.Server{{
			Name: "origin 0", Tier: tier, Region: r.region(demand.Origin(r.s)), ISP: r.isp(demand.Origin(r.s)), UpRate: r.s.OriginUp(),
			Out: pushed, Pushed: pushed, Peak: -1, Cost: float64(pushed) / 1e9 * price,
		}}
		tier, price = scenario.Edge, r.s.Prices.Edge
	}
	for i := range rows {
		row := &rows[i]
		servers = append(servers, result.Server{
			Name: fmt.Sprintf("%s %d", tier, i), Tier: tier, Region: row.Region, ISP: row.ISP, UpRate: row.UpRate,
			Out: row.Up, Peak: -1, Occupied: row.Occupied, Cost: float64(row.Up) / 1e9 * price,
		})
	}
	return servers
}

// isForeign says whether what a client gets from a web seed comes from outside of its ISP's network: edges are in
// nobody's.
func (r *run) isForeign(sys *scenario.System, client int) bool {
	return sys.Kind == result.Hybrid && len(r.s.ISPs) > 0 && (sys.WebEdges > 0 || r.clients[client].ISP != demand.Origin(r.s).ISP)
}
