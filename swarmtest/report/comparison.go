package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// Comparison is that of two scenarios, run with the same seeds. It is
// comparison.json without the runs.
type Comparison struct {
	A       Side               `json:"a"`
	B       Side               `json:"b"`
	Seeds   []uint64           `json:"seeds"`
	Systems []SystemComparison `json:"systems"`
}

// Side names one of two scenarios.
type Side struct {
	Name         string `json:"name"`
	Title        string `json:"title"`
	ScenarioHash string `json:"scenarioSHA256"`
	Version      string `json:"version"`
}

// SystemComparison is that of one system of both scenarios. DownloadTimes compares the download times of all
// runs together.
type SystemComparison struct {
	A             string             `json:"a"` // their names
	B             string             `json:"b"`
	Kind          string             `json:"kind"` // of A's
	Metrics       []MetricComparison `json:"metrics"`
	DownloadTimes KolmogorovSmirnov  `json:"downloadTimes"`
}

// MetricComparison compares a metric, pair by pair. Difference is B minus A, P that of a paired
// t test.
type MetricComparison struct {
	Metric     string        `json:"metric"`
	A          Interval      `json:"a"`
	B          Interval      `json:"b"`
	Difference Interval      `json:"difference"`
	P          Number        `json:"p"`
	Verdict    stats.Verdict `json:"verdict"`
}

// KolmogorovSmirnov is the test of that name on two samples of lengths A and B.
type KolmogorovSmirnov struct {
	D Number `json:"d"`
	P Number `json:"p"`
	A int    `json:"a"`
	B int    `json:"b"`
}

// comparisonDocument is comparison.json.
type comparisonDocument struct {
	Format string `json:"format"`
	*Comparison
	RunsA []*Summary `json:"runsA"`
	RunsB []*Summary `json:"runsB"`
}

// Compare compares the runs of two scenarios. Both must have been run with the same seeds: the runs of a seed are a
// pair. Systems are compared with those of their name, or the only one with the only one.
func Compare(a, b []*Digest) (*Comparison, error) {
	b, err := paired(a, b)
	if err != nil {
		return nil, err
	}
	c := &Comparison{A: sideOf(a[0]), B: sideOf(b[0]), Seeds: seedsOf(a)}
	summariesA, summariesB := summariesOf(a), summariesOf(b)
	for _, names := range systemPairs(a[0], b[0]) {
		s := SystemComparison{A: names[0], B: names[1], Kind: systemsIn(a, names[0])[0].kind}
		s.Metrics = compareMetrics(systemCalled(summariesA, names[0]), systemCalled(summariesB, names[1]))
		s.DownloadTimes = compareTimes(systemsIn(a, names[0]), systemsIn(b, names[1]))
		c.Systems = append(c.Systems, s)
	}
	if len(c.Systems) == 0 {
		return nil, fmt.Errorf("report: %q and %q have no system of the same name", a[0].Name, b[0].Name)
	}
	return c, nil
}

// paired returns b in the order of a's seeds.
func paired(a, b []*Digest) (ordered []*Digest, err error) {
	for _, runs := range [][]*Digest{a, b} {
		if err := checkReplicas(runs); err != nil {
			return nil, err
		}
	}
	if len(a) != len(b) {
		return nil, fmt.Errorf("report: %d and %d runs: a comparison needs the same seeds on both sides", len(a), len(b))
	}
	for _, run := range a {
		i := slices.IndexFunc(b, func(other *Digest) bool { return other.Seed == run.Seed })
		if i < 0 {
			return nil, fmt.Errorf("report: seed %d is on one side only: a comparison needs the same seeds on both", run.Seed)
		}
		ordered = append(ordered, b[i])
	}
	return ordered, nil
}

func sideOf(run *Digest) Side {
	return Side{run.Name, run.Title, run.ScenarioHash, run.Version}
}

// systemPairs returns the names of the systems that are compared.
func systemPairs(a, b *Digest) (pairs [][2]string) {
	for i := range a.Systems {
		name := a.Systems[i].Name
		if slices.ContainsFunc(b.Systems, func(s SystemSummary) bool { return s.Name == name }) {
			pairs = append(pairs, [2]string{name, name})
		}
	}
	if len(pairs) == 0 && len(a.Systems) == 1 && len(b.Systems) == 1 {
		pairs = append(pairs, [2]string{a.Systems[0].Name, b.Systems[0].Name})
	}
	return pairs
}

