package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// check finds what contradicts itself, and fills in the defaults that depend
// on other keys.
func (d *decoder) check(s *Scenario) {
	d.checkContent(s)
	d.checkRegions(s)
	d.checkISPs(s)
	d.checkOrigin(s)
	d.checkClasses(s)
	d.checkShares(s)
	d.checkSystems(s)
	d.checkDiscovery(s)
	d.checkServers(s)
	d.checkHTTP(s)
	d.checkFaults(s)
	if s.Limits.Time/s.Samples.Every > maxSamples {
		d.failf("samples.every", "that may be more than %d samples in limits.time = %q; sample less often, or lower limits.time", maxSamples, formatDuration(s.Limits.Time))
	}
	if s.Demand.Arrivals != Trace {
		d.checkSizes(s)
	}
}

// item is the path of an element of a list.
func item(list string, i int, key string) string { return fmt.Sprintf("%s[%d].%s", list, i, key) }

func (d *decoder) checkContent(s *Scenario) {
	c := &s.Content
	if c.PieceLength&(c.PieceLength-1) != 0 {
		d.failf("content.piece_length", "%d is not a power of two; write one, like \"256KiB\"", c.PieceLength)
		return
	}
	if n := (c.Length-1)/c.PieceLength + 1; n > maxPieces {
		d.failf("content.piece_length", "that makes %d pieces; at most %d are allowed: write a longer one", n, maxPieces)
	}
}

// unique finds names that are there twice.
func (d *decoder) unique(list string, n int, name func(i int) string) {
	seen := map[string]bool{}
	for i := range n {
		if seen[name(i)] {
			d.failf(item(list, i, "name"), "there are two [[%s]] with the name %q; give them different ones", list, name(i))
		}
		seen[name(i)] = true
	}
}

func (d *decoder) checkRegions(s *Scenario) {
	d.unique("region", len(s.Regions), func(i int) string { return s.Regions[i].Name })
	if s.Network.Model != Constant && len(s.Regions) == 0 {
		d.failf("network.model", "%q needs at least one [[region]]", s.Network.Model)
	}
	total := 0.0
	for i := range s.Regions {
		total += s.Regions[i].Share
		d.checkRegion(s, i)
	}
	if len(s.Regions) > 0 && total == 0 {
		d.failf("region[0].share", "the shares of all regions are 0; nobody could be anywhere")
	}
}

// checkRegion holds the latencies of a region to the model.
func (d *decoder) checkRegion(s *Scenario, i int) {
	r := s.Regions[i]
	switch {
	case s.Network.Model != Coordinates && (r.At != nil || r.Spread != 0):
		d.failf(item("region", i, "at"), "at and spread have a meaning only with network.model = %q", Coordinates)
	case s.Network.Model == Coordinates && len(r.At) != 2:
		d.failf(item("region", i, "at"), `with network.model = %q, write where the region is: at = ["30ms", "12ms"]`, Coordinates)
	case s.Network.Model != Matrix && r.Latency != nil:
		d.failf(item("region", i, "latency"), "latency has a meaning only with network.model = %q", Matrix)
	case s.Network.Model == Matrix && len(r.Latency) != len(s.Regions):
		d.failf(item("region", i, "latency"), "it has %d latencies; write one for each of the %d regions, in their order", len(r.Latency), len(s.Regions))
	case s.Network.Model == Matrix:
		d.checkLatencies(s, i)
	}
}

func (d *decoder) checkLatencies(s *Scenario, i int) {
	for j, latency := range s.Regions[i].Latency {
		back := s.Regions[j].Latency
		switch {
		case latency < 0:
			d.failf(item("region", i, "latency"), "a latency is negative")
		case j < i && i < len(back) && back[i] != latency:
			d.failf(item("region", i, "latency"), "from %q to %q it is %v, and back %v; both directions are the same",
				s.Regions[i].Name, s.Regions[j].Name, latency, back[i])
		}
	}
}

func (d *decoder) checkISPs(s *Scenario) {
	d.unique("isp", len(s.ISPs), func(i int) string { return s.ISPs[i].Name })
	for i, isp := range s.ISPs {
		d.regionExists(s, item("isp", i, "region"), isp.Region)
	}
	if len(s.ISPs) == 0 {
		return
	}
	for _, r := range append(s.Regions, Region{}) {
		share := 0.0
		for _, isp := range s.ISPs {
			if isp.Region == "" || isp.Region == r.Name {
				share += isp.Share
			}
		}
		if share == 0 && (r.Name != "" || len(s.Regions) == 0) {
			d.failf("isp", "no [[isp]] with a share above 0 serves the region %q; add one, or take all out", r.Name)
		}
	}
}

