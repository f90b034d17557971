package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// replicasDocument is replicas.json.
type replicasDocument struct {
	Format       string            `json:"format"`
	Name         string            `json:"name"`
	Title        string            `json:"title"`
	ScenarioHash string            `json:"scenarioSHA256"`
	Version      string            `json:"version"`
	Seeds        []uint64          `json:"seeds"`
	Systems      []SystemIntervals `json:"systems"`
	Runs         []*Summary        `json:"runs"`
	Scenario     string            `json:"scenario"`
}

// SystemIntervals is one system over several runs.
type SystemIntervals struct {
	Name    string           `json:"name"`
	Metrics []MetricInterval `json:"metrics"`
}

// SummarizeReplicas computes the intervals of every metric over runs of one scenario.
func SummarizeReplicas(summaries []*Summary) (systems []SystemIntervals) {
	for _, name := range systemNames(summaries) {
		systems = append(systems, SystemIntervals{name, metricIntervals(systemCalled(summaries, name))})
	}
	return systems
}

// WriteReplicas puts the report of several runs of one scenario, each with a seed of its own, into a directory: replicas.json with
// the intervals, runs.csv with a row for each run and system, report.html and figures. The runs themselves are not
// written; Write does that, each into a directory of its own. As Write it replaces only reports.
func WriteReplicas(dir string, runs []*Digest) error {
	if err := checkReplicas(runs); err != nil {
		return err
	}
	summaries := summariesOf(runs)
	first := runs[0]
	document := &replicasDocument{
		Format: replicasFormat, Name: first.Name, Title: first.Title, ScenarioHash: first.ScenarioHash, Version: first.Version,
		Seeds: seedsOf(runs), Systems: SummarizeReplicas(summaries), Runs: summaries, Scenario: first.scenario,
	}
	csv := table(runHeading(), func(row func(...string)) {
		for _, s := range summaries {
			runRows(row, s)
		}
	})
	figures := replicasFigures(runs)
	return writeReport(dir, replicasFile, document, csv, replicasPage(first, summaries, figures), figures)
}

// writeReport writes the files that reports of several runs have.
func writeReport(dir, documentFile string, document any, csv []byte, p *page, figures []*figure) error {
	var f files
	text, err := encode(document)
	if err != nil {
		return fmt.Errorf("report: %s: %w", documentFile, err)
	}
	f.add(documentFile, text)
	f.add(runsFile, csv)
	if err := f.addPage(p, figures); err != nil {
		return err
	}
	return f.write(dir)
}

func seedsOf(runs []*Digest) (seeds []uint64) {
	for _, run := range runs {
		seeds = append(seeds, run.Seed)
	}
	return seeds
}

// sidesOf are the systems of several runs, by name.
func sidesOf(runs []*Digest) []side {
	styles := systemStyles(runs[0].Systems)
	sides := make([]side, min(len(runs[0].Systems), maxSystems))
	for i := range sides {
		name := runs[0].Systems[i].Name
		sides[i] = side{name: name, style: styles[i], systems: systemsIn(runs, name)}
	}
	return sides
}

// What captions of several reports say.
const (
	completionCaption = "How many of the downloads, abandoned ones left out, were finished after a time."
	cutCaption        = " Cut some time after the end of the swarm; others run on."
	bandCaption       = " Lines are means over the runs, bands their 95 % intervals."
)

func replicasFigures(runs []*Digest) []*figure {
	sides := sidesOf(runs)
	legend := legendOf(sides)
	times := completionOf("completion", sides)
	times.Tall = true
	leechers := timelineOf("population", "Leechers over time", chart.Axis{Label: "leechers"}, math.Inf(1), sides, true,
		func(s *result.Sample) float64 { return float64(s.Leechers) })
	use := timelineOf("uplink", "Use of the uplinks over time", chart.Axis{Label: "uplinks in use", Unit: chart.Percent, Max: 1}, 1, sides, false,
		func(s *result.Sample) float64 { return s.UplinkUse })
	limit, cut := timeLimit(runs[0].systems)
	leechers.X.Max, use.X.Max = limit, limit
	remark := bandCaption
	if cut {
		remark += cutCaption
	}
	drawn := []*figure{
		{id: "completion", title: "Completion", caption: completionCaption + bandCaption, legend: legend},
		{id: "population", title: "Leechers", caption: "Peers that do not have everything yet." + remark, legend: legend},
		{id: "uplink", title: "Use of the uplinks", caption: "The part of all uplinks present that carried data." + remark, legend: legend},
	}
	for i, c := range []*chart.Chart{times, leechers, use} {
		drawn[i].addIfDrawn(c)
	}
	return withCharts(drawn)
}

