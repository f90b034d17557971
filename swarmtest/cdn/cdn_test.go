package cdn

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

const fileLen = 20 * mib

// edgesOf is a CDN with an edge in each of so many regions, as many clients in
// each, and 20 ms within a region, 60 ms between.
func edgesOf(numEdges, clientsEach int) Config {
	c := Config{
		Kind: result.CDN, Contents: []Content{{fileLen}},
		Origins: []Server{{Up: 40 * mib}}, Edges: fleet(numEdges, Server{Up: 10 * mib}),
		Regions: make([]string, numEdges), Between: latencies(numEdges, 20*time.Millisecond, 60*time.Millisecond),
		SampleEvery: time.Second,
	}
	for region := range numEdges {
		c.Edges[region].Region = region
		c.Clients = append(c.Clients, crowd(clientsEach, Client{Region: region, Down: 5 * mib})...)
	}
	return c
}

func latencies(n int, within, between time.Duration) [][]time.Duration {
	all := make([][]time.Duration, n)
	for i := range all {
		all[i] = make([]time.Duration, n)
		for j := range all[i] {
			all[i][j] = between
		}
		all[i][i] = within
	}
	return all
}

// What the origin sends of a file of F to a crowd at E edges: F with a parent
// tier, E F without, and a copy for each miss under way without coalescing.
func TestOriginBytesByTier(t *testing.T) {
	const numEdges, clientsEach = 8, 50
	coalesced := edgesOf(numEdges, clientsEach)
	withParent := edgesOf(numEdges, clientsEach)
	withParent.Parents = []Server{{Up: 100 * mib}}
	withParents := edgesOf(numEdges, clientsEach)
	withParents.Parents = fleet(3, Server{Up: 100 * mib})
	nearestParents := withParents
	nearestParents.Parents = fleet(2, Server{Up: 100 * mib})
	nearestParents.Parents[1].Region = 1
	nearestParents.NearestParent = true
	alone := edgesOf(numEdges, clientsEach)
	for i := range alone.Edges {
		alone.Edges[i].Cache.NoCoalescing = true
	}
	nothing := edgesOf(numEdges, clientsEach)
	for i := range nothing.Edges {
		nothing.Edges[i].Cache = Cache{Disk: -1, NoCoalescing: true}
	}
	for _, tt := range []struct {
		name   string
		c      Config
		copies int64
	}{
		{"no parent", coalesced, numEdges},
		{"a parent", withParent, 1},
		{"three parents, each for a part of the slices", withParents, 1},
		{"two parents, each for a part of the edges", nearestParents, 2},
		// All clients of an edge ask for each slice at the same time.
		{"no coalescing", alone, numEdges * clientsEach},
		{"no cache at all", nothing, numEdges * clientsEach},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := mustRun(t, tt.c, 1)
			if got := source(t, res, "origin"); got != tt.copies*fileLen {
				t.Errorf("the origin sent %.2f copies, want %d", float64(got)/fileLen, tt.copies)
			}
			if got := source(t, res, "edges"); got != numEdges*clientsEach*fileLen {
				t.Errorf("the edges sent %d bytes", got)
			}
			if len(tt.c.Parents) > 0 {
				if got := source(t, res, "parents"); got != numEdges*fileLen {
					t.Errorf("the parents sent %.2f copies, want one to each edge", float64(got)/fileLen)
				}
			}
			edges := tierSum(res, Edge)
			if got := edges.In - edges.Wasted; tt.c.Edges[0].Cache.Disk == 0 && got != numEdges*fileLen {
				t.Errorf("the edges took in %.2f copies that were of use, want one each", float64(got)/fileLen)
			}
			if got := edges.Hits + edges.Misses; got != int64(len(tt.c.Clients))*fileLen/mib {
				t.Errorf("%d hits and misses, want one for each request", got)
			}
		})
	}
}

// Clients that come when the first ones are done find everything in the cache.
func TestLateClientsHit(t *testing.T) {
	c := edgesOf(1, 2)
	c.Clients[1].Join = time.Minute
	res := mustRun(t, c, 1)
	edge := tierSum(res, Edge)
	if edge.Hits != 20 || edge.Misses != 20 || edge.HitOut != fileLen || edge.In != fileLen {
		t.Errorf("%+v, want 20 hits and 20 misses", edge)
	}
}

