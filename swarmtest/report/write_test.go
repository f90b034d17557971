package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// contents returns all files below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, readErr := os.ReadFile(name)
			relative, _ := filepath.Rel(dir, name)
			all[filepath.ToSlash(relative)], err = string(text), readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReadReturnsTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	if err := Write(dir, invented()); err != nil {
		t.Fatal(err)
	}
	run, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(run, invented()) {
		t.Error("Read returns another run than was written")
	}
	again := t.TempDir()
	if err := Write(again, run); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(contents(t, again), contents(t, dir)) {
		t.Error("the same run gave other files")
	}
	if summary, err := ReadSummary(dir); err != nil || summary.Systems[0].EventLog != invented().Systems[0].EventLog {
		t.Errorf("summary: %v", err)
	}
}

func TestWriteReplacesReportsOnly(t *testing.T) {
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Write(dir, invented()); err != nil {
			t.Fatal(err)
		}
	}
	files := contents(t, dir)
	if files["notes.txt"] != "mine" {
		t.Error("a file of somebody else is gone")
	}
	for name := range files {
		if filepath.Ext(name) == ".tmp" {
			t.Errorf("%s is left over", name)
		}
	}

	for _, name := range []string{"report.html", "run.json", "figures/own.png"} {
		foreign := t.TempDir()
		full := filepath.Join(foreign, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(`{"format":"of somebody else"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Write(foreign, invented()); err == nil {
			t.Errorf("a foreign %s was no reason to stop", name)
		}
		if got := contents(t, foreign); len(got) != 1 {
			t.Errorf("beside a foreign %s: %d files", name, len(got))
		}
	}
}

func TestTablesHaveARowForEachPeerAndSample(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, invented()); err != nil {
		t.Fatal(err)
	}
	var peers, samples int
	for _, system := range invented().Systems {
		peers += len(system.Peers)
		samples += len(system.Samples)
	}
	for name, want := range map[string]int{"peers.csv": peers, "timeseries.csv": samples} {
		text := contents(t, dir)[name]
		rows, err := csv.NewReader(bytes.NewReader([]byte(text))).ReadAll()
		if err != nil || len(rows) != want+1 {
			t.Errorf("%s: %d rows, want %d and a heading (%v)", name, len(rows), want, err)
		}
	}
}

// The keys of run.json that docs/formats.md promises.
func TestRunDocument(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, invented()); err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(contents(t, dir)["run.json"]), &document); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"format", "name", "title", "scenarioSHA256", "seed", "version", "eventLogSHA256", "contentBytes", "contents", "downloads", "systems", "scenario"} {
		if _, ok := document[key]; !ok {
			t.Errorf("there is no key %q", key)
		}
	}
	system := document["systems"].([]any)[0].(map[string]any)
	for _, key := range []string{"name", "kind", "completed", "boundSeconds", "ratioToBound", "eventLogSHA256", "downloads", "originCopies", "offload", "jain", "cost", "classes"} {
		if system[key] == nil {
			t.Errorf("systems have no key %q", key)
		}
	}
	if ratio := system["ratioToBound"].(float64); ratio < 1 || ratio > 3 {
		t.Errorf("the swarm took %v times the bound", ratio)
	}
}

func TestSummaryOfUnfinishedDownloads(t *testing.T) {
	run := &result.Run{ContentLen: 100, Systems: []result.System{{
		Name: "swarm", End: 100 * time.Second, Bound: time.Second,
		Peers: []result.Peer{
			{Server: true, Complete: time.Second, Up: 1000},
			{Join: 10 * time.Second, Complete: 20 * time.Second},
			{Complete: 30 * time.Second},
			{Leave: 5 * time.Second}, // abandoned
			{},                       // still there
		},
	}}}
	s := Summarize(run).Systems[0]
	d := s.Downloads
	if d.Asked != 4 || d.Completed != 2 || d.Abandoned != 1 || d.Unfinished != 1 {
		t.Errorf("downloads: %+v", d)
	}
	if d.Mean != 20 || d.P25 != 20 || d.P50 != 30 || d.P95.Known() || d.Last != 30 || s.RatioToBound.Known() {
		t.Errorf("times: %+v, ratio %v", d, s.RatioToBound)
	}
	if one := censoredQuantile(0.25, []float64{10, 30, 70}, 0); one != 20 {
		t.Errorf("a quantile of three: %v, want 20", one)
	}
}

func TestDecimalSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000000001", time.Second: "1", 1500 * time.Millisecond: "1.5", -1500 * time.Millisecond: "-1.5",
		1<<63 - 1: "9223372036.854775807",
	} {
		if got := decimalSeconds(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
		if back, err := parseSeconds(want); err != nil || back != d {
			t.Errorf("%s: %d ns (%v), want %d", want, back, err, d)
		}
	}
}
