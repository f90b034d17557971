package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/metainfo/units"
	"github.com/shoal-bt/shoal/swarmtest/report/chart"
)

// Sweep is a scenario that was run with every combination of some parameters'
// values. Its JSON is that of sweep.json.
type Sweep struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
	// Parameters are the keys of the scenario that vary.
	Parameters []string `json:"parameters"`
	Points     []Point  `json:"points"`
}

// Point is one combination: the value of each parameter, as the scenario has it, and the
// summaries of its runs, each under a seed of its own.
type Point struct {
	Values []string   `json:"values"`
	Runs   []*Summary `json:"runs"`
}

// sweepDocument is sweep.json.
type sweepDocument struct {
	Format string `json:"format"`
	*Sweep
}

// ReadSweep returns the sweep that WriteSweep put into a directory.
func ReadSweep(dir string) (*Sweep, error) {
	document := &sweepDocument{Sweep: &Sweep{}}
	return document.Sweep, readDocument(filepath.Join(dir, sweepFile), sweepFormat, document)
}

// Merge returns the sweep that the parts of several machines make together. A run is known
// by its scenario's hash, its seed and the version; what several parts have is taken once. Points are in the order of their
// first occurrence.
func Merge(parts ...*Sweep) (*Sweep, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("report: there is no sweep to merge")
	}
	first := parts[0]
	whole := &Sweep{Name: first.Name, Title: first.Title, Version: first.Version, Parameters: first.Parameters}
	for _, part := range parts {
		if part.Name != first.Name || !slices.Equal(part.Parameters, first.Parameters) {
			return nil, fmt.Errorf("report: %q over %s and %q over %s are no parts of one sweep",
				first.Name, strings.Join(first.Parameters, ", "), part.Name, strings.Join(part.Parameters, ", "))
		}
		for _, point := range part.Points {
			whole.add(point)
		}
	}
	return whole, nil
}

// add puts the runs of a point to those that have the same values.
func (s *Sweep) add(point Point) {
	i := slices.IndexFunc(s.Points, func(p Point) bool { return slices.Equal(p.Values, point.Values) })
	if i < 0 {
		s.Points = append(s.Points, Point{Values: point.Values})
		i = len(s.Points) - 1
	}
	for _, run := range point.Runs {
		same := func(r *Summary) bool {
			return r.ScenarioHash == run.ScenarioHash && r.Seed == run.Seed && r.Version == run.Version
		}
		if !slices.ContainsFunc(s.Points[i].Runs, same) {
			s.Points[i].Runs = append(s.Points[i].Runs, run)
		}
	}
}

func (s *Sweep) check() error {
	for i, p := range s.Points {
		if len(p.Values) != len(s.Parameters) {
			return fmt.Errorf("report: point %d of the sweep has %d values for %d parameters", i, len(p.Values), len(s.Parameters))
		}
	}
	return nil
}

// WriteSweep puts the report of a sweep into a directory: sweep.json, runs.csv with a row for each run
// and system, report.html with a table of intervals, and figures. As Write it replaces only reports.
func WriteSweep(dir string, s *Sweep) error {
	if err := s.check(); err != nil {
		return err
	}
	csv := table(runHeading(s.Parameters...), func(row func(...string)) {
		for _, p := range s.Points {
			for _, run := range p.Runs {
				runRows(row, run, p.Values...)
			}
		}
	})
	figures := s.figures()
	return writeReport(dir, sweepFile, &sweepDocument{sweepFormat, s.withoutServers()}, csv, s.page(figures), figures)
}

// withoutServers is the sweep as its document has it.
func (s *Sweep) withoutServers() *Sweep {
	without := *s
	without.Points = nil
	for _, p := range s.Points {
		without.Points = append(without.Points, Point{p.Values, withoutServers(p.Runs)})
	}
	return &without
}

// sweptMetrics are what the table and the figures of a sweep show.
var sweptMetrics = []string{"meanSeconds", "lastCompletionSeconds", "ratioToBound", "originCopies"}

// allRuns are the runs of all points.
func (s *Sweep) allRuns() (runs []*Summary) {
	for _, p := range s.Points {
		runs = append(runs, p.Runs...)
	}
	return runs
}

