package cdn

import "time"

// Config describes a system and the demand that it serves. Zero means the
// default of a field, a negative number that there is none, where that makes
// sense. Rates are bytes/s, and 0 is unlimited; lengths are bytes of the
// contents' data.
type Config struct {
	// Name is what the result calls the system; the default is Kind.
	Name string
	// Kind is one of result.Origin, Replicas, Mirrors, Cache and CDN. Tiers
	// that a kind does not have must be empty.
	Kind string

	Contents []Content
	Clients  []Client
	// Regions and ISPs are the names that the indexes in clients and servers
	// stand for. With no Regions there is one, with no ISPs there is one.
	Regions, ISPs []string

	// Latency is the time from one host to another, beside the links' own;
	// Between, if not nil, gives it from region to region instead, and must be
	// symmetric. Within a region the diagonal counts.
	Latency time.Duration
	Between [][]time.Duration

	// SliceLen is how much a client asks for at once, and the unit of caches,
	// as CDNs fill theirs by ranges. The default of systems with caches is 1
	// MiB; of those without, and negative, the whole content.
	SliceLen int64
	// Pipeline is how many requests a client has under way.
	Pipeline int
	// Handshakes is the number of round trips before the first request of a
	// connection. The default is 2: TCP, and TLS 1.3.
	Handshakes int
	// Window is how much may be under way on a connection to a client, which
	// caps its rate at a Window in each round trip. 0 is unlimited.
	Window int64
	// HeadLen is the length of the head of a request, and of that of a
	// response. Heads are counted, but take no time on the links.
	HeadLen int64
	// Timeout is how long a client or a cache waits for a server that is down.
	Timeout time.Duration
	Retry   Retry

	// Origins have all contents. Origin, Cache and CDN have one at least,
	// Replicas and Mirrors usually several.
	Origins []Server
	// Balance says who gets which of several Origins. The default is RoundRobin
	// for caches, CDNs and Replicas, and Random for Mirrors.
	Balance Balance

	// Browser is the cache of each User's own machine, for any Kind.
	Browser Browser

	// Proxies are caching proxies of Kind Cache. A client uses that of its ISP,
	// or with ProxyByRegion that of its region; the first one that is up, if
	// there are several, and the origin if there is none.
	Proxies       []Server
	ProxyByRegion bool

	// Edges are what clients of Kind CDN use. Parents, if there are any, are
	// between edges and origin. The default choice among several parents is by
	// the slice, so that one parent has it for all edges; with NearestParent
	// each edge has one for all.
	Edges, Parents []Server
	NearestParent  bool
	Routing        Routing

	Faults []Fault
	Prices Prices

	// SampleEvery is the virtual time between two samples, at least a
	// millisecond. Without it there are none. Of a run with too many samples
	// every other one is dropped, again and again.
	SampleEvery time.Duration
	// Limit ends the run at a virtual time, Patience after so long without any
	// transfer, MaxEvents after so many events.
	Limit, Patience time.Duration
	MaxEvents       uint64
	// Progress, if not nil, is told now and then in real time how the run goes:
	// the virtual time, and how many clients of all have finished or left. The
	// run ends when it returns false.
	Progress func(now time.Duration, done, total int) bool
}

// Content is something to download.
type Content struct {
	Len int64
}

// Client is one download.
type Client struct {
	// Class is a word for the results; the default is "client".
	Class string
	// Join is when it starts. Leave, if not 0, is when it gives up.
	Join, Leave time.Duration
	// Up and Down are its access link. Up is for the results alone.
	Up, Down int64

	Region, ISP, Content int

	// User, if not 0, is whose download it is. Downloads of one user share a
	// downlink, that of the first of them, and a browser cache.
	User int
	// Resolver, if not 0, is the number of the public resolver that the client
	// asks, counted from 1; otherwise it asks one of its ISP in its region.
	Resolver int
}

// Server is an origin, a proxy, a parent or an edge.
type Server struct {
	// Name is for the results. The default is the tier's and a number.
	Name string
	// ISP is NoISP for a server that is in nobody's network.
	Region, ISP int
	// Up is what it sends with, Down what a cache is filled with.
	Up, Down int64

	// MaxRequests is how many requests it serves at once, and Queue how many
	// wait for their turn: 0 is unlimited, and a negative Queue none. Others
	// are refused, and try again by Config.Retry. A request is served until its
	// last byte is sent, also while the cache fetches.
	MaxRequests, Queue int

	// Cache is for proxies, parents and edges.
	Cache Cache

	// Weight is for Weighted; the default is 1.
	Weight float64
}

