package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/sim/pool"
)

// linkCheck holds links to their rates: stays on one link do not overlap and are as
// long as their bytes need, so no window of time has more than its rate and one
// block. Each host has its own element, so kernels may use it side by side.
type linkCheck []struct {
	link   Link
	busy   [2]time.Duration // until when, down and up
	broken string           // the first violation
}

func newLinkCheck(links []Link) linkCheck {
	c := make(linkCheck, len(links))
	for i := range c {
		c[i].link = links[i]
	}
	return c
}

func (c linkCheck) watch(p passage) {
	h := &c[p.host]
	direction, rate := 0, h.link.Down
	if p.up {
		direction, rate = 1, h.link.Up
	}
	stay := p.to - p.from
	switch {
	case rate == 0 || h.broken != "":
	case p.from < h.busy[direction]:
		h.broken = fmt.Sprintf("a block begins at %v, before %v", p.from, h.busy[direction])
	case stay.Seconds() < float64(p.numBytes)/float64(rate)-1e-9:
		h.broken = fmt.Sprintf("%d bytes in %v at %d bytes/s", p.numBytes, stay, rate)
	}
	h.busy[direction] = p.to
}

func (c linkCheck) report(t *testing.T, seed uint64) {
	t.Helper()
	for i := range c {
		if c[i].broken != "" {
			t.Errorf("seed %d: host %d: %s", seed, i, c[i].broken)
		}
	}
}

// TestLinksNeverExceedTheirRate sends anything between anybody, and closes
// flows in the middle of it: links keep to their rates, and every byte sent is
// received, lost or cut off.
func TestLinksNeverExceedTheirRate(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		k := New(seed)
		k.SlowStart(seed%2 == 1)
		var hosts []*arrivals
		links := make([]Link, 6)
		for i := range links {
			links[i] = Link{Up: r.IntN(3) * (1000 + r.IntN(MiB)), Down: r.IntN(3) * (1000 + r.IntN(MiB))}
			h, _ := addHost(k, links[i])
			hosts = append(hosts, h)
		}
		check := newLinkCheck(links)
		k.watch = check.watch
		drive(t, k, r)
		k.Run(forever, forever)
		check.report(t, seed)
		var sent, received int64
		for i, h := range hosts {
			traffic := k.Traffic(ID(i))
			sent += traffic.BlocksUp
			received += h.bytes + h.lost + traffic.BlocksCut
		}
		if sent == 0 || sent != received {
			t.Errorf("seed %d: %d bytes sent, %d received, lost or cut off", seed, sent, received)
		}
	}
}

// drive adds an entity that uses the six hosts of a kernel at random for a minute.
func drive(t *testing.T, k *Kernel, r *rand.Rand) {
	var flows []*pipe
	last := time.Duration(0)
	driver := k.Add(script(func(now time.Duration, ev Event) {
		if now < last {
			t.Fatalf("time went back from %v to %v", last, now)
		}
		last = now
		i := r.IntN(len(flows) + 1)
		switch action := r.IntN(20); {
		case action == 0:
			p, q := connect(k, ID(r.IntN(6)), ID(r.IntN(6)), time.Duration(r.IntN(1e5))*time.Microsecond)
			flows = append(flows, p, q)
		case i == len(flows):
		case action == 1:
			flows[i].close() // the other end learns nothing of it: the worst case
			flows = slices.Delete(flows, i, i+1)
		case action < 6:
			flows[i].message(r.IntN(500), 0)
		default:
			flows[i].send(1 + r.IntN(blockLen))
		}
		if now < time.Minute {
			k.At(now+time.Duration(r.IntN(2e7)), ev)
		}
	}), Link{})
	k.At(0, Event{To: driver, Kind: KindUser})
}

