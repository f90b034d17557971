package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// The bounds of what is drawn and listed.
const (
	maxRows      = 12 // of a figure
	maxTableRows = 60
	maxSystems   = 12 // in one figure
	maxPanels    = 6
	maxName      = 40  // characters of a name
	maxReason    = 120 // of a sentence from elsewhere
)

// figure is one or several charts under one number.
type figure struct {
	id             string
	title, caption string
	charts         []*chart.Chart
	rows           []*chart.Rows
	legend         []legendEntry
}

// legendEntry says what a style stands for.
type legendEntry struct {
	name   string
	style  int
	areaOf string // the chart whose areas it is about, or empty for lines
	isMark bool
}

// swatch is the entry's sample.
func (e *legendEntry) swatch() string {
	if e.isMark {
		return chart.MarkSwatch(e.style)
	}
	return chart.Swatch(e.style, e.areaOf)
}

// figureIDs are the names of all figures that a report may have.
var figureIDs = []string{"completion", "sources", "population", "uplink", "replication", "entropy", "sharing", "publisher", "cost", "metrics"}

// pictured is a run with what its figures need to know.
type pictured struct {
	run     *result.Run
	digest  *Digest
	summary *Summary
	styles  []int // of the systems
}

// runFigures returns the figures of a run, those without anything to show left out.
func runFigures(run *result.Run, digest *Digest) []*figure {
	p := &pictured{run: run, digest: digest, summary: digest.Summary, styles: systemStyles(digest.Systems)}
	return withCharts([]*figure{
		p.completion(), p.sources(), p.population(), p.uplink(), p.replication(), p.entropy(), p.sharing(), p.publisher(), p.cost(),
	})
}

// kindStyles are the styles that systems have where nobody else has them.
var kindStyles = map[string]int{
	result.Swarm: 0, result.Origin: 1, result.CDN: 2, result.Mirrors: 3, result.Cache: 4, result.Hybrid: 5, result.Real: 3, result.Replicas: 4,
}

// systemStyles gives each system its kind's style, or the next that is free.
func systemStyles(systems []SystemSummary) []int {
	styles := make([]int, len(systems))
	var taken [chart.NumStyles]bool
	for i := range systems {
		style := kindStyles[systems[i].Kind]
		for range chart.NumStyles {
			if !taken[style] {
				break
			}
			style = (style + 1) % chart.NumStyles
		}
		styles[i], taken[style] = style, true
	}
	return styles
}

// isSwarm reports whether peers upload in a system. Of those with real processes
// there are others, too.
func isSwarm(system *result.System) bool {
	return isSwarmKind(system.Kind) && (system.Kind != result.Real || hasPeers(system))
}

func hasPeers(system *result.System) bool {
	return slices.ContainsFunc(system.Sources, func(s result.Source) bool { return s.Name == result.FromPeers })
}

func isSwarmKind(kind string) bool {
	return kind == result.Swarm || kind == result.Hybrid || kind == result.Real
}

// systems visits the systems that a figure has room for.
func (p *pictured) systems(visit func(i int, system *result.System)) {
	for i := range p.run.Systems[:min(len(p.run.Systems), maxSystems)] {
		visit(i, &p.run.Systems[i])
	}
}

// seriesOf returns a number of each sample over time in seconds; what is below
// 0 does not exist and is left out.
func seriesOf(samples []result.Sample, value func(*result.Sample) float64) (at, values []float64) {
	for i := range samples {
		if v := value(&samples[i]); v >= 0 {
			at = append(at, samples[i].At.Seconds())
			values = append(values, v)
		}
	}
	return at, values
}

// beforeFirst is how much earlier than the first completion a logarithmic axis begins, so
// that there is room for the bound.
const beforeFirst = 2

// logSpread is how many times longer than the quickest system's median the longest
// download must be for a logarithmic axis: the quickest would be a line along the edge.
const logSpread = 15

