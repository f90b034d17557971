package lab

import (
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/sim"
	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

// The class and the source of the origin's machines in a swarm, and the other source.
const (
	seedName  = "seed"
	peersName = "peers"
)

// swarm runs a system of the kind result.Swarm or result.Hybrid. Its peers are the origin's seeds,
// and then the clients; a hybrid has web seeds instead of seeds.
func (r *run) swarm(sys *scenario.System) (*result.System, error) {
	s := r.s
	geometry, err := metainfo.NewGeometry(s.Content.Length, s.Content.PieceLength)
	if err != nil {
		return nil, err
	}
	r.numSeeds = s.Origin.Count
	if sys.Kind == result.Hybrid {
		r.numSeeds = 0
	}
	r.places, r.nodes = r.placesOf(sys), r.nodePlaces(sys)
	out := &result.System{Name: sys.Name, Kind: sys.Kind}
	leechers := r.leechers()
	r.assignWebSeeds(sys, leechers)
	swarm := sim.Swarm{
		Seed: r.seed, Geometry: geometry, Contents: s.Content.Count, Peers: append(r.seeds(), leechers...), WebSeeds: r.webSeeds(sys),
		Latency: orNone(s.Network.Latency), Between: r.between(), SlowStart: s.Network.SlowStart, Loss: s.Network.Loss,
		Faults: r.swarmFaults(sys), Foreign: sys.Foreign, Wire: r.options.Wire,
		NoTracker: !sys.Tracker, DHT: r.dht(sys), AnnounceInterval: s.Tracker.Interval,
		Limit: s.Limits.Time, Patience: min(r.patience()+r.longestFault(), s.Limits.Time),
		Configure:   func(peer int, cfg *engine.Config) { r.configure(sys, peer, cfg) },
		SampleEvery: s.Samples.Every, OnSample: func(sample *sim.Sample) { out.Samples = append(out.Samples, r.sample(sys, sample)) },
		Progress:    r.report,
		Interrupted: func() bool { return r.ctx.Err() != nil },
	}
	if r.options.Workers > 1 {
		workers := pool.New(r.options.Workers)
		defer workers.Close()
		swarm.Pool = workers
	}
	res, err := swarm.Run()
	if err != nil {
		return nil, err
	}
	r.describe(sys, out, res)
	return out, nil
}

// orNone follows the convention of sim.Swarm, where zero means the default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// never is 0 for what does not happen, as sim.Peer has it.
func never(d time.Duration) time.Duration {
	if d == scenario.Forever {
		return 0
	}
	return d
}

func (r *run) seeds() []sim.Peer {
	o := &r.s.Origin
	seed := sim.Peer{
		Class: seedName, Seed: true, Link: sim.Link{Up: int(o.Up), Down: int(o.Down)}, Leave: never(o.Leave),
		LeaveAfter: int64(o.LeaveAfter * float64(r.s.Content.Length) * float64(r.s.Content.Count)), ISP: demand.Origin(r.s).ISP,
	}
	if r.s.Content.Count > 1 {
		seed.Quota.Up = int(o.Up) // who seeds several torrents tells the client what the uplink carries, so that they share it evenly
	}
	return sim.Repeat(r.numSeeds, seed)
}

func (r *run) leechers() []sim.Peer {
	peers := make([]sim.Peer, len(r.clients))
	for i := range r.clients {
		c := &r.clients[i]
		peers[i] = sim.Peer{
			Class: r.s.Classes[c.Class].Name, Content: c.Content, Link: sim.Link{Up: int(c.Up), Down: int(c.Down)},
			Join: c.Join, GiveUp: never(c.GiveUp), SeedFor: never(orNone(c.SeedFor)), Unreachable: c.Unreachable,
			Corrupt: r.s.Classes[c.Class].Corrupt, Loss: r.s.Classes[c.Class].Loss, ISP: c.ISP,
		}
	}
	return peers
}

// placesOf are where the seeds, the clients and the web seeds are, in the order in which sim has them.
func (r *run) placesOf(sys *scenario.System) []demand.Place {
	places := slices.Repeat([]demand.Place{demand.Origin(r.s)}, r.numSeeds)
	for i := range r.clients {
		places = append(places, r.clients[i].Place)
	}
	return append(places, r.webSeedPlaces(sys)...)
}

// between returns the latency of each pair of peers, nil if all are alike.
func (r *run) between() func(a, b int) time.Duration {
	if r.s.Network.Model == scenario.Constant {
		return nil
	}
	places := slices.Concat(r.places, r.nodes)
	return func(a, b int) time.Duration { return demand.Latency(r.s, places[a], places[b]) }
}

// orders are the values of scenario.Engine.Picker.
var orders = map[string]engine.Order{
	scenario.Rarest: engine.RarestFirst, scenario.Random: engine.Random, scenario.Sequential: engine.Sequential,
}

// configure makes the engine of a peer follow the scenario.
func (r *run) configure(sys *scenario.System, peer int, cfg *engine.Config) {
	configureHybrid(sys, cfg)
	e := &r.s.Engine
	cfg.Order, cfg.NoChoking, cfg.NoEndgame = orders[e.Picker], !e.Choking, !e.Endgame
	cfg.NoPEX, cfg.MaxPeers, cfg.UploadSlots = !sys.PEX, e.MaxPeers, e.UploadSlots
	if client := peer - r.numSeeds; client >= 0 && r.clients[client].FreeRider {
		cfg.UploadSlots = -1
	}
}

func (r *run) sample(sys *scenario.System, s *sim.Sample) result.Sample {
	r.at.Part = float64(s.BytesFromSeeds+s.BytesFromWebSeeds+s.BytesFromPeers) / (float64(len(r.clients)) * float64(r.s.Content.Length))
	var bytes []int64
	for _, source := range r.sources(sys, s.BytesFromSeeds, s.BytesFromWebSeeds, s.BytesFromPeers) {
		bytes = append(bytes, source.Bytes)
	}
	return result.Sample{
		At: s.At, Seeds: s.Seeds, Leechers: s.Leechers, Completed: s.Completed, Gone: s.Gone,
		Bytes:     bytes,
		UplinkUse: s.UplinkUse, MinCopies: s.MinCopies, MeanCopies: s.MeanCopies, Entropy: s.Entropy,
	}
}

// describe fills in what happened.
func (r *run) describe(sys *scenario.System, out *result.System, res *sim.Result) {
	out.Reason, out.Completed, out.End = res.Reason, res.Completed, res.End
	out.Events, out.EventLog = res.Events, hex.EncodeToString(res.Hash[:])
	fromSeeds, fromWebSeeds, all := int64(0), int64(0), int64(0)
	for i := range res.Peers {
		p := &res.Peers[i]
		fromSeeds += p.FromSeeds
		fromWebSeeds += p.FromWebSeeds
		all += p.Down
		if i >= r.numSeeds && r.isForeign(sys, i-r.numSeeds) {
			p.CrossISP += p.FromWebSeeds
		}
		out.CrossISP += p.CrossISP
		out.Peers = append(out.Peers, r.row(i, p))
	}
	rows := r.webSeedRows(sys, res)
	out.Peers = append(out.Peers, rows...)
	out.Servers = r.webSeedServers(sys, rows)
	out.Sources = r.sources(sys, fromSeeds, fromWebSeeds, all-fromSeeds-fromWebSeeds)
	if p := &r.s.Prices; !p.Free() {
		out.Cost, out.Currency = r.cost(out.Sources), p.Currency
	}
	if _, all := lastCompletion(out); all {
		out.Bound, out.BoundName = r.swarmBound(sys), "Kumar and Ross"
		if r.s.Content.Count > 1 {
			out.BoundName += ", of contents that share a publisher"
		}
	}
}

func (r *run) row(i int, p *sim.PeerResult) result.Peer {
	place, up, down, content := demand.Origin(r.s), r.s.Origin.Up, r.s.Origin.Down, 0
	if client := i - r.numSeeds; client >= 0 {
		c := &r.clients[client]
		place, up, down, content = c.Place, c.Up, c.Down, c.Content
	}
	return result.Peer{
		Index: i, Class: p.Class, Region: r.region(place), ISP: r.isp(place), Content: content, Server: p.Seed,
		Join: p.Join, FirstPiece: p.FirstPiece, Complete: p.Complete, Leave: p.Leave,
		Up: p.Up, Down: p.Down, Wasted: p.Wasted, MessagesUp: p.MessagesUp, MessagesDown: p.MessagesDown,
		Occupied: p.Occupied, UpRate: up, DownRate: down,
		HashFails: p.HashFails, BannedBy: p.BannedBy, CrossISP: p.CrossISP,
		Discovery:   discovery(p),
		FromServers: p.FromSeeds + p.FromWebSeeds,
	}
}

func (r *run) region(p demand.Place) string {
	if len(r.s.Regions) == 0 {
		return ""
	}
	return r.s.Regions[p.Region].Name
}

func (r *run) isp(p demand.Place) string {
	if len(r.s.ISPs) == 0 {
		return ""
	}
	return r.s.ISPs[p.ISP].Name
}

// swarmBound is the least time at which the last client can complete, if all do.
// Kumar and Ross have all clients there from the start, to the end: who comes later
// or leaves earlier can only send less. Several contents share the publisher's uplink. Nobody completes sooner than his
// downlink allows after he came.
func (r *run) swarmBound(sys *scenario.System) time.Duration {
	fileLen := float64(r.s.Content.Length)
	contents := make([]theory.Demanded, r.s.Content.Count)
	demands := make([]theory.Demand, len(r.clients))
	for i := range r.clients {
		c := &r.clients[i]
		wanted := &contents[c.Content]
		wanted.Len = fileLen
		wanted.Peers = append(wanted.Peers, theory.Peer{Up: uplink(c), Down: float64(c.Down)})
		demands[i] = theory.Demand{At: c.Join.Seconds(), Len: fileLen, Down: float64(c.Down)}
	}
	least := max(theory.Swarms(r.serverUp(sys), contents), theory.Served(0, demands))
	// Rounded down: the last digit of a float must not beat it.
	return max(0, time.Duration(least*float64(time.Second))-time.Microsecond)
}

// uplink is what a client may send with, in bytes/s.
func uplink(c *demand.Client) float64 {
	switch {
	case c.FreeRider:
		return 0
	case c.Up == scenario.Unlimited:
		return math.Inf(1)
	}
	return float64(c.Up)
}

// longestGap is the longest time between two of times, in any order, from 0 on.
func longestGap(times []time.Duration) (gap time.Duration) {
	last := time.Duration(0)
	for _, t := range slices.Sorted(slices.Values(times)) {
		gap, last = max(gap, t-last), t
	}
	return gap
}
