package node

// sets are some of the sets of candidates that a walk does not end without: the
// disjoint ones that it begins with, and those whose ids fit their addresses.
//
// Each of the disjoint sets has every fourth of the nodes that the walk starts
// from; a response is for one of them, and whom it names belongs to that. So one
// liar, who invents nodes closer than all others and has them answer, ends the
// walk in one set of four. (The idea is that of the disjoint paths of S/Kademlia;
// but honest nodes that several sets hear of are asked once.)
//
// Where BEP 42 is not enforced, ids next to the target cost nothing, and honest
// nodes there will name them. But an id that fits cannot be next to any target.
type sets uint8

const (
	startSets sets = 1<<numSets - 1
	fitting   sets = 1 << numSets
	allSets        = startSets | fitting
)

// tally counts candidates: all, and those in each set.
type tally struct {
	all   int
	inSet [numSets + 1]uint8
}

func (t *tally) add(c *candidate) {
	if !c.eligible {
		return
	}
	t.all++
	for i := range t.inSet {
		if c.sets&(1<<i) != 0 {
			t.inSet[i]++
		}
	}
}

// reached returns the sets in which there are at least count.
func (t *tally) reached(count uint8) (s sets) {
	for i, counted := range t.inSet {
		if counted >= count {
			s |= 1 << i
		}
	}
	return s
}

// open reports whether a walk goes on in one of the sets, if t counts who
// answered.
func (t *tally) open(s sets) bool { return t.all < numClosest || s&^t.reached(closestOfSet) != 0 }

// turn returns the one of the sets for which the fewest queries were sent.
func (w *walk) turn(s sets) (set uint8) {
	fewest := maxQueries + 1
	for i, asked := range w.asked {
		if s&(1<<i) != 0 && asked < fewest {
			set, fewest = uint8(i), asked
		}
	}
	return set
}
