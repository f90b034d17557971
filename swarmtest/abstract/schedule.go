package abstract

import (
	"fmt"
	"math/bits"
)

// Transfer is one part that one node sends to another within one part-time.
// Node 0 is the server, the users are 1 to N; parts count from 0.
type Transfer struct {
	From, To, Part int
}

// Schedule returns an optimal way to bring numParts parts to numUsers users whose
// uplinks are like the server's: what is sent in each part-time. It ends after
// M + floor(log2 N) of them, which theory.Makespan says cannot be beaten.
//
// It is the binomial pipeline of Ganesan and Seshadri, "On cooperative content
// distribution and the price of barter" (2005). Nodes sit on the corners of a hypercube, and
// in each part-time all pairs along one of its dimensions exchange: the server
// sends the next part, everybody else the newest part they have. Where there are
// more nodes than corners, two share one; see corner.
func Schedule(numParts, numUsers int) [][]Transfer {
	s := newSchedule(numParts, numUsers)
	dims := bits.Len(uint(len(s.corners))) - 1
	for tick := range numParts + dims - 1 {
		s.exchange(tick, 1<<(tick%dims))
	}
	if s.equalize() {
		s.endTick()
	}
	return s.ticks
}

// schedule is one in the making.
type schedule struct {
	numParts int
	has      [][]bool // by node and part
	corners  []corner
	tick     []Transfer // of the part-time that is being made
	ticks    [][]Transfer
}

// corner is a corner of the hypercube with the one or two nodes on it. Two
// act as one: one of them exchanges with the outside while the other gives its
// partner what it lacks. What came in last is behind by one part-time; so neither ever has more than
// one part that the other lacks, and one part-time at the end makes them equal.
type corner []int

func newSchedule(numParts, numUsers int) *schedule {
	numNodes := numUsers + 1
	numCorners := 1 << (bits.Len(uint(numNodes)) - 1) // the largest power of two in it
	s := &schedule{numParts: numParts, corners: make([]corner, numCorners), has: make([][]bool, numNodes)}
	for node := range numNodes {
		s.has[node] = make([]bool, numParts)
		at := node
		if node >= numCorners {
			at = node - numCorners + 1 // the server's corner, 0, is its own
		}
		s.corners[at] = append(s.corners[at], node)
	}
	for part := range s.has[0] {
		s.has[0][part] = true
	}
	return s
}

// arrival is a part that came to a corner from outside.
type arrival struct {
	corner, part, from int
}

// exchange lets all pairs of corners along one dimension send what the other
// does not have, and makes up the insides of the corners. The choices are all made from what
// was there at the beginning of the part-time.
func (s *schedule) exchange(tick, dimension int) {
	var arrivals []arrival
	busy := make([]int, len(s.corners)) // who sends to the outside, -1 for nobody
	for at := range s.corners {
		busy[at] = -1
		to := at ^ dimension
		part := s.toSend(at, tick)
		if to == 0 || part < 0 || s.cornerHas(to, part) {
			continue
		}
		busy[at] = s.sender(at, part)
		arrivals = append(arrivals, arrival{corner: to, part: part, from: busy[at]})
	}
	got := s.copyInside(busy)
	for _, a := range arrivals {
		s.send(a.from, s.receiver(a.corner, got), a.part)
	}
	s.endTick()
}

// toSend is the part that a corner would send: the server's next, or the
// newest that is there, -1 for none.
func (s *schedule) toSend(at, tick int) int {
	if at == 0 {
		return min(tick, s.numParts-1)
	}
	for part := s.numParts - 1; part >= 0; part-- {
		if s.cornerHas(at, part) {
			return part
		}
	}
	return -1
}

func (s *schedule) cornerHas(at, part int) bool {
	for _, node := range s.corners[at] {
		if s.has[node][part] {
			return true
		}
	}
	return false
}

// sender is who of a corner sends a part: who has it, and if both do, the one
// that has nothing to give its partner.
func (s *schedule) sender(at, part int) int {
	nodes := s.corners[at]
	if len(nodes) == 1 || !s.has[nodes[1]][part] {
		return nodes[0]
	}
	if !s.has[nodes[0]][part] || s.lacking(nodes[0], nodes[1]) >= 0 {
		return nodes[1]
	}
	return nodes[0]
}

// lacking returns a part that from has and to has not, or -1.
func (s *schedule) lacking(from, to int) int {
	for part, has := range s.has[from] {
		if has && !s.has[to][part] {
			return part
		}
	}
	return -1
}

// copyInside lets the node of each shared corner that does not send to the
// outside give its partner what that lacks. It returns who received that way: they
// take nothing more in this part-time.
func (s *schedule) copyInside(busy []int) (got []bool) {
	got = make([]bool, len(s.has))
	for at, nodes := range s.corners {
		if len(nodes) < 2 {
			continue
		}
		from, to := nodes[0], nodes[1]
		if busy[at] == from || busy[at] < 0 && s.lacking(from, to) < 0 {
			from, to = to, from
		}
		if part := s.lacking(from, to); part >= 0 {
			s.send(from, to, part)
			got[to] = true
		}
	}
	return got
}

// receiver is who of a corner takes what comes from outside: who takes nothing
// from its partner, and has nothing that the partner lacks.
func (s *schedule) receiver(at int, got []bool) int {
	nodes := s.corners[at]
	if len(nodes) == 1 {
		return nodes[0]
	}
	if got[nodes[0]] || !got[nodes[1]] && s.lacking(nodes[0], nodes[1]) >= 0 {
		return nodes[1]
	}
	return nodes[0]
}

// equalize lets the two of each shared corner exchange what they lack, and
// reports whether there was something.
func (s *schedule) equalize() bool {
	for _, nodes := range s.corners {
		if len(nodes) < 2 {
			continue
		}
		for i := range nodes {
			if part := s.lacking(nodes[i], nodes[1-i]); part >= 0 {
				s.send(nodes[i], nodes[1-i], part)
			}
		}
	}
	return len(s.tick) > 0
}

func (s *schedule) send(from, to, part int) {
	s.tick = append(s.tick, Transfer{From: from, To: to, Part: part})
}

// endTick makes what was sent in a part-time be there.
func (s *schedule) endTick() {
	for _, t := range s.tick {
		s.has[t.To][t.Part] = true
	}
	s.ticks = append(s.ticks, s.tick)
	s.tick = nil
}

// Play checks a schedule against the rules: in one part-time a node sends one
// part, which it had before, and receives one. It returns after how many part-times
// everybody has everything.
func Play(ticks [][]Transfer, numParts, numUsers int) (numTicks int, err error) {
	has := make([][]bool, numUsers+1)
	for node := range has {
		has[node] = make([]bool, numParts)
		for part := range has[node] {
			has[node][part] = node == 0
		}
	}
	missing := numParts * numUsers
	for i, tick := range ticks {
		sends, receives := make([]bool, numUsers+1), make([]bool, numUsers+1)
		for _, t := range tick {
			if sends[t.From] || receives[t.To] || !has[t.From][t.Part] {
				return 0, fmt.Errorf("part-time %d: %+v breaks the rules", i, t)
			}
			sends[t.From], receives[t.To] = true, true
		}
		for _, t := range tick {
			if !has[t.To][t.Part] {
				has[t.To][t.Part] = true
				missing--
			}
		}
		if missing == 0 {
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("%d parts never arrive", missing)
}
