package scenario

import (
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// System is one way of serving the demand. What its kind has no use for is
// zero.
type System struct {
	Kind string `toml:"kind"`
	Name string `toml:"name"`

	// Of a swarm, and of a hybrid.
	Tracker bool `toml:"tracker"`
	DHT     bool `toml:"dht"`
	PEX     bool `toml:"pex"`
	Foreign int  `toml:"foreign"` // 0: ISPs do not matter

	// Of replicas and mirrors.
	Servers int    `toml:"servers"`
	Up      int64  `toml:"up"`
	Balance string `toml:"balance"`

	// Of each server in the front: replicas, mirrors, proxies, edges.
	MaxRequests int `toml:"max_requests"`
	Queue       int `toml:"queue"`

	// Of caching proxies.
	Per       string `toml:"per"`
	Proxies   int    `toml:"proxies"`
	ProxyUp   int64  `toml:"proxy_up"`
	ProxyDown int64  `toml:"proxy_down"`

	// Of a CDN.
	Edges      int   `toml:"edges"`
	EdgeUp     int64 `toml:"edge_up"`
	EdgeDown   int64 `toml:"edge_down"`
	Parents    int   `toml:"parents"`
	ParentUp   int64 `toml:"parent_up"`
	ParentDown int64 `toml:"parent_down"`
	ParentDisk int64 `toml:"parent_disk"`

	ParentChoice      string        `toml:"parent_choice"`
	ParentTTL         time.Duration `toml:"parent_ttl"`
	ParentCoalescing  bool          `toml:"parent_coalescing"`
	ParentPush        bool          `toml:"parent_push"`
	ParentMaxRequests int           `toml:"parent_max_requests"`
	ParentQueue       int           `toml:"parent_queue"`

	// Of a hybrid.
	WebEdges     int   `toml:"web_edges"`
	WebEdgeUp    int64 `toml:"web_edge_up"`
	WebSeeds     int   `toml:"web_seeds"`
	WebSeedBelow int64 `toml:"web_seed_below"`

	Routing         string        `toml:"routing"`
	DNSTTL          time.Duration `toml:"dns_ttl"`
	DNSLookup       time.Duration `toml:"dns_lookup"`
	Resolvers       int           `toml:"resolvers"`
	PublicResolvers []string      `toml:"public_resolvers"`
	PublicDNS       float64       `toml:"public_dns"`
	ClientSubnet    bool          `toml:"client_subnet"`
	MinShare        int64         `toml:"min_share"`
	LoadAge         time.Duration `toml:"load_age"`
	Convergence     time.Duration `toml:"convergence"`

	// Of both kinds with caches.
	Disk       int64         `toml:"disk"`
	Evict      string        `toml:"evict"`
	TTL        time.Duration `toml:"ttl"`
	Coalescing bool          `toml:"coalescing"`
	Push       bool          `toml:"push"`

	// Of all kinds without peers. Slice is 0 for the whole content, BrowserTTL
	// for no browser's cache.
	Slice      int64         `toml:"slice"`
	BrowserTTL time.Duration `toml:"browser_ttl"`
	Detect     time.Duration `toml:"detect"`
}

// The values of System.Per, System.Routing, System.ParentChoice, System.Evict
// and one of System.Balance.
const (
	PerISP    = "isp"
	PerRegion = "region"
	DNS       = "dns"
	Anycast   = "anycast"
	BySlice   = "slice"
	Nearest   = "nearest"
	Slices    = "slices"
	Contents  = "contents"
	Weighted  = "weighted"
)

// NoQueue is the length of a queue in which nobody waits; 0 is any.
const NoQueue = -1

// Fault is something that goes wrong for a time.
type Fault struct {
	Kind string        `toml:"kind"`
	At   time.Duration `toml:"at"`
	For  time.Duration `toml:"for"`

	// Of a server or web seed; that of a route is an edge.
	Tier   string `toml:"tier"`
	Server int    `toml:"server"`
	// RetryAfter is how long a busy web seed asks to be left alone, 0 if it does not say.
	RetryAfter time.Duration `toml:"retry_after"`

	// Whom a crash or a partition strikes. Region is also that of a route.
	Class  string  `toml:"class"`
	Region string  `toml:"region"`
	ISP    string  `toml:"isp"`
	Part   float64 `toml:"part"`
}

// The values of Fault.Kind.
const (
	ServerFails = "server"
	Crash       = "crash"
	TrackerDown = "tracker"
	Partition   = "partition"
	Route       = "route"
	WebSeedDown = "web-seed-down"
	WebSeedBusy = "web-seed-busy"
	WebSeedLies = "web-seed-lies"
)

// OfOrigin is the Fault.Class of the seeds of the origin.
const OfOrigin = "origin"

// The values of Fault.Tier. Server.Tier has all but the first.
const (
	OriginTier = "origin"
	Replica    = "replica"
	Mirror     = "mirror"
	Edge       = "edge"
	Parent     = "parent"
	Proxy      = "proxy"
)

// Prices are for 1e9 bytes that a kind of server sends.
type Prices struct {
	Currency string  `toml:"currency"`
	Origin   float64 `toml:"origin"`
	Parent   float64 `toml:"parent"`
	Edge     float64 `toml:"edge"`
	Proxy    float64 `toml:"proxy"`
}

// Free reports whether nothing costs anything.
func (p *Prices) Free() bool { return p.Origin == 0 && p.Parent == 0 && p.Edge == 0 && p.Proxy == 0 }

// defaultSystems are those of a file that names none.
var defaultSystems = []System{{Kind: result.Swarm, Tracker: true}, {Kind: result.Origin}}

// The bounds of systems.
const (
	maxServers = 1000 // of each tier, but for proxies
	maxProxies = 30   // of each ISP or region: together less than cdn.MaxServers
	maxFaults  = 1000
	// maxWebSeeds is how many web seeds the client uses at a time.
	maxWebSeeds = 4
	maxPrice    = 1e6
)

var (
	several   = only("kind", result.Replicas, result.Mirrors)
	cached    = only("kind", result.Cache, result.CDN)
	ofPeers   = only("kind", result.Swarm, result.Hybrid)
	fronted   = only("kind", result.Replicas, result.Mirrors, result.Cache, result.CDN)
	ofServers = only("kind", result.Origin, result.Replicas, result.Mirrors, result.Cache, result.CDN)
	ofCDN     = only("kind", result.CDN)
)

var system = table{doc: "One way of serving the demand. All systems of a scenario serve the same clients. Servers are put into the regions in turn. Default: a `swarm` and an `origin`.", keys: []key{
	{name: "kind", kind: word, words: []string{result.Swarm, result.Origin, result.Replicas, result.Mirrors, result.Cache, result.CDN, result.Hybrid},
		doc: "`swarm`: peers that run the engine. `origin`: the publisher's server alone. `replicas`: several of them behind a balancer. `mirrors`: servers that people pick from. `cache`: caching proxies in front of the origin. `cdn`: edge servers in front of the origin, with or without parents between. `hybrid`: a swarm without a seed, whose clients have the origin or edges as web seeds (BEP 19)."},
	{name: "name", kind: name, optional: true, doc: "Its name in the results. Default: the kind."},

	{name: "tracker", kind: boolean, def: true, when: ofPeers, doc: "Peers find each other by a tracker."},
	{name: "dht", kind: boolean, def: false, when: ofPeers, doc: "Peers find each other by a DHT (BEP 5), which `[dht]` describes. With neither a tracker nor a DHT nobody finds anybody."},
	{name: "pex", kind: boolean, def: false, when: ofPeers, doc: "Peers tell each other of peers (BEP 11). Who knows nobody hears nothing."},
	{name: "foreign", kind: integer, optional: true, min: 1, max: 50, when: ofPeers, doc: "The tracker names up to 50 peers. With this, they are of the client's own ISP, but for so many that may be of any (Bindal et al. 2006). Default: ISPs do not matter."},

	{name: "servers", kind: integer, min: 1, max: maxServers, when: several, doc: "How many servers there are; they have all contents."},
	{name: "up", kind: rate, min: 1, max: maxRate, special: "unlimited", when: several, doc: "The uplink of each."},
	{name: "balance", kind: word, optional: true, words: []string{"round-robin", "least-connections", "random-two", "random", Weighted, Nearest}, when: several,
		doc: "Who gets which server: in turn, the one with the fewest connections, that of a random two, any, any by the `weight` of each [[server]], or the nearest. Default: `round-robin` for replicas, `random` for mirrors."},
	{name: "max_requests", kind: integer, optional: true, min: 1, max: 1e6, when: fronted, doc: "How many requests each replica, mirror, proxy or edge serves at a time. Default: any number."},
	{name: "queue", kind: integer, optional: true, min: 1, max: 1e6, special: "none", when: fronted, doc: "How many wait for their turn then. Default: any number. Whoever finds no room asks again later, see [http]."},

	{name: "per", kind: word, def: PerISP, words: []string{PerISP, PerRegion}, when: only("kind", result.Cache), doc: "Where there is one proxy each. An ISP may have none, see `no_proxy` in [[isp]]."},
	{name: "proxies", kind: integer, def: int64(1), min: 1, max: maxProxies, when: only("kind", result.Cache), doc: "How many of them there are instead of one. Clients use the first that is up, or else the origin."},
	{name: "proxy_up", kind: rate, min: 1, max: maxRate, special: "unlimited", when: only("kind", result.Cache), doc: "The uplink of each proxy."},
	{name: "proxy_down", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.Cache), doc: "What it is filled with."},

	{name: "edges", kind: integer, min: 1, max: maxServers, when: only("kind", result.CDN), doc: "How many edges there are."},
	{name: "edge_up", kind: rate, min: 1, max: maxRate, special: "unlimited", when: only("kind", result.CDN), doc: "The uplink of each."},
	{name: "edge_down", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.CDN), doc: "What it is filled with."},
	{name: "parents", kind: integer, def: int64(0), max: maxServers, when: only("kind", result.CDN), doc: "How many servers there are between the edges and the origin."},
	{name: "parent_up", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.CDN), doc: "The uplink of each."},
	{name: "parent_down", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.CDN), doc: "What it is filled with."},
	{name: "parent_disk", kind: size, def: "unlimited", min: 1, max: maxLength, special: "unlimited", when: only("kind", result.CDN), doc: "What each of them keeps; the least recently used goes first."},
	{name: "parent_choice", kind: word, def: BySlice, words: []string{BySlice, Nearest}, when: ofCDN, doc: "Which of several parents an edge asks. `slice`: each slice has one of them for all edges, by rendezvous hashing. `nearest`: each edge has one for all slices."},
	{name: "parent_ttl", kind: duration, optional: true, min: 0.001, max: maxSeconds, special: "forever", when: ofCDN, doc: "The `ttl` of parents. Default: that of edges."},
	{name: "parent_coalescing", kind: boolean, def: true, when: ofCDN, doc: "The `coalescing` of parents."},
	{name: "parent_push", kind: boolean, def: false, when: ofCDN, doc: "The parents have the contents before the start, as far as their disks go."},
	{name: "parent_max_requests", kind: integer, optional: true, min: 1, max: 1e6, when: ofCDN, doc: "The `max_requests` of each parent. Default: any number."},
	{name: "parent_queue", kind: integer, optional: true, min: 1, max: 1e6, special: "none", when: ofCDN, doc: "The `queue` of each parent. Default: any number."},

	{name: "web_edges", kind: integer, def: int64(0), max: maxServers, when: only("kind", result.Hybrid), doc: "How many edges are web seeds, each with all contents from the start, which the origin sent to it. A client has the nearest. 0: the origin is the web seed."},
	{name: "web_edge_up", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.Hybrid), doc: "The uplink of each edge."},
	{name: "web_seeds", kind: integer, def: int64(1), min: 1, max: maxWebSeeds, when: only("kind", result.Hybrid), doc: "How many web seeds each client has, of the nearest edges; or all, if there are fewer."},
	{name: "web_seed_below", kind: rate, def: "8Mbit/s", min: 1, max: maxRate, special: "unlimited", when: only("kind", result.Hybrid), doc: "A client asks its web seed for anything as long as peers bring less than this; above, only for what no peer has. `unlimited` is always; `1B/s` spares it most."},

	{name: "routing", kind: word, def: DNS, words: []string{DNS, Anycast}, when: only("kind", result.CDN), doc: "How clients come to an edge. `dns`: by an answer for the place of their resolver. `anycast`: by the nearest path, whatever the load."},
	{name: "dns_ttl", kind: duration, def: "1m", max: 7 * 24 * 3600, when: only("routing", DNS), doc: "How long a resolver keeps an answer; `0s` is not at all."},
	{name: "dns_lookup", kind: duration, def: "20ms", max: 60, when: only("routing", DNS), doc: "How long it takes a resolver to ask the CDN for one."},
	{name: "resolvers", kind: integer, def: int64(1), min: 1, max: maxServers, when: only("routing", DNS), doc: "How many resolvers each ISP has in each region; with no ISPs, the region has. All who ask one get its answer."},
	{name: "public_resolvers", kind: names, optional: true, min: 1, max: maxRegions, when: only("routing", DNS), doc: "The regions in which there are public resolvers, one for each name: `[\"us\", \"eu\"]`."},
	{name: "public_dns", kind: number, optional: true, max: 1, when: only("routing", DNS), doc: "The part of the clients, drawn for each, who ask the nearest of `public_resolvers` instead of their ISP's. Default: none."},
	{name: "client_subnet", kind: boolean, def: false, when: only("routing", DNS), doc: "Answers are for the place of the client (RFC 7871)."},
	{name: "min_share", kind: rate, optional: true, min: 1, max: maxRate, special: "none", when: only("routing", DNS), doc: "Pass over an edge that has less than this left for each of its connections. Default: answers do not depend on load."},
	{name: "load_age", kind: duration, def: "5s", min: 0.001, max: 3600, when: only("routing", DNS), doc: "How old the knowledge gets by which `min_share` is judged."},
	{name: "convergence", kind: duration, def: "30s", min: 0.001, max: 24 * 3600, when: only("routing", Anycast), doc: "How long it takes until paths lead around an edge that failed."},

	{name: "disk", kind: size, def: "unlimited", min: 1, max: maxLength, special: "unlimited", when: cached, doc: "What each proxy or edge keeps; the least recently used goes first."},
	{name: "evict", kind: word, def: Slices, words: []string{Slices, Contents}, when: cached, doc: "What leaves a full disk at a time: a slice, or all slices of a content."},
	{name: "ttl", kind: duration, def: "24h", min: 0.001, max: maxSeconds, special: "forever", when: cached, doc: "How long it asks nobody whether what it has is still good."},
	{name: "coalescing", kind: boolean, def: true, when: cached, doc: "Requests for what is being fetched wait for it. Without: each fetches it."},
	{name: "push", kind: boolean, def: false, when: cached, doc: "The edges or proxies have the contents before the start, as far as their disks go. Otherwise they fetch what is asked for."},

	{name: "slice", kind: size, optional: true, min: 16 << 10, max: maxLength, when: ofServers, doc: "How much is asked for, and fetched, at a time. Default: `1MiB` for `cache` and `cdn`, the whole content for others."},
	{name: "browser_ttl", kind: duration, optional: true, min: 0.001, max: maxSeconds, special: "forever", when: ofServers, doc: "A user's browser keeps what he has, and asks nobody for so long whether it is still good. It needs `demand.users`. Default: browsers keep nothing."},
	{name: "detect", kind: duration, def: "10s", min: 0.001, max: 24 * 3600, when: fronted, doc: "How long it takes until a server that failed is no answer of the CDN's DNS any more, no choice of a balancer, and no parent or proxy to ask."},
}}

