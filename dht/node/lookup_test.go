package node

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// lookups does announces and then lookups of the same torrents from random
// nodes, one after the other, and measures.
type lookups struct {
	first, converged   []time.Duration
	answered, possible int
	queries, most      int
	found              int
}

func (w *world) measure(numTorrents, numLookups int) (m lookups) {
	var hashes []krpc.ID
	for i := range numTorrents {
		hashes = append(hashes, randomID(w.rnd))
		w.receive(w.alive(), Input{Kind: InLookup, Lookup: LookupID(i + 1), Request: &Request{
			Method: krpc.GetPeers, Target: hashes[i], Store: true, Port: 6881}})
		w.run(10 * time.Second)
	}
	for i := range numLookups {
		h, hash, start := w.alive(), hashes[i%len(hashes)], w.now
		h.forget()
		w.receive(h, Input{Kind: InLookup, Lookup: LookupID(1000 + i), Request: &Request{Method: krpc.GetPeers, Target: hash}})
		w.run(10 * time.Second)
		m.add(w, h, hash, start)
	}
	return m
}

func (m *lookups) add(w *world, h *host, target krpc.ID, start time.Duration) {
	seen := false
	for i, out := range h.outs {
		switch out.Kind {
		case OutReply:
			if !seen && len(out.Reply.Peers) > 0 {
				seen = true
				m.found++
				m.first = append(m.first, h.at[i]-start)
			}
		case OutConverged:
			m.converged = append(m.converged, h.at[i]-start)
			if out.Result.Converged != h.at[i]-start {
				w.t.Errorf("a lookup that converged after %v says %v", h.at[i]-start, out.Result.Converged)
			}
		case OutDone:
			m.queries += out.Result.Queries
			m.most = max(m.most, out.Result.Queries)
			for _, id := range w.trueClosest(target, h) {
				m.possible++
				if slices.ContainsFunc(out.Result.Closest, func(n krpc.Node) bool { return n.ID == id }) {
					m.answered++
				}
			}
		}
	}
}

func (m *lookups) log(t testing.TB, numNodes int) {
	t.Logf("%d nodes, 20 %% dead, 1 %% loss: first peers p50 %v p99 %v; converged p50 %v p99 %v; of the closest eight %.2f %% answered; %.1f queries, %d at most",
		numNodes, percentile(m.first, 0.5), percentile(m.first, 0.99), percentile(m.converged, 0.5), percentile(m.converged, 0.99),
		100*float64(m.answered)/float64(m.possible), float64(m.queries)/float64(len(m.converged)), m.most)
}

// A network joined by real bootstrap, of which a fifth has just died.
func TestLookupsInANetwork(t *testing.T) {
	const numNodes, numLookups = 200, 50
	w := newWorld(t, 1)
	w.loss = 0.01
	w.populate(numNodes, false)
	w.kill(0.2)
	m := w.measure(10, numLookups)
	m.log(t, numNodes)
	if m.found != numLookups || len(m.converged) != numLookups {
		t.Errorf("%d of %d lookups found the peer, %d converged", m.found, numLookups, len(m.converged))
	}
	if float64(m.answered) < 0.99*float64(m.possible) {
		t.Errorf("of the closest eight %d of %d answered", m.answered, m.possible)
	}
	if m.most > maxQueries {
		t.Errorf("%d queries in one lookup", m.most)
	}
	if p50 := percentile(m.converged, 0.5); p50 > 600*time.Millisecond {
		t.Errorf("half of the lookups took more than %v", p50)
	}
}

// The stop rule: the eight closest have answered, silent ones not counted,
// those that are being asked waited for, and those that are not eligible
// neither.
func TestStopRule(t *testing.T) {
	answered := candidate{answered: true, eligible: true, tries: 1}
	asked := candidate{eligible: true, tries: 1, running: 1}
	silent := candidate{eligible: true, tries: 1, late: true}
	again := candidate{eligible: true, tries: 2, late: true, running: 1}
	fresh := candidate{eligible: true}
	bad := candidate{eligible: true, tries: 1, bad: true}
	unfit := candidate{answered: true, tries: 1}
	unfitFresh := candidate{}
	unfitAsked := candidate{tries: 1, running: 1}
	eight := slices.Repeat([]candidate{answered}, numClosest)
	for _, test := range []struct {
		name       string
		candidates []candidate
		stop       bool
	}{
		{"eight", eight, true},
		{"seven", eight[1:], false},
		{"a silent one before", slices.Concat([]candidate{silent}, eight), true},
		{"a silent one before that is asked again", slices.Concat([]candidate{again}, eight), true},
		{"a bad one before", slices.Concat([]candidate{bad}, eight), true},
		{"one being asked before", slices.Concat([]candidate{asked}, eight), false},
		{"one not asked before", slices.Concat([]candidate{fresh}, eight), false},
		{"one not asked behind", slices.Concat(eight, []candidate{fresh}), true},
		{"one that does not fit", slices.Concat([]candidate{unfit}, eight[1:]), false},
		{"one being asked that does not fit", slices.Concat([]candidate{unfitAsked}, eight), true},
		{"one not asked that does not fit", slices.Concat([]candidate{unfitFresh}, eight), true},
	} {
		w := walk{candidates: slices.Clone(test.candidates)}
		for i := range w.candidates {
			w.candidates[i].sets = allSets
		}
		if got := w.closestAnswered(); got != test.stop {
			t.Errorf("%s: stop %v, want %v", test.name, got, test.stop)
		}
	}
}
