package report

import (
	"fmt"
	"math/bits"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// RankSummary is how the downloads of some contents went that are about as popular as each other: of
// the ranks from FirstRank to LastRank, where 1 is the most popular.
type RankSummary struct {
	FirstRank int             `json:"firstRank"`
	LastRank  int             `json:"lastRank"`
	Downloads DownloadSummary `json:"downloads"`
	Down      int64           `json:"downBytes"`
	// FromServers is the part of Down that no peer sent, in a swarm.
	FromServers int64 `json:"fromServersBytes"`
}

// summarizeRanks puts contents together whose ranks are 1, 2, 3 to 4, 5 to 8, and so on, so that
// there are few rows, and the crowds of the rows are not too different. Groups that nobody wanted are left out.
func summarizeRanks(run *result.Run, system *result.System) (ranks []RankSummary) {
	if run.Contents < 2 {
		return nil
	}
	groups := make([][]*result.Peer, groupOf(run.Contents-1)+1)
	for _, p := range downloaders(system) {
		if group := groupOf(p.Content); group < len(groups) {
			groups[group] = append(groups[group], p)
		}
	}
	for group, peers := range groups {
		if len(peers) == 0 {
			continue
		}
		r := RankSummary{
			FirstRank: 1<<group>>1 + 1, LastRank: min(1<<group, run.Contents), Downloads: summarizeDownloads(peers),
		}
		for _, p := range peers {
			r.Down += p.Down
			r.FromServers += p.FromServers
		}
		ranks = append(ranks, r)
	}
	return ranks
}

// groupOf is the group of a content, numbered from 0.
func groupOf(content int) int { return bits.Len(uint(max(content, 0))) }

// ranksTable has a row for each group of ranks, nil if there is one content. All systems serve the same
// demand, so they have the same groups.
func ranksTable(s *Summary) *tableView {
	if len(s.Systems) == 0 || len(s.Systems[0].Ranks) == 0 {
		return nil
	}
	t := &tableView{
		Caption: "By popularity of the content", Head: []string{"Rank", "Downloads"},
		Note: "Median download times; for swarms also the part of the bytes that seeds of the start or web seeds sent.",
	}
	systems := s.Systems[:min(len(s.Systems), maxSystems)]
	for i := range systems {
		name := chart.Clean(systems[i].Name, maxName)
		t.Head = append(t.Head, name)
		if isSwarmKind(systems[i].Kind) {
			t.Head = append(t.Head, name+", from servers")
		}
	}
	for i := range s.Systems[0].Ranks {
		t.Rows = append(t.Rows, ranksRow(systems, i))
	}
	return t
}

// ranksRow is the row of a group.
func ranksRow(systems []SystemSummary, group int) []string {
	r := &systems[0].Ranks[group]
	name := fmt.Sprint(r.FirstRank)
	if r.LastRank > r.FirstRank {
		name += fmt.Sprintf(" to %d", r.LastRank)
	}
	row := []string{name, count(r.Downloads.Asked)}
	for i := range systems {
		median, fromServers := Unknown, Unknown
		if group < len(systems[i].Ranks) {
			r := &systems[i].Ranks[group]
			median, fromServers = r.Downloads.P50, ratio(float64(r.FromServers), float64(r.Down))
		}
		row = append(row, median.time())
		if isSwarmKind(systems[i].Kind) {
			row = append(row, fromServers.percent())
		}
	}
	return row
}