var (
	strikesPeers  = only("kind", Crash, Partition)
	strikesRegion = only("kind", Crash, Partition, Route)
	hasServer     = only("kind", ServerFails, Route, WebSeedDown, WebSeedBusy, WebSeedLies)
)

var fault = table{doc: "Something that goes wrong. A server that fails does so in all systems that have it, and a route is one of all CDNs by anycast; all else is for swarms.", keys: []key{
	{name: "kind", kind: word, def: ServerFails, words: []string{ServerFails, Crash, TrackerDown, Partition, Route, WebSeedDown, WebSeedBusy, WebSeedLies},
		doc: "`server`: a server fails. `crash`: peers vanish without a goodbye; their neighbours notice by their time-outs. They come back with the pieces they had. `tracker`: the tracker fails; announces are tried again. `partition`: nothing passes between these peers and all others, but the tracker is reached by all. `route`: anycast takes the clients of a region to another edge, from `0s` on if that is how it always was. `web-seed-down`, `web-seed-busy`, `web-seed-lies`: a web seed of the hybrids is gone, answers all requests with 503, or sends false bytes."},
	{name: "at", kind: duration, max: maxSeconds, doc: "When it begins, since the start."},
	{name: "for", kind: duration, def: "forever", min: 0.001, max: maxSeconds, special: "forever", doc: "How long it lasts. A server comes back with what it had."},
	{name: "tier", kind: word, words: []string{OriginTier, Replica, Mirror, Edge, Parent, Proxy}, when: only("kind", ServerFails), doc: "What it is. `origin` is the server behind the systems `origin`, `cache` and `cdn`."},
	{name: "server", kind: integer, def: int64(0), max: maxISPs*maxProxies - 1, when: hasServer, doc: "Its number in its tier, from 0; that of the edge where a route leads, or of the web seed."},
	{name: "retry_after", kind: duration, optional: true, min: 1, max: 3600, when: only("kind", WebSeedBusy), doc: "How long the web seed asks to be left alone, in whole seconds. Default: it does not say."},
	{name: "class", kind: name, optional: true, when: strikesPeers, doc: "The class of the peers; `origin` for the seeds of the origin. Default: all of them, and the seeds."},
	{name: "region", kind: name, optional: true, when: strikesRegion, doc: "Where they are. Default: everywhere. A route needs one."},
	{name: "isp", kind: name, optional: true, when: strikesPeers, doc: "In whose network they are. Default: in everybody's."},
	{name: "part", kind: number, def: 1.0, min: 0.0001, max: 1, when: strikesPeers, doc: "The part of them that it strikes, drawn for each."},
}}

var prices = table{doc: "What it costs to send 1 GB, 1,000,000,000 bytes. Peers cost nothing.", keys: []key{
	{name: "currency", kind: text, def: "USD", min: 1, max: 10, doc: "The unit of the prices."},
	{name: "origin", kind: number, def: 0.0, max: maxPrice, doc: "From the publisher's machines: origins, replicas, mirrors, and the seeds of a swarm."},
	{name: "parent", kind: number, def: 0.0, max: maxPrice, doc: "From a parent."},
	{name: "edge", kind: number, def: 0.0, max: maxPrice, doc: "From an edge."},
	{name: "proxy", kind: number, def: 0.0, max: maxPrice, doc: "From a caching proxy."},
}}
