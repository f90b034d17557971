package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/cdn"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// served has four regions, and enough clients and contents for every rule to matter.
const served = `title = "Served"
[content]
length = "2MiB"
count = 4
[origin]
up = "20Mbit/s"
[demand]
peers = 60
arrivals = "window"
window = "20s"
[network]
model = "matrix"
[[region]]
name = "eu"
latency = ["5ms", "40ms", "90ms"]
[[region]]
name = "us"
latency = ["40ms", "9ms", "70ms"]
[[region]]
name = "asia"
latency = ["90ms", "70ms", "8ms"]
[[isp]]
name = "a"
[[isp]]
name = "b"
[[class]]
name = "home"
up = "1Mbit/s"
down = "8Mbit/s"
`

// edges is a CDN of n edges.
func edges(n int) string {
	return fmt.Sprintf("[[system]]\nkind = \"cdn\"\nedge_up = \"8Mbit/s\"\nedges = %d\n", n)
}

// servedBy runs served with a system, and returns how it went.
func servedBy(t *testing.T, system string, set ...string) *result.System {
	t.Helper()
	return &mustRun(t, parse(t, served+system, set...), Options{}).Systems[0]
}

// TestKnobsReachTheServers: every key makes another run of one that has use for it.
func TestKnobsReachTheServers(t *testing.T) {
	const (
		origin   = "[[system]]\nkind = \"origin\"\n"
		replicas = "[[system]]\nkind = \"replicas\"\nservers = 3\nup = \"8Mbit/s\"\n"
		cache    = "[[system]]\nkind = \"cache\"\nproxy_up = \"8Mbit/s\"\n"
		cdn      = "[[system]]\nkind = \"cdn\"\nedge_up = \"8Mbit/s\"\nedges = 6\nparents = 3\n"
		anycast  = cdn + "routing = \"anycast\"\n"
		down     = "[[fault]]\nat = \"10s\"\nfor = \"20s\"\n"
		route    = "[[fault]]\nkind = \"route\"\nat = \"0s\"\nregion = \"eu\"\nserver = 1\n"
	)
	for system, knobs := range map[string][]string{
		origin: {"", "http.pipeline=1 system.0.slice=64KiB", "system.0.slice=64KiB", "http.handshakes=0", "http.window=16KiB", "origin.max_requests=3",
			"origin.max_requests=3 origin.queue=1", "origin.max_requests=3 origin.queue=none", "demand.users=20", "demand.users=20 system.0.browser_ttl=1h",
			"origin.max_requests=3 origin.queue=1 http.retry=3s", "origin.max_requests=3 origin.queue=1 http.retry_most=1s", "origin.max_requests=3 origin.queue=1 http.attempts=2"},
		origin + down + "tier = \"origin\"\n": {"", "http.timeout=30s", "fault.0.for=15s"},
		replicas: {"", "system.0.balance=weighted", "system.0.balance=nearest", "system.0.balance=random-two", "system.0.max_requests=2",
			"system.0.max_requests=2 system.0.queue=1", "system.0.max_requests=2 system.0.queue=none"},
		replicas + "balance = \"weighted\"\n[[server]]\ntier = \"replica\"\nnumber = 0\n": {"", "server.0.weight=9", "server.0.up=2MB/s", "server.0.region=us", "server.0.max_requests=1"},
		replicas + down + "tier = \"replica\"\n":                                          {"", "system.0.detect=1s"},
		cache: {"", "system.0.proxies=2", "isp.b.no_proxy=true", "system.0.per=region", "system.0.max_requests=4", "system.0.push=true",
			"system.0.disk=3MiB", "system.0.disk=3MiB system.0.evict=contents", "system.0.ttl=1s"},
		cdn: {"", "system.0.parent_choice=nearest", "system.0.parent_coalescing=false", "system.0.coalescing=false", "system.0.parent_push=true",
			"system.0.parent_max_requests=1", "system.0.parent_max_requests=1 system.0.parent_queue=none", "system.0.max_requests=1", "system.0.dns_ttl=0s", "system.0.dns_lookup=1s",
			`system.0.public_resolvers=["asia"] system.0.public_dns=0.5`, `system.0.public_resolvers=["us"] system.0.public_dns=0.5`, `system.0.public_resolvers=["us"] system.0.public_dns=0.9`,
			"system.0.resolvers=9", "system.0.min_share=3Mbit/s system.0.dns_ttl=0s", "system.0.min_share=3Mbit/s system.0.dns_ttl=0s system.0.load_age=1ms",
			"system.0.ttl=1s", "system.0.ttl=1s system.0.parent_ttl=1h"},
		cdn + "[[server]]\ntier = \"edge\"\nnumber = 0\n": {"", "server.0.region=asia", "server.0.up=1kB/s", "server.0.down=10kB/s", "server.0.disk=1MiB"},
		cdn + down + "tier = \"parent\"\n":                {"", "http.timeout=30s", "system.0.detect=1s"},
		cdn + down + "tier = \"origin\"\n":                {""},
		anycast:                                           {""},
		anycast + down + "tier = \"edge\"\n":              {"", "system.0.convergence=1s"},
		anycast + route:                                   {"", "fault.0.for=10s", "fault.0.server=4", "fault.0.region=us", "fault.0.at=5s"},
	} {
		logs := map[string]string{}
		for _, set := range knobs {
			log := servedBy(t, system, strings.Fields(set)...).EventLog
			if same, there := logs[log]; there {
				t.Errorf("%s\n%q and %q give the same events", system, set, same)
			}
			logs[log] = set
		}
	}
}

