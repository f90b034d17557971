package theory

import (
	"math"
	"testing"
)

func TestServed(t *testing.T) {
	for _, c := range []struct {
		name    string
		up      float64
		demands []Demand
		want    float64
	}{
		{"nobody", 10, nil, 0},
		{"all at once", 10, []Demand{{Len: 100}, {Len: 100}, {Len: 50}}, 25},
		{"a slow downlink", 10, []Demand{{Len: 100}, {Len: 100, Down: 2}}, 50},
		{"a slow downlink of one who comes late", 10, []Demand{{Len: 100}, {At: 30, Len: 100, Down: 2}}, 80},
		{"the last one finds the uplink idle", 10, []Demand{{Len: 100}, {At: 100, Len: 100}}, 110},
		{"the last two together", 10, []Demand{{At: 99, Len: 100}, {Len: 100}, {At: 100, Len: 100}}, 119},
		{"an unlimited uplink", 0, []Demand{{Len: 100}, {At: 7, Len: 100, Down: 100}}, 8},
	} {
		if got := Served(c.up, c.demands); got != c.want {
			t.Errorf("%s: %v s, want %v s", c.name, got, c.want)
		}
	}
}

// With everybody there from the beginning it is the bound of Kumar and Ross.
func TestServedIsClientServer(t *testing.T) {
	peers, demands := []Peer{{Down: 3}, {Down: 7}, {}}, []Demand{{Len: 100, Down: 3}, {Len: 100, Down: 7}, {Len: 100}}
	for _, up := range []float64{0, 1, 5, 9, 100} {
		if a, b := Served(up, demands), ClientServer(100, up, peers); math.Abs(a-b) > 1e-9 {
			t.Errorf("uplink %v: %v s and %v s", up, a, b)
		}
	}
}

// Each tier binds when it is the narrowest. 100 peers at 10 edges, with and
// without a parent.
func TestCDN(t *testing.T) {
	peers := make([]Peer, 100)
	for i := range peers {
		peers[i].Down = 4
	}
	for _, c := range []struct {
		name                 string
		origin, parent, edge float64
		want                 float64
	}{
		{"the downlinks", 1000, 1000, 1000, 25},
		{"the origin, once", 2, 1000, 1000, 50},
		{"the parent, to each edge", 1000, 20, 1000, 50},
		{"the edges, to each peer", 1000, 1000, 20, 50},
		{"unlimited tiers", 0, 0, 0, 25},
	} {
		tiers := []Tier{{c.origin, 1}, {c.parent, 10}, {10 * c.edge, 100}}
		if got := CDN(100, tiers, peers); got != c.want {
			t.Errorf("%s: %v s, want %v s", c.name, got, c.want)
		}
	}
	if got := CDN(100, []Tier{{2, 10}, {1000, 100}}, peers); got != 500 {
		t.Errorf("without a parent: %v s, want 500 s", got)
	}
	if got := CDN(100, []Tier{{1, 1}}, nil); got != 0 {
		t.Errorf("for nobody: %v s, want 0", got)
	}
}
