package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// inventedSweep is a grid of two parameters; the numbers are made up from the same
// runs.
func inventedSweep() *Sweep {
	s := &Sweep{Name: "origin-sweep", Title: "A faster origin for crowds of three sizes", Version: "v0.5.0", Parameters: []string{"origin.up", "class.dsl.count"}}
	for i, up := range []string{"1Mbit/s", "4Mbit/s", "16Mbit/s", "64Mbit/s"} {
		for j, crowd := range []string{"10", "30", "90"} {
			p := Point{Values: []string{up, crowd}}
			for _, run := range inventedReplicas() {
				summary := copySummary(run.Summary)
				summary.ScenarioHash = fmt.Sprintf("%d%d", i, j)
				for k := range summary.Systems {
					d := &summary.Systems[k].Downloads
					factor := Number(1 + float64(3-i)*0.8 + float64(j)*0.3)
					d.Mean *= factor
					d.Last *= factor
				}
				p.Runs = append(p.Runs, summary)
			}
			s.Points = append(s.Points, p)
		}
	}
	return s
}

// copySummary is a summary whose systems can be changed.
func copySummary(s *Summary) *Summary {
	changed := *s
	changed.Systems = slices.Clone(s.Systems)
	return &changed
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	sweep := inventedSweep()
	if err := WriteSweep(dir, sweep); err != nil {
		t.Fatal(err)
	}
	read, err := ReadSweep(dir)
	if err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	if err := WriteSweep(again, read); err != nil {
		t.Fatal(err)
	}
	files := contents(t, dir)
	if !reflect.DeepEqual(files, contents(t, again)) {
		t.Error("the sweep that was read gave other files")
	}
	if rows := strings.Count(files["runs.csv"], "\n"); rows != 1+12*3*3 {
		t.Errorf("runs.csv has %d lines", rows)
	}
	if !strings.HasPrefix(files["runs.csv"], "origin.up,class.dsl.count,scenario_sha256,seed,") {
		t.Errorf("runs.csv begins with %.80s", files["runs.csv"])
	}
	found := elements(t, files["report.html"])
	if charts := strings.Count(files["report.html"], `class="chart"`); charts != 4 || len(found["tr"]) != 1+12*3 {
		t.Errorf("%d charts, %d rows", charts, len(found["tr"]))
	}
	if lead := textOf(found["main"][0]); !strings.Contains(lead, "quickest (up = 64Mbit/s, count = 10)") || !strings.Contains(lead, "slowest (up = 1Mbit/s, count = 90)") {
		t.Error("the sentences do not name the quickest and the slowest point")
	}
}

// Two machines each ran a part, and both ran one point.
func TestMergedSweepIsTheWhole(t *testing.T) {
	whole := inventedSweep()
	left, right := *whole, *whole
	left.Points, right.Points = whole.Points[:7], whole.Points[6:]
	merged, err := Merge(&left, &right)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(merged, whole) {
		t.Errorf("%d points were merged", len(merged.Points))
	}
	for _, parts := range [][]*Sweep{{}, {whole, {Name: whole.Name, Parameters: []string{"other"}}}} {
		if _, err := Merge(parts...); err == nil {
			t.Error("what is no part of one sweep was merged")
		}
	}
	if WriteSweep(t.TempDir(), &Sweep{Parameters: []string{"a"}, Points: []Point{{}}}) == nil {
		t.Error("a point without values was written")
	}
}

func TestValuesOfParameters(t *testing.T) {
	for text, want := range map[string]float64{"12": 12, "0.5": 0.5, `"1 MiB"`: 1 << 20, "8Mbit/s": 1e6, "1m30s": 90} {
		if got, ok := numericValue(text); !ok || got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if _, ok := numericValue("rarest-first"); ok {
		t.Error("a word is a number")
	}
}
