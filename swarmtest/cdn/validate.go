package cdn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// The defaults of Config.
const (
	DefaultLatency  = 25 * time.Millisecond // as in swarmtest/sim: half of a round trip within one continent
	DefaultSliceLen = 1 << 20               // what nginx's documentation proposes, and about what CDNs use
	DefaultPipeline = 4                     // 4 MiB under way fill 300 Mbit/s over 100 ms
	DefaultHeadLen  = 500                   // of a request or a response, with cookies and the like
	DefaultTimeout  = 3 * time.Second       // arbitrary: a few lost packets
	DefaultLimit    = 7 * 24 * time.Hour
	DefaultPatience = time.Hour

	DefaultMaxEvents = 1 << 29 // some minutes
	DefaultCacheTTL  = 24 * time.Hour

	DefaultRetryFirst = time.Second
	DefaultRetryMost  = time.Minute

	DefaultDNSTTL      = time.Minute           // CDNs answer with 20 to 300 s
	DefaultLookup      = 20 * time.Millisecond // their name servers are near, too
	DefaultLoadAge     = 5 * time.Second       // arbitrary
	DefaultDetect      = 10 * time.Second      // two or three health checks
	DefaultConvergence = 30 * time.Second      // of BGP, after an announcement is withdrawn
)

// The bounds of a Config, against mistakes and hostile files.
const (
	MaxClients  = 1 << 20
	MaxContents = 1 << 20
	MaxServers  = 10_000
	MaxRegions  = 1000
	MaxPipeline = 256

	maxSlices      = math.MaxInt32 // of one content
	maxContentLen  = 1 << 50
	maxFaults      = 1000
	maxTime        = 100 * 365 * 24 * time.Hour
	minSampleEvery = time.Millisecond
	maxHandshakes  = 100
	maxLatency     = time.Hour
)

// kinds says what the tiers of a kind are.
var kinds = []struct {
	kind                    string
	proxies, edges, parents bool
	balance                 Balance
}{
	{kind: result.Origin, balance: RoundRobin},
	{kind: result.Replicas, balance: RoundRobin},
	{kind: result.Mirrors, balance: Random},
	{kind: result.Cache, balance: RoundRobin, proxies: true},
	{kind: result.CDN, balance: RoundRobin, edges: true, parents: true},
}

// Validate says what is wrong with a Config, and nil if it can be run.
func (c Config) Validate() error {
	_, err := c.resolve()
	return err
}

// resolve returns a Config with all defaults filled in.
func (c Config) resolve() (Config, error) {
	c.fillIn()
	for _, check := range []func() error{
		c.checkKind, c.checkNumbers, c.checkRegions, c.checkContents, c.checkServers, c.checkClients, c.checkRouting, c.checkFaults,
	} {
		if err := check(); err != nil {
			return c, fmt.Errorf("%s: %w", c.label(), err)
		}
	}
	return c, nil
}

func (c *Config) label() string {
	if c.Name == "" {
		return "cdn"
	}
	return c.Name
}

// fillIn replaces zeros by defaults, and what is negative for none by zero.
func (c *Config) fillIn() {
	or(&c.Name, c.Kind)
	or(&c.Latency, DefaultLatency)
	or(&c.Pipeline, DefaultPipeline)
	or(&c.Handshakes, 2)
	or(&c.HeadLen, DefaultHeadLen)
	or(&c.Timeout, DefaultTimeout)
	or(&c.Limit, DefaultLimit)
	or(&c.Patience, DefaultPatience)
	or(&c.MaxEvents, DefaultMaxEvents)
	or(&c.Retry.First, DefaultRetryFirst)
	or(&c.Retry.Most, max(DefaultRetryMost, c.Retry.First))
	c.Latency = max(c.Latency, 0)
	c.Handshakes = max(c.Handshakes, 0)
	c.HeadLen = max(c.HeadLen, 0)
	if len(c.Regions) == 0 {
		c.Regions = []string{""}
	}
	if len(c.ISPs) == 0 {
		c.ISPs = []string{""}
	}
	c.fillInKind()
	c.Routing.fillIn()
	fillInServers(Origin, &c.Origins)
	fillInServers(Parent, &c.Parents)
	fillInServers(Edge, &c.Edges)
	fillInServers(Proxy, &c.Proxies)
}

