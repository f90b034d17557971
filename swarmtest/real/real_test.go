package real

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/scenarios"
)

// three clients take half a second for what the origin sends them.
const three = `
title = "Three clients"
content.length = "96KiB"
content.piece_length = "16KiB"
origin.up = "512KiB/s"
demand.peers = 3
network.latency = "0s"
prices.origin = 1000
[[class]]
name = "home"
up = "1MiB/s"
down = "1MiB/s"
`

const onlyOrigin = "[[system]]\nkind = \"origin\"\n"

func parse(t *testing.T, text string, set ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Source{File: "test.toml", Data: []byte(text), Set: set}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// simulate returns a run to be measured, and has temporary folders in one that it returns.
func simulate(t *testing.T, s *scenario.Scenario) (run *result.Run, temp string) {
	t.Helper()
	temp = t.TempDir()
	t.Setenv("TMPDIR", temp)
	run, err := lab.Run(t.Context(), s, 1, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return run, temp
}

func checkNothingLeft(t *testing.T, temp string) {
	t.Helper()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOrigin has real clients download from the file server, and from nginx where there is
// one: all of them get their share of one uplink.
func TestOrigin(t *testing.T) {
	for _, name := range []string{"", "nginx"} {
		t.Run("server "+name, func(t *testing.T) {
			path := ""
			if name != "" {
				var err error
				if path, err = exec.LookPath(name); err != nil {
					t.Skip(err)
				}
			}
			s := parse(t, three+onlyOrigin)
			run, temp := simulate(t, s)
			if err := Run(t.Context(), s, run, Options{Nginx: path}); err != nil {
				t.Fatal(err)
			}
			checkNothingLeft(t, temp)
			checkOrigin(t, s, run)
		})
	}
}

func checkOrigin(t *testing.T, s *scenario.Scenario, run *result.Run) {
	t.Helper()
	if len(run.Systems) != 2 {
		t.Fatalf("%d systems", len(run.Systems))
	}
	simulated, measured := &run.Systems[0], &run.Systems[1]
	if measured.Kind != result.Real || measured.Name != "origin, real" || !measured.Completed || measured.Reason != allComplete {
		t.Errorf("%s %q: %v, %s", measured.Kind, measured.Name, measured.Completed, measured.Reason)
	}
	all := 3 * s.Content.Length
	if got := measured.Sources; len(got) != 1 || got[0].Name != result.FromOrigin || got[0].Bytes != all {
		t.Errorf("sources: %v", got)
	}
	if measured.Cost != simulated.Cost || measured.Cost == 0 {
		t.Errorf("it cost %v, simulated %v", measured.Cost, simulated.Cost)
	}
	if last, all := lastOf(measured); !all || last < simulated.Bound {
		t.Errorf("the last completes after %v, before the bound of %v", last, simulated.Bound)
	}
	if len(measured.Peers) != 4 || !measured.Peers[0].Server || measured.Peers[0].Up != all {
		t.Fatalf("peers: %+v", measured.Peers)
	}
	var completions []time.Duration
	for i := range measured.Peers[1:] {
		p := &measured.Peers[i+1]
		if p.Class != "home" || p.Down != s.Content.Length {
			t.Errorf("peer %+v", p)
		}
		completions = append(completions, p.Complete)
	}
	// They share a link. However early each of them began on a busy machine, when
	// the nth completes the link has carried n copies of three.
	slices.Sort(completions)
	for n, at := range completions {
		if least := simulated.Bound * time.Duration(n+1) / 3; at < least {
			t.Errorf("%d of 3 completed after %v, before %v", n+1, at, least)
		}
	}
}

func lastOf(system *result.System) (last time.Duration, all bool) {
	all = true
	for i := range system.Peers {
		p := &system.Peers[i]
		last = max(last, p.Complete)
		all = all && (p.Server || p.Complete > 0)
	}
	return last, all
}

func TestMissingProgram(t *testing.T) {
	for program, want := range map[string]string{
		filepath.Join(t.TempDir(), "shoal"): "no such file",
		"false":                             "the tracker",
	} {
		s := parse(t, three)
		run, temp := simulate(t, s)
		err := Run(t.Context(), s, run, Options{Shoal: program})
		if err == nil || !strings.Contains(err.Error(), want) || len(run.Systems) != 2 {
			t.Errorf("%s: %v", program, err)
		}
		checkNothingLeft(t, temp)
	}
}

func TestInterruptedDownload(t *testing.T) {
	s := parse(t, three+onlyOrigin, "origin.up=1KiB/s")
	run, temp := simulate(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Run(ctx, s, run, Options{Progress: func(lab.Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) || len(run.Systems) != 1 {
		t.Errorf("%v, %d systems", err, len(run.Systems))
	}
	checkNothingLeft(t, temp)
}

// TestThoseWhoGiveUp has nobody complete.
func TestThoseWhoGiveUp(t *testing.T) {
	s := parse(t, three+onlyOrigin, "origin.up=1KiB/s", "class.home.give_up=10ms")
	run, _ := simulate(t, s)
	if err := Run(t.Context(), s, run, Options{}); err != nil {
		t.Fatal(err)
	}
	measured := &run.Systems[1]
	if !measured.Completed || measured.Reason != allSettled || measured.Peers[1].Leave == 0 || measured.Peers[1].Complete > 0 {
		t.Errorf("%s, %+v", measured.Reason, measured.Peers[1])
	}
}

func TestCheck(t *testing.T) {
	for set, want := range map[string]string{
		"demand.peers=60":            "demand.peers=50",
		"content.length=1GiB":        "content.length=341MiB",
		"origin.count=6":             "origin.count=5",
		"content.count=2":            "content.count=1",
		"engine.picker=random":       "engine.picker=rarest",
		"engine.choking=false":       "engine.choking=true",
		"engine.endgame=false":       "engine.endgame=true",
		"engine.upload_slots=3":      "engine.upload_slots",
		"origin.max_requests=3":      "origin.max_requests",
		"origin.leave_after=2":       "leave out origin.leave_after",
		"network.loss=0.01":          "leave out network.loss",
		"class.home.loss=0.01":       "leave out corrupt and loss of the class \"home\"",
		"class.home.corrupt=true":    "leave out corrupt and loss of the class \"home\"",
		"demand.users=2":             "leave out demand.users",
		"demand.peers=50":            "",
		"origin.count=5":             "",
		"network.loss=0":             "",
		"class.home.nat=0.5":         "class.home.nat=0",
		"class.home.free_rider=true": "class.home.free_rider=false",
		"engine.picker=sequential":   "",
		"content.length=300MiB":      "",
	} {
		checkRefusal(t, three+onlyOrigin, set, want)
	}
	const both = three + onlyOrigin + "[[system]]\nkind = \"swarm\"\n[[system]]\nkind = \"cdn\"\nedges = 2\nedge_up = \"1MiB/s\"\nparents = 1\nrouting = \"anycast\"\n[[region]]\nname = \"eu\"\n[[fault]]\nat = \"1s\"\n"
	for fault, want := range map[string]string{
		"kind = \"crash\"\n":                      "faults are simulated only",
		"kind = \"tracker\"\n":                    "faults are simulated only",
		"kind = \"partition\"\nregion = \"eu\"\n": "faults are simulated only",
		"tier = \"origin\"\n":                     "faults are simulated only",
		"tier = \"edge\"\n":                       "",
		"tier = \"parent\"\n":                     "",
		"kind = \"route\"\nregion = \"eu\"\n":     "",
	} {
		checkRefusal(t, both+fault, "title=x", want)
	}
	for _, discovery := range []string{"dht = true\n", "dht = true\ntracker = false\n"} {
		err := Check(parse(t, three+"[[system]]\nkind = \"swarm\"\n"+discovery))
		if err == nil || !strings.Contains(err.Error(), "leave out dht") {
			t.Errorf("%s: %v", discovery, err)
		}
	}
	checkRefusal(t, three+"[[system]]\nkind = \"mirrors\"\nservers = 2\nup = \"1MiB/s\"\n", "title=x", "neither a swarm nor an origin")
	checkRefusal(t, strings.Replace(three, "demand.peers = 3", "", 1)+onlyOrigin, "class.home.count=51", "make the counts of the classes smaller")
	s := parse(t, three+onlyOrigin, "origin.up=100B/s")
	run, _ := simulate(t, s)
	if err := Run(t.Context(), s, run, Options{}); err == nil || !strings.Contains(err.Error(), "content.length") {
		t.Errorf("it would take 49 minutes: %v", err)
	}
}

// checkRefusal expects an error with want in it, none if that is empty.
func checkRefusal(t *testing.T, text, set, want string) {
	t.Helper()
	err := Check(parse(t, text, set))
	if (err == nil) != (want == "") || err != nil && !(strings.HasPrefix(err.Error(), "for real: ") && strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v", set, err)
	}
}

func TestTheLibraryHasOne(t *testing.T) {
	src, _ := scenarios.Source("twenty-real")
	s, err := src.Parse()
	if err == nil {
		err = Check(s)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestSharedLink holds a link to its rate, whatever the number of connections.
func TestSharedLink(t *testing.T) {
	const rate, numBytes = 4 << 20, 1 << 20
	start := time.Now()
	link := newLimiter(rate)
	done := make(chan error, 2)
	for range 2 {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		conn := newLimited(t.Context(), near, link, newLimiter(scenario.Unlimited))
		go func() {
			defer near.Close()
			_, err := conn.Write(make([]byte, numBytes))
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	least := 2 * numBytes * int(time.Second) / rate
	if took := time.Since(start); took < time.Duration(least) {
		t.Errorf("2 MiB took %v, and cannot take less than %v", took, time.Duration(least))
	}
}

func TestEveryHostHasItsOwnNetwork(t *testing.T) {
	n, err := newNetwork()
	if err != nil {
		t.Skip(err)
	}
	seen := map[string]bool{}
	for i := range firstPeer + MaxSeeds + MaxPeers {
		addr := n.host(i)
		prefix, _ := addr.Prefix(24)
		if !addr.IsLoopback() || seen[prefix.String()] {
			t.Errorf("host %d is at %v", i, addr)
		}
		seen[prefix.String()] = true
	}
}
