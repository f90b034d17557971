package lab

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

const small = `title = "Small"
[content]
length = "2MiB"
piece_length = "64KiB"
[origin]
up = "2Mbit/s"
[demand]
peers = 12
[prices]
origin = 0.1
edge = 0.02
[[class]]
name = "dsl"
share = 3
up = "1Mbit/s"
down = "8Mbit/s"
[[class]]
name = "rider"
share = 1
up = "1Mbit/s"
down = "8Mbit/s"
free_rider = true
`

const everySystem = `
[[isp]]
name = "a"
[[isp]]
name = "b"
[[fault]]
tier = "edge"
server = 1
at = "1s"
for = "5s"
[[system]]
kind = "swarm"
[[system]]
kind = "origin"
[[system]]
kind = "replicas"
servers = 2
up = "2Mbit/s"
[[system]]
kind = "mirrors"
servers = 2
up = "2Mbit/s"
[[system]]
kind = "cache"
proxy_up = "4Mbit/s"
[[system]]
kind = "cdn"
edges = 3
edge_up = "4Mbit/s"
parents = 1
[[system]]
kind = "hybrid"
[[system]]
name = "hybrid on edges"
kind = "hybrid"
web_edges = 3
web_edge_up = "4Mbit/s"
web_seed_below = "1B/s"
`

const matrix = `
[network]
model = "matrix"
[[region]]
name = "eu"
latency = ["5ms", "40ms"]
[[region]]
name = "us"
latency = ["40ms", "9ms"]
`

const plane = `
[network]
model = "coordinates"
latency = "2ms"
[[region]]
name = "eu"
at = ["0ms", "0ms"]
[[region]]
name = "us"
at = ["30ms", "40ms"]
spread = "3ms"
`

