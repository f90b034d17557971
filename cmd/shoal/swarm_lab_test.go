package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
	"github.com/shoal-bt/shoal/swarmtest/scenarios"
	"github.com/shoal-bt/shoal/swarmtest/validate"
)

// tinyScenario takes some milliseconds.
const tinyScenario = `title = "Tiny"
content.length = "1MiB"
content.piece_length = "64KiB"
origin.up = "2Mbit/s"
demand.peers = 6
[[class]]
name = "dsl"
up = "1Mbit/s"
down = "8Mbit/s"
`

// inLab goes to a folder of its own with tiny.toml.
func inLab(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFiles(t, ".", map[string]string{"tiny.toml": tinyScenario})
}

func TestSwarmList(t *testing.T) {
	plain := strings.Split(strings.TrimSpace(mustSucceed(t, "swarm", "list").stdout), "\n")
	objects := strings.Split(strings.TrimSpace(mustSucceed(t, "swarm", "list", "--json").stdout), "\n")
	names := scenarios.Names()
	if len(plain) != len(names) || len(objects) != len(names) {
		t.Fatalf("%d scenarios are listed as %d lines and %d objects", len(names), len(plain), len(objects))
	}
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range keys(t, objects[0]) {
		if !strings.Contains(string(docs), "`"+key+"`") {
			t.Errorf("docs/cli.md does not document the key %s", key)
		}
	}
	for i, name := range names {
		if !strings.HasPrefix(plain[i], name+" ") || !strings.Contains(objects[i], `"name":"`+name+`"`) {
			t.Errorf("%s is listed as %s and %s", name, plain[i], objects[i])
		}
	}
}

func TestSwarmSchema(t *testing.T) {
	if got := mustSucceed(t, "swarm", "schema").stdout; got != string(scenario.Schema()) {
		t.Errorf("printed %q", got)
	}
}

func TestSwarmRunWritesAReport(t *testing.T) {
	inLab(t)
	r := mustSucceed(t, "swarm", "run", "tiny.toml")
	for _, want := range []string{"Tiny\n", "\nswarm ", "\norigin ", "last/bound", filepath.Join("tiny", "report.html"), "seed 1"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is not in\n%s", want, r.stdout)
		}
	}
	for _, name := range []string{"run.json", "peers.csv", "timeseries.csv"} {
		if _, err := os.Stat(filepath.Join("tiny", name)); err != nil {
			t.Error(err)
		}
	}
}

// jsonLines returns the objects that a command printed.
func jsonLines(t *testing.T, args ...string) (objects []map[string]any) {
	t.Helper()
	for line := range strings.Lines(mustSucceed(t, args...).stdout) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		objects = append(objects, object)
	}
	return objects
}

func TestSwarmRunIsReplayed(t *testing.T) {
	inLab(t)
	first := jsonLines(t, "swarm", "run", "tiny.toml", "--json", "--replicas", "2", "--out", "a")
	again := jsonLines(t, "swarm", "run", "tiny.toml", "--json", "--seed", "2", "--out", "b", "--workers", "1")
	if len(first) != 2 || len(again) != 1 || first[1]["directory"] != filepath.Join("a", "seed-2") || again[0]["directory"] != "b" {
		t.Fatalf("the runs are %v and %v", first, again)
	}
	for key := range first[1] {
		a, _ := json.Marshal(first[1][key])
		b, _ := json.Marshal(again[0][key])
		if key != "directory" && string(a) != string(b) {
			t.Errorf("%s: once %s, then %s", key, a, b)
		}
	}
	if first[0]["eventLogSHA256"] == first[1]["eventLogSHA256"] || first[0]["eventLogSHA256"] == "" {
		t.Errorf("two seeds have the event log %v", first[0]["eventLogSHA256"])
	}
	for _, name := range []string{"run.json", "peers.csv", "timeseries.csv"} {
		a, err := os.ReadFile(filepath.Join("a", "seed-2", name))
		b, err2 := os.ReadFile(filepath.Join("b", name))
		if err != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%s differs between two runs of a seed (%v, %v)", name, err, err2)
		}
	}
}

