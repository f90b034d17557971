package report

import (
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// Write puts the report of one run into a directory: run.json, peers.csv,
// timeseries.csv, report.html, and the figures as PNG and SVG below figures. An older report there is
// replaced, other files stay. A directory with files of these names that are not a report's is an error.
func Write(dir string, run *result.Run) error {
	digest := NewDigest(run)
	summary := digest.Summary
	if err := summary.check(); err != nil {
		return err
	}
	var f files
	text, err := encode(&runDocument{Format: runFormat, Summary: summary, Scenario: run.Scenario})
	if err != nil {
		return fmt.Errorf("report: %s: %w", runFile, err)
	}
	f.add(runFile, text)
	f.add(peersFile, peersCSV(run))
	f.add(timeseriesFile, timeseriesCSV(run))
	figures := runFigures(run, digest)
	if err := f.addPage(runPage(run, summary, figures), figures); err != nil {
		return err
	}
	return f.write(dir)
}

// addPage adds report.html and the files of its figures.
func (f *files) addPage(p *page, figures []*figure) error {
	text, err := p.html()
	if err != nil {
		return err
	}
	f.add(htmlFile, text)
	for _, figure := range figures {
		svg, png, err := chart.Images(figure.panels())
		if err != nil {
			return fmt.Errorf("report: figure %s: %w", figure.id, err)
		}
		f.add(figuresDir+"/"+figure.id+".svg", svg)
		f.add(figuresDir+"/"+figure.id+".png", png)
	}
	return nil
}

// panels are all charts of the figure.
func (f *figure) panels() (panels []chart.Panel) {
	for _, c := range f.charts {
		panels = append(panels, c)
	}
	for _, r := range f.rows {
		panels = append(panels, r)
	}
	return panels
}

// check refuses runs whose tables could not be told apart again.
func (s *Summary) check() error {
	known := map[string]bool{}
	for i := range s.Systems {
		name := s.Systems[i].Name
		if name == "" || known[name] {
			return fmt.Errorf("report: the name %q of a system is empty or taken twice", name)
		}
		known[name] = true
	}
	return nil
}
