package cdn

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// TestOutages: two faults of one server that overlap are one outage, and one that
// lasts is over at the end.
func TestOutages(t *testing.T) {
	c := Config{
		Kind: result.CDN, Contents: []Content{{100 * mib}}, Clients: crowd(2, Client{Down: mib}),
		Origins: fleet(1, Server{}), Edges: fleet(3, Server{Up: 10 * mib}),
		Faults: []Fault{
			{Tier: Edge, Server: 0, At: 10 * time.Second, For: 10 * time.Second},
			{Tier: Edge, Server: 0, At: 15 * time.Second, For: 10 * time.Second},
			{Tier: Edge, Server: 0, At: 40 * time.Second, For: time.Second},
			{Tier: Edge, Server: 1, At: 20 * time.Second},
		},
	}
	res := mustRun(t, c, 1)
	end := res.System.End
	for i, want := range [][]result.Outage{
		nil,
		{{At: 10 * time.Second, For: 15 * time.Second}, {At: 40 * time.Second, For: time.Second}},
		{{At: 20 * time.Second, For: end - 20*time.Second}},
		nil,
	} {
		if got := res.System.Servers[i].Outages; !slices.Equal(got, want) {
			t.Errorf("%s was down %v, expected %v", res.System.Servers[i].Name, got, want)
		}
	}
}

// TestPeakIsBetweenSamples: a server that is busy for a second of ten sent a tenth
// of its rate where samples are ten seconds apart.
func TestPeakIsBetweenSamples(t *testing.T) {
	c := Config{
		Kind: result.Origin, Contents: []Content{{10 * mib}}, Clients: []Client{{}, {Join: time.Minute}},
		Origins: fleet(1, Server{Up: 10 * mib}), Latency: -1,
	}
	for every, want := range map[time.Duration]float64{0: -1, time.Second: 10 * mib, 10 * time.Second: mib, time.Hour: 20 * mib / 61.0} {
		c.SampleEvery = every
		res := mustRun(t, c, 1)
		if got := res.System.Servers[0].Peak; got < want-1 || got > want+1 {
			t.Errorf("samples every %v: the peak is %v, expected %v", every, got, want)
		}
		if use, ok := res.System.Servers[0].Use(res.System.End); !ok || use < 2/61.0-1e-6 || use > 2/61.0+1e-6 {
			t.Errorf("it used %v of its link", use)
		}
	}
}

// TestCrossISP: what a proxy of the own ISP sends stays at home, what fills it does
// not; everything from a server in nobody's network crosses.
func TestCrossISP(t *testing.T) {
	clients := append(crowd(3, Client{Down: mib}), crowd(2, Client{Down: mib, ISP: 1})...)
	c := Config{
		Kind: result.Cache, Contents: []Content{{4 * mib}}, ISPs: []string{"a", "b"}, Clients: clients,
		Origins: fleet(1, Server{ISP: 1}), Proxies: []Server{{ISP: 0}, {ISP: 1}},
	}
	cached := mustRun(t, c, 1)
	// The proxy of "a" is filled once, from the network of "b".
	if got := cached.System.CrossISP; got != 4*mib {
		t.Errorf("with proxies, %d bytes came from elsewhere", got)
	}
	c.Proxies, c.Kind = nil, result.Origin
	if got := mustRun(t, c, 1).System.CrossISP; got != 3*4*mib {
		t.Errorf("with the origin alone, %d bytes came from elsewhere", got)
	}
	c.Kind, c.Edges = result.CDN, fleet(2, Server{ISP: NoISP})
	edges := mustRun(t, c, 1)
	if got, want := edges.System.CrossISP, int64((5+2)*4*mib); got != want {
		t.Errorf("with edges in nobody's network, %d bytes came from elsewhere, expected %d", got, want)
	}
	if row := edges.System.Servers[1]; row.ISP != "" || edges.System.Servers[0].ISP != "b" {
		t.Errorf("the servers are in %+v", edges.System.Servers)
	}
	c.Kind, c.Edges, c.Proxies = result.Cache, nil, fleet(1, Server{ISP: NoISP})
	if err := c.Validate(); err == nil {
		t.Error("a proxy for nobody is taken")
	}
}

// TestPushedIsNotUse: bytes that were sent before the start need no time.
func TestPushedIsNotUse(t *testing.T) {
	c := Config{
		Kind: result.CDN, Contents: []Content{{100 * mib}}, Clients: crowd(1, Client{Down: 100 * mib}), SampleEvery: time.Second,
		Origins: fleet(1, Server{Up: mib}), Edges: fleet(2, Server{Up: 100 * mib, Cache: Cache{Push: true}}),
	}
	origin := mustRun(t, c, 1).System.Servers[0]
	if use, ok := origin.Use(time.Second); origin.Pushed != 200*mib || origin.Out != origin.Pushed || !ok || use != 0 || origin.Peak != 0 {
		t.Errorf("the origin did %+v", origin)
	}
}

// TestRoutesLeadBack: a route change to the edge -1 ends an earlier one.
func TestRoutesLeadBack(t *testing.T) {
	c := Config{
		Kind: result.CDN, Contents: []Content{{100 * mib}}, Regions: []string{"here", "there"},
		Between: [][]time.Duration{{time.Millisecond, 50 * time.Millisecond}, {50 * time.Millisecond, time.Millisecond}},
		Clients: crowd(4, Client{Down: mib}), Origins: fleet(1, Server{}), Edges: []Server{{}, {Region: 1}},
		Routing: Routing{Anycast: true, Changes: []RouteChange{{At: 20 * time.Second, Edge: 1}, {At: 50 * time.Second, Edge: -1}}},
	}
	res := mustRun(t, c, 1)
	near, far := res.System.Servers[1].Out>>20, res.System.Servers[2].Out>>20
	if far < 4*28 || far > 4*31 || res.Breaks != 8 {
		t.Errorf("the near edge sent %d MiB, the far one %d, and %d connections broke", near, far, res.Breaks)
	}
	c.Routing.Changes[0].Edge = -2
	if err := c.Validate(); err == nil {
		t.Error("a route to the edge -2 is taken")
	}
}

// TestPushingCanBeInterrupted: it comes before the first event.
func TestPushingCanBeInterrupted(t *testing.T) {
	asked := 0
	c := Config{
		Kind: result.CDN, Contents: []Content{{100_000}}, SliceLen: 1, Clients: crowd(1, Client{Down: mib}),
		Origins: fleet(1, Server{}), Edges: fleet(3, Server{Cache: Cache{Push: true}}),
		Progress: func(time.Duration, int, int) bool { asked++; return asked < 4 },
	}
	res, err := c.Run(1)
	if err != nil || res.System.Reason != interrupted || res.System.Events != 0 || asked != 4 {
		t.Errorf("asked %d times, ended because %q, %v", asked, res.System.Reason, err)
	}
}