// TestASwarmKeepsToItsLinks runs swarms of all kinds of links and lives on
// several kernels: links keep to their rates, every byte that is sent is
// received or lost, and the run says why it ended.
func TestASwarmKeepsToItsLinks(t *testing.T) {
	anyLost := false
	for seed := range uint64(12) {
		s := motley(t, seed)
		if seed >= 8 {
			addFaults(&s, seed)
		}
		workers := pool.New(int(seed % 4))
		s.Pool = workers
		s.setDefaults()
		w, err := newSwarm(s)
		if err != nil {
			t.Fatal(err)
		}
		links := []Link{{}} // the tracker's
		for _, p := range s.Peers {
			links = append(links, p.Link)
		}
		for _, server := range s.WebSeeds {
			links = append(links, server.Link)
		}
		check := newLinkCheck(links)
		for _, k := range w.shards.kernels {
			k.watch = check.watch
		}
		if r := w.run(); r.Reason != allLeft || r.End != lastLeaves {
			t.Errorf("seed %d: ended at %v because %q", seed, r.End, r.Reason)
		}
		for next, _ := w.shards.next(); next < lastLeaves+time.Hour; next, _ = w.shards.next() {
			w.shards.run(next, never-1) // what is under way arrives
		}
		workers.Close()
		check.report(t, seed)
		var sent, arrived, lost int64
		for _, p := range w.peers {
			sent += p.sentByAll()
			arrived += p.received
			lost += p.lost
		}
		for _, server := range w.webSeedResults() {
			sent += server.Up
		}
		if arrived == 0 || sent != arrived+lost {
			t.Errorf("seed %d: %d bytes sent, %d received, %d lost", seed, sent, arrived, lost)
		}
		anyLost = anyLost || lost > 0
	}
	if !anyLost {
		t.Error("nothing was ever lost: the test does not see it")
	}
}

// lastLeaves is when everybody has left a motley swarm.
const lastLeaves = 200 * time.Second

// addFaults adds faults of all kinds that are over in time.
func addFaults(s *Swarm, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	s.Loss = 0.01
	for i := range s.Peers {
		s.Peers[i].Corrupt, s.Peers[i].Loss = i > 0 && r.IntN(6) == 0, 0.1*r.Float64()
	}
	for range 12 {
		f := Fault{
			Kind: []FaultKind{Crash, Partition, TrackerDown}[r.IntN(3)],
			At:   time.Duration(r.IntN(100)) * time.Second, For: time.Duration(1+r.IntN(60)) * time.Second,
		}
		for range r.IntN(5) + 1 {
			if f.Kind != TrackerDown {
				f.Peers = append(f.Peers, r.IntN(len(s.Peers)))
			}
		}
		s.Faults = append(s.Faults, f)
	}
	for i, kind := range []FaultKind{WebSeedDown, WebSeedBusy, WebSeedLies} {
		s.Faults = append(s.Faults, Fault{Kind: kind, At: time.Duration(10+20*i) * time.Second, For: 15 * time.Second, Servers: []int{0}})
	}
	s.Faults = append(s.Faults, Fault{Kind: Crash, At: time.Minute, Peers: []int{1}},
		Fault{Kind: Partition, At: 100 * time.Second, Peers: []int{2, 3, 4}})
}

// motley is a swarm of peers that come and go.
func motley(t *testing.T, seed uint64) Swarm {
	r := rand.New(rand.NewPCG(seed, 1))
	s := Swarm{Seed: seed, Geometry: geometry(t, 2*MiB, 128*KiB), SlowStart: seed%2 == 0, KeepRunning: true}
	s.Peers = []Peer{{Link: Link{Up: 100 * KiB}, Seed: true, Leave: lastLeaves}}
	for range 20 {
		s.Peers = append(s.Peers, Peer{
			Link: Link{Up: 1 + r.IntN(200*kB), Down: r.IntN(2) * (20*kB + r.IntN(MiB))},
			Join: time.Duration(r.IntN(60)) * time.Second, SeedFor: time.Duration(r.IntN(60)-20) * time.Second,
			Leave: lastLeaves - time.Duration(r.IntN(100))*time.Second, Unreachable: r.IntN(5) == 0,
			WebSeeds: []int{0}[:r.IntN(2)],
		})
	}
	if seed%4 == 3 {
		s.Contents = 3
		for i := range s.Peers {
			s.Peers[i].Content = i % s.Contents
		}
	}
	s.WebSeeds = []WebSeed{{Link: Link{Up: 150 * KiB}}}
	s.Between = func(a, b int) time.Duration { return time.Duration(a^b) * 3 * time.Millisecond }
	return s
}
