package cdn

import (
	"math"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// balanced runs a crowd over servers and returns how many connections each had.
func balanced(t *testing.T, b Balance, numClients int, servers []Server) (connections []int, took time.Duration) {
	t.Helper()
	c := Config{
		Kind: result.Replicas, Contents: []Content{{mib}}, Clients: crowd(numClients, Client{}),
		Origins: servers, Balance: b, Regions: []string{"a", "b"},
		Between: [][]time.Duration{{5 * time.Millisecond, 50 * time.Millisecond}, {50 * time.Millisecond, 5 * time.Millisecond}},
	}
	res := mustRun(t, c, 7)
	for _, s := range res.System.Servers {
		connections = append(connections, s.MostConnections)
	}
	return connections, last(res)
}

func TestRoundRobinIsEven(t *testing.T) {
	got, _ := balanced(t, RoundRobin, 1000, fleet(10, Server{Up: mib}))
	for i, n := range got {
		if n != 100 {
			t.Errorf("replica %d got %d clients, want 100", i, n)
		}
	}
}

// N replicas together serve N times as fast as one.
func TestReplicasTakeTheirClosedForm(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		_, took := balanced(t, RoundRobin, 1000, fleet(n, Server{Up: mib}))
		if want := 1000 / float64(n); math.Abs(took.Seconds()-want) > 0.01*want {
			t.Errorf("%d replicas took %v, want %.0f s", n, took, want)
		}
	}
}

// Round robin gives a slow replica as many clients as a fast one. Least
// connections sees that they do not end there, when clients come one after the
// other.
func TestLeastConnectionsSparesSlowServers(t *testing.T) {
	clients := crowd(1000, Client{})
	for i := range clients {
		clients[i].Join = time.Duration(i) * 100 * time.Millisecond
	}
	took := map[Balance]time.Duration{}
	for _, b := range []Balance{RoundRobin, LeastConnections} {
		c := Config{
			Kind: result.Replicas, Contents: []Content{{mib}}, Clients: clients,
			Origins: []Server{{Up: 10 * mib}, {Up: 2 * mib}}, Balance: b,
		}
		took[b] = last(mustRun(t, c, 1))
	}
	if took[LeastConnections] > 110*time.Second || took[RoundRobin] < 240*time.Second {
		t.Errorf("took %v; want about 100 s by least connections, and 250 s by round robin", took)
	}
}

// The greatest load of n balls in n bins is ln n/ln ln n at random, and ln ln n
// if the emptier one of two is chosen (Azar et al. 1994): so clearly less.
func TestTwoChoicesAreBetterThanOne(t *testing.T) {
	most := func(b Balance) (most int) {
		got, _ := balanced(t, b, 1000, fleet(1000, Server{Up: mib}))
		for _, n := range got {
			most = max(most, n)
		}
		return most
	}
	if one, two := most(Random), most(RandomTwo); one < 4 || two > 3 {
		t.Errorf("the greatest loads are %d of one choice and %d of two, want at least 4 and at most 3", one, two)
	}
}

func TestWeightsAreKept(t *testing.T) {
	got, _ := balanced(t, Weighted, 10_000, []Server{{Up: mib, Weight: 1}, {Up: mib, Weight: 3}, {Up: mib, Weight: 6}})
	for i, want := range []float64{1000, 3000, 6000} {
		if math.Abs(float64(got[i])-want) > 4*math.Sqrt(want) {
			t.Errorf("mirror %d got %d clients, want about %.0f", i, got[i], want)
		}
	}
}

func TestNearestMirror(t *testing.T) {
	got, _ := balanced(t, Nearest, 100, []Server{{Up: mib, Region: 1}, {Up: mib, Region: 0}})
	if got[0] != 0 || got[1] != 100 {
		t.Errorf("the mirrors got %v clients, want all at the second one", got)
	}
}

// People who pick mirrors blindly leave some idle while others are full.
func TestMirrorsAreUneven(t *testing.T) {
	c := Config{Kind: result.Mirrors, Contents: []Content{{mib}}, Clients: crowd(200, Client{}), Origins: fleet(10, Server{Up: mib})}
	res := mustRun(t, c, 1)
	if got := last(res); got < 24*time.Second {
		t.Errorf("took %v, as long as with an even load, 20 s", got)
	}
	c.Kind = result.Replicas
	if got := last(mustRun(t, c, 1)); got > 21*time.Second {
		t.Errorf("balanced, it took %v, want 20 s", got)
	}
}

// Clients of a replica that fails go on at another one, from where they were.
func TestReplicaFails(t *testing.T) {
	c := Config{
		Kind: result.Replicas, Contents: []Content{{100 * mib}}, Clients: crowd(20, Client{}), Origins: fleet(2, Server{Up: 10 * mib}),
		Faults: []Fault{{Tier: Origin, Server: 1, At: 50 * time.Second}},
	}
	res := mustRun(t, c, 1)
	if a, b := res.System.Servers[0].Out, res.System.Servers[1].Out; a+b != 2000*mib || b > 501*mib {
		t.Errorf("the replicas sent %d and %d bytes", a, b)
	}
	if got := last(res); got < 150*time.Second || got > 152*time.Second {
		t.Errorf("took %v, want 150 s: half of it with one replica", got)
	}
}

// Who finds a mirror dead takes another one, long before anybody tells.
func TestDeadMirrorIsAvoided(t *testing.T) {
	c := Config{
		Kind: result.Mirrors, Balance: Nearest, Contents: []Content{{100 * mib}}, Clients: crowd(10, Client{}), Origins: fleet(2, Server{Up: 10 * mib}),
		Faults: []Fault{{Tier: Origin, Server: 0, At: 50 * time.Second}}, Routing: Routing{Detect: time.Hour},
	}
	if got := last(mustRun(t, c, 1)); got > 105*time.Second {
		t.Errorf("took %v, want 100 s and what it takes to notice", got)
	}
}