// fillInKind replaces zeros by what depends on the kind.
func (c *Config) fillInKind() {
	for _, k := range kinds {
		if k.kind != c.Kind {
			continue
		}
		or(&c.Balance, k.balance)
		if k.proxies || k.edges {
			or(&c.SliceLen, DefaultSliceLen)
		}
	}
	if c.SliceLen <= 0 {
		c.SliceLen = maxContentLen
	}
}

func (r *Routing) fillIn() {
	or(&r.TTL, DefaultDNSTTL)
	or(&r.Lookup, DefaultLookup)
	or(&r.ResolversPerISP, 1)
	or(&r.LoadAge, DefaultLoadAge)
	or(&r.Detect, DefaultDetect)
	or(&r.Convergence, DefaultConvergence)
	for _, d := range []*time.Duration{&r.TTL, &r.Lookup, &r.LoadAge, &r.Detect, &r.Convergence} {
		*d = max(*d, 0)
	}
}

// fillInServers leaves the caller's servers as they are.
func fillInServers(t Tier, servers *[]Server) {
	*servers = slices.Clone(*servers)
	for i := range *servers {
		s := &(*servers)[i]
		or(&s.Name, fmt.Sprintf("%s %d", t, i))
		or(&s.Weight, 1)
		or(&s.Cache.TTL, DefaultCacheTTL)
	}
}

