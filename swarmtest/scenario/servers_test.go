package scenario

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is minimal with regions, ISPs and every kind of system with servers.
const world = minimal + `
[[region]]
name = "eu"
[[region]]
name = "us"
[[isp]]
name = "a"
[[isp]]
name = "b"
no_proxy = true
[[system]]
kind = "origin"
[[system]]
kind = "replicas"
servers = 2
up = "1MB/s"
balance = "weighted"
queue = "none"
[[system]]
kind = "mirrors"
servers = 3
up = "1MB/s"
[[system]]
kind = "cache"
proxies = 2
proxy_up = "1MB/s"
[[system]]
kind = "cdn"
edges = 4
edge_up = "1MB/s"
parents = 2
public_resolvers = ["us", "eu"]
public_dns = 0.5
[[system]]
name = "anycast"
kind = "cdn"
edges = 3
edge_up = "1MB/s"
routing = "anycast"
[[server]]
tier = "replica"
number = 1
weight = 2.5
queue = "none"
[[server]]
system = "cdn"
tier = "edge"
number = 3
isp = "a"
region = "us"
up = "10MB/s"
disk = "1GB"
[[fault]]
kind = "route"
at = "0s"
for = "1m"
region = "eu"
server = 2
[[fault]]
tier = "origin"
at = "1m"
`

func TestServersAreRead(t *testing.T) {
	s := mustParse(t, world)
	numbers := map[string][]int{}
	for _, tier := range []string{OriginTier, Replica, Mirror, Edge, Parent, Proxy} {
		for i := range s.Systems {
			numbers[tier] = append(numbers[tier], s.NumServers(&s.Systems[i], tier))
		}
	}
	for tier, want := range map[string][]int{
		OriginTier: {1, 0, 0, 1, 1, 1}, Replica: {0, 2, 0, 0, 0, 0}, Mirror: {0, 0, 3, 0, 0, 0},
		Proxy: {0, 0, 0, 2, 0, 0}, Edge: {0, 0, 0, 0, 4, 3}, Parent: {0, 0, 0, 0, 2, 0},
	} {
		if !slices.Equal(numbers[tier], want) {
			t.Errorf("the systems have %v servers of the tier %s, expected %v", numbers[tier], tier, want)
		}
	}
	if q := s.Systems[1].Queue; q != NoQueue || s.Servers[0].Queue != NoQueue {
		t.Errorf("the queue \"none\" is %d", q)
	}
	if slice := []int64{s.Systems[0].Slice, s.Systems[4].Slice}; slice[0] != 0 || slice[1] != 1<<20 {
		t.Errorf("the slices are %v", slice)
	}
	if got := s.Systems[4].PublicResolvers; !slices.Equal(got, []string{"us", "eu"}) {
		t.Errorf("the public resolvers are %v", got)
	}
	if o := s.Overrides(&s.Systems[4], Edge); len(o) != 1 || o[3].Disk != 1e9 || len(s.Overrides(&s.Systems[5], Edge)) != 0 {
		t.Errorf("the edges that differ are %v", o)
	}
	if again := mustParse(t, string(s.TOML())); !reflect.DeepEqual(again, s) {
		t.Errorf("the canonical form reads as %+v, want %+v", again, s)
	}
}

func TestSetServers(t *testing.T) {
	s := mustParse(t, world, "system.replicas.queue=7", "origin.queue=none", `system.cdn.public_resolvers=["eu"]`, "http.retry=3s", "server.0.up=5MB/s")
	if s.Systems[1].Queue != 7 || s.Origin.Queue != NoQueue || len(s.Systems[4].PublicResolvers) != 1 || s.HTTP.Retry != 3*time.Second || s.Servers[0].Up != 5e6 {
		t.Errorf("read %+v", s)
	}
}