// The bound of tiers holds, and a run comes close to it when one tier is
// clearly the narrowest.
func TestBoundOfTiers(t *testing.T) {
	const numEdges, clientsEach = 8, 50
	for _, tt := range []struct {
		name                       string
		origin, parent, edge, down int64
		most                       float64 // times the bound
	}{
		{"the edges are narrow", 40 * mib, 100 * mib, 10 * mib, 0, 1.02},
		{"the origin is narrow", mib / 2, 100 * mib, 100 * mib, 0, 1.2},
		{"the parent is narrow", 40 * mib, 4 * mib, 100 * mib, 0, 1.2},
		{"the downlinks are narrow", 40 * mib, 100 * mib, 100 * mib, mib / 4, 1.02},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := edgesOf(numEdges, clientsEach)
			c.Origins[0].Up = tt.origin
			c.Parents = []Server{{Up: tt.parent}}
			for i := range c.Edges {
				c.Edges[i].Up = tt.edge
			}
			peers := make([]theory.Peer, len(c.Clients))
			for i := range c.Clients {
				c.Clients[i].Down = tt.down
				peers[i].Down = float64(tt.down)
			}
			bound := theory.CDN(fileLen, []theory.Tier{
				{Up: float64(tt.origin), Copies: 1},
				{Up: float64(tt.parent), Copies: numEdges},
				{Up: float64(tt.edge) * numEdges, Copies: numEdges * clientsEach},
			}, peers)
			res := mustRun(t, c, 1)
			took := last(res).Seconds()
			if took < bound || took > bound*tt.most {
				t.Errorf("took %.2f s, want within %v of the bound, %.2f s", took, tt.most, bound)
			}
			if general := res.System.Bound.Seconds(); general > bound*1.000001 {
				t.Errorf("the bound of the run, %.2f s, is above that of this population, %.2f s", general, bound)
			}
		})
	}
}

// A CDN whose edges had the file before does not ask the origin, and what it
// took to bring it there is counted and paid for.
func TestPush(t *testing.T) {
	c := edgesOf(4, 10)
	c.Parents = []Server{{Up: 100 * mib}}
	for i := range c.Edges {
		c.Edges[i].Cache.Push = true
	}
	c.Prices = Prices{Currency: "EUR", Origin: 1000, Parent: 100, Edge: 10}
	res := mustRun(t, c, 1)
	if got := tierSum(res, Edge); got.Misses != 0 || got.In != 4*fileLen {
		t.Errorf("the edges missed %d times and took in %d bytes", got.Misses, got.In)
	}
	if got := tierSum(res, Origin); got.Requests != 0 || got.Out != fileLen {
		t.Errorf("the origin was asked %d times and sent %d bytes, want none and one copy", got.Requests, got.Out)
	}
	if got := res.System.Samples[0].Bytes; got[0] != fileLen || got[1] != 4*fileLen || got[2] != 0 {
		t.Errorf("at the beginning the tiers had sent %v", got)
	}
	want := float64(fileLen) / 1e9 * (1000 + 4*100 + 40*10)
	if got := res.System.Cost; got < want*0.999999 || got > want*1.000001 {
		t.Errorf("cost %v, want %v", got, want)
	}
}

// Contents that do not fit are pushed as far as they do, and pulled beyond.
func TestPushIntoASmallDisk(t *testing.T) {
	c := edgesOf(1, 1)
	c.Edges[0].Cache = Cache{Push: true, Disk: 5 * mib}
	if got := tierSum(mustRun(t, c, 1), Edge); got.Hits > 5 || got.Misses < 15 || got.Hits+got.Misses != 20 {
		t.Errorf("%+v, want at most 5 hits of 20", got)
	}
}

