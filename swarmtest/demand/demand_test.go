package demand_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// read returns a scenario with two classes, "dsl" and "cable" with half as many, and more
// text behind them.
func read(t *testing.T, demandText, more string) *scenario.Scenario {
	t.Helper()
	text := `title = "Test"
content.length = "1MiB"
origin.up = "1MB/s"
[demand]
` + demandText + `
[[class]]
name = "dsl"
share = 2
up = "400kbit/s"
down = "1500kbit/s"
nat = 0.3
seed_for = "10m"
seed_times = "exponential"
give_up = "1h"
[[class]]
name = "cable"
share = 1
up = "1Mbit/s"
down = "unlimited"
` + more
	if strings.Contains(demandText, "trace") {
		text = strings.NewReplacer("share = 2", "", "share = 1", "").Replace(text)
	}
	dir := fstest.MapFS{"t.csv": {Data: []byte("join,class,content,stay\n7,cable,0,\n5,dsl,0,60\n3,cable,0,\n")}}
	s, err := scenario.Source{File: "test.toml", Data: []byte(text), Dir: dir}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mean of a value of clients.
func mean(clients []demand.Client, of func(c demand.Client) float64) float64 {
	sum := 0.0
	for _, c := range clients {
		sum += of(c)
	}
	return sum / float64(len(clients))
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %.4g, want %.4g", what, got, want)
	}
}

func joins(clients []demand.Client) (seconds []float64) {
	for _, c := range clients {
		seconds = append(seconds, c.Join.Seconds())
	}
	slices.Sort(seconds)
	return seconds
}

func TestClasses(t *testing.T) {
	clients := demand.Clients(read(t, "peers = 20000", ""), 1)
	dsl := slices.IndexFunc(clients, func(c demand.Client) bool { return c.Class == 1 })
	if len(clients) != 20000 || dsl != 13333 {
		t.Fatalf("%d clients, %d of the first class", len(clients), dsl)
	}
	clients = clients[:dsl]
	near(t, "the part behind a NAT", mean(clients, func(c demand.Client) float64 {
		if c.Unreachable {
			return 1
		}
		return 0
	}), 0.3, 0.05)
	near(t, "the mean time of seeding", mean(clients, func(c demand.Client) float64 { return c.SeedFor.Seconds() }), 600, 0.03)
	near(t, "the mean patience", mean(clients, func(c demand.Client) float64 { return (c.GiveUp - c.Join).Seconds() }), 3600, 0.03)
	if c := clients[0]; c.Up != 50_000 || c.Down != 187_500 || c.Join != 0 {
		t.Errorf("a client is %+v", c)
	}
}

func TestSharesAddUp(t *testing.T) {
	for n := range 50 {
		if got := len(demand.Clients(read(t, fmt.Sprint("peers = ", n+1), ""), 1)); got != n+1 {
			t.Errorf("%d of %d clients came", got, n+1)
		}
	}
}

func TestArrivals(t *testing.T) {
	window := joins(demand.Clients(read(t, "peers = 3000\narrivals = \"window\"\nwindow = \"100s\"", ""), 1))
	near(t, "the mean of a window", window[1500], 50, 0.05)
	near(t, "its end", window[2999], 100, 0.01)

	poisson := joins(demand.Clients(read(t, "peers = 3000\narrivals = \"poisson\"\nrate = \"10/s\"", ""), 1))
	poisson = poisson[:2500] // at the end, one class may be complete and the other one not
	near(t, "the arrival", poisson[2499], 250, 0.05)
	gap := 0.0
	for i := range poisson[1:] {
		gap += math.Pow(poisson[i+1]-poisson[i], 2)
	}
	near(t, "the mean square of gaps", gap/2499, 2*0.1*0.1, 0.1) // of an exponential: 2/rate^2

	decaying := joins(demand.Clients(read(t, "peers = 9000\narrivals = \"decaying\"\nrate = \"10/s\"\ndecay = \"300s\"", ""), 1))
	near(t, "the number that come", float64(len(decaying)), 3000, 0.05)
	early := slices.IndexFunc(decaying, func(s float64) bool { return s > 300 })
	near(t, "those in the time of decay", float64(early), 3000*(1-1/math.E), 0.05)

	onOff := joins(demand.Clients(read(t, "peers = 600\narrivals = \"on-off\"\nrate = \"1/s\"\non = \"1m\"\noff = \"9m\"", ""), 1))
	for _, s := range onOff {
		if math.Mod(s, 600) > 60 {
			t.Fatalf("a client came at %v s, when nobody should", s)
		}
	}
	near(t, "the last arrival", onOff[599], 6000, 0.15)

	until := joins(demand.Clients(read(t, "peers = 3000\narrivals = \"poisson\"\nrate = \"10/s\"\nuntil = \"100s\"", ""), 1))
	near(t, "the number that come in time", float64(len(until)), 1000, 0.1)
	if !slices.Equal(until, poisson[:min(len(until), len(poisson))]) {
		t.Error("an end changed those who came before it")
	}
}

