package demand

import (
	"math"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// Place is where a host is.
type Place struct {
	Region int // in the scenario's Regions, 0 if there are none
	ISP    int // in its ISPs, 0 if there are none
	// X and Y are a point in a plane in which distances are latencies, with
	// the network model scenario.Coordinates.
	X, Y time.Duration
}

// Origin is where the origin of a scenario is. One that is in nobody's network
// is in the first ISP.
func Origin(s *scenario.Scenario) Place {
	p := Place{Region: max(s.Region(s.Origin.Region), 0), ISP: max(s.ISP(s.Origin.ISP), 0)}
	if s.Network.Model == scenario.Coordinates {
		at := s.Regions[p.Region].At
		p.X, p.Y = at[0], at[1]
	}
	return p
}

// Latency is the time from one place to another.
func Latency(s *scenario.Scenario, a, b Place) time.Duration {
	switch s.Network.Model {
	case scenario.Matrix:
		return s.Regions[a.Region].Latency[b.Region]
	case scenario.Coordinates:
		distance := math.Hypot(float64(a.X-b.X), float64(a.Y-b.Y))
		// Whole milliseconds: the simulator handles all that has one latency together.
		return (s.Network.Latency + time.Duration(distance)).Round(time.Millisecond)
	}
	return s.Network.Latency
}

// drawPlace puts a client somewhere, where its class does not say it.
func drawPlace(s *scenario.Scenario, cfg *scenario.Class, d drawer) (p Place) {
	if len(s.Regions) > 0 {
		p.Region = pick(d.stream(drawRegion).Float64(), len(s.Regions), func(i int) float64 {
			return share(s.Regions[i].Share, cfg.Region == "" || cfg.Region == s.Regions[i].Name, cfg.Region != "")
		})
	}
	if len(s.ISPs) > 0 {
		p.ISP = pick(d.stream(drawISP).Float64(), len(s.ISPs), func(i int) float64 {
			serves := s.ISPs[i].Region == "" || s.ISPs[i].Region == s.Regions[p.Region].Name
			return share(s.ISPs[i].Share, serves && (cfg.ISP == "" || cfg.ISP == s.ISPs[i].Name), cfg.ISP != "")
		})
	}
	if s.Network.Model == scenario.Coordinates {
		r, point := &s.Regions[p.Region], d.stream(drawPoint)
		p.X = r.At[0] + time.Duration(point.NormFloat64()*float64(r.Spread))
		p.Y = r.At[1] + time.Duration(point.NormFloat64()*float64(r.Spread))
	}
	return p
}

// Node is where the i-th node of the DHT is that belongs to no client.
func Node(s *scenario.Scenario, seed uint64, i int) Place {
	return drawPlace(s, &scenario.Class{}, drawer{seed: seed, index: i}) // no class has an empty name
}

// share is the weight of a choice. The only one that is left counts whatever
// its share.
func share(of float64, possible, only bool) float64 {
	switch {
	case !possible:
		return 0
	case only:
		return 1
	}
	return of
}

// pick returns the choice of n for a draw u from 0 to 1.
func pick(u float64, n int, weight func(i int) float64) (choice int) {
	sum := 0.0
	for i := range n {
		sum += weight(i)
	}
	left := u * sum
	for i := range n {
		w := weight(i)
		if w == 0 {
			continue
		}
		choice = i
		if left -= w; left < 0 {
			break
		}
	}
	return choice
}