// Parents that have the contents spare the origin, but not the way to the
// edges. One that has room for a part only keeps the first of what passes.
func TestPushToParents(t *testing.T) {
	c := edgesOf(4, 10)
	c.Origins[0].Up = 1000
	c.Parents = []Server{{Up: 100 * mib, Cache: Cache{Push: true}}}
	res := mustRun(t, c, 1)
	if got := tierSum(res, Origin); got.Requests != 0 || last(res) > time.Minute {
		t.Errorf("the origin was asked %d times, and it took %v", got.Requests, last(res))
	}
	c.Parents[0].Cache = Cache{Disk: 5 * mib}
	for i := range c.Edges {
		c.Edges[i].Cache.Push = true
	}
	res = mustRun(t, c, 1)
	// The first five slices come to the parent once, the others for each edge.
	if got := tierSum(res, Parent); got.In != (5+4*15)*mib || got.Evicted != 0 {
		t.Errorf("the parent took in %d MiB and evicted %d slices, want 65 and none", got.In/mib, got.Evicted)
	}
}

// A disk that is a little too small for what is asked for in turn is as good as
// none to LRU, slice by slice; whole contents go out before their turn, too.
func TestDiskTooSmall(t *testing.T) {
	for _, byObject := range []bool{false, true} {
		c := edgesOf(1, 0)
		c.Pipeline = 1
		c.Contents = []Content{{10 * mib}, {10 * mib}, {10 * mib}}
		for i := range 9 {
			c.Clients = append(c.Clients, Client{Content: i % 3, Join: time.Duration(i) * time.Minute})
		}
		c.Edges[0].Cache = Cache{Disk: 29 * mib, ByObject: byObject}
		if got := tierSum(mustRun(t, c, 1), Edge); got.Hits != 0 || got.Fetches != 90 || got.Evicted < 60 {
			t.Errorf("by object %v: %+v, want no hit", byObject, got)
		}
		c.Edges[0].Cache.Disk = 30 * mib
		if got := tierSum(mustRun(t, c, 1), Edge); got.Hits != 60 || got.Evicted != 0 {
			t.Errorf("by object %v: %+v, want 60 hits", byObject, got)
		}
	}
}

// What is stale needs a question, not the data: a round trip to the origin for
// each slice, of which a pipeline of one waits for all.
func TestRevalidationCostsARoundTrip(t *testing.T) {
	took := func(ttl time.Duration) (time.Duration, result.Server, int64) {
		c := edgesOf(1, 2)
		c.Clients[1].Join = time.Minute
		c.Pipeline = 1
		c.Edges[0].Cache.TTL = ttl
		res := mustRun(t, c, 1)
		return res.System.Peers[1].Complete - res.System.Peers[1].Join, tierSum(res, Edge), source(t, res, "origin")
	}
	fresh, stats, origin := took(time.Hour)
	if stats.Revalidated != 0 || origin != fileLen {
		t.Errorf("fresh: %+v, and the origin sent %d bytes", stats, origin)
	}
	stale, stats, origin := took(10 * time.Second)
	if stats.Revalidated != 20 || stats.Fetches != 20 || origin != fileLen {
		t.Errorf("stale: %+v, and the origin sent %d bytes", stats, origin)
	}
	if want := 20 * 2 * 20 * time.Millisecond; stale-fresh != want {
		t.Errorf("stale slices took %v longer, want %v", stale-fresh, want)
	}
}

// A TTL that is over before the slice is there still serves those that wait.
func TestTinyTTL(t *testing.T) {
	c := edgesOf(2, 20)
	c.Parents = []Server{{Up: 100 * mib}}
	for _, tier := range [][]Server{c.Edges, c.Parents} {
		for i := range tier {
			tier[i].Cache.TTL = 1
		}
	}
	res := mustRun(t, c, 1)
	if got := source(t, res, "origin"); got != fileLen {
		t.Errorf("the origin sent %d bytes, want one copy: what is there is good", got)
	}
}

