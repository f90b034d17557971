package report

import (
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/sim"
	"github.com/shoal-bt/shoal/swarmtest/theory"
)

const contentLen = 16 << 20

// invented is a flash crowd of 150 downloaders in three classes: the swarm is
// simulated, the origin and the CDN are made up.
var invented = sync.OnceValue(func() *result.Run { return inventedRun(1, 30, nil) })

// inventedReplicas are a smaller crowd under three seeds, inventedVariant the same
// where everybody serves one peer at a time.
var (
	inventedReplicas = sync.OnceValue(func() []*Digest { return replicasOf(nil) })
	inventedVariant  = sync.OnceValue(func() []*Digest {
		return replicasOf(func(_ int, cfg *engine.Config) { cfg.UploadSlots = 1 })
	})
)

func replicasOf(configure func(int, *engine.Config)) (runs []*Digest) {
	for seed := range uint64(3) {
		run := inventedRun(seed+1, 6, configure)
		if configure != nil {
			run.Name, run.ScenarioHash = "one-slot", strings.Repeat("e", 64)
		}
		runs = append(runs, NewDigest(run))
	}
	return runs
}

// inventedRun has five peers for each unit of scale.
func inventedRun(seed uint64, scale int, configure func(int, *engine.Config)) *result.Run {
	run := &result.Run{
		Name: "flash-crowd", Title: "A hundred and fifty people want the same 16 MiB at once",
		Scenario:     "name = \"flash-crowd\"\ncontent = \"16 MiB\"\n\n[origin]\nup = \"8 Mbit/s\"\n\n[[class]]\nname = \"dsl\"\ncount = 90\n",
		ScenarioHash: "5f0c3a9be1d24c7796f1f7b1a0c4e7d2b8a95d0c6e3f4a1b2c3d4e5f60718293",
		Seed:         seed, Version: "v0.5.0",
		ContentLen: contentLen, Contents: 1, Downloads: 5 * scale,
	}
	swarm := inventedSwarm(seed, scale, configure)
	run.Systems = []result.System{swarm, inventedServers(&swarm, result.Origin, 1e6), inventedServers(&swarm, result.CDN, 12e6)}
	return run
}

// inventedSwarm simulates the swarm.
func inventedSwarm(seed uint64, scale int, configure func(int, *engine.Config)) result.System {
	geometry, err := metainfo.NewGeometry(contentLen, 128<<10)
	if err != nil {
		panic(err)
	}
	var samples []result.Sample
	swarm := sim.Swarm{Seed: seed, Geometry: geometry, Peers: inventedPeers(scale), Configure: configure, SampleEvery: time.Second}
	swarm.OnSample = func(s *sim.Sample) {
		samples = append(samples, result.Sample{
			At: s.At, Seeds: s.Seeds, Leechers: s.Leechers, Completed: s.Completed, Gone: s.Gone,
			Bytes:     []int64{s.BytesFromSeeds, s.BytesFromPeers},
			UplinkUse: s.UplinkUse, MinCopies: s.MinCopies, MeanCopies: s.MeanCopies, Entropy: s.Entropy,
		})
	}
	r, err := swarm.Run()
	if err != nil {
		panic(err)
	}
	system := result.System{
		Name: "swarm", Kind: result.Swarm, Reason: r.Reason, Completed: r.Completed, End: r.End,
		BoundName: "Kumar and Ross", Events: r.Events, EventLog: hex.EncodeToString(r.Hash[:]),
		Sources:  []result.Source{{Name: result.FromSeed}, {Name: result.FromPeers}},
		Cost:     0.021,
		Currency: "EUR",
	}
	system.Bound = inventedBound(swarm.Peers)
	for i, p := range r.Peers {
		system.Peers = append(system.Peers, result.Peer{
			Index: i, Class: p.Class, Region: "eu", Server: p.Seed,
			Join: p.Join, FirstPiece: p.FirstPiece, Complete: p.Complete, Leave: p.Leave,
			Up: p.Up, Down: p.Down, Wasted: p.Wasted, MessagesUp: p.MessagesUp, MessagesDown: p.MessagesDown,
			Occupied: p.Occupied, UpRate: int64(swarm.Peers[i].Link.Up), DownRate: int64(swarm.Peers[i].Link.Down),
		})
		source := &system.Sources[1]
		if p.Seed {
			source = &system.Sources[0]
		}
		source.Bytes += p.Up
	}
	system.Samples = samples
	return system
}