func (p *pictured) completion() *figure {
	c := &chart.Chart{
		ID: "completion", Title: "Share of downloads finished by download time", Tall: true,
		X: chart.Axis{Label: "time from joining to completion", Unit: chart.Seconds},
		Y: chart.Axis{Label: "downloads finished", Unit: chart.Percent, Max: 1},
	}
	f := &figure{
		id: "completion", title: "Completion",
		caption: completionCaption + " A curve that ends below 100 % belongs to a system that left some unfinished.",
	}
	longest, quickest := p.spread()
	if longest == 0 {
		return f
	}
	first := 0.0
	if longest > logSpread*quickest {
		c.X.Scale = chart.Log
		first = p.shortest() / beforeFirst
		f.caption += " Time is on a logarithmic scale."
	}
	p.systems(func(i int, system *result.System) {
		if curve := completionCurve(&p.digest.systems[i], first, longest); curve.X != nil {
			curve.Style = p.styles[i]
			c.Curves = append(c.Curves, curve)
			f.legend = append(f.legend, legendEntry{name: system.Name, style: p.styles[i]})
		}
	})
	c.Marks = p.bounds(longest)
	for _, mark := range c.Marks {
		f.legend = append(f.legend, legendEntry{name: mark.Label, style: mark.Style, isMark: true})
	}
	if len(c.Marks) > 0 {
		f.caption += " The dotted line is the bound: no way of distributing the content serves everybody sooner."
	}
	c.Desc = p.describeCompletion()
	f.charts = []*chart.Chart{c}
	return f
}

// spread returns the longest download of any system and the median of the
// quickest system, in seconds.
func (p *pictured) spread() (longest, quickest float64) {
	quickest = math.Inf(1)
	p.systems(func(i int, _ *result.System) {
		if d := &p.summary.Systems[i].Downloads; d.Max.Known() {
			longest = max(longest, float64(d.Max))
			if d.P50.Known() {
				quickest = min(quickest, float64(d.P50))
			}
		}
	})
	return longest, quickest
}

// shortest is the shortest download of any system that took any time.
func (p *pictured) shortest() float64 {
	shortest := math.Inf(1)
	p.systems(func(_ int, system *result.System) {
		for _, peer := range downloaders(system) {
			if d, completed := peer.Duration(); completed && d > 0 {
				shortest = min(shortest, d.Seconds())
			}
		}
	})
	return shortest
}

// completionCurve is the distribution of a system's download times, from first to
// longest.
func completionCurve(system *systemDigest, first, longest float64) chart.Curve {
	curve := chart.Curve{Name: system.name, Steps: true}
	took := system.took.Values()
	if len(took) == 0 {
		return curve
	}
	curve.X, curve.Y = []float64{first}, []float64{0}
	for i, t := range took {
		if i+1 == len(took) || took[i+1] != t {
			curve.X = append(curve.X, t)
			curve.Y = append(curve.Y, system.took.At(t))
		}
	}
	if last := curve.Y[len(curve.Y)-1]; took[len(took)-1] < longest {
		curve.X, curve.Y = append(curve.X, longest), append(curve.Y, last)
	}
	return curve
}

// downloadTimes is the distribution of the download times of these peers in seconds,
// with so many that did not finish.
func downloadTimes(peers []*result.Peer, unfinished int) stats.ECDF {
	var took []float64
	for _, p := range peers {
		if d, completed := p.Duration(); completed {
			took = append(took, d.Seconds())
		}
	}
	return stats.NewECDF(took, len(took)+unfinished)
}

// maxJoinPart is the part of the bound within which all must have joined for
// the two clocks to be nearly one.
const maxJoinPart = 5

// bounds marks the bounds of swarms whose downloaders join at about the same time. Otherwise
// the bound, which counts from the start, says nothing about the time from joining.
func (p *pictured) bounds(longest float64) (marks []chart.Mark) {
	p.systems(func(i int, system *result.System) {
		var lastJoin time.Duration
		for _, peer := range downloaders(system) {
			lastJoin = max(lastJoin, peer.Join)
		}
		bound := system.Bound.Seconds()
		if isSwarm(system) && bound > 0 && bound <= longest && lastJoin.Seconds() <= bound/maxJoinPart {
			marks = append(marks, chart.Mark{X: bound, Label: "bound of " + chart.Clean(system.Name, maxName) + ": " + seconds(system.Bound).time(), Style: p.styles[i]})
		}
	})
	return marks
}

func (p *pictured) describeCompletion() (text string) {
	p.systems(func(i int, system *result.System) {
		d := &p.summary.Systems[i].Downloads
		text += fmt.Sprintf("%s: %s of %s finished, half within %s, the last after %s. ", system.Name, count(d.Completed), count(d.Asked), d.P50.time(), d.Max.time())
	})
	return text
}

