package cdn

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// threeRegions is a CDN with an edge in each of three regions, and no clients.
func threeRegions() Config {
	c := edgesOf(3, 0)
	c.Parents = []Server{{Up: 1000 * mib}}
	c.Between = [][]time.Duration{
		{10 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond},
		{40 * time.Millisecond, 10 * time.Millisecond, 70 * time.Millisecond},
		{100 * time.Millisecond, 70 * time.Millisecond, 10 * time.Millisecond},
	}
	return c
}

func connections(res *Result) (each []int) {
	for _, s := range res.System.Servers {
		if s.Tier == string(Edge) {
			each = append(each, s.MostConnections)
		}
	}
	return each
}

// joinOver spreads the joins of clients over a time.
func joinOver(clients []Client, d time.Duration) []Client {
	for i := range clients {
		clients[i].Join = d * time.Duration(i) / time.Duration(len(clients))
	}
	return clients
}

// A crowd in one region: anycast takes all of it to the nearest edge, whatever
// its load. DNS that knows the load uses the other edges, too, and is done much
// earlier.
func TestRegionalCrowd(t *testing.T) {
	c := threeRegions()
	c.Clients = joinOver(crowd(150, Client{}), 30*time.Second)
	c.Routing.Anycast = true
	anycast := mustRun(t, c, 1)
	if got := connections(anycast); got[1]+got[2] != 0 {
		t.Errorf("anycast took the crowd to %v", got)
	}
	c.Routing = Routing{MinShare: 200_000, TTL: time.Second, LoadAge: time.Second, ResolversPerISP: 20}
	dns := mustRun(t, c, 1)
	if got := connections(dns); got[0] < 20 || got[1] < 20 || got[2] < 20 {
		t.Errorf("DNS spread the crowd as %v, want some at each edge", got)
	}
	if a, d := last(anycast), last(dns); d > a/2 {
		t.Errorf("anycast took %v and DNS %v, want less than half", a, d)
	}
}

// The longer resolvers keep an answer, and the fewer they are, the more of a
// crowd is stuck to the edge that was free when the first one asked.
func TestAnswersStick(t *testing.T) {
	most := func(ttl time.Duration) (most int) {
		c := threeRegions()
		c.Clients = joinOver(crowd(150, Client{}), 30*time.Second)
		c.Routing = Routing{MinShare: 200_000, TTL: ttl, LoadAge: time.Second}
		for _, n := range connections(mustRun(t, c, 1)) {
			most = max(most, n)
		}
		return most
	}
	if long, short := most(time.Minute), most(time.Second); long != 150 || short > 100 {
		t.Errorf("the fullest edge had %d connections with a TTL of a minute and %d with a second, want all 150 and at most 100", long, short)
	}
}

// Without load, DNS and anycast agree on the nearest edge.
func TestNearestEdge(t *testing.T) {
	for _, anycast := range []bool{false, true} {
		c := threeRegions()
		for region, n := range []int{5, 10, 15} {
			c.Clients = append(c.Clients, crowd(n, Client{Region: region})...)
		}
		c.Routing.Anycast = anycast
		got := connections(mustRun(t, c, 1))
		for region, want := range []int{5, 10, 15} {
			if got[region] != want {
				t.Errorf("anycast %v: edge %d had %d clients, want %d", anycast, region, got[region], want)
			}
		}
	}
}

// Edges of one region share its clients: answers rotate, and equal paths are
// chosen by a hash.
func TestEdgesOfARegionShare(t *testing.T) {
	for _, anycast := range []bool{false, true} {
		c := threeRegions()
		c.Edges = append(c.Edges, c.Edges[0])
		c.Clients = crowd(400, Client{})
		c.Routing = Routing{Anycast: anycast, ResolversPerISP: 400}
		got := connections(mustRun(t, c, 1))
		if got[1]+got[2] != 0 || got[0] < 150 || got[3] < 150 {
			t.Errorf("anycast %v: the edges had %v clients, want half at the first and half at the last", anycast, got)
		}
	}
}

// A resolver far away gets an edge near itself, unless it tells where the
// client is.
func TestResolverMisplacement(t *testing.T) {
	firstByte := func(resolver int, subnet bool) time.Duration {
		c := threeRegions()
		c.Clients = []Client{{Resolver: resolver}}
		c.Routing = Routing{PublicResolvers: []int{2}, ClientSubnet: subnet, Lookup: -1}
		for i := range c.Edges {
			c.Edges[i].Cache.Push = true
		}
		return mustRun(t, c, 1).System.Peers[0].FirstPiece
	}
	// A question to the resolver, two handshakes and the request are four round
	// trips.
	if got, want := firstByte(0, false), 4*20*time.Millisecond; got != want {
		t.Errorf("the own resolver: first byte after %v, want %v", got, want)
	}
	if got, want := firstByte(1, false), 4*200*time.Millisecond; got != want {
		t.Errorf("a resolver elsewhere: first byte after %v, want %v", got, want)
	}
	if got, want := firstByte(1, true), 200*time.Millisecond+3*20*time.Millisecond; got != want {
		t.Errorf("a resolver elsewhere that tells the client's subnet: first byte after %v, want %v", got, want)
	}
}

