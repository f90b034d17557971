package report

import (
	"fmt"
	"math"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// sharing shows what the peers of each class gave for what they took.
func (p *pictured) sharing() *figure {
	f := &figure{
		id: "sharing", title: "Share ratio by class",
		caption: "Sent divided by received, for the downloaders of a class: median, middle half (box) and middle nine tenths (line); at the dotted line a peer gives what it takes. " +
			"Jain's index says how alike the download rates within the class are, 1 if all are the same.",
	}
	p.systems(func(i int, system *result.System) {
		if !isSwarm(system) || len(f.rows) == maxPanels {
			return
		}
		r := &chart.Rows{
			ID: fmt.Sprintf("sharing-%d", i), Title: system.Name,
			X: chart.Axis{Label: "share ratio"}, Reference: 1,
		}
		for j, class := range classesOf(system) {
			if row, ok := sharingRow(class, &p.summary.Systems[i].Classes[j]); ok && len(r.Rows) < maxRows {
				row.Style = p.styles[i]
				r.Rows = append(r.Rows, row)
				r.Desc += fmt.Sprintf("%s: median %s, Jain's index %s. ", class.name, Number(row.Value).fixed(2), p.summary.Systems[i].Classes[j].Jain.fixed(2))
			}
		}
		if len(r.Rows) > 0 {
			f.rows = append(f.rows, r)
		}
	})
	return f
}

// sharingRow is the box of a class; there is none if nobody received anything.
func sharingRow(class classPeers, s *ClassSummary) (row chart.Row, ok bool) {
	var ratios []float64
	for _, p := range class.peers {
		if ratio := stats.ShareRatio(p.Up, p.Down); !math.IsNaN(ratio) {
			ratios = append(ratios, ratio)
		}
	}
	if len(ratios) == 0 {
		return row, false
	}
	ratios = stats.Sorted(ratios)
	at := func(p float64) float64 { return stats.Quantile(p, ratios) }
	return chart.Row{
		Name: fmt.Sprintf("%s (%s)", chart.Clean(orNone(class.name), maxName), plural(len(class.peers), "peer")),
		Note: "Jain " + s.Jain.fixed(3), IsBox: true,
		Low: at(0.05), Q1: at(0.25), Value: at(0.5), Q3: at(0.75), High: at(0.95),
	}, true
}

// orNone gives a name to what has none.
func orNone(name string) string {
	if name == "" {
		return "no class"
	}
	return name
}

// publisher shows how much the publisher's machines sent.
func (p *pictured) publisher() *figure {
	f := &figure{id: "publisher", title: "Sent by the publisher", caption: "What the seed, the origin and web seeds sent, in copies of the content."}
	r := &chart.Rows{ID: "publisher", Title: "Copies sent by the publisher", X: chart.Axis{Label: "copies of the content"}}
	p.systems(func(i int, system *result.System) {
		if copies := p.summary.Systems[i].OriginCopies; copies.Known() {
			addBar(r, p.bar(i, float64(copies), copies.fixed(1)))
		}
	})
	if len(r.Rows) > 1 { // one alone stands in the table
		f.rows = append(f.rows, r)
	}
	return f
}

// cost shows what each system cost, where there are prices.
func (p *pictured) cost() *figure {
	f := &figure{id: "cost", title: "Cost", caption: "At the prices of the scenario."}
	r := &chart.Rows{ID: "cost", Title: "Cost", X: chart.Axis{Label: "cost"}}
	p.systems(func(i int, system *result.System) {
		if s := &p.summary.Systems[i]; s.Cost.Known() {
			addBar(r, p.bar(i, float64(s.Cost), s.Cost.money(s.Currency)))
		}
	})
	if len(r.Rows) > 0 {
		f.rows = append(f.rows, r)
	}
	return f
}

// bar is the row of a system.
func (p *pictured) bar(i int, value float64, note string) chart.Row {
	return chart.Row{Name: p.run.Systems[i].Name, Note: note, Style: p.styles[i], Value: value}
}

// addBar adds a row and says it in words.
func addBar(r *chart.Rows, row chart.Row) {
	r.Rows = append(r.Rows, row)
	r.Desc += row.Name + ": " + row.Note + ". "
}