func (d *decoder) regionExists(s *Scenario, at, called string) {
	if called != "" && s.Region(called) < 0 {
		d.failf(at, "there is no [[region]] with the name %q", called)
	}
}

// placeOf checks the region and ISP of somebody, and returns the region,
// which may follow from the ISP.
func (d *decoder) placeOf(s *Scenario, region, isp string, at func(key string) string) string {
	d.regionExists(s, at("region"), region)
	i := s.ISP(isp)
	switch {
	case isp == "":
	case i < 0:
		d.failf(at("isp"), "there is no [[isp]] with the name %q", isp)
	case s.ISPs[i].Region == "":
	case region == "":
		return s.ISPs[i].Region
	case region != s.ISPs[i].Region:
		d.failf(at("isp"), "the ISP %q serves the region %q only", isp, s.ISPs[i].Region)
	}
	return region
}

func (d *decoder) checkOrigin(s *Scenario) {
	o := &s.Origin
	o.Region = d.placeOf(s, o.Region, o.ISP, func(key string) string { return "origin." + key })
	if o.Region == "" && len(s.Regions) > 0 {
		o.Region = s.Regions[0].Name
	}
	if o.Up != Unlimited && o.Up > maxRate/int64(o.Count) {
		d.failf("origin.up", "%d servers with it are more than all bounds; write less", o.Count)
	}
}

func (d *decoder) checkClasses(s *Scenario) {
	d.unique("class", len(s.Classes), func(i int) string { return s.Classes[i].Name })
	for i := range s.Classes {
		c := &s.Classes[i]
		c.Region = d.placeOf(s, c.Region, c.ISP, func(key string) string { return item("class", i, key) })
		if c.SeedTimes == Exponential && (c.SeedFor == Forever || c.SeedFor == 0) {
			d.failf(item("class", i, "seed_times"), "%q needs a seed_for that can be a mean, like \"10m\"", Exponential)
		}
	}
}

// checkShares holds the numbers of the classes to each other.
func (d *decoder) checkShares(s *Scenario) {
	shares, counts := 0, 0
	for _, c := range s.Classes {
		if c.Share > 0 {
			shares++
		}
		if c.Count > 0 {
			counts++
		}
	}
	if s.Demand.Arrivals == Trace {
		if shares+counts > 0 || s.Demand.Peers > 0 {
			d.failf("demand.arrivals", "the trace says who comes; take out demand.peers, and share and count of the classes")
		}
		return
	}
	if len(s.Classes) == 1 && shares+counts == 0 {
		s.Classes[0].Share, shares = 1, 1
	}
	switch {
	case counts == 0 && s.Demand.Peers == 0:
		d.failf("demand.peers", "how many come? write demand.peers, or a count in each class")
	case counts > 0 && s.Demand.Peers > 0:
		d.failf("demand.peers", "both demand.peers and the count of a class say how many come; write shares instead of counts, or take demand.peers out")
	case counts > 0 && counts+shares != len(s.Classes) || counts > 0 && shares > 0:
		d.failf("class", "some classes have a count and some have none; give each a count, or each a share")
	case counts == 0 && shares < len(s.Classes):
		d.failf("class", "some classes have no share; give each a share, or each a count")
	}
}

func (d *decoder) checkSystems(s *Scenario) {
	if len(s.Systems) == 0 {
		s.Systems = slices.Clone(defaultSystems)
	}
	for i := range s.Systems {
		d.checkSystem(s, i)
	}
	d.unique("system", len(s.Systems), func(i int) string { return s.Systems[i].Name })
	if n := s.Content.Count * s.Origin.Count; s.firstSwarm() >= 0 && s.Content.Count > 1 && n > maxTorrents {
		d.failf("content.count", "in a swarm each of them is a torrent of each seed of the origin: %d in all; at most %d are allowed: write fewer", n, maxTorrents)
	}
}

