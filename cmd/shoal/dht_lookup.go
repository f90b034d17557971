package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo"
)

// withTorrent calls do with a node and the torrent that the only argument names.
func (f *dhtOnce) withTorrent(ctx context.Context, e *env, args []string, do func(context.Context, *env, *dht.Server, metainfo.InfoHash) error) error {
	t, err := loadDHTTorrent(ctx, args)
	if err != nil {
		return err
	}
	return f.withNode(ctx, e, func(ctx context.Context, s *dht.Server) error {
		s.AddHosts(t.nodes)
		return do(ctx, e, s, t.infoHash)
	})
}

// dhtTorrent is what a command line names by INFOHASH, MAGNET or TORRENT.
type dhtTorrent struct {
	infoHash metainfo.InfoHash
	nodes    []string // of the DHT, HOST:PORT each (BEP 5)
}

// loadDHTTorrent reads the only argument. BEP 27: a private torrent's peers
// come from its trackers only.
func loadDHTTorrent(ctx context.Context, args []string) (dhtTorrent, error) {
	if len(args) != 1 {
		return dhtTorrent{}, usagef("name one torrent: its info-hash, a magnet link (in quotes) or a .torrent file")
	}
	if isMagnet(args[0]) {
		m, err := metainfo.ParseMagnet(args[0])
		if err == nil && m.Mutable != nil {
			err = usagef("a mutable magnet link (urn:btpk) names a key, not a torrent; \"shoal dht get --key\" prints what is stored under it")
		}
		return dhtTorrent{infoHash: m.InfoHash}, err
	}
	if h, err := metainfo.ParseInfoHash(args[0]); err == nil {
		return dhtTorrent{infoHash: h}, nil
	}
	m, err := loadTorrent(ctx, args[0])
	switch {
	case err != nil:
		return dhtTorrent{}, fmt.Errorf("neither an info-hash of 40 hexadecimal digits, a magnet link nor a torrent: %w", err)
	case m.Info.Private:
		return dhtTorrent{}, fmt.Errorf("this torrent is private: its peers come from its trackers only (BEP 27)")
	}
	return dhtTorrent{m.InfoHash, m.Nodes}, nil
}

// lookedUp are the keys that the JSON of every lookup has.
type lookedUp struct {
	Queries int     `json:"queries"`
	Seconds float64 `json:"seconds"`

	took time.Duration
}

func dhtFindNodeCommand() command {
	return command{
		name:    "dht find-node",
		summary: "find the nodes that are closest to an id",
		usage:   "[flags] ID",
		about: `
ID is 40 hexadecimal digits: a node's id, an info-hash or any other place. The
nodes that answered are printed, the closest first.`,
		example: "shoal dht find-node 2c250f2e58ddcf19ff22a29c3d3e5ea7ae52eeb0",
		new:     func() runner { return new(dhtFindNodeRun) },
	}
}

type dhtFindNodeRun struct{ dhtOnce }

// findNodeJSON is what "shoal dht find-node --json" prints.
type findNodeJSON struct {
	Target string `json:"target"`
	lookedUp
	Converged float64    `json:"converged_seconds"`
	Nodes     []nodeJSON `json:"nodes"`
}

func (r *dhtFindNodeRun) run(ctx context.Context, e *env, args []string) error {
	target, err := parseID("an id", args)
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	return r.withNode(ctx, e, func(ctx context.Context, s *dht.Server) error {
		result, took, err := r.lookUp(ctx, s, node.Request{Method: krpc.FindNode, Target: target}, nil)
		switch {
		case err != nil:
			return r.tooShort(err)
		case len(result.Closest) == 0:
			return notFoundf("no node answered")
		case r.json:
			return e.printJSON(findNodeJSON{target.String(), took, seconds(result.Converged), nodesJSON(result.Closest)})
		}
		for _, n := range result.Closest {
			e.printf("%s  %s\n", n.ID, n.Addr)
		}
		e.logf("%s", lookupText(result, took))
		return nil
	})
}

// lookupText says how a lookup went.
func lookupText(result node.Result, took lookedUp) string {
	text := fmt.Sprintf("%s in %s", plural(result.Queries, "query", "queries"), formatRTT(took.took))
	if result.Converged > 0 {
		text += ", converged after " + formatRTT(result.Converged)
	}
	return text
}