func parse(t *testing.T, text string, set ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Source{File: "small.toml", Data: []byte(text), Set: set}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRun(t *testing.T, s *scenario.Scenario, options Options) *result.Run {
	t.Helper()
	r, err := Run(context.Background(), s, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEverySystemServesTheDemand(t *testing.T) {
	for _, network := range []string{"", matrix, plane} {
		s := parse(t, small+network+everySystem)
		r := mustRun(t, s, Options{})
		if r.Name != "small" || r.ScenarioHash != s.Hash() || r.Downloads != 12 || len(r.Systems) != 8 {
			t.Fatalf("the run is %+v", r)
		}
		for i := range r.Systems {
			checkSystem(t, s, &r.Systems[i])
		}
	}
}

func checkSystem(t *testing.T, s *scenario.Scenario, system *result.System) {
	t.Helper()
	last, all := lastCompletion(system)
	downloads := 0
	for _, p := range system.Peers {
		if !p.Server {
			downloads++
			if p.Down-p.Wasted < s.Content.Length {
				t.Errorf("%s: peer %d has %d bytes", system.Name, p.Index, p.Down-p.Wasted)
			}
		}
	}
	switch {
	case !all || !system.Completed || downloads != 12:
		t.Errorf("%s: ended because %s, with %d downloads", system.Name, system.Reason, downloads)
	case system.Bound <= 0 || last < system.Bound || last > 3*system.Bound:
		t.Errorf("%s: the last completion is %v, the bound %v", system.Name, last, system.Bound)
	case system.EventLog == "" || len(system.Samples) < 2:
		t.Errorf("%s: %d samples, event log %q", system.Name, len(system.Samples), system.EventLog)
	case len(system.Samples[1].Bytes) != len(system.Sources):
		t.Errorf("%s: the samples have %d sources, the system %d", system.Name, len(system.Samples[1].Bytes), len(system.Sources))
	case system.Cost <= 0 || system.Currency != "USD":
		t.Errorf("%s costs %v %s", system.Name, system.Cost, system.Currency)
	}
}

// TestHybridSources: the bytes of a hybrid come from its web seeds and its peers, who
// send most; edges cost what was pushed to them, too.
func TestHybridSources(t *testing.T) {
	r := mustRun(t, parse(t, small+everySystem), Options{})
	for i, want := range map[int][]string{
		6: {result.FromWebSeeds, peersName}, 7: {result.FromEdges, peersName, result.FromOrigin},
	} {
		system := &r.Systems[i]
		var names []string
		for _, source := range system.Sources {
			names = append(names, source.Name)
		}
		webSeeds, sent := system.Sources[0].Bytes, int64(0)
		for _, p := range system.Peers[12:] {
			sent += p.Up
		}
		if !slices.Equal(names, want) || webSeeds == 0 || webSeeds > sent || system.Sources[1].Bytes < webSeeds {
			t.Errorf("%s: the sources are %+v, the web seeds sent %d", system.Name, system.Sources, sent)
		}
		if last := system.Samples[len(system.Samples)-1]; last.Bytes[0] != webSeeds {
			t.Errorf("%s: the last sample has %d, the system %d", system.Name, last.Bytes, webSeeds)
		}
	}
	if pushed := r.Systems[7].Sources[2].Bytes; pushed != 3*2<<20 {
		t.Errorf("%d bytes were pushed to 3 edges", pushed)
	}
}

func TestSwarmBeatsItsOrigin(t *testing.T) {
	r := mustRun(t, parse(t, small), Options{})
	swarm, _ := lastCompletion(&r.Systems[0])
	origin, _ := lastCompletion(&r.Systems[1])
	if 2*swarm > origin {
		t.Errorf("the swarm took %v, the origin %v", swarm, origin)
	}
	// 12 times 16 Mbit at 2 Mbit/s are 100 s.
	if bound := r.Systems[1].Bound.Seconds(); bound < 100 || bound > 101 {
		t.Errorf("the bound of the origin is %v s", bound)
	}
	for _, p := range r.Systems[0].Peers {
		if p.Class == "rider" && p.Up > 0 {
			t.Errorf("a free rider sent %d bytes", p.Up)
		}
	}
}

func TestOneSeedOneRun(t *testing.T) {
	s := parse(t, small+everySystem)
	first := mustRun(t, s, Options{})
	if again := mustRun(t, s, Options{Workers: 2}); !reflect.DeepEqual(again, first) {
		t.Error("the second run of a seed differs from the first")
	}
	other, err := Run(context.Background(), s, 2, Options{})
	if err != nil || other.Systems[0].EventLog == first.Systems[0].EventLog {
		t.Errorf("another seed gives the same events, or %v", err)
	}
}

func TestKnobsReachTheEngine(t *testing.T) {
	logs := map[string]string{}
	for _, set := range []string{"seed=1", "engine.picker=random", "engine.picker=sequential", "engine.choking=false", "engine.endgame=false",
		"engine.max_peers=3", "engine.upload_slots=2", "system.swarm.pex=true", "system.swarm.dht=true", "system.swarm.dht=true system.swarm.tracker=false", "system.swarm.dht=true dht.nodes=20", "system.swarm.dht=true dht.routers=2", "tracker.interval=20s", "network.latency=0s", "network.latency=500ms", "network.latency=500ms network.slow_start=true",
		"class.dsl.nat=1", "origin.leave=20s", "class.dsl.seed_for=0s", "class.rider.give_up=20s", "demand.arrivals=window"} {
		sets := append(strings.Fields(set), "demand.peers=10")
		if strings.HasSuffix(set, "window") {
			sets = append(sets, "demand.window=10s")
		}
		r := mustRun(t, parse(t, small+"\n[[system]]\nkind = \"swarm\"\n", sets...), Options{})
		log := r.Systems[0].EventLog
		if same := logs[log]; same != "" {
			t.Errorf("%s and %s give the same events", set, same)
		}
		logs[log] = set
	}
}

func TestBeatenBoundIsAnError(t *testing.T) {
	system := &result.System{
		Name: "swarm", Bound: time.Minute, BoundName: "a bound",
		Peers: []result.Peer{{Server: true}, {Complete: time.Second}, {Complete: 59 * time.Second}},
	}
	if err := checkBound(system); !errors.Is(err, ErrBeatsBound) || !strings.Contains(err.Error(), "59s against 1m0s (a bound)") {
		t.Errorf("a beaten bound is %v", err)
	}
	system.Peers[2].Complete = time.Minute
	if err := checkBound(system); err != nil {
		t.Error(err)
	}
	system.Peers = append(system.Peers, result.Peer{}) // who did not complete needs no time
	system.Peers[2].Complete = time.Second
	if err := checkBound(system); err != nil {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) {
	for _, kind := range []string{result.Swarm, result.CDN} {
		ctx, cancel := context.WithCancel(context.Background())
		s := parse(t, small, "content.length=64MiB", "demand.peers=200")
		s.Systems = []scenario.System{{Kind: kind, Name: kind, Tracker: true, Edges: 50, Slice: 16 << 10}}
		var systems []string
		_, err := Run(ctx, s, 1, Options{Progress: func(p Progress) {
			if !slices.Contains(systems, p.System) {
				systems = append(systems, p.System)
			}
			cancel()
		}})
		if !errors.Is(err, context.Canceled) || !slices.Equal(systems, []string{kind}) {
			t.Errorf("%s: %v, progress of %v", kind, err, systems)
		}
		cancel()
	}
}

func TestPatienceOutlastsAPause(t *testing.T) {
	s := parse(t, small, "demand.peers=4", "demand.arrivals=on-off", "demand.rate=1/min", "demand.on=1m", "demand.off=3h", "limits.patience=1h")
	r := mustRun(t, s, Options{})
	for i := range r.Systems {
		if sys := &r.Systems[i]; !sys.Completed {
			t.Errorf("%s ended at %v because %s", sys.Name, sys.End, sys.Reason)
		}
	}
}

func TestNobodyComes(t *testing.T) {
	s := parse(t, small, "demand.arrivals=poisson", "demand.rate=1/h", "demand.until=0s")
	if _, err := Run(context.Background(), s, 1, Options{}); err == nil {
		t.Error("a run without clients is no error")
	}
}