func inventedPeers(scale int) []sim.Peer {
	dsl := sim.Peer{Class: "dsl", Link: sim.Link{Up: 128 << 10, Down: 1 << 20}, SeedFor: 20 * time.Second}
	cable := sim.Peer{Class: "cable", Link: sim.Link{Up: 256 << 10, Down: 4 << 20}}
	fibre := sim.Peer{Class: "fibre", Link: sim.Link{Up: 1 << 20, Down: 8 << 20}, SeedFor: time.Minute}
	peers := []sim.Peer{{Class: "origin", Seed: true, Link: sim.Link{Up: 1e6, Down: 1e6}}}
	peers = append(peers, slices.Concat(sim.Repeat(3*scale, dsl), sim.Repeat(3*scale/2, cable), sim.Repeat(scale/2, fibre))...)
	for i := range peers[1:] {
		peers[i+1].Join = time.Duration(i) * 60 * time.Millisecond
	}
	return peers
}

func inventedBound(peers []sim.Peer) time.Duration {
	var links []theory.Peer
	for _, p := range peers[1:] {
		links = append(links, theory.Peer{Up: float64(p.Link.Up), Down: float64(p.Link.Down)})
	}
	return time.Duration(theory.Swarm(contentLen, 1e6, links) * float64(time.Second))
}

// inventedServers serves the same peers one after the other at a total rate.
func inventedServers(swarm *result.System, kind string, rate float64) result.System {
	system := result.System{Name: kind, Kind: kind, Reason: "every download completed", Completed: true, BoundName: "client-server", Currency: "EUR"}
	at := 0.0
	for _, p := range swarm.Peers {
		if p.Server {
			continue
		}
		at += contentLen / rate
		alone := p.Join.Seconds() + contentLen/float64(p.DownRate)
		p.Complete = time.Duration(max(at, alone) * float64(time.Second))
		p.FirstPiece, p.Leave = p.Complete, p.Complete
		p.Up, p.Down, p.Wasted, p.MessagesUp, p.MessagesDown, p.Occupied = 0, contentLen, 0, 300, 2000, 0
		system.Peers = append(system.Peers, p)
		system.End = max(system.End, p.Complete)
	}
	total := int64(len(system.Peers)) * contentLen
	system.Bound = time.Duration(float64(total) / rate * float64(time.Second))
	system.Sources = []result.Source{{Name: result.FromOrigin, Bytes: total}}
	system.Cost = 0.21
	if kind == result.CDN {
		system.Sources = []result.Source{{Name: result.FromOrigin, Bytes: contentLen}, {Name: result.FromParents, Bytes: 6 * contentLen}, {Name: result.FromEdges, Bytes: total}}
		system.Cost = 0.107
		system.Servers = inventedTiers(&system)
	}
	addSamples(&system)
	return system
}

// inventedTiers are an origin, and edges that were down more often than a page tells.
func inventedTiers(system *result.System) []result.Server {
	sent := system.Sources[2].Bytes / 2
	edge := result.Server{
		Tier: "edge", Region: "eu", ISP: "telco", UpRate: 6e6, Requests: 4000, Refused: 3, MostQueued: 2, MostConnections: 70,
		Hits: 3900, Misses: 100, Coalesced: 80, Revalidated: 5, Fetches: 20, Evicted: 17,
		In: contentLen, Out: sent, HitOut: sent / 2, Wasted: 100, Peak: 5.5e6, Occupied: system.End / 3, Cost: 0.04,
	}
	first, second := edge, edge
	first.Name, second.Name = "edge 0", "edge 1"
	for i := range 5 {
		second.Outages = append(second.Outages, result.Outage{At: time.Duration(i) * 10 * time.Second, For: 1500 * time.Millisecond})
	}
	return []result.Server{
		{Name: "origin 0", Tier: "origin", Requests: 20, Fetches: 0, Out: contentLen, Pushed: contentLen / 2, Peak: -1, Cost: 0.02}, first, second,
	}
}

// addSamples makes up samples of servers that agree with the completions.
func addSamples(system *result.System) {
	last := lastCompletion(system)
	for i := range 121 {
		at := time.Duration(i) * last / 120
		s := result.Sample{At: at, MinCopies: -1, MeanCopies: -1, Entropy: -1, UplinkUse: 0.97}
		for _, p := range downloaders(system) {
			countIn(&s, p, at)
		}
		part := float64(i) / 120
		for _, source := range system.Sources {
			s.Bytes = append(s.Bytes, int64(part*float64(source.Bytes)))
		}
		system.Samples = append(system.Samples, s)
	}
}

// countIn adds a downloader to a sample.
func countIn(s *result.Sample, p *result.Peer, at time.Duration) {
	completed := p.Complete <= at
	if completed {
		s.Completed++
	}
	switch {
	case p.Join > at:
	case p.Leave > 0 && p.Leave <= at:
		s.Gone++
	case completed:
		s.Seeds++
	default:
		s.Leechers++
	}
}

func TestInventedRunIsWhole(t *testing.T) {
	run := invented()
	for _, system := range run.Systems {
		if !system.Completed || len(downloaders(&system)) != run.Downloads {
			t.Errorf("%s: %d downloads, %s", system.Name, len(system.Peers), system.Reason)
		}
	}
}