func dhtGetPeersCommand() command {
	return command{
		name:    "dht get-peers",
		summary: "find the peers of a torrent",
		usage:   "[flags] INFOHASH|MAGNET|TORRENT",
		about: `
Peers are printed as they are found, each once. The exit code is 4 if there are
none.`,
		example: "shoal dht get-peers 2c250f2e58ddcf19ff22a29c3d3e5ea7ae52eeb0",
		new:     func() runner { return new(dhtGetPeersRun) },
	}
}

type dhtGetPeersRun struct {
	dhtOnce
	verbose bool
}

func (r *dhtGetPeersRun) flags(fs *pflag.FlagSet) {
	r.dhtOnce.flags(fs)
	fs.BoolVarP(&r.verbose, "verbose", "v", false, "tell the closest nodes, too")
}

// The lines that "shoal dht get-peers --json" prints.
type (
	peerJSON struct {
		Type string `json:"type"` // "peer"
		Peer string `json:"peer"`
		From string `json:"from"`
	}
	peersJSON struct {
		Type     string `json:"type"` // "summary"
		InfoHash string `json:"info_hash"`
		Peers    int    `json:"peers"`
		Complete bool   `json:"complete"`
		lookedUp
		Converged float64    `json:"converged_seconds"`
		Nodes     []nodeJSON `json:"nodes"`
	}
)

func (r *dhtGetPeersRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	return r.withTorrent(ctx, e, args, r.find)
}

func (r *dhtGetPeersRun) find(ctx context.Context, e *env, s *dht.Server, h metainfo.InfoHash) error {
	seen := map[netip.AddrPort]bool{} // bounded by what a lookup may ask, and believes of an answer
	result, took, err := r.lookUp(ctx, s, node.Request{Method: krpc.GetPeers, Target: krpc.ID(h)}, func(from netip.AddrPort, reply node.Reply) {
		for _, peer := range reply.Peers {
			if !seen[peer] {
				seen[peer] = true
				r.tell(e, peer, from)
			}
		}
	})
	if err != nil && !timedOut(err) {
		return err
	}
	if r.json {
		e.printJSON(peersJSON{ // a failure is output's to remember
			Type: "summary", InfoHash: h.String(), Peers: len(seen), Complete: err == nil,
			lookedUp: took, Converged: seconds(result.Converged), Nodes: nodesJSON(result.Closest),
		})
	} else {
		r.summarize(e, len(seen), result, took, err)
	}
	switch {
	case len(seen) > 0:
		return nil
	case err != nil:
		return r.tooShort(err)
	}
	return notFoundf("no peers of %s were found", h)
}

func (r *dhtGetPeersRun) tell(e *env, peer, from netip.AddrPort) {
	if r.json {
		e.printJSON(peerJSON{"peer", peer.String(), from.String()}) // a failure is output's to remember
		return
	}
	e.printf("%s\n", peer)
}

func (r *dhtGetPeersRun) summarize(e *env, numPeers int, result node.Result, took lookedUp, err error) {
	if err != nil {
		e.logf("%s; %v were too short to ask everybody", count(numPeers, "peer"), r.timeout)
		return
	}
	e.logf("%s; %s", count(numPeers, "peer"), lookupText(result, took))
	if r.verbose {
		for _, n := range result.Closest {
			e.logf("node %s  %s", n.ID, n.Addr)
		}
	}
}

func dhtAnnounceCommand() command {
	return command{
		name:    "dht announce",
		summary: "announce a peer of a torrent",
		usage:   "[flags] --port N INFOHASH|MAGNET|TORRENT",
		about: `
It tells the nodes that are closest to the info-hash that a peer of the torrent
listens on port N of this machine. They forget it after half an hour or so, so
repeat it; "shoal get" and "shoal seed" do that by themselves.`,
		example: "shoal dht announce --port 6881 --seed 2c250f2e58ddcf19ff22a29c3d3e5ea7ae52eeb0",
		new:     func() runner { return new(dhtAnnounceRun) },
	}
}

type dhtAnnounceRun struct {
	dhtOnce
	peerPort    int
	impliedPort bool
	seed        bool
}

func (r *dhtAnnounceRun) flags(fs *pflag.FlagSet) {
	fs.IntVar(&r.peerPort, "port", 0, "the peer listens on port `N`")
	fs.BoolVar(&r.impliedPort, "implied-port", false, "the peer listens on the port that this node sends from, as a home router shows it (see --addr)")
	fs.BoolVar(&r.seed, "seed", false, "the peer has the whole torrent (BEP 33)")
	r.dhtOnce.flags(fs)
}

