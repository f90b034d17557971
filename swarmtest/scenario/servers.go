package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// HTTP is what the clients of servers do, and the caches when they fetch.
type HTTP struct {
	Pipeline   int           `toml:"pipeline"`
	Handshakes int           `toml:"handshakes"`
	Window     int64         `toml:"window"`
	Timeout    time.Duration `toml:"timeout"`
	Retry      time.Duration `toml:"retry"`
	RetryMost  time.Duration `toml:"retry_most"`
	Attempts   int           `toml:"attempts"` // 0: no end
}

var http = table{doc: "What the clients of systems without peers do, and the caches when they fetch.", keys: []key{
	{name: "pipeline", kind: integer, def: int64(4), min: 1, max: 256, doc: "How many requests a client has under way."},
	{name: "handshakes", kind: integer, def: int64(2), max: 100, doc: "How many round trips pass before the first request of a client's connection. 2: TCP, and TLS 1.3."},
	{name: "window", kind: size, def: "unlimited", min: 1 << 10, max: 1 << 40, special: "unlimited", doc: "How much may be under way on a connection to a client: its rate is at most a window in each round trip."},
	{name: "timeout", kind: duration, def: "3s", min: 0.001, max: 24 * 3600, doc: "How long they wait for a server that does not answer."},
	{name: "retry", kind: duration, def: "1s", min: 0.001, max: maxSeconds, doc: "Who was refused asks again after a time from half of this to all of it. It doubles with each refusal."},
	{name: "retry_most", kind: duration, def: "1m", min: 0.001, max: maxSeconds, doc: "But it is not more than this."},
	{name: "attempts", kind: integer, optional: true, min: 1, max: 1e6, doc: "After how many refusals of one request a client leaves. Default: never."},
}}

// Server is a server that differs from the others of its tier. What is zero is as
// it is with them.
type Server struct {
	System string `toml:"system"` // "" for all that have it
	Tier   string `toml:"tier"`
	Number int    `toml:"number"`

	Region string `toml:"region"`
	ISP    string `toml:"isp"`

	Up          int64   `toml:"up"`
	Down        int64   `toml:"down"`
	Weight      float64 `toml:"weight"`
	Disk        int64   `toml:"disk"`
	MaxRequests int     `toml:"max_requests"`
	Queue       int     `toml:"queue"`
}

// maxOverrides bounds the tables [[server]]. Arbitrary.
const maxOverrides = 1000

var (
	hasCache  = only("tier", Edge, Parent, Proxy)
	isPlaced  = only("tier", Replica, Mirror, Edge, Parent)
	isWeighed = only("tier", Replica, Mirror)
)

var server = table{doc: "A server that differs from the others of its tier. What is left out is as with those.", keys: []key{
	{name: "system", kind: name, optional: true, doc: "The name of the system that has it. Default: all that have it."},
	{name: "tier", kind: word, words: []string{Replica, Mirror, Edge, Parent, Proxy}, doc: "What it is."},
	{name: "number", kind: integer, max: maxISPs*maxProxies - 1, doc: "Its number in its tier, from 0. Proxies are counted ISP by ISP, or region by region."},
	{name: "region", kind: name, optional: true, when: isPlaced, doc: "Where it is."},
	{name: "isp", kind: name, optional: true, when: isPlaced, doc: "In whose network it is. Default: in nobody's."},
	{name: "up", kind: rate, optional: true, min: 1, max: maxRate, doc: "Its uplink."},
	{name: "down", kind: rate, optional: true, min: 1, max: maxRate, when: hasCache, doc: "What it is filled with."},
	{name: "weight", kind: number, optional: true, min: 1e-6, max: maxShare, when: isWeighed, doc: "How many get it, against the weights of the others, which are 1 if nothing is said; with `balance = \"weighted\"`."},
	{name: "disk", kind: size, optional: true, min: 1, max: maxLength, when: hasCache, doc: "What it keeps."},
	{name: "max_requests", kind: integer, optional: true, min: 1, max: 1e6, doc: "How many requests it serves at a time."},
	{name: "queue", kind: integer, optional: true, min: 1, max: 1e6, special: "none", doc: "How many wait for their turn then."},
}}

