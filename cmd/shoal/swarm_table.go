package main

import (
	"fmt"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// swarmMetric is a figure of a system.
type swarmMetric struct {
	name  string // for JSON
	title string
	of    func(*swarmreport.SystemSummary) swarmreport.Number
	text  func(float64) string
}

// swarmMetrics are the figures that tables and comparisons have, in their order.
var swarmMetrics = []swarmMetric{
	{"completed_part", "done", completedPart, percentText},
	{"mean_seconds", "mean", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Downloads.Mean }, secondsText},
	{"median_seconds", "median", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Downloads.P50 }, secondsText},
	{"p95_seconds", "95 %", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Downloads.P95 }, secondsText},
	{"last_completion_seconds", "last done", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Downloads.Last }, secondsText},
	{"ratio_to_bound", "last/bound", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.RatioToBound }, threeDigits},
	{"origin_copies", "origin sent", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.OriginCopies }, copiesText},
	{"mean_uplink_use", "uplinks used", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.UplinkUse }, percentText},
	{"jain", "Jain", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Jain }, threeDigits},
	{"cost", "cost", func(s *swarmreport.SystemSummary) swarmreport.Number { return s.Cost }, threeDigits},
}

func secondsText(x float64) string {
	if math.Abs(x) > math.MaxInt64/1e10 {
		return "-"
	}
	d := time.Duration(math.Abs(x) * float64(time.Second))
	if d < time.Second {
		return sign(x) + formatRTT(d)
	}
	return sign(x) + formatDuration(d)
}

func threeDigits(x float64) string { return fmt.Sprintf("%.3g", x) }
func copiesText(x float64) string  { return fmt.Sprintf("%.4gx", x) }
func percentText(x float64) string { return fmt.Sprintf("%.1f%%", 100*x) }

func sign(x float64) string {
	if x < 0 {
		return "-"
	}
	return ""
}

// numberText writes a figure, "-" for one that there is not.
func (m *swarmMetric) numberText(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "-"
	}
	return m.text(x)
}

// intervalText writes a mean, with half of its interval if it has one.
func (m *swarmMetric) intervalText(i stats.Interval) string {
	if !i.Known() || i.Half() == 0 {
		return m.numberText(i.Mean)
	}
	return m.numberText(i.Mean) + " ± " + m.numberText(i.Half())
}

// values are a figure of the system at an index, in each run; runs without it have NaN.
func (m *swarmMetric) values(runs []*swarmreport.Summary, system int) []float64 {
	x := make([]float64, len(runs))
	for i, run := range runs {
		x[i] = float64(m.of(&run.Systems[system]))
	}
	return x
}

// interval is over the runs that have the figure.
func (m *swarmMetric) interval(runs []*swarmreport.Summary, system int) stats.Interval {
	var known []float64
	for _, x := range m.values(runs, system) {
		if !math.IsNaN(x) {
			known = append(known, x)
		}
	}
	return stats.Mean(known)
}

// usedMetrics are those that a system of one of the runs has.
func usedMetrics(runs []*swarmreport.Summary) (used []*swarmMetric) {
	for i := range swarmMetrics {
		m := &swarmMetrics[i]
		if slices.ContainsFunc(runs, func(run *swarmreport.Summary) bool {
			return slices.ContainsFunc(run.Systems, func(s swarmreport.SystemSummary) bool { return m.of(&s).Known() })
		}) {
			used = append(used, m)
		}
	}
	return used
}

// newTable begins a table of aligned columns.
func newTable(e *env) *tabwriter.Writer { return tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0) }

// printSystems writes a table of the systems of runs that differ in their seed
// only.
func printSystems(e *env, runs []*swarmreport.Summary) {
	table := newTable(e)
	metrics := usedMetrics(runs)
	fmt.Fprint(table, "system")
	for _, m := range metrics {
		fmt.Fprintf(table, "\t%s", m.title)
	}
	fmt.Fprintln(table)
	for i := range runs[0].Systems {
		fmt.Fprint(table, printable(runs[0].Systems[i].Name))
		for _, m := range metrics {
			fmt.Fprintf(table, "\t%s", m.intervalText(m.interval(runs, i)))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}

// completedPart is the part of the downloads that completed.
func completedPart(s *swarmreport.SystemSummary) swarmreport.Number {
	return swarmreport.Number(s.Downloads.Completed) / swarmreport.Number(s.Downloads.Asked)
}
