package report

import (
	"fmt"

	"github.com/shoal-bt/shoal/swarmtest/report/chart"
	"github.com/shoal-bt/shoal/swarmtest/result"
)

// ServerSummary is what one server did.
type ServerSummary struct {
	Name   string `json:"name"`
	Tier   string `json:"tier"`
	Region string `json:"region"`
	ISP    string `json:"isp"`
	UpRate int64  `json:"upRate"`

	Requests        int64 `json:"requests"`
	Refused         int64 `json:"refused"`
	MostQueued      int   `json:"mostQueued"`
	MostConnections int   `json:"mostConnections"`

	Hits        int64 `json:"hits"`
	Misses      int64 `json:"misses"`
	Coalesced   int64 `json:"coalesced"`
	Revalidated int64 `json:"revalidated"`
	Fetches     int64 `json:"fetches"`
	Evicted     int64 `json:"evicted"`

	In     int64 `json:"inBytes"`
	Out    int64 `json:"outBytes"`
	Pushed int64 `json:"pushedBytes"`
	HitOut int64 `json:"hitBytes"`
	Wasted int64 `json:"wastedBytes"`
	// Peak is the most that it sent between two samples, in bytes/s, LinkUse the part of what its uplink could
	// have sent until the end.
	Peak     Number          `json:"peakRate"`
	LinkUse  Number          `json:"linkUse"`
	Occupied Number          `json:"occupiedSeconds"`
	Outages  []OutageSummary `json:"outages"`
	Cost     Number          `json:"cost"`
}

// OutageSummary is a time in which a server was down.
type OutageSummary struct {
	At  Number `json:"atSeconds"`
	For Number `json:"forSeconds"`
}

// summarizeServer has what a result has, and what follows from it.
func summarizeServer(system *result.System, r *result.Server) ServerSummary {
	s := ServerSummary{
		Name: r.Name, Tier: r.Tier, Region: r.Region, ISP: r.ISP, UpRate: r.UpRate,
		Requests: r.Requests, Refused: r.Refused, MostQueued: r.MostQueued, MostConnections: r.MostConnections,
		Hits: r.Hits, Misses: r.Misses, Coalesced: r.Coalesced, Revalidated: r.Revalidated, Fetches: r.Fetches, Evicted: r.Evicted,
		In: r.In, Out: r.Out, Pushed: r.Pushed, HitOut: r.HitOut, Wasted: r.Wasted,
		Peak: Unknown, LinkUse: Unknown, Occupied: seconds(r.Occupied), Outages: []OutageSummary{}, Cost: Unknown,
	}
	if r.Peak >= 0 {
		s.Peak = Number(r.Peak)
	}
	if use, ok := r.Use(system.End); ok {
		s.LinkUse = Number(use)
	}
	for _, o := range r.Outages {
		s.Outages = append(s.Outages, OutageSummary{seconds(o.At), seconds(o.For)})
	}
	if system.Cost != 0 || system.Currency != "" {
		s.Cost = Number(r.Cost)
	}
	return s
}

// server is the result that was summarized.
func (s *ServerSummary) server() result.Server {
	r := result.Server{
		Name: s.Name, Tier: s.Tier, Region: s.Region, ISP: s.ISP, UpRate: s.UpRate,
		Requests: s.Requests, Refused: s.Refused, MostQueued: s.MostQueued, MostConnections: s.MostConnections,
		Hits: s.Hits, Misses: s.Misses, Coalesced: s.Coalesced, Revalidated: s.Revalidated, Fetches: s.Fetches, Evicted: s.Evicted,
		In: s.In, Out: s.Out, Pushed: s.Pushed, HitOut: s.HitOut, Wasted: s.Wasted,
		Peak: -1, Occupied: s.Occupied.duration(),
	}
	if s.Peak.Known() {
		r.Peak = float64(s.Peak)
	}
	for _, o := range s.Outages {
		r.Outages = append(r.Outages, result.Outage{At: o.At.duration(), For: o.For.duration()})
	}
	if s.Cost.Known() {
		r.Cost = float64(s.Cost)
	}
	return r
}

// serverColumn is a column of the table of servers. It is left out where it is
// said of no server.
type serverColumn struct {
	name string
	said func(*ServerSummary) bool
	text func(*SystemSummary, *ServerSummary) string
}