// Lookup is what the first to ask a resolver waits for.
func TestResolversRemember(t *testing.T) {
	c := threeRegions()
	c.Clients = []Client{{}, {Join: time.Second}, {Join: 90 * time.Second}}
	c.Routing = Routing{Lookup: 500 * time.Millisecond, TTL: time.Minute}
	for i := range c.Edges {
		c.Edges[i].Cache.Push = true
	}
	peers := mustRun(t, c, 1).System.Peers
	for i, want := range []time.Duration{580, 80, 580} {
		if got := peers[i].FirstPiece - peers[i].Join; got != want*time.Millisecond {
			t.Errorf("client %d: first byte after %v, want %v", i, got, want*time.Millisecond)
		}
	}
}

// pause is how much longer a system takes for a fault.
func pause(t *testing.T, c Config) (d time.Duration, with *Result) {
	t.Helper()
	faults := c.Faults
	c.Faults = nil
	without := last(mustRun(t, c, 1))
	c.Faults = faults
	with = mustRun(t, c, 1)
	return last(with) - without, with
}

// An edge fails. With anycast its clients are away until the routes have
// converged; with DNS until the answer that leads there is forgotten, and they
// ask again.
func TestFailoverTime(t *testing.T) {
	for _, tt := range []struct {
		name        string
		routing     Routing
		least, most time.Duration
	}{
		{"anycast, 5 s", Routing{Anycast: true, Convergence: 5 * time.Second}, 5 * time.Second, 8 * time.Second},
		{"anycast, 60 s", Routing{Anycast: true, Convergence: time.Minute}, time.Minute, 63 * time.Second},
		{"DNS, TTL 20 s", Routing{TTL: 20 * time.Second, Detect: time.Second}, 10 * time.Second, 18 * time.Second},
		{"DNS, TTL 120 s", Routing{TTL: 2 * time.Minute, Detect: time.Second}, 110 * time.Second, 118 * time.Second},
		{"DNS, TTL 1 s, health checks 40 s", Routing{TTL: time.Second, Detect: 40 * time.Second}, 40 * time.Second, 48 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := threeRegions()
			c.Clients = crowd(10, Client{Down: mib})
			c.Faults = []Fault{{Tier: Edge, Server: 0, At: 10 * time.Second}}
			c.Routing = tt.routing
			got, res := pause(t, c)
			if got < tt.least || got > tt.most {
				t.Errorf("the fault cost %v, want %v to %v", got, tt.least, tt.most)
			}
			if res.Breaks != 10 || tierSum(res, Edge).Out != 10*fileLen {
				t.Errorf("%d connections broke and %d bytes were sent, want 10, and each byte once", res.Breaks, tierSum(res, Edge).Out)
			}
		})
	}
}

// A route change moves the clients of a region at once. Their transfers break,
// and go on by range: no byte is sent twice.
func TestRouteChange(t *testing.T) {
	c := threeRegions()
	c.Clients = crowd(10, Client{Down: mib})
	c.Routing = Routing{Anycast: true, Changes: []RouteChange{{At: 10 * time.Second, Region: 0, Edge: 2}}}
	res := mustRun(t, c, 1)
	var out []int64
	for _, s := range res.System.Servers {
		if s.Tier == string(Edge) {
			out = append(out, s.Out)
		}
	}
	if res.Breaks != 10 || out[0] < 90*mib || out[0] > 100*mib || out[0]+out[2] != 10*fileLen {
		t.Errorf("%d connections broke, and the edges sent %v bytes", res.Breaks, out)
	}
	if got := last(res); got < 21*time.Second || got > 23*time.Second {
		t.Errorf("took %v, want 20 s and what a new connection over 100 ms takes", got)
	}
}

// Paths need not lead to the nearest edge, and do so again when theirs fails.
func TestCatchment(t *testing.T) {
	c := threeRegions()
	c.Clients = crowd(10, Client{Down: mib})
	c.Routing = Routing{Anycast: true, Catchment: []int{2, -1, -1}, Convergence: time.Second}
	if got := connections(mustRun(t, c, 1)); got[0] != 0 || got[2] != 10 {
		t.Errorf("the edges had %v clients, want all at the last one", got)
	}
	c.Faults = []Fault{{Tier: Edge, Server: 2, At: 10 * time.Second}}
	if got := connections(mustRun(t, c, 1)); got[0] != 10 || got[2] != 10 {
		t.Errorf("the edges had %v clients, want all at the last one and then at the first", got)
	}
}