// tiersOf are the tiers that each kind of system has.
var tiersOf = map[string][]string{
	result.Origin:   {OriginTier},
	result.Replicas: {Replica},
	result.Mirrors:  {Mirror},
	result.Cache:    {OriginTier, Proxy},
	result.CDN:      {OriginTier, Edge, Parent},
}

// NumServers is how many servers of a tier of Fault a system has.
func (s *Scenario) NumServers(sys *System, tier string) int {
	if !slices.Contains(tiersOf[sys.Kind], tier) {
		return 0
	}
	switch tier {
	case Replica, Mirror:
		return sys.Servers
	case Edge:
		return sys.Edges
	case Parent:
		return sys.Parents
	case Proxy:
		return s.numProxyPlaces(sys) * sys.Proxies
	}
	return 1
}

// numProxyPlaces is how many ISPs or regions have proxies.
func (s *Scenario) numProxyPlaces(sys *System) int {
	if sys.Per == PerRegion {
		return max(len(s.Regions), 1)
	}
	if len(s.ISPs) == 0 {
		return 1
	}
	return len(s.ISPsWithProxy())
}

// ISPsWithProxy are the positions of those with proxies for their clients.
func (s *Scenario) ISPsWithProxy() (with []int) {
	for i := range s.ISPs {
		if !s.ISPs[i].NoProxy {
			with = append(with, i)
		}
	}
	return with
}

// applies reports whether a system has the server that o is about.
func (o *Server) applies(s *Scenario, sys *System) bool {
	return (o.System == "" || o.System == sys.Name) && o.Number < s.NumServers(sys, o.Tier)
}

// Overrides are the servers of a system that differ from the others of a tier, by
// their numbers.
func (s *Scenario) Overrides(sys *System, tier string) map[int]*Server {
	found := map[int]*Server{}
	for i := range s.Servers {
		if o := &s.Servers[i]; o.Tier == tier && o.applies(s, sys) {
			found[o.Number] = o
		}
	}
	return found
}

// checkHTTP holds the times of retries to each other.
func (d *decoder) checkHTTP(s *Scenario) {
	if s.HTTP.RetryMost < s.HTTP.Retry {
		d.failf("http.retry_most", "it is less than http.retry = %q, from which it grows; write more, or a shorter http.retry", formatDuration(s.HTTP.Retry))
	}
}

// checkServers holds the tables [[server]] to the systems.
func (d *decoder) checkServers(s *Scenario) {
	for i := range s.Servers {
		o := &s.Servers[i]
		o.Region = d.placeOf(s, o.Region, o.ISP, func(key string) string { return item("server", i, key) })
		called := func(sys System) bool { return sys.Name == o.System }
		if o.System != "" && !slices.ContainsFunc(s.Systems, called) {
			d.failf(item("server", i, "system"), "there is no [[system]] with the name %q", o.System)
			continue
		}
		d.checkOverride(s, i)
		for j := range s.Servers[:i] {
			if p := &s.Servers[j]; p.Tier == o.Tier && p.Number == o.Number && (p.System == "" || o.System == "" || p.System == o.System) {
				d.failf(item("server", i, "number"), "the %s %d is there already; write all of it into one [[server]]", o.Tier, o.Number)
			}
		}
	}
}

// checkOverride holds one of them to the systems that have it.
func (d *decoder) checkOverride(s *Scenario, i int) {
	o, has := &s.Servers[i], false
	for j := range s.Systems {
		sys := &s.Systems[j]
		if !o.applies(s, sys) {
			continue
		}
		has = true
		if o.Disk != 0 && o.Disk < sys.Slice {
			d.failf(item("server", i, "disk"), "it is smaller than one slice of the system %q; write a larger disk, or a smaller slice", sys.Name)
		}
		if o.Weight != 0 && sys.Balance != Weighted {
			d.failf(item("server", i, "weight"), "it has a meaning only with balance = %q, and the system %q has another", Weighted, sys.Name)
		}
	}
	if !has {
		d.failf(item("server", i, "number"), "no system has %s; the numbers begin with 0", o.label())
	}
}

func (o *Server) label() string {
	text := fmt.Sprintf("a server %d of the tier %q", o.Number, o.Tier)
	if o.System != "" {
		text += fmt.Sprintf(" and the name %q", o.System)
	}
	return text
}