var serverColumns = []serverColumn{
	{"Region", func(s *ServerSummary) bool { return s.Region != "" }, regionOf},
	{"Sent", always, func(_ *SystemSummary, s *ServerSummary) string { return formatBytes(s.Out) }},
	{"Peak", func(s *ServerSummary) bool { return s.Peak.Known() }, func(_ *SystemSummary, s *ServerSummary) string { return s.Peak.rate() }},
	{"Use of its link", func(s *ServerSummary) bool { return s.LinkUse.Known() }, func(_ *SystemSummary, s *ServerSummary) string { return s.LinkUse.percent() }},
	counted("Requests", func(s *ServerSummary) int64 { return s.Requests }, always),
	counted("Refused", func(s *ServerSummary) int64 { return s.Refused }, always),
	counted("Hits", func(s *ServerSummary) int64 { return s.Hits }, isCache),
	counted("Misses", func(s *ServerSummary) int64 { return s.Misses }, isCache),
	counted("Coalesced", func(s *ServerSummary) int64 { return s.Coalesced }, isCache),
	counted("Evicted", func(s *ServerSummary) int64 { return s.Evicted }, isCache),
	{"Down", func(s *ServerSummary) bool { return len(s.Outages) > 0 }, func(_ *SystemSummary, s *ServerSummary) string { return s.outages() }},
	{"Cost", func(s *ServerSummary) bool { return s.Cost.Known() }, func(system *SystemSummary, s *ServerSummary) string { return s.Cost.money(system.Currency) }},
}

func regionOf(_ *SystemSummary, s *ServerSummary) string {
	if s.Region == "" {
		return missing
	}
	return chart.Clean(s.Region, maxName)
}

func always(*ServerSummary) bool { return true }

// isCache reports whether a server looked for what it was asked for.
func isCache(s *ServerSummary) bool { return s.Hits+s.Misses > 0 }

// counted is a column of numbers, which mean nothing where a server is none of those that count.
func counted(name string, number func(*ServerSummary) int64, counts func(*ServerSummary) bool) serverColumn {
	return serverColumn{name, func(s *ServerSummary) bool { return number(s) > 0 }, func(_ *SystemSummary, s *ServerSummary) string {
		if s.Requests == 0 || !counts(s) {
			return missing
		}
		return count(int(number(s)))
	}}
}

// rate writes bytes/s.
func (n Number) rate() string {
	if !n.Known() {
		return missing
	}
	return formatBytes(int64(n)) + "/s"
}

// maxOutages is how many outages of a server the page tells.
const maxOutages = 3

// outages says when a server was down.
func (s *ServerSummary) outages() (text string) {
	for i, o := range s.Outages {
		switch {
		case i == maxOutages:
			return text + fmt.Sprintf(", and %d more", len(s.Outages)-i)
		case i > 0:
			text += ", "
		}
		text += fmt.Sprintf("%s from %s", o.For.time(), o.At.time())
	}
	if text == "" {
		return missing
	}
	return text
}

// serversTable has a row for each server of each system. There is none if no system
// has servers.
func serversTable(s *Summary) *tableView {
	t := &tableView{Caption: "Servers", TextColumns: 1, Head: []string{"System", "Server"}}
	var columns []serverColumn
	for _, c := range serverColumns {
		if s.anyServer(c.said) {
			columns = append(columns, c)
			t.Head = append(t.Head, c.name)
		}
	}
	total := 0
	for i := range s.Systems {
		system := &s.Systems[i]
		total += len(system.Servers)
		for j := range system.Servers {
			if len(t.Rows) == maxTableRows {
				break
			}
			row := []string{chart.Clean(system.Name, maxName), chart.Clean(system.Servers[j].Name, maxName)}
			for _, c := range columns {
				row = append(row, c.text(system, &system.Servers[j]))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	if left := total - len(t.Rows); left > 0 {
		t.Note = fmt.Sprintf("%s more in run.json.", plural(left, "server"))
	}
	return t
}

func (s *Summary) anyServer(said func(*ServerSummary) bool) bool {
	for i := range s.Systems {
		for j := range s.Systems[i].Servers {
			if said(&s.Systems[i].Servers[j]) {
				return true
			}
		}
	}
	return false
}

// withoutServers returns summaries for reports of many runs: what each server did is in those of one.
func withoutServers(all []*Summary) (without []*Summary) {
	for _, s := range all {
		copied := *s
		copied.Systems = append([]SystemSummary(nil), s.Systems...)
		for i := range copied.Systems {
			copied.Systems[i].Servers = nil
		}
		without = append(without, &copied)
	}
	return without
}

// crossISP is what came from outside of ISPs' networks, nil where it was not counted: nobody has an ISP, or everything was
// on one machine.
func crossISP(system *result.System) *int64 {
	if system.Kind == result.Real {
		return nil
	}
	for i := range system.Peers {
		if system.Peers[i].ISP != "" {
			return &system.CrossISP
		}
	}
	return nil
}
