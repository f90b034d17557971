package node

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// candidatesOf returns count candidates like c.
func candidatesOf(count int, c candidate) []candidate { return slices.Repeat([]candidate{c}, count) }

// What a liar's set has answered does not end a walk in the other sets.
func TestSetsEndApart(t *testing.T) {
	invented := candidate{answered: true, eligible: true, tries: 1, sets: 1}
	honest := candidate{answered: true, eligible: true, tries: 1, sets: allSets &^ 1}
	fresh := candidate{eligible: true, sets: 2}
	w := walk{candidates: slices.Concat(candidatesOf(20, invented), []candidate{fresh})}
	if w.closestAnswered() {
		t.Error("the walk ends although a set has not been asked")
	}
	if c := w.next(); c != &w.candidates[20] {
		t.Error("the set that is not at its end is not asked")
	}
	w.candidates = slices.Concat(candidatesOf(20, invented), candidatesOf(closestOfSet, honest), []candidate{fresh})
	if !w.closestAnswered() || w.next() != nil {
		t.Error("the walk goes on although all sets are at their end")
	}
	for i := range w.candidates {
		w.candidates[i].token = []byte("token")
	}
	holders := w.holders()
	if len(holders) != numClosest+holdersOfSet || !slices.Contains(holders, &w.candidates[20]) {
		t.Errorf("%d nodes are to store", len(holders))
	}
}

// Queries that run hold up those to farther nodes, not those to closer ones.
func TestOvertaking(t *testing.T) {
	running := candidate{eligible: true, tries: 1, running: 1, sets: allSets}
	fresh := candidate{eligible: true, sets: 1}
	w := walk{candidates: slices.Concat([]candidate{fresh}, candidatesOf(alpha, running)), running: alpha}
	if w.next() != &w.candidates[0] {
		t.Error("a closer node is not asked")
	}
	w.candidates = slices.Concat(candidatesOf(alpha, running), []candidate{fresh})
	if w.next() != nil {
		t.Error("a farther node is asked")
	}
	for i := range alpha {
		w.candidates[i].sets = 2
	}
	if w.next() != &w.candidates[alpha] {
		t.Error("a set has no share")
	}
}

// A node that nobody names, because those who know it count a silent one among
// the eight closest, is asked for.
func TestWiden(t *testing.T) {
	n := newNode(t, Config{})
	w := &walk{n: n, lookup: &lookup{n: n, req: Request{Method: krpc.GetPeers, Target: idM}}}
	for i := range numClosest + 1 {
		w.hear(krpc.Node{ID: randomNear(idM, 20-i, n.cfg.Rand), Addr: publicAddr(i, false)}, allSets)
	}
	for i := range w.candidates {
		w.candidates[i].answered, w.candidates[i].tries = true, 1
	}
	if w.widen(); len(w.parts) != 0 {
		t.Errorf("%d questions without a silent node", len(w.parts))
	}
	w.candidates[3].answered, w.candidates[3].late = false, true
	w.widen()
	// The eighth of all shares 13 bits with the target, the eighth that
	// answered 12.
	if len(w.parts) != 2*numWiden {
		t.Fatalf("%d questions", len(w.parts))
	}
	for i, q := range w.parts {
		if got, want := sharedBits(&q.target, &idM), 12+i/numWiden; got != want {
			t.Errorf("question %d is about what shares %d bits, want %d", i, got, want)
		}
	}
	if first := w.parts[0].asked; first != w.candidates[8].ID {
		t.Error("the node that is closest to that part is not asked")
	}
}

func TestPercentile95(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var some timeouts
	var all []uint16
	for range 3 * numSamples {
		ms := uint16(rnd.IntN(1000))
		some.add(time.Duration(ms) * time.Millisecond)
		all = append(all, ms)
		recent := slices.Sorted(slices.Values(all[max(0, len(all)-numSamples):]))
		if got, want := some.percentile95(), recent[(len(recent)*95-1)/100]; got != want {
			t.Fatalf("%d samples: %d, want %d", len(all), got, want)
		}
	}
}

// Where BEP 42 is not enforced, nodes that fit their addresses are asked all the
// same when others, next to the target, have answered; and they store.
func TestThoseThatFitAreAsked(t *testing.T) {
	n := newNode(t, Config{})
	w := &walk{n: n, lookup: &lookup{n: n, req: Request{Method: krpc.GetPeers, Target: idM}}}
	for i := range 2 * numClosest {
		w.hear(krpc.Node{ID: randomNear(idM, 100, n.cfg.Rand), Addr: publicAddr(i, false)}, startSets)
	}
	for i := range w.candidates {
		w.candidates[i].answered, w.candidates[i].tries, w.candidates[i].token = true, 1, []byte("token")
	}
	if !w.closestAnswered() {
		t.Error("nobody else is known, and the walk goes on")
	}
	addr := publicAddr(50, false)
	w.hear(krpc.Node{ID: idFor(addr.Addr(), n.cfg.Rand), Addr: addr}, 1)
	last := &w.candidates[len(w.candidates)-1]
	if w.closestAnswered() || w.next() != last {
		t.Error("the walk ends before a node that fits is asked")
	}
	last.answered, last.tries, last.token = true, 1, []byte("token")
	if !w.closestAnswered() || !slices.Contains(w.holders(), last) {
		t.Error("the node that fits does not end the walk, or does not store")
	}
}