// sourceStyles are the styles of sources, the same in all systems.
var sourceStyles = map[string]int{
	result.FromPeers: 0, result.FromSeed: 1, result.FromOrigin: 1, result.FromEdges: 2, result.FromParents: 4,
	result.FromCache: 3, result.FromMirrors: 3, result.FromWebSeeds: 5,
}

// sourceStyle is the style of a source; one that has a name of its own gets the style of its
// position.
func sourceStyle(name string, position int) int {
	if style, known := sourceStyles[name]; known {
		return style
	}
	return (position + 3) % chart.NumStyles
}

func (p *pictured) sources() *figure {
	f := &figure{
		id: "sources", title: "Data sent, by sender",
		caption: "All data sent until a time. What a cache or an edge fetches and passes on counts for both senders.",
	}
	p.systems(func(i int, system *result.System) {
		c := &chart.Chart{
			ID: fmt.Sprintf("sources-%d", i), Title: system.Name, Desc: describeSources(&p.summary.Systems[i]),
			X: timeAxis(), Y: chart.Axis{Label: "sent", Unit: chart.Bytes},
		}
		for j, source := range system.Sources {
			at, sent := seriesOf(system.Samples, func(s *result.Sample) float64 {
				if j >= len(s.Bytes) {
					return 0
				}
				return float64(s.Bytes[j])
			})
			style := sourceStyle(source.Name, j)
			c.Areas = append(c.Areas, chart.Area{Name: source.Name, Style: style, X: at, Y: sent})
		}
		if len(c.Areas) > 0 && len(system.Samples) > 1 && len(f.charts) < maxPanels {
			f.charts = append(f.charts, c)
			f.addAreas(c)
		}
	})
	return f
}

// addAreas puts the areas of a chart into the legend, if they are not there.
func (f *figure) addAreas(c *chart.Chart) {
	for _, area := range c.Areas {
		if !slices.ContainsFunc(f.legend, func(e legendEntry) bool { return e.name == area.Name }) {
			f.legend = append(f.legend, legendEntry{name: area.Name, style: area.Style, areaOf: c.ID})
		}
	}
}

func describeSources(s *SystemSummary) string {
	var parts []string
	for _, source := range s.Sources {
		parts = append(parts, source.Name+" "+formatBytes(source.Bytes))
	}
	if len(parts) == 0 {
		return ""
	}
	return "In the end: " + joined(parts) + "."
}

func timeAxis() chart.Axis { return chart.Axis{Label: "time since the start", Unit: chart.Seconds} }

// The styles of states, and of what is least and mean.
const (
	styleSeeds, styleLeechers = 0, 1
	styleMean, styleMin       = 0, 1
)

func (p *pictured) population() *figure {
	f := &figure{
		id: "population", title: "Seeds and leechers",
		caption: "Peers that have everything and are still there, and those that do not have everything yet.",
	}
	seeds := false
	p.systems(func(i int, system *result.System) {
		c := &chart.Chart{
			ID: fmt.Sprintf("population-%d", i), Title: system.Name,
			X: timeAxis(), Y: chart.Axis{Label: "peers"},
		}
		at, leechers := seriesOf(system.Samples, func(s *result.Sample) float64 { return float64(s.Leechers) })
		if len(at) < 2 || len(f.charts) == maxPanels {
			return
		}
		c.Curves = []chart.Curve{{Name: "leechers", Style: styleLeechers, X: at, Y: leechers}}
		c.Desc = fmt.Sprintf("At most %s leechers at once.", chart.FormatNumber(slices.Max(leechers)))
		if isSwarm(system) {
			_, numSeeds := seriesOf(system.Samples, func(s *result.Sample) float64 { return float64(s.Seeds) })
			c.Curves = append(c.Curves, chart.Curve{Name: "seeds", Style: styleSeeds, X: at, Y: numSeeds})
			c.Desc += fmt.Sprintf(" At most %s seeds at once.", chart.FormatNumber(slices.Max(numSeeds)))
			seeds = true
		}
		f.charts = append(f.charts, c)
	})
	f.legend = []legendEntry{{name: "leechers", style: styleLeechers}}
	if seeds {
		f.legend = append(f.legend, legendEntry{name: "seeds", style: styleSeeds})
	}
	return f
}

