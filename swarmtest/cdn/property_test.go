package cdn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// anyConfig makes a Config of what it draws. All kinds, rules and faults come
// up, with small populations and odd numbers.
func anyConfig(draw func(n int) int) Config {
	c := Config{
		Kind:    []string{result.Origin, result.Replicas, result.Mirrors, result.Cache, result.CDN, result.CDN}[draw(6)],
		Regions: make([]string, 1+draw(4)), ISPs: make([]string, 1+draw(2)),
		SliceLen: []int64{0, -1, 1000, 70_000, mib}[draw(5)],
		Pipeline: 1 + draw(5), Handshakes: draw(4) - 1, Window: int64(draw(3)) * 30_000,
		Timeout:   time.Duration(1+draw(5000)) * time.Millisecond,
		Retry:     Retry{First: time.Duration(1+draw(2000)) * time.Millisecond, Attempts: draw(4)},
		Balance:   []Balance{"", RoundRobin, LeastConnections, RandomTwo, Random, Weighted, Nearest}[draw(7)],
		Browser:   Browser{TTL: time.Duration(draw(3)-1) * 3 * time.Second},
		Prices:    Prices{Origin: 90, Parent: 1, Edge: 10},
		Limit:     time.Hour,
		Patience:  10 * time.Minute,
		MaxEvents: 20_000,

		SampleEvery: time.Duration(draw(3)) * 700 * time.Millisecond, ProxyByRegion: draw(2) == 1, NearestParent: draw(2) == 1,
	}
	if draw(2) == 1 {
		c.Between = latencies(len(c.Regions), time.Duration(draw(20))*time.Millisecond, time.Duration(20+draw(100))*time.Millisecond)
	}
	for range 1 + draw(3) {
		c.Contents = append(c.Contents, Content{1 + int64(draw(300_000))})
	}
	server := func() Server { return anyServer(&c, draw) }
	for range 1 + draw(3) {
		c.Origins = append(c.Origins, server())
	}
	switch c.Kind {
	case result.Cache:
		c.Proxies = append(c.Proxies, server(), server())
	case result.CDN:
		for range 1 + draw(4) {
			c.Edges = append(c.Edges, server())
		}
		for range draw(3) {
			c.Parents = append(c.Parents, server())
		}
	}
	for range draw(20) {
		cl := Client{
			Join: time.Duration(draw(10_000)) * time.Millisecond, Down: int64(draw(4)) * 40_000,
			Region: draw(len(c.Regions)), ISP: draw(len(c.ISPs)), Content: draw(len(c.Contents)), User: draw(6),
		}
		if draw(5) == 0 {
			cl.Leave = time.Duration(draw(20_000)) * time.Millisecond
		}
		c.Clients = append(c.Clients, cl)
	}
	addRouting(&c, draw)
	return c
}

func anyServer(c *Config, draw func(n int) int) Server {
	s := Server{
		Region: draw(len(c.Regions)), ISP: draw(len(c.ISPs)),
		Up: []int64{0, 1000, 50_000, 333_333}[draw(4)], Down: int64(draw(2)) * 200_000,
		Weight: float64(draw(3)),
		Cache: Cache{
			Disk: []int64{0, 0, -1, 100_000}[draw(4)], ByObject: draw(2) == 1, NoCoalescing: draw(2) == 1,
			TTL: []time.Duration{0, -1, 1, 2 * time.Second}[draw(4)], Push: draw(4) == 0,
		},
	}
	if draw(3) == 0 {
		s.MaxRequests, s.Queue = 1+draw(3), draw(4)-1
	}
	return s
}

func addRouting(c *Config, draw func(n int) int) {
	r := &c.Routing
	r.TTL = time.Duration(draw(3)-1) * 3 * time.Second
	r.LoadAge = time.Duration(draw(3)-1) * time.Second
	r.Detect, r.Convergence = time.Duration(draw(9)-1)*time.Second, time.Duration(draw(9)-1)*time.Second
	r.MinShare = int64(draw(2)) * 10_000
	r.ClientSubnet = draw(2) == 1
	r.ResolversPerISP = draw(3)
	if draw(2) == 1 {
		r.PublicResolvers = []int{draw(len(c.Regions))}
		for i := range c.Clients {
			c.Clients[i].Resolver = draw(2)
		}
	}
	for _, tier := range []Tier{Origin, Parent, Edge, Proxy} {
		if servers, _ := c.tier(tier); len(servers) > 0 && draw(3) == 0 {
			c.Faults = append(c.Faults, Fault{
				Tier: tier, Server: draw(len(servers)),
				At: time.Duration(draw(15)) * time.Second, For: time.Duration(draw(20)) * time.Second,
			})
		}
	}
	if len(c.Edges) == 0 {
		return
	}
	r.Anycast = draw(2) == 1
	for range draw(3) {
		r.Changes = append(r.Changes, RouteChange{
			At: time.Duration(draw(15)) * time.Second, Region: draw(len(c.Regions)), Edge: draw(len(c.Edges)),
		})
	}
	if draw(2) == 1 {
		r.Catchment = []int{draw(len(c.Edges)+1) - 1}
	}
}

// watch runs a Config step by step, and checks after each that time goes on and
// that no link carried more than its rate since the last look.
func watch(c Config, seed uint64) (*Result, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	r := newRun(c, seed)
	w := watcher{r: r, before: make([]int64, len(r.servers))}
	r.net.sent(w.before)
	for n := uint64(0); ; n++ {
		at, stop := r.nextTime()
		if r.left == 0 {
			stop = "finished"
		}
		if stop != "" || n > c.MaxEvents {
			r.finish()
			return r.result(stop), w.err
		}
		r.step(at)
		w.look()
	}
}

type watcher struct {
	r      *run
	at     time.Duration
	before []int64
	err    error
}