func (s *Sweep) page(figures []*figure) *page {
	p := &page{
		Kicker: "Swarm laboratory · parameter sweep", Title: titleOf(s.Name, s.Title),
		Facts: []fact{
			{"scenario", chart.Clean(orNone(s.Name), maxName)}, {"parameters", chart.Clean(strings.Join(s.Parameters, ", "), maxTitle)},
			{"points", count(len(s.Points))}, {"runs", count(len(s.allRuns()))},
		},
		Lead: s.lead(), Tables: []*tableView{s.table()}, Notes: notes, Version: chart.Clean(s.Version, maxName),
	}
	for _, run := range s.allRuns() {
		for _, warning := range run.warnings() {
			if len(p.Warnings) < maxWarnings {
				p.Warnings = append(p.Warnings, fmt.Sprintf("Seed %d, scenario %s: %s", run.Seed, shortHash(run.ScenarioHash), warning))
			}
		}
	}
	p.show(figures)
	return p
}

// values are the parameters of a point in words.
func (s *Sweep) values(p *Point) string {
	var parts []string
	for i, value := range p.Values {
		parts = append(parts, chart.Clean(shortKey(s.Parameters[i])+" = "+value, maxName))
	}
	return strings.Join(parts, ", ")
}

// shortKey is the last part of a key: "up" of "origin.up".
func shortKey(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// lead says in two sentences where downloads were quickest and slowest.
func (s *Sweep) lead() []string {
	m := metricCalled("meanSeconds")
	var best, worst *Point
	var bestTime, worstTime Interval
	names := systemNames(s.allRuns())
	for i := range s.Points {
		point := &s.Points[i]
		if len(point.Runs) == 0 {
			continue
		}
		time := m.over(systemCalled(point.Runs, point.Runs[0].main().name()))
		if !time.Mean.Known() {
			continue
		}
		if best == nil || time.Mean < bestTime.Mean {
			best, bestTime = point, time
		}
		if worst == nil || time.Mean > worstTime.Mean {
			worst, worstTime = point, time
		}
	}
	first := fmt.Sprintf("%s of %s with %s.", capital(plural(len(s.allRuns()), "run")), plural(len(s.Points), "point"), plural(len(names), "system"))
	if best == nil || best == worst {
		return []string{unbroken(first)}
	}
	return []string{unbroken(first), unbroken(fmt.Sprintf("A download took %s on average where it was quickest (%s), and %s where it was slowest (%s).",
		m.write(bestTime), s.values(best), m.write(worstTime), s.values(worst)))}
}

// name is the system's name, empty for none.
func (s *SystemSummary) name() string {
	if s == nil {
		return ""
	}
	return s.Name
}

// table has a row for each point and system.
func (s *Sweep) table() *tableView {
	t := &tableView{Caption: "Results", TextColumns: len(s.Parameters), Note: "Mean over the runs of a point, ± half of the 95 % interval (Student’s t)."}
	for _, key := range s.Parameters {
		t.Head = append(t.Head, chart.Clean(key, maxName))
	}
	t.Head = append(t.Head, "system", "runs", "finished")
	for _, key := range sweptMetrics {
		t.Head = append(t.Head, metricCalled(key).name)
	}
	total := 0
	for i := range s.Points {
		for _, name := range systemNames(s.Points[i].Runs) {
			if total++; len(t.Rows) < maxSweepRows {
				t.Rows = append(t.Rows, s.Points[i].row(name))
			}
		}
	}
	if total > len(t.Rows) {
		t.Note += " " + plural(total-len(t.Rows), "row") + " more in " + runsFile + ", run by run."
	}
	return t
}

// maxSweepRows bounds the table of a sweep.
const maxSweepRows = 400

func (p *Point) row(system string) []string {
	var row []string
	for _, value := range p.Values {
		row = append(row, chart.Clean(value, maxName))
	}
	runs := systemCalled(p.Runs, system)
	completed, asked := 0, 0
	for _, run := range runs {
		completed += run.Downloads.Completed
		asked += run.Downloads.Asked
	}
	row = append(row, chart.Clean(system, maxName), count(len(runs)), count(completed)+"/"+count(asked))
	for _, key := range sweptMetrics {
		m := metricCalled(key)
		row = append(row, m.write(m.over(runs)))
	}
	return row
}

// figures show the metrics over the first parameter, if its values are numbers. There is a line for each system or, where
// other parameters vary too, for each combination of these with the main system.
func (s *Sweep) figures() []*figure {
	f := &figure{id: "metrics", title: "Results", caption: "Means over the runs of each point, with their 95 % intervals."}
	if len(s.Parameters) == 0 {
		return nil
	}
	lines := s.lines()
	for i, line := range lines {
		f.legend = append(f.legend, legendEntry{name: line.name, style: i % chart.NumStyles})
	}
	for _, key := range sweptMetrics {
		f.addIfDrawn(s.metricChart(key, lines))
	}
	return withCharts([]*figure{f})
}

// maxLines bounds the lines of a sweep's chart.
const maxLines = chart.NumStyles

// sweepLine is a line of the chart: some points, and the system that is
// shown.
type sweepLine struct {
	name, system string
	points       []*Point
}

func (s *Sweep) lines() (lines []sweepLine) {
	if len(s.Parameters) == 1 {
		for _, name := range systemNames(s.allRuns()) {
			line := sweepLine{name: name, system: name}
			for i := range s.Points {
				line.points = append(line.points, &s.Points[i])
			}
			lines = append(lines, line)
		}
		return lines[:min(len(lines), maxLines)]
	}
	for i := range s.Points {
		p := &s.Points[i]
		if len(p.Runs) == 0 {
			continue
		}
		name := s.otherValues(p)
		at := slices.IndexFunc(lines, func(l sweepLine) bool { return l.name == name })
		if at < 0 {
			at = len(lines)
			lines = append(lines, sweepLine{name: name, system: p.Runs[0].main().name()})
		}
		lines[at].points = append(lines[at].points, p)
	}
	return lines[:min(len(lines), maxLines)]
}

// otherValues are those of all parameters but the first.
func (s *Sweep) otherValues(p *Point) string {
	rest := Sweep{Parameters: s.Parameters[1:]}
	return rest.values(&Point{Values: p.Values[1:]})
}

// logSweep is from which ratio of the largest to the least value on the axis of a sweep is
// logarithmic.
const logSweep = 8

func (s *Sweep) metricChart(key string, lines []sweepLine) *chart.Chart {
	m := metricCalled(key)
	c := &chart.Chart{
		ID: "metrics-" + key, Title: m.name, Desc: m.name + " over " + s.Parameters[0],
		X: chart.Axis{Label: chart.Clean(s.Parameters[0], maxName)}, Y: chart.Axis{},
	}
	if key == "meanSeconds" || key == "lastCompletionSeconds" {
		c.Y.Unit = chart.Seconds
	}
	var least, largest float64
	for style, line := range lines {
		curve := chart.Curve{Name: line.name, Style: style % chart.NumStyles, Dots: true}
		for _, p := range line.points {
			x, ok := numericValue(p.Values[0])
			interval := m.over(systemCalled(p.Runs, line.system))
			if !ok || !interval.Mean.Known() {
				continue
			}
			c.X.Ticks = addTick(c.X.Ticks, chart.Tick{Value: x, Label: strings.Trim(p.Values[0], `"`)})
			curve.X, curve.Y = append(curve.X, x), append(curve.Y, float64(interval.Mean))
			curve.Low, curve.High = append(curve.Low, float64(interval.Low)), append(curve.High, float64(interval.High))
			if least == 0 || x < least {
				least = x
			}
			largest = max(largest, x)
		}
		if len(curve.X) > 0 {
			sortByX(&curve)
			c.Curves = append(c.Curves, curve)
		}
	}
	if least > 0 && largest >= logSweep*least {
		c.X.Scale = chart.Log
	}
	return c
}

// addTick puts a tick into its place, once.
func addTick(ticks []chart.Tick, t chart.Tick) []chart.Tick {
	i, found := slices.BinarySearchFunc(ticks, t, func(a, b chart.Tick) int { return cmp.Compare(a.Value, b.Value) })
	if found {
		return ticks
	}
	return slices.Insert(ticks, i, t)
}

// sortByX puts the points of a curve in the order of their places.
func sortByX(c *chart.Curve) {
	order := make([]int, len(c.X))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(c.X[i], c.X[j]) })
	for _, values := range []*[]float64{&c.X, &c.Y, &c.Low, &c.High} {
		sorted := make([]float64, len(order))
		for i, from := range order {
			sorted[i] = (*values)[from]
		}
		*values = sorted
	}
}

// numericValue is the number that a value of a scenario stands for: a plain one, a
// time, a size or a rate.
func numericValue(text string) (v float64, ok bool) {
	text = strings.ReplaceAll(strings.Trim(text, `"`), " ", "")
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v, true
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d.Seconds(), true
	}
	if n, err := units.ParseSize(text); err == nil {
		return float64(n), true
	}
	n, err := units.ParseRate(text)
	return float64(n), err == nil
}