func TestMistakesOfServers(t *testing.T) {
	for _, tt := range []struct{ old, text, want string }{
		{`queue = "none"`, `queue = 0`, `system[1].queue = 0: it must be from 1 to 1000000`},
		{`queue = "none"`, `queue = -1`, `system[1].queue = -1: it must be from 1 to 1000000`},
		{`queue = "none"`, `queue = "any"`, `system[1].queue = "any": write a whole number, or "none"`},
		{`["us", "eu"]`, `["us", "asia"]`, `there is no [[region]] with the name "asia"`},
		{`["us", "eu"]`, `["us", 3]`, `write a list of names in quotes`},
		{`["us", "eu"]`, `["\u001b"]`, `a name begins with a letter or digit`},
		{`["us", "eu"]`, `[]`, `it has 0 elements, and must have 1 to 64`},
		{`public_dns = 0.5`, ``, `nobody asks them; write the part of the clients who do, in public_dns`},
		{`public_resolvers = ["us", "eu"]`, ``, `nobody can ask public resolvers that there are not`},
		{`no_proxy = true`, "no_proxy = true\n[[isp]]\nname = \"c\"\nno_proxies = true", `there is no key "no_proxies" in [isp]`},
		{`name = "a"`, "name = \"a\"\nno_proxy = true", `every [[isp]] has no_proxy`},
		{`edges = 3`, "edges = 3\nbrowser_ttl = \"1h\"", `nobody comes twice; write demand.users`},
		{`routing = "anycast"`, "routing = \"anycast\"\nload_age = \"1h\"", `load_age has a meaning only with routing = "dns"`},
		{`edges = 3`, "edges = 3\nservers = 3", `servers has a meaning only with kind = "replicas", "mirrors"`},
		{`number = 3`, `number = 4`, `no system has a server 4 of the tier "edge" and the name "cdn"; the numbers begin with 0`},
		{`number = 3`, ``, `server[1].number is missing`},
		{`system = "cdn"`, `system = "cnd"`, `there is no [[system]] with the name "cnd"`},
		{`disk = "1GB"`, `disk = "20KiB"`, `it is smaller than one slice of the system "cdn"`},
		{`disk = "1GB"`, `weight = 2`, `weight has a meaning only with tier = "replica", "mirror"`},
		{`balance = "weighted"`, ``, `it has a meaning only with balance = "weighted", and the system "replicas" has another`},
		{`up = "10MB/s"`, `up = ""`, `server[1].up = "": it does not begin with a number`},
		{`up = "10MB/s"`, `up = "0"`, `it must be from 1/s to 1TiB/s`},
		{`up = "10MB/s"`, `up = "unlimited"`, `server[1].up = "unlimited": it does not begin with a number`},
		{`region = "us"
up`, `region = "asia"
up`, `there is no [[region]] with the name "asia"`},
		{`[[server]]
tier = "replica"`, "[[server]]\ntier = \"edge\"\nnumber = 3\n[[server]]\ntier = \"replica\"", `the edge 3 is there already; write all of it into one [[server]]`},
		{`server = 2`, `server = 3`, `no system of the kind "cdn" with routing = "anycast" has an edge 3`},
		{`region = "eu"
server`, `server`, `whose route is it? write a region`},
		{`region = "eu"
server`, `region = "asia"
server`, `there is no [[region]] with the name "asia"`},
		{`[[fault]]
tier = "origin"`, "[[fault]]\nkind = \"route\"\nat = \"59s\"\nregion = \"eu\"\n[[fault]]\ntier = \"origin\"", `another [[fault]] leads the clients of "eu" elsewhere at that time`},
		{`tier = "origin"`, `tier = "replica"
server = 2`, `no system has a server 2 of the tier "replica"`},
		{`tier = "origin"`, `tier = "origin"
server = 1`, `no system has a server 1 of the tier "origin"`},
		{`[demand]`, "[http]\nretry = \"2m\"\n[demand]", `it is less than http.retry = "2m"`},
		{`[demand]`, "[http]\npipeline = 1000\n[demand]", `http.pipeline = 1000: it must be from 1 to 256`},
		{`[demand]`, "[http]\nwindow = \"1B\"\n[demand]", `it must be from 1KiB to 1TiB`},
	} {
		if !strings.Contains(world, tt.old) {
			t.Fatalf("there is no %q", tt.old)
		}
		_, err := parse(strings.Replace(world, tt.old, tt.text, 1))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "test.toml:") {
			t.Errorf("%s\nerror: %v\nwant:  %s", tt.text, err, tt.want)
		}
	}
	// One may begin when the other one ends.
	mustParse(t, world+"[[fault]]\nkind = \"route\"\nat = \"1m\"\nregion = \"eu\"\n")
}

func TestMostCached(t *testing.T) {
	const cdn = minimal + "[[system]]\nkind = \"cdn\"\nedges = 3\nedge_up = \"1MB/s\"\nparents = 2\nslice = \"64KiB\"\n"
	for set, want := range map[string]int64{
		"content.length=1MiB":                           5 * 16,
		"content.count=100":                             5 * 16 * 10, // ten clients
		"content.count=4":                               5 * 16 * 4,
		"system.cdn.push=true content.count=100":        5 * 16 * 100,
		"system.cdn.parent_push=true content.count=100": 3*16*10 + 2*16*100,
		"system.cdn.disk=128KiB content.count=100":      3*2 + 2*16*10,
		"system.cdn.parent_disk=128KiB":                 3*16 + 2*2,
	} {
		s := mustParse(t, cdn, strings.Fields(set)...)
		if got := s.MostCached(&s.Systems[0]); got != want {
			t.Errorf("%s: %d slices, expected %d", set, got, want)
		}
	}
	for set, want := range map[string]string{
		"content.length=1GiB demand.peers=100000 system.cdn.slice=16KiB":                         "100000 clients that ask for 65536 slices each are more than 134 million requests; write a longer slice",
		"content.length=1GiB content.count=100000 system.cdn.push=true":                          "its caches may come to hold 8192 million slices, and at most 67 million are allowed",
		"content.length=1GiB content.count=100000 system.cdn.parent_push=true":                   "million slices",
		"content.length=16TiB content.piece_length=512MiB system.cdn.slice=16KiB demand.peers=1": "1 clients that ask for 1073741824 slices each",
	} {
		if _, err := parse(cdn, strings.Fields(set)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", set, err, want)
		}
	}
}