// NoISP is the Server.ISP of a server that is in the network of no ISP.
const NoISP = -1

// Cache is how a server keeps contents.
type Cache struct {
	// Disk is what it can keep, the least recently used going first: 0 is
	// unlimited, negative nothing. With ByObject contents go as a whole,
	// otherwise slice by slice.
	Disk     int64
	ByObject bool
	// TTL is how long a slice is fresh. Then it is revalidated: a conditional
	// request costs a round trip to the tier above, and two heads. The default
	// is a day, negative for ever.
	TTL time.Duration
	// NoCoalescing lets each request for a missing slice fetch it. Otherwise
	// those that come while it is fetched wait.
	NoCoalescing bool
	// Push puts all contents that fit there before the start. The bytes that
	// the tiers above sent for it are counted, but took no time of the run.
	Push bool
}

// Browser is the cache of a user's own machine.
type Browser struct {
	// TTL is how long a content that a user has is used without a question: 0
	// is no browser cache, negative for ever. Then a conditional request says
	// that it is still good.
	TTL time.Duration
}

// Retry is what a client or a cache does that was refused: it waits between
// half and all of a time that doubles from First to Most, and gives up after so
// many Attempts at one request; 0 is never.
type Retry struct {
	First, Most time.Duration
	Attempts    int
}

// Balance is a way to choose one of several origins.
type Balance string

// The ways to choose.
const (
	RoundRobin       Balance = "round-robin"       // one after the other
	LeastConnections Balance = "least-connections" // the one with the fewest connections
	RandomTwo        Balance = "random-two"        // the one with fewer connections of a random two
	Random           Balance = "random"            // any, as people pick mirrors
	Weighted         Balance = "weighted"          // at random by Server.Weight
	Nearest          Balance = "nearest"           // the one with the least latency
)

// Tier is a kind of server.
type Tier string

// The tiers.
const (
	Origin Tier = "origin"
	Parent Tier = "parent"
	Edge   Tier = "edge"
	Proxy  Tier = "proxy"
)

// Fault takes a server away At a time, For so long; 0 is for ever. What a cache
// has on its disk is still there afterwards.
type Fault struct {
	Tier    Tier
	Server  int
	At, For time.Duration
}

// Prices are for 1e9 bytes that a tier sends, in Currency. Peers and browsers
// cost nothing.
type Prices struct {
	Currency                    string
	Origin, Parent, Edge, Proxy float64
}

// Routing says which edge a client gets.
type Routing struct {
	// Anycast is one address for all edges: the network takes a client to the
	// nearest, whatever its load. Otherwise it is DNS that answers with one
	// edge.
	Anycast bool

	// TTL is how long a resolver keeps an answer; negative not at all. Lookup
	// is what asking the CDN's server takes a resolver that has none.
	TTL, Lookup time.Duration
	// ResolversPerISP is how many resolvers an ISP has in each region. Clients
	// are spread over them.
	ResolversPerISP int
	// PublicResolvers are the regions of resolvers that clients of all regions
	// use.
	PublicResolvers []int
	// ClientSubnet tells the CDN where the client is (RFC 7871), not only where
	// the resolver is.
	ClientSubnet bool
	// MinShare, if not 0, makes answers depend on load: an edge whose uplink
	// has less than that for each of its connections, and one more, is passed
	// over for the next nearest one. If all have, it is the one with the most.
	// LoadAge is how old the CDN's knowledge of connections gets.
	MinShare int64
	LoadAge  time.Duration
	// Detect is how long after a fault the CDN stops to answer with an edge, or
	// a balancer to use an origin, and after its end begins again.
	Detect time.Duration

	// Catchment, if not nil, gives for each region the edge that paths lead to,
	// -1 for the nearest one.
	Catchment []int
	// Convergence is how long after a fault the network takes clients of the
	// edge to the next nearest one, and after its end back.
	Convergence time.Duration
	// Changes are changes of routes. They break the transfers of those they
	// move, who go on by range elsewhere.
	Changes []RouteChange
}

// RouteChange takes the clients of a region to another edge from a time on. The
// edge -1 is the nearest one.
type RouteChange struct {
	At           time.Duration
	Region, Edge int
}