// announceJSON is what "shoal dht announce --json" prints.
type announceJSON struct {
	InfoHash    string `json:"info_hash"`
	Port        int    `json:"port"`
	ImpliedPort bool   `json:"implied_port"`
	Seed        bool   `json:"seed"`
	storedJSON
	lookedUp
}

// storedJSON are the keys of every command that makes nodes store something.
type storedJSON struct {
	Stored  int `json:"stored"`
	Refused int `json:"refused"`
}

func (r *dhtAnnounceRun) check() error {
	switch {
	case r.peerPort == 0 && !r.impliedPort:
		return usagef("say where the peer listens: --port N, or --implied-port")
	case r.peerPort < 0 || r.peerPort > math.MaxUint16:
		return usagef("--port %d is not between 1 and 65535", r.peerPort)
	}
	return r.dhtOnce.check()
}

func (r *dhtAnnounceRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	return r.withTorrent(ctx, e, args, r.announce)
}

func (r *dhtAnnounceRun) announce(ctx context.Context, e *env, s *dht.Server, h metainfo.InfoHash) error {
	result, took, err := r.lookUp(ctx, s, node.Request{
		Method: krpc.GetPeers, Target: krpc.ID(h),
		Store: true, Port: uint16(r.peerPort), ImpliedPort: r.impliedPort, Seed: r.seed,
	}, nil)
	switch {
	case err != nil:
		return r.tooShort(err)
	case result.Stored == 0 && result.Refused == 0:
		return notFoundf("no node took the announce")
	case r.json:
		err = e.printJSON(announceJSON{h.String(), r.peerPort, r.impliedPort, r.seed, storedJSON{result.Stored, result.Refused}, took})
	default:
		e.printf("announced %s to %s\n", h, count(result.Stored, "node"))
		e.logf("%s", lookupText(result, took))
	}
	if result.Stored == 0 && err == nil {
		return fmt.Errorf("all of %s refused the announce", count(result.Refused, "node"))
	}
	return err
}

func dhtScrapeCommand() command {
	return command{
		name:    "dht scrape",
		summary: "estimate how many seeds and leechers a torrent has",
		usage:   "[flags] INFOHASH|MAGNET|TORRENT",
		about: `
The nodes that are closest to the info-hash tell by Bloom filters which
addresses were announced to them (BEP 33). Addresses count once. Up to some
thousands the numbers are right within a few per cent. The exit code is 4 if
there are none.`,
		example: "shoal dht scrape ubuntu.torrent",
		new:     func() runner { return new(dhtScrapeRun) },
	}
}

type dhtScrapeRun struct{ dhtOnce }

// scrapeJSON is what "shoal dht scrape --json" prints.
type scrapeJSON struct {
	InfoHash string `json:"info_hash"`
	Seeds    int    `json:"seeds"`
	Leechers int    `json:"leechers"`
	lookedUp
}

func (r *dhtScrapeRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	return r.withTorrent(ctx, e, args, r.scrape)
}

func (r *dhtScrapeRun) scrape(ctx context.Context, e *env, s *dht.Server, h metainfo.InfoHash) error {
	result, took, err := r.lookUp(ctx, s, node.Request{Method: krpc.GetPeers, Target: krpc.ID(h), Scrape: true}, nil)
	if err != nil {
		return r.tooShort(err)
	}
	if len(result.Closest) == 0 {
		return notFoundf("no node answered")
	}
	seeds, leechers := estimate(result.Seeds), estimate(result.Leechers)
	if r.json {
		err = e.printJSON(scrapeJSON{h.String(), seeds, leechers, took})
	} else {
		e.printf("%s, %s\n", count(seeds, "seed"), count(leechers, "leecher"))
		e.logf("%s", lookupText(result, took))
	}
	if seeds == 0 && leechers == 0 && err == nil {
		return notFoundf("nobody has announced %s", h)
	}
	return err
}

// estimate is a whole number of addresses. A lookup without answers has no
// filter, and BEP 33's formula makes half an address of an empty one.
func estimate(f *krpc.Filter) int {
	if f == nil || *f == (krpc.Filter{}) {
		return 0
	}
	return int(math.Round(f.Estimate()))
}