// checkRoute holds a change of routes to the CDNs.
func (d *decoder) checkRoute(s *Scenario, i int) {
	f, has := &s.Faults[i], false
	for j := range s.Systems {
		sys := &s.Systems[j]
		has = has || sys.Routing == Anycast && f.Server < s.NumServers(sys, Edge)
	}
	d.regionExists(s, item("fault", i, "region"), f.Region)
	switch {
	case f.Region == "":
		d.failf(item("fault", i, "region"), "whose route is it? write a region")
	case !has:
		d.failf(item("fault", i, "server"), "no system of the kind %q with routing = %q has an edge %d; the numbers begin with 0", result.CDN, Anycast, f.Server)
	}
	for j := range s.Faults[:i] {
		if g := &s.Faults[j]; g.Kind == Route && g.Region == f.Region && g.At < f.end() && f.At < g.end() {
			d.failf(item("fault", i, "at"), "another [[fault]] leads the clients of %q elsewhere at that time; let one end before the other begins", f.Region)
		}
	}
}

// end is when a fault is over, perhaps Forever.
func (f *Fault) end() time.Duration {
	if f.For == Forever {
		return Forever
	}
	return f.At + f.For
}

// checkResolvers holds a CDN's public resolvers to the regions.
func (d *decoder) checkResolvers(s *Scenario, i int) {
	sys := &s.Systems[i]
	for _, region := range sys.PublicResolvers {
		d.regionExists(s, item("system", i, "public_resolvers"), region)
	}
	switch {
	case sys.PublicDNS > 0 && len(sys.PublicResolvers) == 0:
		d.failf(item("system", i, "public_dns"), "nobody can ask public resolvers that there are not; write where they are, in public_resolvers")
	case sys.PublicDNS == 0 && len(sys.PublicResolvers) > 0:
		d.failf(item("system", i, "public_resolvers"), "nobody asks them; write the part of the clients who do, in public_dns")
	}
}

// The bounds of what systems without peers may need.
const (
	// maxRequests is how many requests the clients of a system may make: each is three events at least, and a
	// run ends after cdn.DefaultMaxEvents, some minutes.
	maxRequests = 1 << 27
	// maxCached is how many slices all caches of a system may come to hold: some 10 GB.
	maxCached = 1 << 26
)

// numSlices is how many slices a system has of one content.
func (s *Scenario) numSlices(sys *System) int64 {
	if sys.Slice == 0 {
		return 1
	}
	return (s.Content.Length-1)/sys.Slice + 1
}

// MostCached bounds the slices that the caches of a system ever hold: what their disks take, and
// unless all is pushed to them, what is asked for.
func (s *Scenario) MostCached(sys *System) (most int64) {
	if !cached.holds(sys.Kind) {
		return 0
	}
	perContent := s.numSlices(sys)
	all := perContent * int64(s.Content.Count) // of at most 2^30 slices of 100,000 contents: no overflow
	asked := min(all, perContent*int64(s.NumPeers()))
	onDisk := func(push bool, disk int64) int64 {
		n := asked
		if push {
			n = all
		}
		if disk != Unlimited {
			n = min(n, disk/sys.Slice)
		}
		return n
	}
	front := s.NumServers(sys, Edge) + s.NumServers(sys, Proxy)
	// Who sends to an edge or proxy before the start keeps it, too.
	return onDisk(sys.Push, sys.Disk)*int64(front) + onDisk(sys.Push || sys.ParentPush, sys.ParentDisk)*int64(s.NumServers(sys, Parent))
}

// checkRequests bounds what systems without peers have to do.
func (d *decoder) checkRequests(s *Scenario) {
	for i := range s.Systems {
		sys := &s.Systems[i]
		if !ofServers.holds(sys.Kind) {
			continue
		}
		if slices := s.numSlices(sys); slices > maxRequests/int64(s.NumPeers()) {
			d.failf(item("system", i, "slice"), "%d clients that ask for %d slices each are more than %d million requests; write a longer slice, or fewer clients",
				s.NumPeers(), slices, maxRequests/1_000_000)
		} else if most := s.MostCached(sys); most > maxCached {
			d.failf(item("system", i, "slice"), "its caches may come to hold %d million slices, and at most %d million are allowed; write a longer slice, smaller disks, or fewer contents",
				most/1_000_000, maxCached/1_000_000)
		}
	}
}
