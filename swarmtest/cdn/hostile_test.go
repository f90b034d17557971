package cdn

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// A Config that cannot be meant is refused, with what is wrong and what was
// expected.
func TestHostileConfigs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no kind", func(c *Config) { c.Kind = "" }, `kind ""`},
		{"a swarm", func(c *Config) { c.Kind = result.Swarm }, `kind "swarm": expected one of`},
		{"no edges", func(c *Config) { c.Edges = nil }, "at least one edge"},
		{"no origin", func(c *Config) { c.Origins = nil }, "no origin"},
		{"edges of an origin", func(c *Config) { c.Kind = result.Origin }, "take them away"},
		{"parents of a cache", func(c *Config) { c.Kind = result.Cache; c.Edges, c.Parents = nil, fleet(1, Server{}) }, "no parents"},
		{"proxies of a CDN", func(c *Config) { c.Proxies = fleet(1, Server{}) }, "no proxies"},
		{"no contents", func(c *Config) { c.Contents = nil }, "0 contents"},
		{"an empty content", func(c *Config) { c.Contents[0].Len = 0 }, "content 0: 0 bytes"},
		{"a content of negative length", func(c *Config) { c.Contents[0].Len = -1 }, "content 0: -1 bytes"},
		{"a content of 8 EiB", func(c *Config) { c.Contents[0].Len = math.MaxInt64 }, "content 0"},
		{"slices of a byte", func(c *Config) { c.Contents[0].Len = 1 << 40; c.SliceLen = 1 }, "too many slices"},
		{"a negative rate", func(c *Config) { c.Edges[0].Up = -1 }, "edge 0: up -1"},
		{"an absurd rate", func(c *Config) { c.Clients[3].Down = math.MaxInt64 }, "client 3"},
		{"a negative request limit", func(c *Config) { c.Origins[0].MaxRequests = -1 }, "origin 0: -1 requests"},
		{"a weight that is no number", func(c *Config) { c.Origins[0].Weight = math.NaN() }, "weight NaN"},
		{"a join before the start", func(c *Config) { c.Clients[0].Join = -1 }, "client 0: joins"},
		{"a join in a million years", func(c *Config) { c.Clients[0].Join = math.MaxInt64 }, "client 0: joins"},
		{"no such content", func(c *Config) { c.Clients[1].Content = 1 }, "client 1: content 1: there are 1"},
		{"no such region", func(c *Config) { c.Clients[1].Region = 2 }, "client 1: region 2: there are 2"},
		{"no such ISP", func(c *Config) { c.Edges[0].ISP = 1 }, "edge 0: ISP 1"},
		{"no such resolver", func(c *Config) { c.Clients[1].Resolver = 1 }, "public resolver 1"},
		{"a resolver nowhere", func(c *Config) { c.Routing.PublicResolvers = []int{7} }, "region 7"},
		{"a negative user", func(c *Config) { c.Clients[0].User = -1 }, "user -1"},
		{"a latency to nowhere", func(c *Config) { c.Between = c.Between[:1] }, "latencies between 1 regions"},
		{"a missing latency", func(c *Config) { c.Between[1] = c.Between[1][:1] }, "latencies from region 1"},
		{"a negative latency", func(c *Config) { c.Between[1][1] = -1 }, "latency from region 1 to 1"},
		{"latencies that differ by direction", func(c *Config) { c.Between[1][0]++ }, "differs by direction"},
		{"a pipeline of none", func(c *Config) { c.Pipeline = -1 }, "pipeline -1"},
		{"a retry at once", func(c *Config) { c.Retry.First = 1 }, "retry from 1ns"},
		{"a retry that never doubles", func(c *Config) { c.Retry = Retry{First: time.Minute, Most: time.Second} }, "retry from 1m0s to 1s"},
		{"negative attempts", func(c *Config) { c.Retry.Attempts = -1 }, "-1 attempts"},
		{"no timeout", func(c *Config) { c.Timeout = -1 }, "timeout -1ns"},
		{"a sample each nanosecond", func(c *Config) { c.SampleEvery = 1 }, "sample every 1ns"},
		{"no limit", func(c *Config) { c.Limit = -1 }, "limit -1ns"},
		{"a negative window", func(c *Config) { c.Window = -1 }, "window -1"},
		{"an infinite price", func(c *Config) { c.Prices.Edge = math.Inf(1) }, "price +Inf"},
		{"an unknown balance", func(c *Config) { c.Balance = "fair" }, `balance "fair": expected one of`},
		{"a fault of nobody", func(c *Config) { c.Faults = []Fault{{Tier: Parent}} }, "fault 0: parent 0: there are 0"},
		{"a fault of an unknown tier", func(c *Config) { c.Faults = []Fault{{Tier: "cloud"}} }, `tier "cloud"`},
		{"a fault before the start", func(c *Config) { c.Faults = []Fault{{Tier: Edge, At: -1}} }, "fault 0: at -1ns"},
		{"a route to nowhere", func(c *Config) { c.Routing.Changes = []RouteChange{{Edge: 9}} }, "route change 0"},
		{"a catchment of nothing", func(c *Config) { c.Routing.Catchment = []int{9} }, "catchment of region 0"},
		{"no resolvers", func(c *Config) { c.Routing.ResolversPerISP = -1 }, "-1 resolvers"},
		{"too many regions", func(c *Config) { c.Regions = make([]string, MaxRegions+1) }, "regions"},
		{"too many servers", func(c *Config) { c.Edges = fleet(MaxServers, Server{}) }, "servers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := edgesOf(2, 5)
			tt.change(&c)
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if _, ran := c.Run(1); ran == nil {
				t.Error("it ran all the same")
			}
		})
	}
}

// What looks odd and is meant, runs.
func TestOddConfigs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"nobody", func(c *Config) { c.Clients = nil }},
		{"no limits at all", func(c *Config) {
			for i := range c.Clients {
				c.Clients[i].Down = 0
			}
			c.Origins, c.Edges = fleet(1, Server{}), fleet(2, Server{})
		}},
		{"no time between hosts", func(c *Config) { c.Between, c.Latency, c.Handshakes = nil, -1, -1 }},
		{"answers that are forgotten at once", func(c *Config) { c.Routing.TTL = -1 }},
		{"nothing takes time", func(c *Config) {
			c.Routing = Routing{TTL: -1, Lookup: -1, Detect: -1, Convergence: -1, LoadAge: -1}
		}},
		{"a byte", func(c *Config) { c.Contents[0].Len = 1 }},
		{"everything at once", func(c *Config) { c.Pipeline = MaxPipeline }},
		{"slow beyond measure", func(c *Config) { c.Contents[0].Len = 100; c.Origins[0].Up = 1; c.Edges[0].Up = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := edgesOf(2, 5)
			tt.change(&c)
			mustRun(t, c, 1)
		})
	}
}

// A Config is not changed by its run, so that it can be run again, or side by
// side.
func TestConfigIsNotChanged(t *testing.T) {
	c := edgesOf(2, 5)
	before := c.Edges[0]
	mustRun(t, c, 1)
	if c.Edges[0] != before || c.Pipeline != 0 {
		t.Errorf("the run left %+v", c.Edges[0])
	}
}