// or sets a value that is zero.
func or[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

func (c *Config) checkKind() error {
	for _, k := range kinds {
		if k.kind != c.Kind {
			continue
		}
		switch {
		case len(c.Proxies) > 0 && !k.proxies:
			return fmt.Errorf("a system of kind %q has no proxies: take them away, or set the kind to %q", c.Kind, result.Cache)
		case len(c.Edges) > 0 && !k.edges:
			return fmt.Errorf("a system of kind %q has no edges: take them away, or set the kind to %q", c.Kind, result.CDN)
		case len(c.Parents) > 0 && !k.parents:
			return fmt.Errorf("a system of kind %q has no parents: take them away, or set the kind to %q", c.Kind, result.CDN)
		case k.edges && len(c.Edges) == 0:
			return errors.New("a CDN needs at least one edge")
		case len(c.Origins) == 0:
			return errors.New("there is no origin: somebody must have the contents")
		}
		return c.checkBalance()
	}
	return fmt.Errorf("kind %q: expected one of %q, %q, %q, %q and %q", c.Kind,
		result.Origin, result.Replicas, result.Mirrors, result.Cache, result.CDN)
}

func (c *Config) checkBalance() error {
	all := []Balance{RoundRobin, LeastConnections, RandomTwo, Random, Weighted, Nearest}
	if !slices.Contains(all, c.Balance) {
		return fmt.Errorf("balance %q: expected one of %q", c.Balance, all)
	}
	return nil
}

func (c *Config) checkNumbers() error {
	switch {
	case c.Pipeline < 1 || c.Pipeline > MaxPipeline:
		return fmt.Errorf("pipeline %d: expected 1 to %d requests", c.Pipeline, MaxPipeline)
	case c.Handshakes > maxHandshakes:
		return fmt.Errorf("handshakes %d: expected at most %d round trips", c.Handshakes, maxHandshakes)
	case c.Window < 0:
		return fmt.Errorf("window %d is negative; 0 is unlimited", c.Window)
	case c.HeadLen > 1<<20:
		return fmt.Errorf("head length %d: expected at most 1 MiB", c.HeadLen)
	case c.Timeout < time.Millisecond || c.Timeout > maxTime:
		return fmt.Errorf("timeout %v: expected at least a millisecond", c.Timeout)
	case c.Retry.First < time.Millisecond || c.Retry.Most < c.Retry.First || c.Retry.Most > maxTime:
		return fmt.Errorf("retry from %v to %v: expected at least a millisecond, and the most not below the first", c.Retry.First, c.Retry.Most)
	case c.Retry.Attempts < 0:
		return fmt.Errorf("retry: %d attempts are negative; 0 is no end", c.Retry.Attempts)
	case c.SampleEvery != 0 && c.SampleEvery < minSampleEvery:
		return fmt.Errorf("a sample every %v: expected at least %v, or 0 for none", c.SampleEvery, minSampleEvery)
	case c.Limit < 0 || c.Limit > maxTime || c.Patience < 0:
		return fmt.Errorf("limit %v and patience %v: a run needs both, and at most %v", c.Limit, c.Patience, maxTime)
	}
	for _, price := range []float64{c.Prices.Origin, c.Prices.Parent, c.Prices.Edge, c.Prices.Proxy} {
		if price < 0 || math.IsNaN(price) || math.IsInf(price, 0) {
			return fmt.Errorf("price %v for 1e9 bytes: expected 0 or more", price)
		}
	}
	return nil
}

func (c *Config) checkRegions() error {
	n := len(c.Regions)
	switch {
	case n > MaxRegions || len(c.ISPs) > MaxRegions:
		return fmt.Errorf("%d regions and %d ISPs: expected at most %d", n, len(c.ISPs), MaxRegions)
	case c.Latency > maxLatency:
		return fmt.Errorf("latency %v: expected at most %v", c.Latency, maxLatency)
	case c.Between == nil:
		return nil
	case len(c.Between) != n:
		return fmt.Errorf("latencies between %d regions, but there are %d", len(c.Between), n)
	}
	for i, row := range c.Between {
		if len(row) != n {
			return fmt.Errorf("latencies from region %d: %d, expected %d", i, len(row), n)
		}
		for j, latency := range row {
			if latency < 0 || latency > maxLatency {
				return fmt.Errorf("latency from region %d to %d: %v is not within 0 and %v", i, j, latency, maxLatency)
			}
		}
	}
	for i := range n {
		for j := range i {
			if c.Between[i][j] != c.Between[j][i] {
				return fmt.Errorf("latency between regions %d and %d differs by direction", j, i)
			}
		}
	}
	return nil
}

func (c *Config) checkContents() error {
	if len(c.Contents) == 0 || len(c.Contents) > MaxContents {
		return fmt.Errorf("%d contents, expected 1 to %d", len(c.Contents), MaxContents)
	}
	for i, content := range c.Contents {
		if content.Len < 1 || content.Len > maxContentLen {
			return fmt.Errorf("content %d: %d bytes, expected 1 to %d", i, content.Len, int64(maxContentLen))
		}
		if content.Len/c.SliceLen >= maxSlices {
			return fmt.Errorf("content %d: too many slices of %d bytes", i, c.SliceLen)
		}
	}
	return nil
}

func (c *Config) checkServers() error {
	tiers := [][]Server{c.Origins, c.Parents, c.Edges, c.Proxies}
	if n := len(slices.Concat(tiers...)); n > MaxServers {
		return fmt.Errorf("%d servers, expected at most %d", n, MaxServers)
	}
	for _, s := range c.Proxies {
		if s.ISP == NoISP && !c.ProxyByRegion {
			return fmt.Errorf("%s: it is in no ISP's network, so nobody would use it", s.Name)
		}
	}
	for _, servers := range tiers {
		for _, s := range servers {
			if err := c.checkServer(&s); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	return nil
}

func (c *Config) checkServer(s *Server) error {
	switch {
	case badRate(s.Up) || badRate(s.Down):
		return fmt.Errorf("up %d, down %d bytes/s: expected 0 to %d, where 0 is unlimited", s.Up, s.Down, int64(1)<<MaxRateBits)
	case s.Region < 0 || s.Region >= len(c.Regions):
		return fmt.Errorf("region %d: there are %d", s.Region, len(c.Regions))
	case s.ISP < NoISP || s.ISP >= len(c.ISPs):
		return fmt.Errorf("ISP %d: there are %d", s.ISP, len(c.ISPs))
	case s.MaxRequests < 0:
		return fmt.Errorf("%d requests at once are negative; 0 is unlimited", s.MaxRequests)
	case s.Weight < 0 || math.IsNaN(s.Weight) || math.IsInf(s.Weight, 0):
		return fmt.Errorf("weight %v: expected a positive number", s.Weight)
	case s.Cache.TTL > maxTime:
		return fmt.Errorf("TTL %v: expected at most %v; negative is for ever", s.Cache.TTL, maxTime)
	}
	return nil
}

func badRate(rate int64) bool { return rate < 0 || rate > 1<<MaxRateBits }

func (c *Config) checkClients() error {
	if len(c.Clients) > MaxClients {
		return fmt.Errorf("%d clients, expected at most %d", len(c.Clients), MaxClients)
	}
	for i := range c.Clients {
		if err := c.checkClient(&c.Clients[i]); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

func (c *Config) checkClient(cl *Client) error {
	switch {
	case cl.Join < 0 || cl.Join > maxTime || cl.Leave < 0 || cl.Leave > maxTime:
		return fmt.Errorf("joins at %v and leaves at %v: expected 0 to %v", cl.Join, cl.Leave, maxTime)
	case badRate(cl.Up) || badRate(cl.Down):
		return fmt.Errorf("up %d, down %d bytes/s: expected 0 to %d, where 0 is unlimited", cl.Up, cl.Down, int64(1)<<MaxRateBits)
	case cl.Region < 0 || cl.Region >= len(c.Regions):
		return fmt.Errorf("region %d: there are %d", cl.Region, len(c.Regions))
	case cl.ISP < 0 || cl.ISP >= len(c.ISPs):
		return fmt.Errorf("ISP %d: there are %d", cl.ISP, len(c.ISPs))
	case cl.Content < 0 || cl.Content >= len(c.Contents):
		return fmt.Errorf("content %d: there are %d", cl.Content, len(c.Contents))
	case cl.User < 0:
		return fmt.Errorf("user %d is negative", cl.User)
	case cl.Resolver < 0 || cl.Resolver > len(c.Routing.PublicResolvers):
		return fmt.Errorf("public resolver %d: there are %d, counted from 1", cl.Resolver, len(c.Routing.PublicResolvers))
	}
	return nil
}

func (c *Config) checkRouting() error {
	r := &c.Routing
	for i, region := range r.PublicResolvers {
		if region < 0 || region >= len(c.Regions) {
			return fmt.Errorf("public resolver %d: region %d: there are %d", i+1, region, len(c.Regions))
		}
	}
	for region, edge := range r.Catchment {
		if edge < -1 || edge >= len(c.Edges) || region >= len(c.Regions) {
			return fmt.Errorf("catchment of region %d: edge %d: there are %d regions and %d edges", region, edge, len(c.Regions), len(c.Edges))
		}
	}
	for i, change := range r.Changes {
		if change.At < 0 || change.Region < 0 || change.Region >= len(c.Regions) || change.Edge < -1 || change.Edge >= len(c.Edges) {
			return fmt.Errorf("route change %d: at %v, region %d, edge %d: there are %d regions and %d edges", i, change.At, change.Region, change.Edge, len(c.Regions), len(c.Edges))
		}
	}
	switch {
	case r.ResolversPerISP < 1 || r.ResolversPerISP > MaxClients:
		return fmt.Errorf("%d resolvers of an ISP: expected 1 to %d", r.ResolversPerISP, MaxClients)
	case badRate(r.MinShare):
		return fmt.Errorf("least share %d bytes/s: expected 0 or more", r.MinShare)
	case len(r.Changes) > 2*maxFaults: // each may have an end
		return fmt.Errorf("%d route changes, expected at most %d", len(r.Changes), 2*maxFaults)
	case max(r.TTL, r.Lookup, r.LoadAge, r.Detect, r.Convergence) > maxTime:
		return fmt.Errorf("a time of routing is above %v", maxTime)
	}
	return nil
}

func (c *Config) checkFaults() error {
	if len(c.Faults) > maxFaults {
		return fmt.Errorf("%d faults, expected at most %d", len(c.Faults), maxFaults)
	}
	for i, f := range c.Faults {
		servers, err := c.tier(f.Tier)
		switch {
		case err != nil:
			return fmt.Errorf("fault %d: %w", i, err)
		case f.Server < 0 || f.Server >= len(servers):
			return fmt.Errorf("fault %d: %s %d: there are %d", i, f.Tier, f.Server, len(servers))
		case f.At < 0 || f.For < 0 || f.At > maxTime || f.For > maxTime:
			return fmt.Errorf("fault %d: at %v for %v: expected 0 to %v", i, f.At, f.For, maxTime)
		}
	}
	return nil
}

// tier returns the servers of a tier.
func (c *Config) tier(t Tier) ([]Server, error) {
	switch t {
	case Origin:
		return c.Origins, nil
	case Parent:
		return c.Parents, nil
	case Edge:
		return c.Edges, nil
	case Proxy:
		return c.Proxies, nil
	}
	return nil, fmt.Errorf("tier %q: expected one of %q, %q, %q and %q", t, Origin, Parent, Edge, Proxy)
}
