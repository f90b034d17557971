package report

import (
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// figureIDs are the names of all figures that a report may have.
var figureIDs = []string{"completion"}

// Write puts the report of one run into a directory: run.json, peers.csv,
// timeseries.csv, report.html, and the figures as PNG and SVG below figures. An older report there is
// replaced, other files stay. A directory with files of these names that are not a report's is an error.
func Write(dir string, run *result.Run) error {
	if err := check(run); err != nil {
		return err
	}
	summary := Summarize(run)
	var f files
	text, err := encode(&runDocument{Format: runFormat, Summary: summary, Scenario: run.Scenario})
	if err != nil {
		return fmt.Errorf("report: %s: %w", runFile, err)
	}
	f.add(runFile, text)
	f.add(peersFile, peersCSV(run))
	f.add(timeseriesFile, timeseriesCSV(run))
	return f.write(dir)
}

// check refuses runs whose tables could not be told apart again.
func check(run *result.Run) error {
	known := map[string]bool{}
	for i := range run.Systems {
		name := run.Systems[i].Name
		if name == "" || known[name] {
			return fmt.Errorf("report: the name %q of a system is empty or taken twice", name)
		}
		known[name] = true
	}
	return nil
}