func (d *decoder) checkSystem(s *Scenario, i int) {
	sys := &s.Systems[i]
	if sys.Name == "" {
		sys.Name = sys.Kind
	}
	sys.fillIn()
	d.checkResolvers(s, i)
	switch {
	case sys.BrowserTTL != 0 && s.Demand.Users == 0:
		d.failf(item("system", i, "browser_ttl"), "nobody comes twice; write demand.users, fewer than the clients, or take it out")
	case sys.Kind == result.Cache && s.NumServers(sys, Proxy) == 0:
		d.failf(item("system", i, "kind"), "every [[isp]] has no_proxy; take one out, or write another kind")
	case sys.Disk != Unlimited && sys.Disk < sys.Slice:
		d.failf(item("system", i, "disk"), "it is smaller than one slice; write a larger disk, or a smaller slice")
	case sys.ParentDisk != Unlimited && sys.ParentDisk < sys.Slice:
		d.failf(item("system", i, "parent_disk"), "it is smaller than one slice; write a larger disk, or a smaller slice")
	}
}

// fillIn has the defaults of a system that depend on other keys.
func (sys *System) fillIn() {
	switch {
	case sys.Kind == result.Replicas && sys.Balance == "":
		sys.Balance = "round-robin"
	case sys.Kind == result.Mirrors && sys.Balance == "":
		sys.Balance = "random"
	case cached.holds(sys.Kind) && sys.Slice == 0:
		sys.Slice = 1 << 20
	}
	if sys.Kind == result.CDN && sys.ParentTTL == 0 {
		sys.ParentTTL = sys.TTL
	}
}

func (d *decoder) checkFaults(s *Scenario) {
	for i := range s.Faults {
		switch f := &s.Faults[i]; f.Kind {
		case ServerFails:
			d.checkServerFault(s, i)
		case Crash, Partition:
			d.checkStruck(s, i)
			d.needsSwarm(s, i)
		case TrackerDown:
			d.needsSwarm(s, i)
			d.needsTracker(s, i)
		case Route:
			d.checkRoute(s, i)
		case WebSeedDown, WebSeedBusy, WebSeedLies:
			d.checkWebSeedFault(s, i)
		}
	}
}

// checkServerFault holds the fault of a server to the systems.
func (d *decoder) checkServerFault(s *Scenario, i int) {
	f, most := &s.Faults[i], 0
	for j := range s.Systems {
		most = max(most, s.NumServers(&s.Systems[j], f.Tier))
	}
	if f.Server >= most {
		d.failf(item("fault", i, "server"), "no system has a server %d of the tier %q; the numbers begin with 0", f.Server, f.Tier)
	}
}

// checkWebSeedFault holds the fault of a web seed to the hybrids.
func (d *decoder) checkWebSeedFault(s *Scenario, i int) {
	f, most := &s.Faults[i], 0
	for j := range s.Systems {
		most = max(most, s.Systems[j].NumWebSeeds())
	}
	switch {
	case most == 0:
		d.failf(item("fault", i, "kind"), "a fault of the kind %q is for web seeds, and no [[system]] is of the kind %q", f.Kind, result.Hybrid)
	case f.Server >= most:
		d.failf(item("fault", i, "server"), "no system has a web seed %d; the numbers begin with 0", f.Server)
	case f.RetryAfter%time.Second != 0:
		d.failf(item("fault", i, "retry_after"), "HTTP has whole seconds for it; write such a duration, like \"30s\"")
	}
}

// NumWebSeeds is how many web seeds a system has.
func (sys *System) NumWebSeeds() int {
	if sys.Kind != result.Hybrid {
		return 0
	}
	return max(sys.WebEdges, 1)
}

func (d *decoder) needsSwarm(s *Scenario, i int) {
	if s.firstSwarm() < 0 {
		d.failf(item("fault", i, "kind"), "a fault of the kind %q is for a swarm, and no [[system]] is one", s.Faults[i].Kind)
	}
}

func (d *decoder) needsTracker(s *Scenario, i int) {
	if s.firstSwarm() >= 0 && !slices.ContainsFunc(s.Systems, func(sys System) bool { return sys.Tracker }) {
		d.failf(item("fault", i, "kind"), "no [[system]] has a tracker that could fail; write tracker = true in one, or take the fault out")
	}
}