func TestMistakesInAScenarioAreUsageErrors(t *testing.T) {
	inLab(t)
	writeFiles(t, ".", map[string]string{
		"bad.toml": strings.Replace(tinyScenario, "demand.peers = 6", "demand.pears = 6", 1), "worse.toml": "x = 1\ny = 2\n",
	})
	for _, tt := range []struct{ args, want string }{
		{"run bad.toml", `bad.toml:5: there is no key "pears" in [demand]; did you mean "peers"?`},
		{"run worse.toml", "worse.toml:1: there is no key \"x\""},
		{"run tiny.toml --set demand.peers", "write KEY=VALUE"},
		{"run tiny.toml --set demand.peers=many", "--set demand.peers=many: write a whole number"},
		{"compare tiny.toml tiny.toml --set-b system=x", "write one or more tables"},
		{"sweep tiny.toml --set demand.peers=1,x", "--set demand.peers=x: write a whole number"},
		{"sweep tiny.toml --set demand.peers=1,2 --set seed=1 --set demand.peers=3", "--set demand.peers is there twice; write all values into one"},
		{"sweep tiny.toml --set demand.peers=1,2,1", "--set demand.peers has the value 1 twice"},
		{"run tiny.toml --set title=" + strings.Repeat("x", 1000), "--set title=" + strings.Repeat("x", 54) + "...: title = \""},
		{"sweep tiny.toml --set demand.peers=1,2 --replicas 99999", "that are more than 100000 runs"},
	} {
		r := shoal(t, append([]string{"swarm"}, strings.Fields(tt.args)...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%s: exit %d, %s", tt.args, r.code, r.stderr)
		}
	}
}

func TestTraceIsNotElsewhere(t *testing.T) {
	inLab(t)
	traced := strings.Replace(tinyScenario, "demand.peers = 6", "demand.arrivals = \"trace\"\ndemand.trace = \"t.csv\"", 1)
	writeFiles(t, ".", map[string]string{"a/traced.toml": traced, "a/t.csv": "join\n0\n1\n", "b/traced.toml": traced})
	mustSucceed(t, "swarm", "run", "a/traced.toml")
	if err := os.Symlink("../a/t.csv", "b/t.csv"); err != nil {
		t.Skip(err)
	}
	if r := shoal(t, "swarm", "run", "b/traced.toml"); r.code != exitUsage || !strings.Contains(r.stderr, "path escapes from parent") {
		t.Errorf("a link that leads elsewhere: exit %d, %s", r.code, r.stderr)
	}
}

func TestSwarmRunInterrupted(t *testing.T) {
	inLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := shoalCtx(ctx, "swarm", "run", "tiny.toml")
	if r.code != exitInterrupted || !strings.Contains(r.stderr, "no run came to its end; nothing was written\nshoal: interrupted\n") {
		t.Errorf("exit %d, %s", r.code, r.stderr)
	}
}

func TestSwarmCompare(t *testing.T) {
	inLab(t)
	text := mustSucceed(t, "swarm", "compare", "tiny.toml", "--set-b", "origin.up=4Mbit/s", "--out", "runs", "--replicas", "2").stdout
	for _, want := range []string{"A: Tiny (", "\nswarm\n", "\norigin\n", "difference", " less\n", "Kolmogorov-Smirnov", "2 seeds"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if _, err := os.Stat(filepath.Join("runs", "b-seed-2", "run.json")); err != nil {
		t.Error(err)
	}
	var c struct {
		Seeds   []uint64
		Systems []struct {
			A       string
			Metrics []struct{ Metric, Verdict string }
		}
	}
	object := mustSucceed(t, "swarm", "compare", "tiny.toml", "--set-b", "origin.up=4Mbit/s", "--json", "--replicas", "2").stdout
	if err := json.Unmarshal([]byte(object), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Seeds) != 2 || len(c.Systems) != 2 || c.Systems[1].A != "origin" || c.Systems[1].Metrics[0].Verdict != "less" {
		t.Errorf("an origin twice as fast is %+v", c)
	}
}

func TestSwarmSweep(t *testing.T) {
	inLab(t)
	sweep := func(more ...string) result {
		return mustSucceed(t, append([]string{"swarm", "sweep", "tiny.toml",
			"--set", "demand.peers=2,4", "--set", "origin.up=1Mbit/s,2Mbit/s", "--out", "out"}, more...)...)
	}
	folders := func() (names []string) {
		entries, err := os.ReadDir("out")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && e.Name() != "figures" {
				names = append(names, e.Name())
			}
		}
		return names
	}
	if r := sweep("--shard", "1/2"); !strings.Contains(r.stdout, "2 runs of other shards are not there yet") || len(folders()) != 2 {
		t.Fatalf("a half of the sweep has %v\n%s", folders(), r.stdout)
	}
	sweep("--shard", "2/2")
	all := folders()
	if len(all) != 4 {
		t.Fatalf("both halves have %v", all)
	}
	// What is there is not run again: the mark in it stays.
	mark := filepath.Join("out", all[3], "mark")
	writeFiles(t, ".", map[string]string{mark: ""})
	r := sweep()
	if !strings.Contains(r.stderr, "4 of 4 runs are there already") || strings.Count(r.stdout, "\n") != 1+4*2+2 {
		t.Errorf("the whole sweep says\n%s%s", r.stderr, r.stdout)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	// Half a result is no result.
	if err := os.Remove(filepath.Join("out", all[3], "run.json")); err != nil {
		t.Fatal(err)
	}
	if r := sweep(); !strings.Contains(r.stderr, "3 of 4 runs are there already") || !slices.Equal(folders(), all) {
		t.Errorf("after a loss, the sweep says\n%s", r.stderr)
	}
	table, err := os.ReadFile(filepath.Join("out", "runs.csv"))
	if err != nil || strings.Count(string(table), "\n") != 1+4*2 {
		t.Errorf("%v: %s", err, table)
	}
	lines := jsonLines(t, "swarm", "sweep", "tiny.toml",
		"--set", "demand.peers=2,4", "--set", "origin.up=1Mbit/s,2Mbit/s", "--out", "out", "--json")
	if set, _ := lines[3]["set"].(map[string]any); len(lines) != 4 || !maps.Equal(set, map[string]any{"demand.peers": "4", "origin.up": "2Mbit/s"}) {
		t.Errorf("the last of %d lines has the values %v", len(lines), set)
	}
}

func TestSwarmValidate(t *testing.T) {
	r := mustSucceed(t, "swarm", "validate", "--quick", "--seeds", "2", "--only", "least distribution")
	if lines := strings.Count(r.stdout, "\n"); lines != 1+3*2 || strings.Count(r.stdout, "holds") != 6 {
		t.Errorf("it prints\n%s", r.stdout)
	}
	r = mustSucceed(t, "swarm", "validate", "--seeds", "2", "--only", "flash crowd for one part", "--json")
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range keys(t, r.stdout) {
		if !strings.Contains(string(docs), "`"+key+"`") {
			t.Errorf("docs/cli.md does not document the key %s", key)
		}
	}
}

func TestProgressOfSwarms(t *testing.T) {
	src, _ := scenarios.Source("flash-crowd") // a swarm and an origin, 1,000 times 100 MiB
	s, err := src.Parse()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	j := &swarmJobs{name: "flash-crowd", jobs: []swarmJob{{scenario: s}}, start: now.Add(-10 * time.Second)}
	j.at = []lab.Progress{{System: "swarm", Now: 10 * time.Minute, Done: 350, Total: 1000, Part: 0.5}}
	j.since = []time.Time{now.Add(-10 * time.Second)}
	p := j.progress(now)[0]
	const all = 1000 * 100 << 20
	if p.done != all/2 || p.total != all+all/100 {
		t.Errorf("half of the swarm are %d of %d bytes", p.done, p.total)
	}
	if want := "swarm: 350 of 1000 peers done after 10m0s, 60x real time, 10s left"; p.detail != want {
		t.Errorf("it says %q, want %q", p.detail, want)
	}
	j.finished = 1
	if p := j.progress(now)[0]; p.done != p.total || p.detail != "done in 10s" {
		t.Errorf("at the end it is %+v", p)
	}
}

// What runs is told, what began first at the front.
func TestTrialsAreTold(t *testing.T) {
	start := time.Now()
	trials := trials{start: start, total: 10, running: make(map[trial]time.Time)}
	for _, name := range []string{"long", "done", "short"} {
		trials.heard(&validate.Experiment{Name: name}, 1, true)
	}
	trials.heard(&validate.Experiment{Name: "done"}, 1, false)
	trials.running[trial{"long", 1}], trials.running[trial{"short", 1}] = start, start.Add(50*time.Second)
	want := "1 of 10 runs done in 1m0s; long, seed 1, for 1m0s; short, seed 1, for 10s"
	if got := trials.line(start.Add(time.Minute)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A folder that is there, and yet cannot be written, is noticed before the runs.
// Nobody may make files in /proc, not even root.
func TestResultsThatCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("it takes /proc")
	}
	if _, err := makeFolder("/proc/self"); err == nil || !strings.Contains(err.Error(), "to /proc/self: ") {
		t.Errorf("got %v", err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := makeFolder(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A command that is interrupted before it has results leaves no empty folder, but one that was there.
func TestInterruptedRunsLeaveNoFolder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"run flash-crowd", "sweep flash-crowd --set demand.peers=5,6", "compare flash-crowd --set-b demand.peers=5"} {
		for _, before := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "out")
			if before {
				os.Mkdir(dir, 0o777)
			}
			r := shoalCtx(ctx, append([]string{"swarm"}, append(strings.Fields(args), "--out", dir)...)...)
			if _, err := os.Stat(dir); r.code != exitInterrupted || (err == nil) != before {
				t.Errorf("%s, with the folder before: %v: exit %d, %v\n%s", args, before, r.code, err, r.stderr)
			}
		}
	}
}
