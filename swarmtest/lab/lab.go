package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// Options say how to run, which changes nothing of what happens.
type Options struct {
	// Workers is the number of processors that a swarm uses, 0 for one.
	Workers int
	// Wire puts every message of a swarm through the codec of the protocol.
	Wire bool
	// Progress is called now and then, on the goroutine of Run. It may be nil.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	System            string // that is running
	Index, NumSystems int    // its place among all, from 0
	Now               time.Duration
	Done, Total       int // clients that completed or left, and all
	// Part is how much of the data has arrived, from 0 to 1.
	Part float64
}

// ErrBeatsBound is the error of a run in which the last download completed before it could have.
var ErrBeatsBound = errors.New("the last download completed before the bound, which nothing can: this is a mistake in the simulator")

// run is a run under way.
type run struct {
	ctx     context.Context
	s       *scenario.Scenario
	seed    uint64
	clients []demand.Client
	options Options
	at      Progress

	// Of the swarm that is running.
	numSeeds int
	places   []demand.Place // of its hosts
	nodes    []demand.Place // of the nodes of its DHT that belong to no peer
}

// Run runs a scenario with a seed. If the error is ErrBeatsBound, there is a result as well.
func Run(ctx context.Context, s *scenario.Scenario, seed uint64, options Options) (*result.Run, error) {
	r := &run{ctx: ctx, s: s, seed: seed, clients: demand.Clients(s, seed), options: options}
	if len(r.clients) == 0 {
		return nil, errors.New("nobody comes: all arrivals are after demand.until")
	}
	out := &result.Run{
		Name: s.Name, Title: s.Title,
		Scenario: string(s.TOML()), ScenarioHash: s.Hash(), Seed: seed, Version: metainfo.Version,
		ContentLen: s.Content.Length, Contents: s.Content.Count, Downloads: len(r.clients),
	}
	var beaten error
	for i := range s.Systems {
		r.at = Progress{System: s.Systems[i].Name, Index: i, NumSystems: len(s.Systems), Total: len(r.clients)}
		system, err := r.serve(&s.Systems[i])
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if err := checkBound(system); err != nil && beaten == nil {
			beaten = fmt.Errorf("%s, seed %d: %w", system.Name, seed, err)
		}
		out.Systems = append(out.Systems, *system)
	}
	return out, beaten
}

// serve runs one system.
func (r *run) serve(sys *scenario.System) (*result.System, error) {
	if sys.Kind == result.Swarm || sys.Kind == result.Hybrid {
		return r.swarm(sys)
	}
	return r.servers(sys)
}

// report tells how far the run is.
func (r *run) report(now time.Duration, done, total int) {
	r.at.Now, r.at.Done, r.at.Total = now, done, total
	if r.options.Progress != nil {
		r.options.Progress(r.at)
	}
}

// patience is that of the scenario, beside the longest time in which nobody joins.
func (r *run) patience() time.Duration {
	joins := make([]time.Duration, len(r.clients))
	for i := range r.clients {
		joins[i] = r.clients[i].Join
	}
	return min(r.s.Limits.Patience+longestGap(joins), r.s.Limits.Time)
}

// lastCompletion is when the last client completed, and whether all did.
func lastCompletion(system *result.System) (last time.Duration, all bool) {
	all = true
	for i := range system.Peers {
		if p := &system.Peers[i]; !p.Server {
			last = max(last, p.Complete)
			all = all && p.Complete > 0
		}
	}
	return last, all
}

// checkBound holds a system in which everybody completed to its bound.
func checkBound(system *result.System) error {
	last, all := lastCompletion(system)
	if all && last < system.Bound {
		return fmt.Errorf("%v against %v (%s): %w", last, system.Bound, system.BoundName, ErrBeatsBound)
	}
	return nil
}
