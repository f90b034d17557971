package scenario

import "time"

// The bounds of a file. They are far above what a machine can run, and low
// enough that no sum or product of them leaves an int64.
const (
	maxFileLen   = 256 << 10
	maxNesting   = 8 // of tables and lists in each other; the keys need three
	maxTraceLen  = 64 << 20
	maxPeers     = 1 << 20 // also the rows of a trace
	maxClasses   = 64
	maxRegions   = 64
	maxISPs      = 256
	maxSystems   = 32
	maxOrigins   = 1000
	maxContents  = 100_000
	maxReplicas  = 10_000
	maxSamples   = 1_000_000
	maxLength    = 1 << 44 // 16 TiB
	maxPieces    = 1 << 20
	maxRate      = 1 << 40 // bytes/s
	maxYears     = 10
	maxTime      = maxYears * 365 * 24 * time.Hour
	maxNameLen   = 40
	maxTextLen   = 4000
	maxShare     = 1e6
	maxFrequency = 1e6 // a second
	maxLoss      = 0.5

	// maxBlocks is what all peers of a swarm may download together, in blocks of 16 KiB: 100,000 times
	// 640 MiB. A run handles some 200,000 a second.
	maxBlocks = 1 << 32
	// maxDHTNodes bounds the nodes of a DHT that are no peer's, 16 KB each.
	maxDHTNodes = 100_000
	// maxSwarmPeers bounds the peers of a swarm, each of which runs an engine with connections, whatever
	// it downloads: 100,000 need some 10 GB.
	maxSwarmPeers = 100_000
	// maxBitfields bounds the memory of a swarm: peers times pieces, in bits.
	maxBitfields = 1 << 34
	// maxTorrents bounds the torrents of the origin's seeds in a swarm, an engine each. swarmtest/sim has no more contents.
	maxTorrents = 10_000
)

var oneYear = (365 * 24 * time.Hour).Seconds()

const maxSeconds = float64(maxTime / time.Second)

// file is the table of a whole file.
var file = table{keys: []key{
	{name: "title", kind: text, min: 1, max: 200, doc: "What it is, in one line."},
	{name: "shows", kind: text, def: "", max: maxTextLen, doc: "What it shows."},
	{name: "description", kind: text, def: "", max: maxTextLen, doc: "All else that a reader should know."},
	{name: "seed", kind: integer, def: int64(1), max: 1 << 53, ofRun: true, doc: "Where all randomness comes from. `--seed` goes before it."},
	{name: "replicas", kind: integer, def: int64(1), min: 1, max: maxReplicas, ofRun: true, doc: "How often it is run, with the seeds `seed`, `seed` + 1 and so on. `--replicas` goes before it."},
	{name: "content", kind: aTable, table: &content},
	{name: "origin", kind: aTable, table: &origin},
	{name: "demand", kind: aTable, table: &demand},
	{name: "network", kind: aTable, table: &network},
	{name: "engine", kind: aTable, table: &engine},
	{name: "http", kind: aTable, table: &http},
	{name: "tracker", kind: aTable, table: &tracker},
	{name: "dht", kind: aTable, table: &dht},
	{name: "samples", kind: aTable, table: &samples},
	{name: "limits", kind: aTable, table: &limits},
	{name: "prices", kind: aTable, table: &prices},
	{name: "class", kind: tables, min: 1, max: maxClasses, table: &class},
	{name: "region", kind: tables, max: maxRegions, table: &region},
	{name: "isp", kind: tables, max: maxISPs, table: &isp},
	{name: "system", kind: tables, max: maxSystems, table: &system},
	{name: "server", kind: tables, max: maxOverrides, table: &server},
	{name: "fault", kind: tables, max: maxFaults, table: &fault},
}}

var content = table{doc: "What is distributed.", keys: []key{
	{name: "length", kind: size, min: 1, max: maxLength, doc: "The length of one content."},
	{name: "piece_length", kind: size, def: "256KiB", min: 16 << 10, max: 1 << 29, doc: "The length of its pieces, a power of two."},
	{name: "count", kind: integer, def: int64(1), min: 1, max: maxContents, doc: "How many contents there are, all of one length. Each client wants one. In a swarm each content is a torrent, which the seeds seed side by side: their uplink is shared evenly among the torrents that are asked for."},
	{name: "zipf", kind: number, def: 0.8, max: 10, doc: "How popular they are: the content of rank r is asked for as often as r to the power of minus this. 0: all alike."},
}}

