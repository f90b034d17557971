package report

import (
	"fmt"
	"strings"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// boundTolerance is how far below 1 a ratio to the bound may be by rounding.
const boundTolerance = 1e-6

// BeatsBound reports whether the last completion came before what no system
// can do. The simulator is wrong then.
func (s *SystemSummary) BeatsBound() bool {
	return s.RatioToBound.Known() && s.RatioToBound < 1-boundTolerance
}

// kindNouns say what a system is, by its kind.
var kindNouns = map[string]string{
	result.Swarm: "the swarm", result.Origin: "the origin alone", result.Replicas: "the replicated origin",
	result.Mirrors: "the set of mirrors", result.Cache: "the caching proxy", result.CDN: "the CDN",
	result.Hybrid: "the hybrid", result.Real: "the run with real processes",
}

// noun is what sentences call a system: its kind, and its name too where there
// are several of the kind.
func (s *Summary) noun(system *SystemSummary) string {
	noun, known := kindNouns[system.Kind]
	same := 0
	for i := range s.Systems {
		if s.Systems[i].Kind == system.Kind {
			same++
		}
	}
	name := "“" + chart.Clean(system.Name, maxName) + "”"
	switch {
	case !known:
		return "the system " + name
	case same > 1:
		return noun + " " + name
	}
	return noun
}

// Sentences says in two sentences what happened: how the swarm did (the first system where there is none),
// and how it compares with the others.
func (s *Summary) Sentences() [2]string {
	main := s.main()
	if main == nil {
		return [2]string{"Nothing was run.", "There is nothing to compare."}
	}
	return [2]string{capital(s.outcome(main)) + ".", capital(s.comparison(main)) + "."}
}

// main is the system that the sentences are about.
func (s *Summary) main() *SystemSummary {
	for _, kind := range []string{result.Swarm, result.Hybrid, result.Real} {
		for i := range s.Systems {
			if s.Systems[i].Kind == kind {
				return &s.Systems[i]
			}
		}
	}
	if len(s.Systems) == 0 {
		return nil
	}
	return &s.Systems[0]
}

// outcome says what one system did.
func (s *Summary) outcome(system *SystemSummary) string {
	d := system.Downloads
	if d.Asked == 0 {
		return "nobody asked " + s.noun(system) + " for a download"
	}
	text := s.noun(system) + " completed " + d.howMany() + " of " + formatBytes(s.ContentLen)
	switch {
	case d.Unfinished > 0 || d.Completed == 0:
		text += " before it ended after " + system.End.time()
		if reason := chart.Clean(system.Reason, maxReason); reason != "" {
			text += " (" + strings.TrimSuffix(reason, ".") + ")"
		}
	default:
		text += " within " + d.Last.time() + system.besideBound()
	}
	return text + system.originWork()
}

// howMany says how many of the downloads completed.
func (d *DownloadSummary) howMany() (text string) {
	switch {
	case d.Completed == d.Asked && d.Asked == 1:
		text = "the one download"
	case d.Completed == d.Asked:
		text = "all " + plural(d.Asked, "download")
	case d.Completed == 0:
		text = "none of " + plural(d.Asked, "download")
	default:
		text = fmt.Sprintf("%s of %s", count(d.Completed), plural(d.Asked, "download"))
	}
	if d.Abandoned > 0 {
		text += fmt.Sprintf(" (%s abandoned)", count(d.Abandoned))
	}
	return text
}

// besideBound compares the last completion with the bound.
func (s *SystemSummary) besideBound() string {
	switch {
	case !s.RatioToBound.Known():
		return ""
	case s.BeatsBound():
		return fmt.Sprintf(", %s times the bound (%s), which is impossible: the simulator is wrong", s.RatioToBound.fixed(3), s.Bound.time())
	}
	name, _, _ := strings.Cut(s.BoundName, ":") // what follows says which term binds
	if name != "" {
		name = " by " + chart.Clean(name, maxName)
	}
	return fmt.Sprintf(", %s times the least possible (%s%s)", s.RatioToBound.fixed(2), s.Bound.time(), name)
}

// originWork says how much the publisher had to send.
func (s *SystemSummary) originWork() string {
	if !s.OriginCopies.Known() {
		return ""
	}
	sender := "the origin"
	for _, source := range s.Sources {
		if source.Name == result.FromSeed {
			sender = "the seed"
		}
	}
	if s.OriginCopies == 1 {
		return ", and " + sender + " sent 1 copy"
	}
	return ", and " + sender + " sent " + s.OriginCopies.fixed(1) + " copies"
}

// maxCompared bounds the systems that the second sentence names.
const maxCompared = 4

// comparison says how long downloads took here and elsewhere.
func (s *Summary) comparison(main *SystemSummary) string {
	text := "a download took " + main.Downloads.Mean.time() + " on average"
	none := !main.Downloads.Mean.Known()
	if none {
		text = "no download completed"
	}
	if len(s.Systems) == 1 {
		if main.Downloads.P95.Known() {
			text += ", and 95 of 100 took at most " + main.Downloads.P95.time()
		}
		return text
	}
	text += " with " + s.noun(main)
	if n := main.Downloads.Unfinished; n > 0 && !none {
		text += " (" + count(n) + " unfinished)"
	}
	var others []string
	for i := range s.Systems {
		if other := &s.Systems[i]; other != main && len(others) < maxCompared {
			others = append(others, s.compared(main, other))
		}
	}
	if none {
		return text + ", and " + joined(others)
	}
	return text + ", against " + joined(others)
}

// compared says how long the downloads of another system took.
func (s *Summary) compared(main, other *SystemSummary) string {
	d := other.Downloads
	if !d.Mean.Known() {
		return "none with " + s.noun(other)
	}
	text := d.Mean.time() + " with " + s.noun(other)
	var remarks []string
	if main.Downloads.Mean > 0 {
		remarks = append(remarks, howMuchLonger(float64(d.Mean/main.Downloads.Mean)))
	}
	if d.Unfinished > 0 {
		remarks = append(remarks, count(d.Unfinished)+" unfinished")
	}
	if d.Abandoned > 0 {
		remarks = append(remarks, count(d.Abandoned)+" abandoned")
	}
	if len(remarks) == 0 {
		return text
	}
	return text + " (" + strings.Join(remarks, ", ") + ")"
}

// howMuchLonger describes the ratio of another time to the own.
func howMuchLonger(ratio float64) string {
	switch {
	case ratio > 0.99 && ratio < 1.01:
		return "the same"
	case ratio >= 2:
		return Number(ratio).fixed(1) + " times as long"
	case ratio > 1:
		return Number((ratio-1)*100).fixed(0) + " % longer"
	case ratio <= 0.5:
		return Number(1/ratio).fixed(1) + " times as fast"
	}
	return Number((1-ratio)*100).fixed(0) + " % shorter"
}

// joined is "a, b and c".
func joined(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// capital makes the first letter a capital; sentences here begin with ASCII.
func capital(text string) string {
	return strings.ToUpper(text[:1]) + text[1:]
}