// When an edge is back, anycast takes its clients back, and breaks their
// transfers once more; with DNS they stay until they ask again.
func TestEdgeComesBack(t *testing.T) {
	for _, anycast := range []bool{false, true} {
		c := threeRegions()
		c.Clients = crowd(10, Client{Down: mib})
		c.Faults = []Fault{{Tier: Edge, Server: 0, At: 5 * time.Second, For: 5 * time.Second}}
		c.Routing = Routing{Anycast: anycast, Convergence: time.Second, TTL: time.Second, Detect: time.Second}
		res := mustRun(t, c, 1)
		want := 10
		if anycast {
			want = 20
		}
		if res.Breaks != want {
			t.Errorf("anycast %v: %d connections broke, want %d", anycast, res.Breaks, want)
		}
	}
}

func proxies(clients []Client) Config {
	return Config{
		Kind: result.Cache, Contents: []Content{{fileLen}}, Clients: clients,
		Regions: []string{"a", "b"}, ISPs: []string{"x", "y", "z"},
		Origins: []Server{{Up: 10 * mib}},
		Proxies: []Server{{Up: 100 * mib, Region: 0, ISP: 0}, {Up: 100 * mib, Region: 1, ISP: 1}},
	}
}

// A proxy fetches a file once for its ISP; who has none asks the origin.
func TestProxies(t *testing.T) {
	var clients []Client
	for isp := range 3 {
		clients = append(clients, crowd(10, Client{ISP: isp, Region: isp % 2})...)
	}
	res := mustRun(t, proxies(clients), 1)
	if got := source(t, res, "origin"); got != (2+10)*fileLen {
		t.Errorf("the origin sent %.2f copies, want one to each proxy, and 10", float64(got)/fileLen)
	}
	if got := source(t, res, "cache"); got != 20*fileLen {
		t.Errorf("the proxies sent %.2f copies, want 20", float64(got)/fileLen)
	}
	// The origin sends 12 copies of 20 MiB with 10 MiB/s.
	if bound := res.System.Bound; bound != 24*time.Second-1 || last(res) > 25*time.Second {
		t.Errorf("took %v, and the bound is %v, want 24s", last(res), bound)
	}
	byRegion := proxies(clients)
	byRegion.ProxyByRegion = true
	if got := source(t, mustRun(t, byRegion, 1), "origin"); got != 2*fileLen {
		t.Errorf("by region the origin sent %.2f copies, want one to each proxy", float64(got)/fileLen)
	}
}

// A proxy's own way in is shared by all that it fetches.
func TestProxyDownlink(t *testing.T) {
	c := proxies(joinOver(crowd(4, Client{}), time.Millisecond))
	c.Contents = []Content{{fileLen}, {fileLen}, {fileLen}, {fileLen}}
	for i := range c.Clients {
		c.Clients[i].Content = i
	}
	c.Proxies[0].Down = mib
	if got := last(mustRun(t, c, 1)).Seconds(); got < 80 || got > 81 {
		t.Errorf("80 MiB through 1 MiB/s took %.1f s", got)
	}
}

func TestProxyFails(t *testing.T) {
	c := proxies(crowd(10, Client{Down: mib}))
	c.Faults = []Fault{{Tier: Proxy, Server: 0, At: 10 * time.Second}}
	c.Routing.Detect = time.Second
	res := mustRun(t, c, 1)
	if got := last(res); got > 25*time.Second || res.Breaks != 10 {
		t.Errorf("took %v and %d breaks, want 20 s and what it takes to go around the proxy", got, res.Breaks)
	}
}

// A user who asks again has the content in the browser; when that is stale, a
// question and no data are sent.
func TestBrowserCache(t *testing.T) {
	c := origin([]Client{{User: 1}, {User: 1, Join: time.Minute}, {User: 1, Join: time.Hour}, {User: 2, Join: time.Hour}, {Join: time.Hour}}, Server{Up: 10 * mib})
	c.Browser.TTL = 10 * time.Minute
	c.Latency = 10 * time.Millisecond
	res := mustRun(t, c, 1)
	if got := res.System.Peers[1]; got.Complete != time.Minute || got.Down != 0 || got.MessagesUp != 0 {
		t.Errorf("fresh: %+v, want it at once and for nothing", got)
	}
	// Two handshakes and the question.
	if got := res.System.Peers[2]; got.Complete != time.Hour+60*time.Millisecond || got.Down != 0 || got.MessagesUp != DefaultHeadLen {
		t.Errorf("stale: %+v, want three round trips and a head", got)
	}
	if got := source(t, res, "origin"); got != 300*mib {
		t.Errorf("the origin sent %d bytes, want three copies", got)
	}
	if got := source(t, res, "browser"); got != 200*mib {
		t.Errorf("browsers had %d bytes, want two copies", got)
	}
	c.Browser.TTL = 0
	if got := mustRun(t, c, 1).System.Sources; len(got) != 1 || got[0].Bytes != 500*mib {
		t.Errorf("without browser caches the sources are %v", got)
	}
}