// TestServersAreWhereTheyAre: what a scenario says of servers is in their rows.
func TestServersAreWhereTheyAre(t *testing.T) {
	system := servedBy(t, edges(4)+`dns_ttl = "0s"
[[server]]
tier = "edge"
number = 2
region = "eu"
isp = "b"
up = "9Mbit/s"
[[fault]]
tier = "edge"
server = 1
at = "2s"
for = "3s"
`)
	var got []string
	for _, s := range system.Servers {
		got = append(got, strings.TrimSpace(fmt.Sprintln(s.Tier, s.Region, s.ISP, s.UpRate, s.Outages)))
	}
	want := []string{"origin eu a 2500000 []", "edge eu  1000000 []", "edge us  1000000 [{2s 3s}]", "edge eu b 1125000 []", "edge eu  1000000 []"}
	if !slices.Equal(got, want) {
		t.Errorf("the servers are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range system.Servers {
		if s.Out == 0 && s.Requests > 0 || s.Peak <= 0 && s.Out > 0 {
			t.Errorf("%+v", s)
		}
	}
	// Only what clients of "b" have of that edge stays at home.
	all, atHome := 60*2<<20+system.Servers[0].Out, system.Servers[3].Out
	if cross := system.CrossISP; cross >= all || cross <= all-atHome {
		t.Errorf("%d bytes of %d came from other ISPs, and one edge sent %d", cross, all, atHome)
	}
}

// TestRoutesFollowEachOther: one that begins when another ends is not ended by it.
func TestRoutesFollowEachOther(t *testing.T) {
	system := servedBy(t, edges(3)+`routing = "anycast"
[[fault]]
kind = "route"
at = "10s"
region = "eu"
server = 2
[[fault]]
kind = "route"
at = "0s"
for = "10s"
region = "eu"
server = 1
`, "class.home.region=eu")
	if near := system.Servers[1]; near.Out != 0 {
		t.Errorf("the nearest edge sent %d bytes, though no path led to it", near.Out)
	}
	if system.Servers[2].Out == 0 || system.Servers[3].Out == 0 {
		t.Errorf("the other edges did not send both: %+v", system.Servers)
	}
}

// TestBrowsersAnswer: who comes again and has a content asks nobody for it.
func TestBrowsersAnswer(t *testing.T) {
	const origin = "[[system]]\nkind = \"origin\"\n"
	without := servedBy(t, origin, "demand.users=6", "demand.window=10m")
	with := servedBy(t, origin, "demand.users=6", "demand.window=10m", "system.0.browser_ttl=forever")
	// Six people have four contents at most.
	if with.Servers[0].Out > 6*4*2<<20 || without.Servers[0].Out != 60*2<<20 || !with.Completed {
		t.Errorf("the origin sent %d bytes, without browsers' caches %d", with.Servers[0].Out, without.Servers[0].Out)
	}
	if source := with.Sources[len(with.Sources)-1]; source.Name != "browser" || source.Bytes+with.Servers[0].Out != 60*2<<20 {
		t.Errorf("browsers had %+v", source)
	}
}

// TestPeopleAreAtOnePlace: downloads of one person are from where the first one was, and of a class have its people.
func TestPeopleAreAtOnePlace(t *testing.T) {
	s := parse(t, served+"[[system]]\nkind = \"origin\"\n[[class]]\nname = \"rest\"\nup = \"1MB/s\"\ndown = \"1MB/s\"\nshare = 1\n", "class.home.share=5", "demand.users=12")
	r := &run{s: s, seed: 1, clients: demand.Clients(s, 1)}
	first := map[int]cdn.Client{}
	for _, c := range r.downloads(&s.Systems[0]) {
		f, known := first[c.User]
		if !known {
			first[c.User] = c
			continue
		}
		if c.Region != f.Region || c.ISP != f.ISP || c.Class != f.Class {
			t.Errorf("a download of %+v is %+v", f, c)
		}
	}
	if len(first) < 9 || len(first) > 12 {
		t.Errorf("there are %d people", len(first))
	}
}

// TestPublicResolverIsTheNearest: clients of a larger part are those of a smaller one, and more.
func TestPublicResolverIsTheNearest(t *testing.T) {
	s := parse(t, served+"[[system]]\nkind = \"cdn\"\nedges = 3\nedge_up = \"1MB/s\"\npublic_resolvers = [\"us\", \"asia\"]\npublic_dns = 0.5\n", "demand.peers=200")
	r := &run{s: s, seed: 1, clients: demand.Clients(s, 1)}
	half := r.downloads(&s.Systems[0])
	s.Systems[0].PublicDNS = 0.8
	asked := 0
	for i, c := range r.downloads(&s.Systems[0]) {
		want := map[int]int{0: 1, 1: 1, 2: 2}[c.Region] // from Europe, the United States are nearer
		if c.Resolver != 0 && c.Resolver != want || half[i].Resolver != 0 && half[i].Resolver != c.Resolver {
			t.Errorf("a client of the region %d asks resolver %d, of a smaller part %d", c.Region, c.Resolver, half[i].Resolver)
		}
		if half[i].Resolver != 0 {
			asked++
		}
	}
	if asked < 70 || asked > 130 {
		t.Errorf("%d of 200 clients ask public resolvers", asked)
	}
}

// TestFaultsOfEveryTier: each strikes, and is in the row of its server.
func TestFaultsOfEveryTier(t *testing.T) {
	for tier, system := range map[string]string{
		"origin":  "kind = \"origin\"\n",
		"replica": "kind = \"replicas\"\nservers = 2\nup = \"8Mbit/s\"\n",
		"mirror":  "kind = \"mirrors\"\nservers = 2\nup = \"8Mbit/s\"\n",
		"proxy":   "kind = \"cache\"\nproxy_up = \"8Mbit/s\"\n",
		"edge":    "kind = \"cdn\"\nedges = 2\nedge_up = \"8Mbit/s\"\n",
		"parent":  "kind = \"cdn\"\nedges = 2\nedge_up = \"8Mbit/s\"\nparents = 1\n",
	} {
		system := servedBy(t, fmt.Sprintf("[[system]]\n%s[[fault]]\ntier = %q\nat = \"3s\"\nfor = \"4s\"\n", system, tier))
		down := 0
		for _, s := range system.Servers {
			if len(s.Outages) == 1 && s.Outages[0] == (result.Outage{At: 3 * time.Second, For: 4 * time.Second}) {
				down++
			}
		}
		if down != 1 || !system.Completed {
			t.Errorf("%s: %d servers were down; %s", tier, down, system.Reason)
		}
	}
}

// TestServersOfHybrids: web seeds are servers, too, and edges are in nobody's network.
func TestServersOfHybrids(t *testing.T) {
	r := mustRun(t, parse(t, small+everySystem), Options{})
	onOrigin, onEdges := &r.Systems[6], &r.Systems[7]
	if s := onOrigin.Servers; len(s) != 1 || s[0].Name != "origin 0" || s[0].ISP != "a" || s[0].Out == 0 || s[0].Cost == 0 {
		t.Errorf("the servers are %+v", s)
	}
	if s := onEdges.Servers; len(s) != 4 || s[0].Pushed != 3*2<<20 || s[0].Out != s[0].Pushed || s[3].Name != "edge 2" || s[3].ISP != "" || s[3].UpRate != 500_000 {
		t.Errorf("the servers are %+v", s)
	}
	for _, system := range []*result.System{onOrigin, onEdges} {
		for _, p := range system.Peers[:12] {
			if p.CrossISP > p.Down || system == onEdges && p.CrossISP == 0 {
				t.Errorf("%s: %d bytes of %d are from other ISPs", system.Name, p.CrossISP, p.Down)
			}
		}
	}
	if s := r.Systems[0].Servers; len(s) != 0 {
		t.Errorf("a swarm has the servers %+v", s)
	}
}