func (w *watcher) look() {
	if w.err != nil {
		return
	}
	r := w.r
	now := make([]int64, len(r.servers))
	r.net.sent(now)
	for i := range r.servers {
		s := &r.servers[i]
		sent := now[i] - w.before[i]
		// Each flow may have a byte that is not whole yet.
		most := math.Inf(1)
		if s.Up > 0 {
			most = float64(s.Up)*(r.now-w.at).Seconds() + float64(len(r.net.flows)) + 1
		}
		switch {
		case r.now < w.at:
			w.err = fmt.Errorf("%v after %v", r.now, w.at)
		case sent < 0 || float64(sent) > most:
			w.err = fmt.Errorf("%s sent %d bytes from %v to %v, at most %v were possible", s.Name, sent, w.at, r.now, most)
		case s.MaxRequests > 0 && s.serving > s.MaxRequests:
			w.err = fmt.Errorf("%s serves %d requests at once at %v, at most %d are allowed", s.Name, s.serving, r.now, s.MaxRequests)
		case s.serving < 0 || s.numQueued < 0 || s.Queue > 0 && s.numQueued > s.Queue:
			w.err = fmt.Errorf("%s serves %d requests and queues %d at %v", s.Name, s.serving, s.numQueued, r.now)
		case s.cache != nil && s.cache.used > max(0, s.cache.disk):
			w.err = fmt.Errorf("%s keeps %d bytes on a disk of %d", s.Name, s.cache.used, s.cache.disk)
		}
	}
	w.at, w.before = r.now, now
}

func TestAnyRunKeepsTheRules(t *testing.T) {
	reasons := map[string]int{}
	for seed := range uint64(1500) {
		random := rand.New(rand.NewPCG(seed, 0))
		c := anyConfig(random.IntN)
		res, err := watch(c, seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if checkResult(t, &c, res); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		reason, _, _ := strings.Cut(res.System.Reason, " since")
		reasons[reason]++
	}
	t.Log(reasons)
	if reasons["finished"] < 1000 {
		t.Errorf("runs ended as %v, most of them should come to their end", reasons)
	}
	if n := reasons["nothing left to happen"]; n > 0 {
		t.Errorf("%d runs forgot clients", n)
	}
}

// A run depends on its Config and seed alone.
func TestOneSeedOneRun(t *testing.T) {
	differ := 0
	for seed := range uint64(100) {
		c := anyConfig(rand.New(rand.NewPCG(seed, 0)).IntN)
		first, err := c.Run(seed)
		if err != nil {
			t.Fatal(err)
		}
		procs := runtime.GOMAXPROCS(1)
		again, _ := c.Run(seed)
		runtime.GOMAXPROCS(procs)
		if a, b := fmt.Sprintf("%+v", first), fmt.Sprintf("%+v", again); a != b {
			t.Fatalf("seed %d: two runs differ:\n%s\n%s", seed, a, b)
		}
		if other, _ := c.Run(seed + 1); other.System.EventLog != first.System.EventLog {
			differ++
		}
	}
	if differ == 0 {
		t.Error("no other seed gave another run")
	}
}

// The order in which clients are listed does not matter: each keeps what it
// did. Clients that come at different times have no ties, and users are known
// by their number.
func TestOrderOfClientsDoesNotMatter(t *testing.T) {
	c := threeRegions()
	c.Clients = joinOver(append(crowd(60, Client{Down: mib}), crowd(60, Client{Down: 3 * mib})...), 20*time.Second)
	c.Origins[0].MaxRequests, c.Origins[0].Queue = 3, -1
	for i := range c.Clients {
		c.Clients[i].User = i + 1
		c.Clients[i].Region = i % 3
	}
	for _, anycast := range []bool{false, true} {
		c.Routing = Routing{Anycast: anycast, TTL: 5 * time.Second, MinShare: 500_000, ResolversPerISP: 10}
		straight := mustRun(t, c, 1)
		order := rand.New(rand.NewPCG(1, 2)).Perm(len(c.Clients))
		mixed := c
		mixed.Clients = make([]Client, len(order))
		for i, at := range order {
			mixed.Clients[i] = c.Clients[at]
		}
		other := mustRun(t, mixed, 1)
		for i, at := range order {
			if a, b := straight.System.Peers[at].Complete, other.System.Peers[i].Complete; a != b {
				t.Fatalf("anycast %v: client %d completes at %v, and at place %d at %v", anycast, at, a, i, b)
			}
		}
	}
}

// Of clients who ask at the same instant, the one that is listed first is
// served first.
func TestTiesAreBrokenByIndex(t *testing.T) {
	c := origin(crowd(50, Client{}), Server{Up: mib, MaxRequests: 1})
	peers := mustRun(t, c, 1).System.Peers
	for i := 1; i < len(c.Clients); i++ {
		if peers[i].Complete <= peers[i-1].Complete {
			t.Fatalf("client %d completes at %v, before client %d", i, peers[i].Complete, i-1)
		}
	}
}

// FuzzConfig runs what its input describes: nothing may panic, hang, or break
// the rules.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("an origin"), uint64(1))
	f.Add([]byte{4, 1, 0, 2, 3, 200, 1, 7, 90, 3, 3, 3, 0, 1, 2, 250, 17, 5, 6, 1, 1, 1, 9}, uint64(2))
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		if len(input) > 1000 {
			return
		}
		at := 0
		c := anyConfig(func(n int) int {
			if len(input) == 0 {
				return 0
			}
			x := 0
			for m := 1; m < n; m <<= 8 {
				x = x<<8 | int(input[at%len(input)])
				at++
			}
			return x % n
		})
		res, err := watch(c, seed)
		if err != nil {
			t.Fatal(err)
		}
		checkResult(t, &c, res)
	})
}