var origin = table{doc: "The publisher: the first seeds of a swarm, and the servers behind all other systems.", keys: []key{
	{name: "count", kind: integer, def: int64(1), min: 1, max: maxOrigins, doc: "How many seeds there are. The other systems have one server with the links of all."},
	{name: "up", kind: rate, min: 1, max: maxRate, special: "unlimited", doc: "The uplink of each."},
	{name: "down", kind: rate, def: "unlimited", min: 1, max: maxRate, special: "unlimited", doc: "The downlink of each."},
	{name: "leave", kind: duration, def: "never", min: 0.001, max: maxSeconds, special: "never", doc: "When the seeds leave the swarm, since the start."},
	{name: "leave_after", kind: number, optional: true, min: 0.01, max: 1e6, doc: "The seeds leave the swarm when each has sent so many copies of the content, of several contents so many copies of all. Default: never."},
	{name: "region", kind: name, optional: true, doc: "Where it is. Default: in the first region, if there are any."},
	{name: "isp", kind: name, optional: true, doc: "In whose network it is. Default: in the first."},
	{name: "max_requests", kind: integer, optional: true, min: 1, max: 1e6, doc: "How many requests the server of the other systems serves at a time. Default: any number."},
	{name: "queue", kind: integer, optional: true, min: 1, max: 1e6, special: "none", doc: "How many wait for their turn then. Default: any number. Whoever finds no room asks again later, see [http]."},
}}

var demand = table{doc: "How many clients come, and when. Each class has arrivals of its own, with the part of the rate that is its part of the clients.", keys: []key{
	{name: "peers", kind: integer, optional: true, min: 1, max: maxPeers, doc: "How many come, by the shares of the classes. Not beside `count` in the classes, and not with a trace. With `until`, and with `decaying` arrivals, it may be fewer."},
	{name: "arrivals", kind: word, def: AtOnce, words: []string{AtOnce, Window, Poisson, Decaying, OnOff, Trace},
		doc: "`at-once`: all at the start. `window`: each at a random time in `window`. `poisson`: at a constant `rate`. `decaying`: at a rate of `rate` times exp(-t/`decay`). `on-off`: at `rate` for the time `on`, then nobody for the time `off`, and again. `trace`: as the file `trace` says."},
	{name: "window", kind: duration, min: 0.001, max: maxSeconds, when: only("arrivals", Window), doc: "How long the arrivals take."},
	{name: "rate", kind: frequency, min: 1 / oneYear, max: maxFrequency, when: only("arrivals", Poisson, Decaying, OnOff), doc: "How many come in a time: `10/s`, `30/min`, `100/h`."},
	{name: "decay", kind: duration, min: 0.001, max: maxSeconds, when: only("arrivals", Decaying), doc: "After this time, the rate is 1/e of what it was. About `rate` times `decay` come in all."},
	{name: "on", kind: duration, min: 0.001, max: maxSeconds, when: only("arrivals", OnOff), doc: "How long clients come."},
	{name: "off", kind: duration, min: 0.001, max: maxSeconds, when: only("arrivals", OnOff), doc: "How long nobody comes."},
	{name: "until", kind: duration, def: "forever", max: maxSeconds, special: "forever", when: only("arrivals", Poisson, Decaying, OnOff), doc: "Nobody comes later."},
	{name: "users", kind: integer, optional: true, min: 1, max: maxPeers, doc: "How many people the clients are, drawn for each: some come several times. In systems without peers, those of one person share a downlink, a place and a browser, see `browser_ttl`; a swarm has a peer for each. Default: everybody comes once."},
	{name: "trace", kind: text, min: 1, max: 200, when: only("arrivals", Trace), doc: "A CSV file in the folder of the scenario or below; see [traces](#traces)."},
	{name: "trace_sha256", kind: text, optional: true, max: 64, when: only("arrivals", Trace), doc: "The SHA-256 of that file, in hex. Where it is given, no other file is read."},
}}

var network = table{doc: "What lies between the access links.", keys: []key{
	{name: "model", kind: word, def: Constant, words: []string{Constant, Matrix, Coordinates},
		doc: "Where latencies come from. `constant`: all are `latency`. `matrix`: from the `latency` of the regions. `coordinates`: `latency`, and the distance of two points, which lie around the `at` of their regions."},
	{name: "latency", kind: duration, def: "25ms", max: 60, when: only("model", Constant, Coordinates), doc: "One way, between any two hosts."},
	{name: "slow_start", kind: boolean, def: false, doc: "Connections of a swarm begin slowly, as TCP's do."},
	{name: "loss", kind: number, optional: true, max: maxLoss, doc: "The part of the packets between any two peers of a swarm that is lost. It caps the rate of each connection as it would TCP's (RFC 5348); nothing is sent twice. Default: none."},
}}

var engine = table{doc: "What the clients of a swarm do. The defaults are those of `shoal get`; other values take a rule away, to see what it is good for.", keys: []key{
	{name: "picker", kind: word, def: Rarest, words: []string{Rarest, Random, Sequential}, doc: "Which piece is asked for first."},
	{name: "choking", kind: boolean, def: true, doc: "Upload to those who upload. Without: to everybody who is interested."},
	{name: "endgame", kind: boolean, def: true, doc: "Ask several peers for the last blocks."},
	{name: "max_peers", kind: integer, def: int64(80), min: 1, max: 200, doc: "How many connections a client has at most."},
	{name: "upload_slots", kind: integer, optional: true, min: 1, max: 1000, doc: "How many peers a client uploads to at a time. Default: as many as fill its uplink."},
}}

