package theory

import (
	"cmp"
	"math"
	"slices"
)

// Demand is one download: Len from the time At on, through a downlink of Down.
// A Down of 0 is unlimited.
type Demand struct {
	At, Len, Down float64
}

// Served returns the least time at which the last of the demands can be served
// by servers whose uplinks are up together, 0 for unlimited:
//
//	max{ max_i At_i + Len_i/Down_i, max_k At_k + sum_{i: At_i >= At_k} Len_i/up }
//
// No download can be faster than its downlink, and what is asked for from a
// time on must go through the uplinks after it. With all demands at time 0 it
// is ClientServer. The order of demands does not matter.
func Served(up float64, demands []Demand) (least float64) {
	sorted := slices.SortedFunc(slices.Values(demands), func(a, b Demand) int { return cmp.Compare(b.At, a.At) })
	fromNow := 0.0
	for _, d := range sorted {
		fromNow += d.Len
		end := d.At
		if up > 0 {
			end += fromNow / up
		}
		if d.Down > 0 {
			end = max(end, d.At+d.Len/d.Down)
		}
		least = max(least, end)
	}
	return least
}

// Tier are servers on the way from the origin to the receivers: Up is the sum
// of their uplinks, 0 for unlimited, and Copies is how many copies of the file
// they must send.
type Tier struct {
	Up, Copies float64
}

// CDN returns the least time in which tiers of servers can bring a file of
// fileLen to all peers, who are there from the beginning:
//
//	max{ F/d_min, max_t Copies_t F/Up_t }
//
// The edges send a copy to each of L peers. The tier above sends one to each of
// E edges that are asked, so without parents the origin's term is E F/u_s, and
// with parents, of which one asks for each part, F/u_s. Tiers that had the file
// before send none. Tiers work at the same time, on different parts of the
// file; that they must begin one after the other is left out.
func CDN(fileLen float64, tiers []Tier, peers []Peer) float64 {
	if len(peers) == 0 {
		return 0
	}
	bound := slowest(fileLen, peers)
	for _, t := range tiers {
		if t.Up > 0 {
			bound = math.Max(bound, t.Copies*fileLen/t.Up)
		}
	}
	return bound
}