// cutAfter is how many times longer than the swarms the others must run for
// their curves to be cut.
const cutAfter = 4

// timeLimit is where curves over time end: where the last sample is, or, when others run much longer than the swarms,
// a while after the swarms' end. cut says the latter.
func timeLimit(systems []systemDigest) (limit float64, cut bool) {
	var swarms, all float64
	for _, system := range systems {
		if n := len(system.samples); n > 0 {
			at := system.samples[n-1].At.Seconds()
			all = max(all, at)
			if isSwarmKind(system.kind) {
				swarms = max(swarms, at)
			}
		}
	}
	if swarms > 0 && all > cutAfter*swarms {
		return 1.5 * swarms, true
	}
	return all, false
}

func (p *pictured) uplink() *figure {
	c := &chart.Chart{
		ID: "uplink", Title: "Use of the uplinks over time",
		X: timeAxis(), Y: chart.Axis{Label: "uplinks in use", Unit: chart.Percent, Max: 1},
	}
	f := &figure{id: "uplink", title: "Use of the uplinks", caption: "The part of all uplinks present that carried data."}
	limit, cut := timeLimit(p.digest.systems)
	c.X.Max = limit
	if cut {
		f.caption += cutCaption
	}
	p.draw(f, c, func(s *result.Sample) float64 { return s.UplinkUse }, func(i int, _ []float64) string {
		return p.summary.Systems[i].UplinkUse.percent() + " on average"
	})
	return f
}

// draw adds c to the figure, with a curve for each system that has values over
// time. describe puts them into words.
func (p *pictured) draw(f *figure, c *chart.Chart, value func(*result.Sample) float64, describe func(i int, values []float64) string) {
	p.systems(func(i int, system *result.System) {
		at, values := seriesOf(system.Samples, value)
		if len(at) < 2 {
			return
		}
		c.Curves = append(c.Curves, chart.Curve{Name: system.Name, Style: p.styles[i], X: at, Y: values})
		f.legend = append(f.legend, legendEntry{name: system.Name, style: p.styles[i]})
		c.Desc += fmt.Sprintf("%s: %s. ", system.Name, describe(i, values))
	})
	f.addIfDrawn(c)
}

// addIfDrawn adds a chart that has curves.
func (f *figure) addIfDrawn(c *chart.Chart) {
	if len(c.Curves) > 0 {
		f.charts = append(f.charts, c)
	}
}

func (p *pictured) replication() *figure {
	f := &figure{
		id: "replication", title: "Copies of pieces",
		caption: "How many peers that are there have a piece: the rarest one, and on average. Where the rarest is at 0 nobody can finish.",
		legend:  []legendEntry{{name: "mean", style: styleMean}, {name: "rarest", style: styleMin}},
	}
	p.systems(func(i int, system *result.System) {
		at, mean := seriesOf(system.Samples, func(s *result.Sample) float64 { return s.MeanCopies })
		atMin, least := seriesOf(system.Samples, func(s *result.Sample) float64 { return float64(s.MinCopies) })
		if len(at) < 2 || len(f.charts) == maxPanels {
			return
		}
		f.charts = append(f.charts, &chart.Chart{
			ID: fmt.Sprintf("replication-%d", i), Title: system.Name,
			Desc: fmt.Sprintf("The mean goes up to %s copies.", chart.FormatNumber(slices.Max(mean))),
			X:    timeAxis(), Y: chart.Axis{Label: "copies of a piece", Scale: chart.LogFromZero},
			Curves: []chart.Curve{
				{Name: "mean", Style: styleMean, X: at, Y: mean},
				{Name: "rarest", Style: styleMin, X: atMin, Y: least},
			},
		})
	})
	return f
}

func (p *pictured) entropy() *figure {
	c := &chart.Chart{
		ID: "entropy", Title: "Entropy over time",
		X: timeAxis(), Y: chart.Axis{Label: "entropy", Max: 1},
	}
	f := &figure{
		id: "entropy", title: "Entropy",
		caption: "The chance that one leecher has a piece that another one lacks (Legout et al. 2006). At 1 everybody has something for everybody.",
	}
	p.draw(f, c, func(s *result.Sample) float64 { return s.Entropy }, func(_ int, entropy []float64) string {
		return "the median of the samples is " + Number(stats.Quantile(0.5, stats.Sorted(entropy))).fixed(2)
	})
	return f
}
