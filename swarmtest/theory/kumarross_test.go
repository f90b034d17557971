package theory

import (
	"math"
	"testing"
)

// The textbook example of the two theorems: 15 Gbit, an origin of 30 Mbit/s,
// peers with 0.3 Mbit/s up and 2 Mbit/s down.
func TestTextbookFigures(t *testing.T) {
	for _, c := range []struct {
		numPeers            int
		swarm, clientServer float64
	}{
		{10, 7500, 7500},
		{100, 25_000, 50_000},
		{1000, 45_455, 500_000},
	} {
		peers := make([]Peer, c.numPeers)
		for i := range peers {
			peers[i] = Peer{Up: 0.3, Down: 2}
		}
		if got := Swarm(15_000, 30, peers); math.Abs(got-c.swarm) > 0.5 {
			t.Errorf("swarm of %d: %.1f s, want %.0f s", c.numPeers, got, c.swarm)
		}
		if got := ClientServer(15_000, 30, peers); math.Abs(got-c.clientServer) > 0.5 {
			t.Errorf("client-server with %d: %.1f s, want %.0f s", c.numPeers, got, c.clientServer)
		}
	}
}

func TestEachTermBinds(t *testing.T) {
	for _, c := range []struct {
		name   string
		origin float64
		peers  []Peer
		want   float64
	}{
		{"the slowest of mixed downlinks", 100, []Peer{{Up: 100, Down: 50}, {Up: 100, Down: 5}}, 20},
		{"the origin", 4, []Peer{{Up: 100, Down: 50}}, 25},
		{"all uplinks", 10, []Peer{{Up: 0, Down: 100}, {Up: 10}, {Up: 5}}, 12},
		{"unlimited downlinks", 10, []Peer{{Up: 1}}, 10},
		{"unlimited origin", 0, []Peer{{Up: 1, Down: 4}}, 25},
		{"nobody", 10, nil, 0},
	} {
		if got := Swarm(100, c.origin, c.peers); got != c.want {
			t.Errorf("%s: %v s, want %v s", c.name, got, c.want)
		}
	}
}
