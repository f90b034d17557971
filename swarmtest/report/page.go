package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
)

// page is what the template shows: every kind of report comes down to it.
type page struct {
	Kicker, Title string
	Facts         []fact // what names the run
	Warnings      []string
	Lead          []string
	// First is the figure beside the lead, if there is one.
	First   *figureView
	Main    *tableView // right below
	Wide    bool       // the main table needs the whole width
	Figures []*figureView
	Tables  []*tableView
	Notes   []fact // what the words mean
	// Scenario is the resolved scenario, Cut that the page holds its beginning only.
	Scenario string
	Cut      bool
	Version  string
}

// fact is a name with a value.
type fact struct{ Name, Value string }

// figureView is a figure with its number and its images drawn.
type figureView struct {
	Number         int
	Title, Caption string
	Legend         []legendView
	Panels         []panelView
}

type legendView struct {
	Swatch template.HTML
	Name   string
}

// panelView is one image; Name is empty where the figure has only one.
type panelView struct {
	Name  string
	Image template.HTML
}

// tableView is a table whose first column names its rows.
type tableView struct {
	Caption, Note string
	Head          []string
	Rows          [][]string
	// TextColumns is how many columns behind the first hold text.
	TextColumns int
}

// maxScenario bounds the text of the scenario in the page; run.json has it whole.
const maxScenario = 64 << 10

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// policy lets the page load nothing and run nothing. Its one style sheet is named by its hash.
func policy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
}

// html returns the page as one file.
func (p *page) html() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*page
		Policy string
		Style  template.CSS
	}{p, policy(), template.CSS(pageStyle)})
	if err != nil {
		return nil, fmt.Errorf("report: %s: %w", htmlFile, err)
	}
	return b.Bytes(), nil
}

// show draws the figures and numbers them. The first one goes beside the lead.
func (p *page) show(figures []*figure) {
	for i, f := range figures {
		view := f.view(i + 1)
		if i == 0 && len(view.Panels) == 1 {
			p.First = view
		} else {
			p.Figures = append(p.Figures, view)
		}
	}
}

func (f *figure) view(number int) *figureView {
	view := &figureView{Number: number, Title: f.title, Caption: unbroken(f.caption)}
	for _, c := range f.charts {
		view.Panels = append(view.Panels, panelView{chart.Clean(c.Title, maxTitle), template.HTML(c.SVG())})
	}
	for _, r := range f.rows {
		view.Panels = append(view.Panels, panelView{chart.Clean(r.Title, maxTitle), template.HTML(r.SVG())})
	}
	if len(view.Panels) == 1 {
		view.Panels[0].Name = ""
	}
	for _, e := range f.legend {
		view.Legend = append(view.Legend, legendView{template.HTML(e.swatch()), chart.Clean(e.name, maxTitle)})
	}
	return view
}

// Layout is the class of a figure by how many panels it has.
func (f *figureView) Layout() string {
	switch n := len(f.Panels); {
	case n == 1:
		return "one"
	case n == 2 || n == 4:
		return "two"
	}
	return "three"
}

// setScenario keeps what the page shows of the scenario.
func (p *page) setScenario(text string) {
	p.Cut = len(text) > maxScenario
	if p.Cut {
		text = text[:maxScenario]
	}
	lines := strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n")
	for i, line := range lines {
		lines[i] = chart.Clean(line, maxScenario)
	}
	p.Scenario = strings.Join(lines, "\n")
}
