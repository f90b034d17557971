package report

import (
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// maxBeside is how many systems the summary can have beside a figure.
const maxBeside = 3

// maxTitle bounds the characters of a title in a page.
const maxTitle = 160

// runPage is the page of one run.
func runPage(run *result.Run, s *Summary, figures []*figure) *page {
	sentences := s.Sentences()
	p := &page{
		Kicker: "Swarm laboratory · one run", Title: titleOf(s.Name, s.Title),
		Facts: runFacts(s), Warnings: s.warnings(), Lead: []string{unbroken(sentences[0]), unbroken(sentences[1])},
		Main: systemsTable(s), Wide: len(s.Systems) > maxBeside, Tables: append([]*tableView{classesTable(s)}, discoveryTables(s)...), Notes: notes, Version: chart.Clean(s.Version, maxName),
	}
	if ranks := ranksTable(s); ranks != nil {
		p.Tables = append(p.Tables, ranks)
	}
	if servers := serversTable(s); len(servers.Rows) > 0 {
		p.Tables = append(p.Tables, servers)
	}
	p.setScenario(run.Scenario)
	p.show(figures)
	return p
}

// titleOf is the title, or the name if there is none.
func titleOf(name, title string) string {
	if title == "" {
		title = name
	}
	if title == "" {
		title = "A run without a name"
	}
	return chart.Clean(title, maxTitle)
}

func runFacts(s *Summary) []fact {
	return []fact{
		{"scenario", chart.Clean(orNone(s.Name), maxName)},
		{"content", contentText(s)},
		{"downloads", count(s.Downloads)},
		{"seed", fmt.Sprint(s.Seed)},
		{"hash", shortHash(s.ScenarioHash)},
		{"event log", shortHash(s.EventLog)},
	}
}

func contentText(s *Summary) string {
	if s.Contents > 1 {
		return count(s.Contents) + " × " + formatBytes(s.ContentLen)
	}
	return formatBytes(s.ContentLen)
}

// shortHash is the beginning of a hash: enough to tell runs apart by eye.
func shortHash(hash string) string {
	const shown = 12
	if hash == "" {
		return missing
	}
	runes := []rune(chart.Clean(hash, shown))
	return string(runes[:min(len(runes), shown)])
}

// warnings are what nobody may overlook.
func (s *Summary) warnings() (warnings []string) {
	for i := range s.Systems {
		system := &s.Systems[i]
		name := chart.Clean(system.Name, maxName)
		if system.BeatsBound() {
			warnings = append(warnings, fmt.Sprintf("%s finished in %s times the least possible time. That cannot be: the simulator is wrong, and no figure here is to be trusted.", name, system.RatioToBound.fixed(3)))
		}
		if n := system.Downloads.Unfinished; n > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %s did not finish. The run ended after %s: %s.", name, plural(n, "download"), system.End.time(), chart.Clean(orNoReason(system.Reason), maxReason)))
		}
	}
	return warnings
}

func orNoReason(reason string) string {
	if reason == "" {
		return "no reason is given"
	}
	return reason
}

// systemsTable has a column for each system.
func systemsTable(s *Summary) *tableView {
	t := &tableView{Caption: "Summary", Head: []string{""}}
	systems := s.Systems[:min(len(s.Systems), maxSystems)]
	finished := []string{"finished"}
	for i := range systems {
		t.Head = append(t.Head, chart.Clean(systems[i].Name, maxName))
		finished = append(finished, fmt.Sprintf("%s/%s", count(systems[i].Downloads.Completed), count(systems[i].Downloads.Asked)))
	}
	t.Rows = append(t.Rows, finished)
	for _, m := range metrics {
		row := []string{m.name}
		known := false
		for i := range systems {
			n := m.number(&systems[i])
			known = known || n.Known()
			text := m.format(n)
			if m.name == "cost" {
				text = n.money(systems[i].Currency)
			}
			row = append(row, text)
		}
		if known {
			t.Rows = append(t.Rows, row)
		}
	}
	if left := len(s.Systems) - len(systems); left > 0 {
		t.Note = fmt.Sprintf("%s more in run.json.", plural(left, "system"))
	}
	return t
}

// classesTable has a row for each class of each system.
func classesTable(s *Summary) *tableView {
	t := &tableView{
		Caption: "By class of downloader", TextColumns: 1,
		Head: []string{"System", "Class", "Finished", "Mean", "Median", "95th percentile", "Share ratio", "Jain’s index"},
	}
	total := 0
	for i := range s.Systems {
		total += len(s.Systems[i].Classes)
		for _, c := range s.Systems[i].Classes {
			if len(t.Rows) < maxTableRows {
				d, share := c.Downloads, Unknown
				if isSwarmKind(s.Systems[i].Kind) {
					share = c.ShareRatio
				}
				t.Rows = append(t.Rows, []string{
					chart.Clean(s.Systems[i].Name, maxName), chart.Clean(orNone(c.Class), maxName), fmt.Sprintf("%s/%s", count(d.Completed), count(d.Asked)),
					d.Mean.time(), d.P50.time(), d.P95.time(), share.fixed(2), c.Jain.fixed(3),
				})
			}
		}
	}
	if total > len(t.Rows) {
		t.Note = fmt.Sprintf("%s more in run.json.", plural(total-len(t.Rows), "row"))
	}
	return t
}

// notes say what the words of the tables mean.
var notes = []fact{
	{"download time", "from joining until the content is complete. Abandoned downloads do not count; unfinished ones count as longer than all others, so a percentile that falls among them is not known. The mean is that of the finished ones."},
	{"times the bound", "the last completion divided by the least time in which any way of distributing the content could have served everybody. For swarms that is the bound of Kumar and Ross (2006)."},
	{"copies from the publisher", "what the seed, the origin and its web seeds sent, divided by the length of the content."},
	{"offload", "the part of the delivered data that the publisher did not have to send."},
	{"uplink use", "the part of all uplinks present that carried data, on average until the last completion."},
	{"Jain’s index", "how alike the rates are at which downloaders were served: 1 if all are the same, 1/n if one of n gets everything (Jain, Chiu and Hawe 1984)."},
	{"first peer", "the time from joining until the first connection with another peer."},
	{"DHT traffic", "what a downloader sent and received in the DHT, with the headers of IP and UDP."},
	{"share ratio", "what downloaders sent divided by what they received."},
	{"peak and use of a server", "the most that it sent between two samples, and what it sent after the start, as a part of what its uplink could have sent until the end. Misses that were coalesced waited for a fetch that was under way."},
	{"quantiles", "are of type 7 of Hyndman and Fan (1996), as in R and NumPy."},
}
