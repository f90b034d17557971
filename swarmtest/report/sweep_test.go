package report

import (
	"fmt"
	"testing"
)

// inventedSweep is a grid of two parameters; the numbers are made up from the same
// runs.
func inventedSweep() *Sweep {
	s := &Sweep{Name: "origin-sweep", Title: "A faster origin for crowds of three sizes", Version: "v0.5.0", Parameters: []string{"origin.up", "class.dsl.count"}}
	for i, up := range []string{"1Mbit/s", "4Mbit/s", "16Mbit/s", "64Mbit/s"} {
		for j, crowd := range []string{"10", "30", "90"} {
			p := Point{Values: []string{up, crowd}}
			for _, run := range inventedReplicas() {
				summary := Summarize(run)
				summary.ScenarioHash = fmt.Sprintf("%d%d", i, j)
				for k := range summary.Systems {
					d := &summary.Systems[k].Downloads
					factor := Number(1 + float64(3-i)*0.8 + float64(j)*0.3)
					d.Mean *= factor
					d.Last *= factor
				}
				p.Runs = append(p.Runs, summary)
			}
			s.Points = append(s.Points, p)
		}
	}
	return s
}

var _ = testing.Short