// A slice that is evicted while the origin is asked whether it is still good
// must be fetched again. The origin is a second away; the disk holds one slice.
func TestEvictedWhileRevalidated(t *testing.T) {
	c := edgesOf(2, 0)
	c.Edges = c.Edges[:1]
	c.Between = latencies(2, 10*time.Millisecond, 500*time.Millisecond)
	c.Origins[0].Region = 1
	c.Contents = []Content{{mib}, {mib}}
	c.Edges[0].Cache = Cache{Disk: mib, TTL: time.Second}
	c.Clients = []Client{{}, {Content: 1, Join: 10 * time.Second}, {Join: 10500 * time.Millisecond}}
	res := mustRun(t, c, 1)
	if got := tierSum(res, Edge); got.Fetches != 3 || got.Revalidated != 0 || got.In != 3*mib {
		t.Errorf("%+v, want three fetches, and nothing that was still good", got)
	}
	if p := res.System.Peers[2]; p.Complete-p.Join < 2*time.Second {
		t.Errorf("the last client took %v, want two round trips to the origin", p.Complete-p.Join)
	}
}

// An origin that refuses makes edges try again, and it is no error for the
// clients.
func TestOriginRefusesEdges(t *testing.T) {
	c := edgesOf(8, 5)
	c.Origins[0].MaxRequests, c.Origins[0].Queue = 2, -1
	res := mustRun(t, c, 1)
	if got := tierSum(res, Origin); got.Refused == 0 || got.Out != 8*fileLen {
		t.Errorf("%+v, want refusals, and the bytes all the same", got)
	}
	c.Retry.Attempts = 1
	gaveUp, err := c.Run(1)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, &c, gaveUp)
	if gaveUp.GaveUp == 0 || tierSum(gaveUp, Edge).Refused == 0 {
		t.Errorf("%d gave up, want some whose edge was refused", gaveUp.GaveUp)
	}
}

// A parent that fails is passed by: the fetches it had are made elsewhere.
func TestParentFails(t *testing.T) {
	for _, numParents := range []int{1, 3} {
		c := edgesOf(4, 20)
		c.Parents = fleet(numParents, Server{Up: mib / 2})
		for i := range c.Parents {
			c.Faults = append(c.Faults, Fault{Tier: Parent, Server: i, At: 2 * time.Second, For: 10 * time.Minute})
			if numParents > 1 {
				break
			}
		}
		res := mustRun(t, c, 1)
		if got := last(res); got > 150*time.Second {
			t.Errorf("%d parents: took %v, which is as long as one alone needs", numParents, got)
		}
		if got := tierSum(res, Edge); got.Wasted == 0 || got.In != 4*fileLen+got.Wasted {
			t.Errorf("%d parents: the edges took in %d bytes, and wasted %d", numParents, got.In, got.Wasted)
		}
	}
}

// A parent that is down before the CDN knows it costs each fetch a timeout, and
// the next attempt is made elsewhere.
func TestFetchesTryTheNextParent(t *testing.T) {
	c := edgesOf(1, 1)
	c.Parents = fleet(2, Server{Up: 100 * mib})
	c.NearestParent = true
	c.Faults = []Fault{{Tier: Parent, Server: 0}}
	c.Routing.Detect = time.Hour
	res := mustRun(t, c, 1)
	// 20 slices, four at a time, wait for the timeout each.
	if got := last(res); got < 15*time.Second || got > 25*time.Second {
		t.Errorf("took %v, want about five timeouts of 3 s", got)
	}
	if got := res.System.Servers[2].Out; got != fileLen {
		t.Errorf("the other parent sent %d bytes, want one copy", got)
	}
}

// An edge that comes back has its disk still.
func TestEdgeComesBackWarm(t *testing.T) {
	c := edgesOf(1, 2)
	c.Clients[1].Join = time.Minute
	c.Faults = []Fault{{Tier: Edge, At: 30 * time.Second, For: time.Second}}
	if got := tierSum(mustRun(t, c, 1), Edge); got.Hits != 20 {
		t.Errorf("%+v, want 20 hits", got)
	}
}

// A CDN takes the load off the origin: as with a swarm, its time does not grow
// with the crowd if edges grow with it.
func TestCDNScalesWithItsEdges(t *testing.T) {
	var took []time.Duration
	for _, numEdges := range []int{2, 8, 32} {
		c := edgesOf(numEdges, 20)
		c.Parents = []Server{{Up: 1000 * mib}}
		took = append(took, last(mustRun(t, c, 1)))
	}
	if took[2] > took[0]*11/10 {
		t.Errorf("2, 8 and 32 edges with 20 clients each took %v, want the same", took)
	}
}
