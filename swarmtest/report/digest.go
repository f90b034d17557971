package report

import (
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// Digest is what the reports of several runs need of one: its summary, its download times and its
// samples. It takes a few bytes for each peer, so that a hundred large runs fit into memory.
type Digest struct {
	*Summary
	scenario string
	systems  []systemDigest
}

// systemDigest is that of one system.
type systemDigest struct {
	name, kind string
	took       stats.ECDF // download times in seconds
	samples    []result.Sample
}

// NewDigest makes the digest of a run. The run's samples are shared, its peers are not kept.
func NewDigest(run *result.Run) *Digest {
	d := &Digest{Summary: Summarize(run), scenario: run.Scenario}
	for i := range run.Systems {
		system := &run.Systems[i]
		d.systems = append(d.systems, systemDigest{
			name: system.Name, kind: system.Kind,
			took:    downloadTimes(downloaders(system), d.Systems[i].Downloads.Unfinished),
			samples: system.Samples,
		})
	}
	return d
}

// summariesOf are the summaries of some runs, for a report of all.
func summariesOf(runs []*Digest) (summaries []*Summary) {
	for _, run := range runs {
		summaries = append(summaries, run.Summary)
	}
	return withoutServers(summaries)
}

// systemsIn returns the system with a name in each run that has one.
func systemsIn(runs []*Digest, name string) (systems []*systemDigest) {
	for _, run := range runs {
		for i := range run.systems {
			if run.systems[i].name == name {
				systems = append(systems, &run.systems[i])
			}
		}
	}
	return systems
}

// checkReplicas refuses runs that are not of one scenario under different seeds.
func checkReplicas(runs []*Digest) error {
	if len(runs) == 0 {
		return fmt.Errorf("report: there are no runs")
	}
	seeds := map[uint64]bool{}
	for _, run := range runs {
		switch {
		case run.ScenarioHash != runs[0].ScenarioHash:
			return fmt.Errorf("report: seed %d is a run of another scenario than seed %d", run.Seed, runs[0].Seed)
		case seeds[run.Seed]:
			return fmt.Errorf("report: seed %d is there twice: the same run again is no further replica", run.Seed)
		}
		if err := run.check(); err != nil {
			return err
		}
		seeds[run.Seed] = true
	}
	return nil
}