func TestTrace(t *testing.T) {
	clients := demand.Clients(read(t, "arrivals = \"trace\"\ntrace = \"t.csv\"", ""), 1)
	var got []string
	for _, c := range clients {
		got = append(got, fmt.Sprint(c.Class, c.Index, c.Join, c.GiveUp == scenario.Forever))
	}
	if want := []string{"0 0 5s false", "1 0 3s true", "1 1 7s true"}; !slices.Equal(got, want) {
		t.Errorf("the clients are %q, want %q", got, want)
	}
	if clients[0].GiveUp != 65*time.Second {
		t.Errorf("the first gives up at %v", clients[0].GiveUp)
	}
}

const world = `
[[region]]
name = "eu"
share = 3
[[region]]
name = "us"
[[isp]]
name = "euro"
region = "eu"
[[isp]]
name = "world"
`

func TestPlaces(t *testing.T) {
	s := read(t, "peers = 9000", world)
	clients := demand.Clients(s, 1)
	europe := slices.DeleteFunc(slices.Clone(clients), func(c demand.Client) bool { return c.Region != 0 })
	near(t, "the clients in Europe", float64(len(europe)), 6750, 0.05)
	near(t, "those of an ISP there", mean(europe, func(c demand.Client) float64 { return float64(c.ISP) }), 0.5, 0.05)
	for _, c := range clients {
		if c.Region == 1 && c.ISP != 1 {
			t.Fatalf("%+v has an ISP of another region", c)
		}
	}

	pinned := read(t, "peers = 90", world+"[[class]]\nname = \"euros\"\nshare = 5\nup = \"1MB/s\"\ndown = \"1MB/s\"\nisp = \"euro\"")
	for _, c := range demand.Clients(pinned, 1) {
		if c.Class == 2 && (c.Region != 0 || c.ISP != 0) {
			t.Fatalf("%+v is not where its class is", c)
		}
	}
}

func TestLatency(t *testing.T) {
	constant := read(t, "peers = 9", "[network]\nlatency = \"7ms\"")
	matrix := read(t, "peers = 9", "[network]\nmodel = \"matrix\"\n[[region]]\nname = \"eu\"\nlatency = [\"5ms\", \"40ms\"]\n[[region]]\nname = \"us\"\nlatency = [\"40ms\", \"9ms\"]")
	plane := read(t, "peers = 900", "[network]\nmodel = \"coordinates\"\nlatency = \"5ms\"\n[[region]]\nname = \"eu\"\nat = [\"0ms\", \"0ms\"]\n[[region]]\nname = \"us\"\nat = [\"30ms\", \"40ms\"]\nspread = \"1ms\"")
	us := demand.Place{Region: 1}
	if l := demand.Latency(constant, us, us); l != 7*time.Millisecond {
		t.Errorf("the constant latency is %v", l)
	}
	if l := demand.Latency(matrix, us, demand.Origin(matrix)); l != 40*time.Millisecond {
		t.Errorf("from region to region it is %v", l)
	}
	far, n := 0.0, 0.0
	for _, c := range demand.Clients(plane, 1) {
		if c.Region == 1 {
			far += demand.Latency(plane, c.Place, demand.Origin(plane)).Seconds()
			n++
		}
	}
	near(t, "the mean latency in a plane", far/n, 0.055, 0.02)
}

func TestZipf(t *testing.T) {
	s := read(t, "peers = 50000", "[[system]]\nkind = \"origin\"")
	s.Content.Count, s.Content.Zipf = 10, 1
	var asked [10]float64
	for _, c := range demand.Clients(s, 1) {
		asked[c.Content]++
	}
	near(t, "the demand for the first content", asked[0]/50000, 1/2.929, 0.05) // the tenth harmonic number
	near(t, "the first against the fifth", asked[0]/asked[4], 5, 0.1)
}

// TestDrawsDoNotShift: a class, a client or a value more leaves the others as
// they are.
func TestDrawsDoNotShift(t *testing.T) {
	const poisson = "arrivals = \"poisson\"\nrate = \"1/s\"\npeers = "
	byName := func(s *scenario.Scenario, seed uint64) map[string]demand.Client {
		m := map[string]demand.Client{}
		for _, c := range demand.Clients(s, seed) {
			name := fmt.Sprint(s.Classes[c.Class].Name, c.Index)
			c.Class = 0
			m[name] = c
		}
		return m
	}
	base := byName(read(t, poisson+"30", world), 1)
	if again := byName(read(t, poisson+"30", world), 1); !reflect.DeepEqual(again, base) {
		t.Error("the same seed gives other clients")
	}
	if other := byName(read(t, poisson+"30", world), 2); reflect.DeepEqual(other, base) {
		t.Error("another seed gives the same clients")
	}
	longer := byName(read(t, poisson+"60", world), 1)
	for name, c := range base {
		if longer[name] != c {
			t.Errorf("%s was %+v, and is %+v among more", name, c, longer[name])
		}
	}
	// With a third class as large as the two others, and twice the rate, each
	// of the two has what it had.
	more := byName(read(t, strings.Replace(poisson, "1/s", "2/s", 1)+"60", world+"[[class]]\nname = \"more\"\nshare = 3\nup = \"1MB/s\"\ndown = \"1MB/s\""), 1)
	for name, c := range base {
		if more[name] != c {
			t.Errorf("%s was %+v, and is %+v beside another class", name, c, more[name])
		}
	}
}
