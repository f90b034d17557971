package report

import (
	"math"
	"sort"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// gridPoints is in how many points mean curves are computed: one for two units
// of a chart.
const gridPoints = 220

// grid returns places from first to last, equally spaced on a scale.
func grid(first, last float64, scale chart.Scale) []float64 {
	places := make([]float64, gridPoints)
	for i := range places {
		part := float64(i) / (gridPoints - 1)
		places[i] = first + part*(last-first)
		if scale == chart.Log {
			places[i] = first * math.Pow(last/first, part)
		}
	}
	places[gridPoints-1] = last
	return places
}

// meanCurve is the mean of several curves at each place, with its interval held within low and high. Where one of
// them is NaN there is none: of fewer runs the mean would jump.
func meanCurve(places []float64, curves []func(x float64) float64, low, high float64) chart.Curve {
	c := chart.Curve{X: places}
	for _, x := range places {
		values := make([]float64, len(curves))
		for i, curve := range curves {
			values[i] = curve(x)
		}
		i := stats.Mean(values)
		c.Y = append(c.Y, i.Mean)
		c.Low = append(c.Low, clamp(i.Low, low, high))
		c.High = append(c.High, clamp(i.High, low, high))
	}
	return c
}

// clamp holds v within low and high; NaN stays.
func clamp(v, low, high float64) float64 { return min(max(v, low), high) }

// overTime returns the line through a number of each sample, NaN before it exists. After the last
// sample it is NaN too, or, with hold, what it was there.
func overTime(samples []result.Sample, hold bool, value func(*result.Sample) float64) func(float64) float64 {
	at, values := seriesOf(samples, value)
	return func(x float64) float64 {
		i := sort.SearchFloat64s(at, x)
		switch {
		case i == len(at) && hold:
			return values[i-1]
		case i == len(at):
			return math.NaN()
		case at[i] == x:
			return values[i]
		case i == 0:
			return math.NaN()
		}
		part := (x - at[i-1]) / (at[i] - at[i-1])
		return values[i-1] + part*(values[i]-values[i-1])
	}
}

// side is some replicas of one system, drawn in one style under one name.
type side struct {
	name    string
	style   int
	systems []*systemDigest
}

// completionOf is the chart of the mean distributions of download times of several sides.
func completionOf(id string, sides []side) *chart.Chart {
	c := &chart.Chart{
		ID: id, Title: "Share of downloads finished by download time",
		X: chart.Axis{Label: "time from joining to completion", Unit: chart.Seconds},
		Y: chart.Axis{Label: "downloads finished", Unit: chart.Percent, Max: 1},
	}
	var distributions [][]stats.ECDF
	longest, shortest, quickest := 0.0, math.Inf(1), math.Inf(1)
	for _, side := range sides {
		var own []stats.ECDF
		for _, system := range side.systems {
			if took := system.took.Values(); len(took) > 0 {
				own = append(own, system.took)
				longest, shortest = max(longest, took[len(took)-1]), min(shortest, took[0])
				quickest = min(quickest, stats.Quantile(0.5, took))
			}
		}
		distributions = append(distributions, own)
	}
	first := 0.0
	if longest > logSpread*quickest && shortest > 0 {
		c.X.Scale, first = chart.Log, shortest
	}
	for i, side := range sides {
		if len(distributions[i]) == 0 {
			continue
		}
		var curves []func(float64) float64
		for _, d := range distributions[i] {
			curves = append(curves, d.At)
		}
		curve := meanCurve(grid(first, longest, c.X.Scale), curves, 0, 1)
		curve.Name, curve.Style = side.name, side.style
		c.Curves = append(c.Curves, curve)
	}
	return c
}

// timelineOf is the chart of the means of a number over time. hold says that the number stays
// what it was when a run has ended.
func timelineOf(id, title string, y chart.Axis, high float64, sides []side, hold bool, value func(*result.Sample) float64) *chart.Chart {
	c := &chart.Chart{ID: id, Title: title, X: timeAxis(), Y: y}
	for _, side := range sides {
		last := 0.0
		var curves []func(float64) float64
		for _, system := range side.systems {
			if at, _ := seriesOf(system.samples, value); len(at) > 1 {
				last = max(last, at[len(at)-1])
				curves = append(curves, overTime(system.samples, hold, value))
			}
		}
		if len(curves) > 0 {
			curve := meanCurve(grid(0, last, chart.Linear), curves, 0, high)
			curve.Name, curve.Style = side.name, side.style
			c.Curves = append(c.Curves, curve)
		}
	}
	return c
}

// legendOf is a legend of sides.
func legendOf(sides []side) (legend []legendEntry) {
	for _, s := range sides {
		legend = append(legend, legendEntry{name: s.name, style: s.style})
	}
	return legend
}