// compareMetrics compares what exists on both sides of a pair, pair by pair.
func compareMetrics(a, b []*SystemSummary) (compared []MetricComparison) {
	for i := range metrics {
		m := &metrics[i]
		var valuesA, valuesB []float64
		for j := range min(len(a), len(b)) {
			if x, y := m.number(a[j]), m.number(b[j]); x.Known() && y.Known() {
				valuesA, valuesB = append(valuesA, float64(x)), append(valuesB, float64(y))
			}
		}
		if c, err := stats.Paired(valuesA, valuesB); err == nil && len(valuesA) > 0 {
			compared = append(compared, MetricComparison{
				m.key, intervalOf(c.A), intervalOf(c.B), intervalOf(c.Difference), Number(c.P), c.Verdict,
			})
		}
	}
	return compared
}

func compareTimes(a, b []*systemDigest) KolmogorovSmirnov {
	timesA, timesB := pooledTimes(a), pooledTimes(b)
	ks := stats.KolmogorovSmirnov(timesA, timesB)
	return KolmogorovSmirnov{Number(ks.D), Number(ks.P), len(timesA), len(timesB)}
}

// pooledTimes are the download times in all runs together.
func pooledTimes(systems []*systemDigest) (times []float64) {
	for _, system := range systems {
		times = append(times, system.took.Values()...)
	}
	return times
}

// WriteComparison puts the comparison of two scenarios into a directory: comparison.json, runs.csv,
// report.html and figures. As Write it replaces only reports. For its errors see Compare.
func WriteComparison(dir string, a, b []*Digest) error {
	c, err := Compare(a, b)
	if err != nil {
		return err
	}
	b, _ = paired(a, b) // Compare found no mistake
	document := &comparisonDocument{comparisonFormat, c, summariesOf(a), summariesOf(b)}
	csv := table(runHeading("side"), func(row func(...string)) {
		for i := range document.RunsA {
			runRows(row, document.RunsA[i], "a")
			runRows(row, document.RunsB[i], "b")
		}
	})
	figures := c.figures(a, b)
	return writeReport(dir, comparisonFile, document, csv, c.page(a[0], b[0], figures), figures)
}

// labels are the names of the sides, told apart.
func (c *Comparison) labels() (a, b string) {
	a, b = chart.Clean(orNone(c.A.Name), maxName), chart.Clean(orNone(c.B.Name), maxName)
	if a == b {
		return a + " (A)", b + " (B)"
	}
	return a, b
}

// The styles of the sides.
const styleA, styleB = 0, 1

func (c *Comparison) figures(a, b []*Digest) []*figure {
	labelA, labelB := c.labels()
	legend := legendOf([]side{{name: labelA, style: styleA}, {name: labelB, style: styleB}})
	completion := &figure{id: "completion", title: "Completion", caption: completionCaption + bandCaption, legend: legend}
	leechers := &figure{id: "population", title: "Leechers", caption: "Peers that do not have everything yet." + bandCaption, legend: legend}
	for i, s := range c.Systems[:min(len(c.Systems), maxPanels)] {
		sides := []side{{labelA, styleA, systemsIn(a, s.A)}, {labelB, styleB, systemsIn(b, s.B)}}
		times := completionOf(fmt.Sprintf("completion-%d", i), sides)
		times.Title = s.A
		times.Tall = len(c.Systems) == 1
		completion.addIfDrawn(times)
		population := timelineOf(fmt.Sprintf("population-%d", i), s.A, chart.Axis{Label: "leechers"}, 1e18, sides, true,
			func(s *result.Sample) float64 { return float64(s.Leechers) })
		leechers.addIfDrawn(population)
	}
	return withCharts([]*figure{completion, leechers})
}

func (c *Comparison) page(a, b *Digest, figures []*figure) *page {
	labelA, labelB := c.labels()
	p := &page{
		Kicker: "Swarm laboratory · comparison of two scenarios", Title: labelA + " and " + labelB,
		Facts: []fact{{"A", labelA + ", " + shortHash(c.A.ScenarioHash)}, {"B", labelB + ", " + shortHash(c.B.ScenarioHash)}, {"pairs", count(len(c.Seeds))}},
		Lead:  c.lead(), Notes: notes, Version: chart.Clean(c.A.Version, maxName),
	}
	if c.A.Version != c.B.Version {
		p.Warnings = append(p.Warnings, fmt.Sprintf("The two were run by different versions: %s and %s.", chart.Clean(c.A.Version, maxName), chart.Clean(c.B.Version, maxName)))
	}
	for i, s := range c.Systems[:min(len(c.Systems), maxSystems)] {
		t := s.table(labelA, labelB)
		if i == 0 && len(c.Systems) == 1 {
			p.Main = t
		} else {
			p.Tables = append(p.Tables, t)
		}
	}
	p.setScenario("# A\n" + a.scenario + "\n# B\n" + b.scenario)
	p.show(figures)
	return p
}