var tracker = table{doc: "The tracker of a swarm that has one.", keys: []key{
	{name: "interval", kind: duration, def: "30m", min: 1, max: 24 * 3600, doc: "How often clients announce."},
}}

var dht = table{doc: "The DHT of a swarm that has one. Every peer has a node on its host, and there are others.", keys: []key{
	{name: "nodes", kind: integer, def: int64(200), min: 1, max: maxDHTNodes, doc: "How many nodes belong to no peer. They are there before the swarm, and their links have no limit."},
	{name: "routers", kind: integer, def: int64(4), min: 1, max: 64, doc: "By how many of them everybody joins: their addresses come with the client. At most `nodes`."},
}}

var samples = table{doc: "The rows of timeseries.csv.", keys: []key{
	{name: "every", kind: duration, def: "10s", min: 0.001, max: maxSeconds, doc: "The time between two of them."},
}}

var limits = table{doc: "When a run ends that does not end by itself: when nobody is left who could complete.", keys: []key{
	{name: "time", kind: duration, def: "168h", min: 0.001, max: maxSeconds, doc: "The virtual time that it takes at most."},
	{name: "patience", kind: duration, def: "1h", min: 1, max: maxSeconds, doc: "A swarm in which nothing happens for this virtual time has failed."},
}}

var class = table{doc: "A kind of client; there is at least one.", keys: []key{
	{name: "name", kind: name, doc: "Its name in the results."},
	{name: "share", kind: number, optional: true, min: 1e-6, max: maxShare, doc: "How many of `demand.peers` are of it, against the shares of the others. Default, if there is only one: all."},
	{name: "count", kind: integer, optional: true, min: 1, max: maxPeers, doc: "How many are of it; instead of `share`."},
	{name: "up", kind: rate, min: 1, max: maxRate, special: "unlimited", doc: "The uplink."},
	{name: "down", kind: rate, min: 1, max: maxRate, special: "unlimited", doc: "The downlink."},
	{name: "nat", kind: number, def: 0.0, max: 1, doc: "The part of them, from 0 to 1, that cannot be dialled."},
	{name: "free_rider", kind: boolean, def: false, doc: "They upload nothing."},
	{name: "corrupt", kind: boolean, optional: true, doc: "What they upload in a swarm is false: pieces with it fail their hash. Default: it is not."},
	{name: "loss", kind: number, optional: true, max: maxLoss, doc: "The part of the packets that is lost on their access links; see `network.loss`. Default: none."},
	{name: "seed_for", kind: duration, def: "forever", max: maxSeconds, special: "forever", doc: "How long they stay when they have completed; `0s` is not at all."},
	{name: "seed_times", kind: word, def: Fixed, words: []string{Fixed, Exponential}, doc: "`fixed`: all stay for `seed_for`. `exponential`: that is the mean."},
	{name: "give_up", kind: duration, def: "never", min: 0.001, max: maxSeconds, special: "never", doc: "After a time they leave though they have not completed. It is exponential, and this is its mean."},
	{name: "region", kind: name, optional: true, doc: "Where they are. Default: everywhere, by the shares of the regions."},
	{name: "isp", kind: name, optional: true, doc: "In whose network they are. Default: in everybody's that serves their region, by the shares of the ISPs."},
}}

var region = table{doc: "A part of the world.", keys: []key{
	{name: "name", kind: name, doc: "Its name in the results."},
	{name: "share", kind: number, def: 1.0, max: maxShare, doc: "How many clients are in it, against the shares of the others."},
	{name: "latency", kind: durations, optional: true, max: maxRegions, doc: "With the model `matrix`: one way, from here to each region in their order, itself included. Both directions are the same."},
	{name: "at", kind: durations, optional: true, min: 2, max: 2, doc: "With the model `coordinates`: where its middle lies in a plane of latencies, as `[\"30ms\", \"12ms\"]`."},
	{name: "spread", kind: duration, optional: true, max: 60, doc: "With the model `coordinates`: the standard deviation of its clients from the middle, in each direction. Default: none."},
}}

var isp = table{doc: "A provider of access links.", keys: []key{
	{name: "name", kind: name, doc: "Its name in the results."},
	{name: "share", kind: number, def: 1.0, max: maxShare, doc: "How many clients are in its network, against the shares of the others that serve the region."},
	{name: "region", kind: name, optional: true, doc: "The only region that it serves. Default: all."},
	{name: "no_proxy", kind: boolean, optional: true, doc: "Its clients have no caching proxy in systems with one for each ISP. Default: they have."},
}}