// checkDiscovery finds swarms in which nobody could find anybody.
func (d *decoder) checkDiscovery(s *Scenario) {
	if s.DHT.Routers > s.DHT.Nodes {
		d.failf("dht.routers", "routers are among the dht.nodes, of which there are %d; write fewer routers, or more nodes", s.DHT.Nodes)
	}
	for i := range s.Systems {
		switch sys := &s.Systems[i]; {
		case sys.Kind == result.Swarm && !sys.Tracker && !sys.DHT:
			d.failf(item("system", i, "tracker"), "with neither a tracker nor a DHT no client finds the seed, or another one, and the run would never end; write tracker = true or dht = true")
		case sys.Foreign > 0 && !sys.Tracker:
			d.failf(item("system", i, "foreign"), "it is what the tracker does, and there is none; write tracker = true, or take it out")
		}
	}
}

// checkStruck holds those whom a fault strikes to the names there are.
func (d *decoder) checkStruck(s *Scenario, i int) {
	f := &s.Faults[i]
	f.Region = d.placeOf(s, f.Region, f.ISP, func(key string) string { return item("fault", i, key) })
	if f.Class != "" && f.Class != OfOrigin && !slices.ContainsFunc(s.Classes, func(c Class) bool { return c.Name == f.Class }) {
		d.failf(item("fault", i, "class"), "there is no [[class]] with the name %q", f.Class)
	}
	if f.Kind == Partition && f.Class == "" && f.Region == "" && f.ISP == "" && f.Part == 1 {
		d.failf(item("fault", i, "kind"), "a partition has two sides; write a class, region, isp or part for one of them")
	}
}

// checkSizes bounds what a machine would have to run.
func (d *decoder) checkSizes(s *Scenario) {
	peers := s.NumPeers()
	switch {
	case len(d.errs) > 0:
		return
	case peers > maxPeers:
		d.failf("class", "that are %d peers; at most %d are allowed", peers, maxPeers)
		return
	}
	d.checkRequests(s)
	switch {
	case s.firstSwarm() < 0:
		return
	case peers > maxSwarmPeers:
		d.failf("demand", "that are %d peers; a swarm takes at most %d of them, which need some 10 GB: write fewer, or systems other than a swarm", peers, maxSwarmPeers)
		return
	}
	pieces := (s.Content.Length-1)/s.Content.PieceLength + 1
	if torrents := int64(s.Content.Count * s.Origin.Count); torrents > 1 && pieces > maxBitfields/torrents {
		d.failf("content.piece_length", "%d torrents of the origin's seeds with %d pieces each need too much memory; write longer pieces", torrents, pieces)
		return
	}
	blocks := (s.Content.Length-1)/metainfo.BlockLen + 1
	if blocks > maxBlocks/int64(peers) {
		d.failf("content.length", "%d peers with it are %d million blocks of 16 KiB, which would take a swarm days; lower it, or the number of peers, by a factor of %d",
			peers, int64(peers)*blocks/1_000_000, int64(peers)*blocks/maxBlocks+1)
		return
	}
	if pieces > maxBitfields/int64(peers) {
		d.failf("content.piece_length", "%d peers with %d pieces each need too much memory; write longer pieces", peers, pieces)
	}
}

// NumPeers is how many clients come at most.
func (s *Scenario) NumPeers() int {
	if s.Demand.Arrivals == Trace {
		return len(s.Trace)
	}
	n := s.Demand.Peers
	for _, c := range s.Classes {
		n += c.Count
	}
	return n
}

// Region returns the position of a region by its name, -1 if there is none.
func (s *Scenario) Region(called string) int {
	return slices.IndexFunc(s.Regions, func(r Region) bool { return r.Name == called })
}

// ISP returns the position of an ISP by its name, -1 if there is none.
func (s *Scenario) ISP(called string) int {
	return slices.IndexFunc(s.ISPs, func(i ISP) bool { return i.Name == called })
}

// firstSwarm returns the first system whose clients are peers, -1 if there is none.
func (s *Scenario) firstSwarm() int {
	return slices.IndexFunc(s.Systems, func(sys System) bool {
		return sys.Kind == result.Swarm || sys.Kind == result.Hybrid
	})
}

// OriginUp is the uplink of all servers of the origin together, Unlimited for
// no limit.
func (s *Scenario) OriginUp() int64 { return s.Origin.Up * int64(s.Origin.Count) }
