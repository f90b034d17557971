package theory

import (
	"math"
	"math/rand/v2"
	"testing"
)

// someContents are contents of random lengths and crowds; few are large.
func someContents(r *rand.Rand) []Demanded {
	contents := make([]Demanded, r.IntN(8))
	for i := range contents {
		contents[i].Len = 1 + 1000*r.Float64()
		for range r.IntN(30) {
			p := Peer{Up: 10 * r.Float64() * float64(r.IntN(2)), Down: 1 + 100*r.Float64()}
			contents[i].Peers = append(contents[i].Peers, p)
		}
	}
	return contents
}

// missing is what the publisher cannot send of all that only it can, up to a time.
func missing(at, originUp float64, contents []Demanded) float64 {
	sum := -originUp * at
	for _, c := range contents {
		if len(c.Peers) == 0 {
			continue
		}
		up := 0.0
		for _, p := range c.Peers {
			up += p.Up
		}
		sum += math.Max(c.Len, float64(len(c.Peers))*c.Len-at*up)
	}
	return sum
}

// TestSwarmsIsTheLeastTime that the equation allows, and above all simpler bounds.
func TestSwarmsIsTheLeastTime(t *testing.T) {
	const tiny = 1e-9
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		contents, up := someContents(r), 1+50*r.Float64()
		got := Swarms(up, contents)
		least, once, copies, allUp := 0.0, 0.0, 0.0, up
		for _, c := range contents {
			if len(c.Peers) == 0 {
				continue
			}
			least = max(least, Swarm(c.Len, up, c.Peers))
			once += c.Len
			copies += float64(len(c.Peers)) * c.Len
			for _, p := range c.Peers {
				allUp += p.Up
			}
		}
		least = max(least, once/up, copies/allUp)
		if got < least*(1-tiny) {
			t.Errorf("seed %d: %v is less than the simple bounds, %v", seed, got, least)
		}
		if m := missing(got, up, contents); m > tiny*once {
			t.Errorf("seed %d: after %v the publisher would have to send %v more", seed, got, m)
		}
		if m := missing(got*(1-1e-6), up, contents); got > Swarms(0, contents) && m <= 0 {
			t.Errorf("seed %d: %v is more than is needed", seed, got)
		}
	}
}

func TestSwarmsOfOneContentIsKumarRoss(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		up := 1 + 50*r.Float64()
		for _, c := range someContents(r) {
			got, want := Swarms(up, []Demanded{c, {Len: 5}}), Swarm(c.Len, up, c.Peers)
			if math.Abs(got-want) > 1e-9*want {
				t.Errorf("seed %d: %v, alone %v", seed, got, want)
			}
		}
	}
}

func TestSwarmsByHand(t *testing.T) {
	riders := func(n int) []Peer { return make([]Peer, n) }
	fast := []Peer{{Up: math.Inf(1)}, {Up: math.Inf(1)}}
	for _, c := range []struct {
		name     string
		up       float64
		contents []Demanded
		want     float64
	}{
		{"nobody wants anything", 1, []Demanded{{Len: 5}}, 0},
		{"an unlimited publisher", 0, []Demanded{{10, []Peer{{Down: 2}}}, {10, []Peer{{Down: 5}}}}, 5},
		{"nobody uploads", 10, []Demanded{{10, riders(3)}, {20, riders(2)}}, 7},
		{"all are fast", 10, []Demanded{{10, fast}, {20, fast}}, 3},
		// The popular one gets 40 - 3 T from the publisher, the other one 10: T = 50/8.
		{"one is popular", 5, []Demanded{{10, []Peer{{Up: 1}, {Up: 1}, {Up: 1}, {}}}, {10, riders(1)}}, 6.25},
	} {
		if got := Swarms(c.up, c.contents); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
