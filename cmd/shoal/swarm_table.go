package main

import (
	"fmt"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	swarmreport "github.com/shoal-bt/shoal/swarmtest/report"
)

// swarmColumn is a metric of reports, as the tables of the terminal have it.
type swarmColumn struct {
	metric string
	title  string
	text   func(float64) string
}

var swarmColumns = []swarmColumn{
	{"meanSeconds", "mean", secondsText},
	{"p50Seconds", "median", secondsText},
	{"p95Seconds", "95 %", secondsText},
	{"lastCompletionSeconds", "last done", secondsText},
	{"ratioToBound", "last/bound", threeDigits},
	{"originCopies", "origin sent", copiesText},
	{"offload", "offload", percentText},
	{"meanUplinkUse", "uplinks used", percentText},
	{"jain", "Jain", threeDigits},
	{"cost", "cost", threeDigits},
}

func secondsText(x float64) string {
	const longest = math.MaxInt64 / 1e9
	d := time.Duration(min(math.Abs(x), longest) * float64(time.Second))
	text := formatDuration(d)
	if d < time.Second {
		text = formatRTT(d)
	}
	if x < 0 {
		return "-" + text
	}
	return text
}

func threeDigits(x float64) string { return fmt.Sprintf("%.3g", x) }
func copiesText(x float64) string  { return fmt.Sprintf("%.1fx", x) }
func percentText(x float64) string { return fmt.Sprintf("%.1f%%", 100*x) }

// number writes a figure, "-" for one that there is not.
func (c *swarmColumn) number(x swarmreport.Number) string {
	if !x.Known() || math.IsInf(float64(x), 0) {
		return "-"
	}
	return c.text(float64(x))
}

// interval writes a mean, with half of its interval if that has a width.
func (c *swarmColumn) interval(i swarmreport.Interval) string {
	if half := (i.High - i.Low) / 2; half.Known() && half > 0 {
		return c.number(i.Mean) + " ± " + c.number(half)
	}
	return c.number(i.Mean)
}

// newTable begins a table of aligned columns.
func newTable(e *env) *tabwriter.Writer { return tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0) }

// swarmTable is a table with a row for each system.
type swarmTable struct {
	heading []string // of the columns in front
	rows    []swarmRow
}

type swarmRow struct {
	front  []string
	done   string
	system swarmreport.SystemIntervals
}

// add has a row for each system of runs that differ in their seed only.
func (t *swarmTable) add(front []string, runs []*swarmreport.Summary) {
	for i, system := range swarmreport.SummarizeReplicas(runs) {
		t.rows = append(t.rows, swarmRow{front, doneText(runs, i), system})
	}
}

// doneText says how many of the downloads of all runs completed.
func doneText(runs []*swarmreport.Summary, system int) string {
	done, all := 0, 0
	for _, run := range runs {
		done += run.Systems[system].Downloads.Completed
		all += run.Systems[system].Downloads.Asked
	}
	return fmt.Sprintf("%d/%d", done, all)
}

// metricOf finds a metric by its key.
func metricOf(s *swarmreport.SystemIntervals, key string) (swarmreport.Interval, bool) {
	i := slices.IndexFunc(s.Metrics, func(m swarmreport.MetricInterval) bool { return m.Metric == key })
	if i < 0 {
		return swarmreport.Interval{Mean: swarmreport.Unknown, Low: swarmreport.Unknown, High: swarmreport.Unknown}, false
	}
	return s.Metrics[i].Interval, true
}

// columns are those that a row has something for.
func (t *swarmTable) columns() (used []*swarmColumn) {
	for i := range swarmColumns {
		if slices.ContainsFunc(t.rows, func(r swarmRow) bool {
			_, known := metricOf(&r.system, swarmColumns[i].metric)
			return known
		}) {
			used = append(used, &swarmColumns[i])
		}
	}
	return used
}

func (t *swarmTable) print(e *env) {
	out := newTable(e)
	columns := t.columns()
	for _, title := range t.heading {
		fmt.Fprintf(out, "%s\t", printable(title))
	}
	fmt.Fprint(out, "system\tdone")
	for _, c := range columns {
		fmt.Fprintf(out, "\t%s", c.title)
	}
	fmt.Fprintln(out)
	for _, row := range t.rows {
		for _, cell := range row.front {
			fmt.Fprintf(out, "%s\t", printable(cell))
		}
		fmt.Fprintf(out, "%s\t%s", printable(row.system.Name), row.done)
		for _, c := range columns {
			interval, _ := metricOf(&row.system, c.metric)
			fmt.Fprintf(out, "\t%s", c.interval(interval))
		}
		fmt.Fprintln(out)
	}
	out.Flush()
}
