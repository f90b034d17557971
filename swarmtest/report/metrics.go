package report

import (
	"slices"
	"strconv"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// metric is a row of the table of systems.
type metric struct {
	key    string // in JSON and CSV
	name   string
	number func(*SystemSummary) Number
	format func(Number) string
	// spread writes a difference, and half an interval.
	spread func(Number) string
}

// metrics are what systems are compared by. Each is a number, and how it is
// written.
var metrics = []metric{
	{key: "meanSeconds", name: "mean download time", number: func(s *SystemSummary) Number { return s.Downloads.Mean }, format: Number.time, spread: Number.spread},
	{key: "p50Seconds", name: "median", number: func(s *SystemSummary) Number { return s.Downloads.P50 }, format: Number.time, spread: Number.spread},
	{key: "p95Seconds", name: "95th percentile", number: func(s *SystemSummary) Number { return s.Downloads.P95 }, format: Number.time, spread: Number.spread},
	{key: "lastCompletionSeconds", name: "last completion", number: func(s *SystemSummary) Number { return s.Downloads.Last }, format: Number.time, spread: Number.spread},
	{key: "ratioToBound", name: "times the bound", number: func(s *SystemSummary) Number { return s.RatioToBound }, format: fixed(2), spread: fixed(2)},
	{key: "originCopies", name: "copies from the publisher", number: func(s *SystemSummary) Number { return s.OriginCopies }, format: fixed(1), spread: fixed(1)},
	{key: "offload", name: "offload", number: func(s *SystemSummary) Number { return s.Offload }, format: Number.percent, spread: Number.points},
	{key: "meanUplinkUse", name: "uplink use", number: func(s *SystemSummary) Number { return s.UplinkUse }, format: Number.percent, spread: Number.points},
	{key: "jain", name: "Jain’s index", number: func(s *SystemSummary) Number { return s.Jain }, format: fixed(3), spread: fixed(3)},
	{key: "firstPeerP95Seconds", name: "first peer, 95th percentile", number: (*SystemSummary).firstPeer, format: Number.time, spread: Number.spread},
	{key: "dhtBytesPerPeer", name: "DHT traffic per peer", number: (*SystemSummary).dhtBytes, format: Number.bytes, spread: Number.bytes},
	{key: "cost", name: "cost", number: func(s *SystemSummary) Number { return s.Cost }, format: Number.plain, spread: Number.plain},
}

// fixed returns a format with so many decimals.
func fixed(decimals int) func(Number) string {
	return func(n Number) string { return n.fixed(decimals) }
}

// Interval is an estimate over runs with its 95 % confidence interval, null where it is not
// known; N is the number of runs in which the metric exists.
type Interval struct {
	Mean Number `json:"mean"`
	Low  Number `json:"low"`
	High Number `json:"high"`
	N    int    `json:"n"`
}

func intervalOf(i stats.Interval) Interval {
	return Interval{Number(i.Mean), Number(i.Low), Number(i.High), i.N}
}

// write writes the mean with half of the interval's width.
func (m *metric) write(i Interval) string { return i.write(m.format, m.spread) }

func (i Interval) write(format, spread func(Number) string) string {
	if half := (i.High - i.Low) / 2; half.Known() {
		return format(i.Mean) + " ± " + spread(half)
	}
	return format(i.Mean)
}

// MetricInterval is a metric of a system over several runs. Metric is its key in run.json.
type MetricInterval struct {
	Metric string `json:"metric"`
	Interval
}

// metricIntervals computes every metric over runs of one system. What exists in no run
// is left out.
func metricIntervals(runs []*SystemSummary) (intervals []MetricInterval) {
	for _, m := range metrics {
		if i := m.over(runs); i.N > 0 {
			intervals = append(intervals, MetricInterval{m.key, i})
		}
	}
	return intervals
}

// over is the metric's mean over runs, those left out in which it does not exist.
func (m *metric) over(runs []*SystemSummary) Interval {
	return intervalOf(stats.Mean(m.values(runs)))
}

func (m *metric) values(runs []*SystemSummary) (values []float64) {
	for _, run := range runs {
		if n := m.number(run); n.Known() {
			values = append(values, float64(n))
		}
	}
	return values
}

// metricCalled returns the metric with a key.
func metricCalled(key string) *metric {
	return &metrics[slices.IndexFunc(metrics, func(m metric) bool { return m.key == key })]
}

// systemCalled returns the system with a name in each of some summaries; those that have none are
// left out.
func systemCalled(summaries []*Summary, name string) (found []*SystemSummary) {
	for _, s := range summaries {
		for i := range s.Systems {
			if s.Systems[i].Name == name {
				found = append(found, &s.Systems[i])
			}
		}
	}
	return found
}

// systemNames returns the names of the systems of some summaries in the order
// in which they first occur.
func systemNames(summaries []*Summary) (names []string) {
	for _, s := range summaries {
		for i := range s.Systems {
			if !slices.Contains(names, s.Systems[i].Name) {
				names = append(names, s.Systems[i].Name)
			}
		}
	}
	return names
}

// runColumns are those of runs.csv, a row for each run and system, behind the columns that the kind
// of report has of its own; the metrics follow.
var runColumns = []string{"scenario_sha256", "seed", "version", "system", "asked", "completed", "abandoned", "unfinished", "event_log_sha256"}

func runHeading(own ...string) []string {
	columns := slices.Concat(own, runColumns)
	for _, m := range metrics {
		columns = append(columns, m.key)
	}
	return columns
}

// runRows writes the rows of one run.
func runRows(row func(...string), s *Summary, own ...string) {
	for i := range s.Systems {
		system := &s.Systems[i]
		d := system.Downloads
		fields := append(slices.Clone(own),
			s.ScenarioHash, strconv.FormatUint(s.Seed, 10), s.Version, system.Name,
			strconv.Itoa(d.Asked), strconv.Itoa(d.Completed), strconv.Itoa(d.Abandoned), strconv.Itoa(d.Unfinished), system.EventLog)
		for _, m := range metrics {
			fields = append(fields, csvNumber(m.number(system)))
		}
		row(fields...)
	}
}

// csvNumber is empty for what does not exist.
func csvNumber(n Number) string {
	if !n.Known() {
		return ""
	}
	return decimal(float64(n))
}

// intervalsTable has a row for each metric and a column for each system.
func intervalsTable(summaries []*Summary, caption string) *tableView {
	names := systemNames(summaries)
	names = names[:min(len(names), maxSystems)]
	t := &tableView{Caption: caption, Head: []string{""}, Note: "Mean over the runs, ± half of the 95 % interval (Student’s t)."}
	for _, name := range names {
		t.Head = append(t.Head, chart.Clean(name, maxName))
	}
	for i := range metrics {
		row, known := []string{metrics[i].name}, false
		for _, name := range names {
			interval := metrics[i].over(systemCalled(summaries, name))
			known = known || interval.N > 0
			row = append(row, metrics[i].write(interval))
		}
		if known {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}
