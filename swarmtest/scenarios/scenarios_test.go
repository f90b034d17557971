package scenarios_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/scenarios"
)

var update = flag.Bool("update", false, "write schema.json anew, and the reference in docs/scenarios.md")

func parse(t *testing.T, name string, set ...string) *scenario.Scenario {
	t.Helper()
	src, ok := scenarios.Source(name)
	if !ok {
		t.Fatalf("there is no scenario %q", name)
	}
	src.Set = set
	s, err := src.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEachRunsSmall runs each scenario with an eighth of the peers and a content of 2 MiB.
func TestEachRunsSmall(t *testing.T) {
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			full := parse(t, name)
			s := parse(t, name, "content.length=2MiB", "content.piece_length=32KiB", "demand.peers="+strconv.Itoa(max(full.Demand.Peers/8, 8)))
			run, err := lab.Run(context.Background(), s, s.Seed, lab.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, system := range run.Systems {
				if !system.Completed || system.End == 0 {
					t.Errorf("%s ended at %v because %s", system.Name, system.End, system.Reason)
				}
			}
		})
	}
}

func TestEachSaysWhatItShows(t *testing.T) {
	for _, name := range scenarios.Names() {
		src, _ := scenarios.Source(name)
		if s := parse(t, name); s.Shows == "" || !strings.HasPrefix(string(src.Data), "# ") {
			t.Errorf("%s does not say what it shows, in a comment and in the key shows", name)
		}
	}
}

// TestExamplesInTheDocumentation parses the blocks of TOML in docs/scenarios.md.
func TestExamplesInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```toml\n")[1:]
	for _, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		if _, err := (scenario.Source{File: "example.toml", Data: []byte(example)}).Parse(); err != nil {
			t.Error(err)
		}
	}
	if len(blocks) == 0 {
		t.Error("there is no example")
	}
}

// TestTiersOfACDN holds cdn-tiers to what it says.
func TestTiersOfACDN(t *testing.T) {
	s := parse(t, "cdn-tiers", "content.length=8MiB", "demand.peers=600", "demand.window=20s")
	run, err := lab.Run(context.Background(), s, 1, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copies := func(name string) float64 {
		i := slices.IndexFunc(run.Systems, func(s result.System) bool { return s.Name == name })
		return float64(run.Systems[i].Sources[0].Bytes) / float64(s.Content.Length)
	}
	if n := copies("edges and parents"); n != 1 {
		t.Errorf("with parents, the origin sent %.2f copies", n)
	}
	if n := copies("edges"); n != 10 {
		t.Errorf("without parents, the origin sent %.2f copies to 10 edges", n)
	}
	if n := copies("no coalescing"); n <= 12 {
		t.Errorf("without coalescing, the origin sent only %.2f copies", n)
	}
	if n := copies("origin"); n != 600 {
		t.Errorf("alone, the origin sent %.2f copies", n)
	}
}

// TestRoutingOfACDN holds cdn-routing to what it says: DNS and anycast differ where they should.
func TestRoutingOfACDN(t *testing.T) {
	s := parse(t, "cdn-routing", "content.length=20MiB")
	run, err := lab.Run(context.Background(), s, 1, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mean := func(system int, region string, from, to time.Duration) (seconds float64) {
		n := 0.0
		for _, p := range run.Systems[system].Peers {
			if d, ok := p.Duration(); ok && p.Region == region && p.Join >= from && p.Join < to {
				seconds += d.Seconds()
				n++
			}
		}
		return seconds / n
	}
	all := func(system int, region string) float64 { return mean(system, region, 0, time.Hour) }
	const dns, far, subnet, byLoad, anycast = 0, 1, 2, 3, 4
	for _, region := range []string{"asia", "america"} { // whom half of Europe meets at his edge
		if a, b := all(far, region), all(dns, region); a < 1.3*b {
			t.Errorf("by far resolvers, a download in %s takes %v s, by near ones %v", region, a, b)
		}
	}
	if a, b := all(subnet, "asia"), all(dns, "asia"); a > 1.1*b {
		t.Errorf("with the subnet, a download in Asia takes %v s, by near resolvers %v", a, b)
	}
	if a, b := mean(anycast, "asia", 0, 25*time.Second), mean(anycast, "asia", 30*time.Second, time.Hour); a < 1.5*b {
		t.Errorf("with anycast, a download in Asia takes %v s while routes lead to America, and %v then", a, b)
	}
	// Its servers are origin, Europe, America, Asia.
	if crowded, byLoad := run.Systems[dns].Servers[1].Out, run.Systems[byLoad].Servers[1].Out; byLoad >= crowded {
		t.Errorf("the crowded edge sent %d bytes, and %d if load is looked at", crowded, byLoad)
	}
}

func TestSchemaIsThatOfTheReader(t *testing.T) {
	checkFile(t, "schema.json", scenario.Schema())
}

// TestReferenceIsThatOfTheReader holds the middle of docs/scenarios.md to the keys.
func TestReferenceIsThatOfTheReader(t *testing.T) {
	const path, begin, end = "../../docs/scenarios.md", "<!-- keys -->\n", "<!-- end of keys -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the keys", path)
	}
	checkFile(t, path, []byte(head+begin+"\n"+scenario.Reference()+"\n"+end+tail))
}

func checkFile(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what it would be (%v); write it anew with go test -update", path, err)
	}
}