// table has a row for each metric.
func (s *SystemComparison) table(labelA, labelB string) *tableView {
	t := &tableView{
		Caption: "Paired comparison: " + chart.Clean(s.A, maxName),
		Head:    []string{"", labelA, labelB, "Difference", "p", "B is"},
		Note: fmt.Sprintf("Differences are B minus A of the runs with the same seed, ± half of the 95 %% interval (Student’s t). "+
			"Kolmogorov-Smirnov on %s and %s download times: D = %s, p %s; downloads of one swarm are not independent, so this p is too small.",
			count(s.DownloadTimes.A), count(s.DownloadTimes.B), s.DownloadTimes.D.fixed(3), s.DownloadTimes.P.pRelation()),
	}
	for _, m := range s.Metrics {
		metric := metricCalled(m.Metric)
		t.Rows = append(t.Rows, []string{
			metric.name, metric.write(m.A), metric.write(m.B), m.Difference.write(metric.spread, metric.spread), m.P.pValue(), verdictText(m.Verdict),
		})
	}
	return t
}

// pValue writes a probability.
func (n Number) pValue() string {
	if n.Known() && n < 0.001 {
		return "< 0.001"
	}
	return n.fixed(3)
}

// pRelation writes a probability behind its name.
func (n Number) pRelation() string {
	if text := n.pValue(); strings.HasPrefix(text, "<") {
		return text
	}
	return "= " + n.pValue()
}

func verdictText(v stats.Verdict) string {
	if v == stats.Undecided || v == stats.TooFewToTell {
		return "not told apart"
	}
	return string(v)
}

// lead says in two sentences what differs.
func (c *Comparison) lead() []string {
	labelA, labelB := c.labels()
	s := &c.Systems[0]
	times := s.verdictOn("meanSeconds", "mean download time", labelA, labelB)
	last := s.verdictOn("lastCompletionSeconds", "last completion", labelA, labelB)
	return []string{unbroken(capital(times) + "."), unbroken(capital(last) + ".")}
}

// noun is what sentences call the system.
func (s *SystemComparison) noun() string {
	if noun, known := kindNouns[s.Kind]; known {
		return noun
	}
	return "“" + chart.Clean(s.A, maxName) + "”"
}

// verdictOn says how the sides differ in a metric.
func (s *SystemComparison) verdictOn(key, name, labelA, labelB string) string {
	i := slices.IndexFunc(s.Metrics, func(m MetricComparison) bool { return m.Metric == key })
	if i < 0 {
		return "there is no " + name + " on both sides"
	}
	m, format, spread := &s.Metrics[i], metricCalled(key).format, metricCalled(key).spread
	text := fmt.Sprintf("the %s of %s was %s with %s and %s with %s", name, s.noun(), format(m.A.Mean), labelA, format(m.B.Mean), labelB)
	switch m.Verdict {
	case stats.TooFewToTell:
		return text + "; one pair of runs does not say whether that is chance"
	case stats.Equal:
		return text + ", the same in each of " + plural(m.Difference.N, "pair")
	case stats.Undecided:
		return fmt.Sprintf("%s: no difference is shown by %s (%s to %s)", text, plural(m.Difference.N, "pair"), spread(m.Difference.Low), spread(m.Difference.High))
	}
	size := Interval{Mean: m.Difference.Mean, Low: m.Difference.Low, High: m.Difference.High}
	direction := "longer"
	if m.Verdict == stats.Less {
		size.Mean, size.Low, size.High = -size.Mean, -m.Difference.High, -m.Difference.Low
		direction = "shorter"
	}
	return fmt.Sprintf("%s: %s by %s (95 %% interval %s to %s, %s)", text, direction, spread(size.Mean), spread(size.Low), spread(size.High), plural(m.Difference.N, "pair"))
}
