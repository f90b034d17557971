package report

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

func TestReplicas(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, again} {
		if err := WriteReplicas(d, inventedReplicas()); err != nil {
			t.Fatal(err)
		}
	}
	files := contents(t, dir)
	if !reflect.DeepEqual(files, contents(t, again)) {
		t.Error("the same runs gave other files")
	}
	var document replicasDocument
	if err := json.Unmarshal([]byte(files["replicas.json"]), &document); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(document.Seeds, []uint64{1, 2, 3}) || len(document.Systems) != 3 || len(document.Runs) != 3 {
		t.Errorf("seeds %v, %d systems, %d runs", document.Seeds, len(document.Systems), len(document.Runs))
	}
	mean := document.Systems[0].Metrics[0]
	var values []float64
	for _, run := range inventedReplicas() {
		values = append(values, float64(run.Systems[0].Downloads.Mean))
	}
	if want := stats.Mean(values); mean.Metric != "meanSeconds" || float64(mean.Mean) != want.Mean || float64(mean.Low) != want.Low || mean.N != 3 {
		t.Errorf("%+v, want %+v", mean, want)
	}
	if rows := strings.Count(files["runs.csv"], "\n"); rows != 1+3*3 {
		t.Errorf("runs.csv has %d lines", rows)
	}
	if bands := strings.Count(files["report.html"], `class="band0"`); bands != 3 {
		t.Errorf("%d bands of the swarm", bands)
	}

	one := t.TempDir()
	if err := WriteReplicas(one, inventedReplicas()[:1]); err != nil {
		t.Error(err)
	}
	mixed := []*Digest{inventedReplicas()[0], inventedVariant()[1]}
	twice := []*Digest{inventedReplicas()[0], inventedReplicas()[0]}
	for _, wrong := range [][]*Digest{nil, mixed, twice} {
		if err := WriteReplicas(one, wrong); err == nil {
			t.Error("runs that are no replicas were written")
		}
	}
}

func TestComparison(t *testing.T) {
	dir := t.TempDir()
	shuffled := slices.Clone(inventedVariant())
	slices.Reverse(shuffled)
	if err := WriteComparison(dir, inventedReplicas(), shuffled); err != nil {
		t.Fatal(err)
	}
	files := contents(t, dir)
	var document comparisonDocument
	document.Comparison = &Comparison{}
	if err := json.Unmarshal([]byte(files["comparison.json"]), &document); err != nil {
		t.Fatal(err)
	}
	if inOrder := t.TempDir(); WriteComparison(inOrder, inventedReplicas(), inventedVariant()) != nil || contents(t, inOrder)["comparison.json"] != files["comparison.json"] {
		t.Error("the order of the runs matters: they are not paired by their seeds")
	}
	swarm, origin := document.Systems[0], document.Systems[1]
	if m := swarm.Metrics[0]; m.Verdict != stats.Greater || m.Difference.Low <= 0 || m.P > 0.05 {
		t.Errorf("one slot: %+v", m)
	}
	if m := origin.Metrics[0]; m.Verdict != stats.Equal || origin.DownloadTimes.D != 0 || origin.DownloadTimes.P != 1 {
		t.Errorf("the origin serves both alike: %+v, %+v", m, origin.DownloadTimes)
	}
	if swarm.DownloadTimes.D < 0.5 || swarm.DownloadTimes.A != 90 {
		t.Errorf("download times: %+v", swarm.DownloadTimes)
	}
	if text := textOf(elements(t, files["report.html"])["main"][0]); !strings.Contains(text, "with one-slot: longer by") {
		t.Errorf("the sentences do not say which is longer: %.500s", text)
	}

	for _, wrong := range [][2][]*Digest{
		{inventedReplicas(), inventedVariant()[:2]},
		{inventedReplicas()[:1], inventedVariant()[1:2]},
		{nil, nil},
	} {
		if _, err := Compare(wrong[0], wrong[1]); err == nil {
			t.Error("runs without partners were compared")
		}
	}
	single, err := Compare(inventedReplicas()[:1], inventedVariant()[:1])
	if err != nil || single.Systems[0].Metrics[0].Verdict != stats.TooFewToTell {
		t.Errorf("one pair: %v", err)
	}
	if text, err := encode(single); err != nil || !strings.Contains(string(text), `"low": null`) {
		t.Errorf("what is not known is not null: %v", err)
	}
}

func TestMeanCurve(t *testing.T) {
	two := []func(float64) float64{func(x float64) float64 { return x }, func(x float64) float64 { return 3 * x }}
	c := meanCurve([]float64{0, 0.25, 1}, two, 0, 1)
	if !slices.Equal(c.Y, []float64{0, 0.5, 2}) || c.Low[1] != 0 || c.High[1] != 1 {
		t.Errorf("%+v", c)
	}
	samples := []result.Sample{{At: time.Second, Leechers: 2}, {At: 3 * time.Second, Leechers: 6}}
	leechers := func(s *result.Sample) float64 { return float64(s.Leechers) }
	held, ended := overTime(samples, true, leechers), overTime(samples, false, leechers)
	if got := []float64{held(1), held(2), held(3), held(9)}; !slices.Equal(got, []float64{2, 4, 6, 6}) {
		t.Errorf("held: %v", got)
	}
	if !math.IsNaN(held(0)) || !math.IsNaN(ended(9)) || ended(3) != 6 {
		t.Errorf("ended: %v %v", held(0), ended(9))
	}
	if g := grid(1, 100, chart.Log); g[0] != 1 || g[len(g)-1] != 100 || math.Abs(g[len(g)/2]-10) > 0.5 {
		t.Errorf("grid: %v", g[len(g)/2])
	}
}