// withCharts leaves out figures that show nothing.
func withCharts(figures []*figure) (shown []*figure) {
	for _, f := range figures {
		if len(f.charts)+len(f.rows) > 0 {
			shown = append(shown, f)
		}
	}
	return shown
}

func replicasPage(run *Digest, summaries []*Summary, figures []*figure) *page {
	p := &page{
		Kicker: "Swarm laboratory · " + plural(len(summaries), "replica"), Title: titleOf(run.Name, run.Title),
		Facts: []fact{
			{"scenario", chart.Clean(orNone(run.Name), maxName)}, {"content", contentText(summaries[0])},
			{"downloads", count(run.Downloads)}, {"runs", count(len(summaries))}, {"hash", shortHash(run.ScenarioHash)},
		},
		Lead: replicasLead(summaries), Main: intervalsTable(summaries, "Summary"), Wide: len(summaries[0].Systems) > maxBeside, Tables: []*tableView{runsTable(summaries)},
		Notes: notes, Version: chart.Clean(run.Version, maxName),
	}
	for _, s := range summaries {
		for _, warning := range s.warnings() {
			if len(p.Warnings) < maxWarnings {
				p.Warnings = append(p.Warnings, fmt.Sprintf("Seed %d: %s", s.Seed, warning))
			}
		}
	}
	p.setScenario(run.scenario)
	p.show(figures)
	return p
}

// maxWarnings bounds the warnings of a page.
const maxWarnings = 8

// replicasLead says in two sentences what the runs have in common.
func replicasLead(summaries []*Summary) []string {
	s := summaries[0]
	main := s.main()
	if main == nil {
		return []string{"Nothing was run."}
	}
	over := func(name, key string) string {
		m := metricCalled(key)
		return m.write(m.over(systemCalled(summaries, name)))
	}
	first := fmt.Sprintf("Over %s, %s completed its last download after %s", plural(len(summaries), "run"), s.noun(main), over(main.Name, "lastCompletionSeconds"))
	if main.RatioToBound.Known() {
		first += ", " + over(main.Name, "ratioToBound") + " times the least possible"
	}
	second := "a download took " + over(main.Name, "meanSeconds") + " with " + s.noun(main)
	var others []string
	for i := range s.Systems {
		if other := &s.Systems[i]; other != main && len(others) < maxCompared {
			others = append(others, over(other.Name, "meanSeconds")+" with "+s.noun(other))
		}
	}
	if len(others) > 0 {
		second += ", against " + joined(others)
	}
	return []string{unbroken(first + "."), unbroken(capital(second) + ".")}
}

// runsTable has a row for each run and system.
func runsTable(summaries []*Summary) *tableView {
	t := &tableView{Caption: "Each run", TextColumns: 1, Head: []string{"Seed", "System", "Finished", "Mean", "95th percentile", "Last", "× bound", "Event log"}}
	total := 0
	for _, s := range summaries {
		total += len(s.Systems)
		for i := range s.Systems {
			if len(t.Rows) < maxTableRows {
				system := &s.Systems[i]
				d := system.Downloads
				t.Rows = append(t.Rows, []string{
					fmt.Sprint(s.Seed), chart.Clean(system.Name, maxName), fmt.Sprintf("%s/%s", count(d.Completed), count(d.Asked)),
					d.Mean.time(), d.P95.time(), d.Last.time(), system.RatioToBound.fixed(2), shortHash(system.EventLog),
				})
			}
		}
	}
	if total > len(t.Rows) {
		t.Note = strings.TrimSpace(plural(total-len(t.Rows), "row") + " more in " + runsFile + ".")
	}
	return t
}
