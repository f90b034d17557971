package report

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/stats"
)

// Summary is what one run comes down to. Its JSON is that of run.json, see
// docs/formats.md; times are in seconds, and a Number that does not exist is null.
type Summary struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// The scenario's hash, the seed and the version name the run.
	ScenarioHash string `json:"scenarioSHA256"`
	Seed         uint64 `json:"seed"`
	Version      string `json:"version"`
	// EventLog is that of the only system that has an event log; of several, the SHA-256 of theirs in hex, a line each.
	EventLog string `json:"eventLogSHA256"`

	ContentLen int64           `json:"contentBytes"`
	Contents   int             `json:"contents"`
	Downloads  int             `json:"downloads"`
	Systems    []SystemSummary `json:"systems"`
}

// SystemSummary is what one system did.
type SystemSummary struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Reason    string `json:"reason"`
	Completed bool   `json:"completed"`
	End       Number `json:"endSeconds"`

	// RatioToBound is the last completion divided by the bound, if all have
	// completed and there is one. Below 1 the simulator is wrong.
	Bound        Number `json:"boundSeconds"`
	BoundName    string `json:"boundName"`
	RatioToBound Number `json:"ratioToBound"`

	Events   uint64 `json:"events"`
	EventLog string `json:"eventLogSHA256"`

	Downloads DownloadSummary `json:"downloads"`
	Sources   []SourceSummary `json:"sources"`

	// Delivered is what reached downloaders, Wasted what they had no use
	// for, Messages what everybody sent besides data.
	Delivered int64 `json:"deliveredBytes"`
	Wasted    int64 `json:"wastedBytes"`
	Messages  int64 `json:"messageBytes"`
	// CrossISP is what came from outside of the ISPs' networks in which it was received, nil where that was not
	// counted.
	CrossISP *int64 `json:"crossISPBytes"`
	// OriginBytes is what the publisher's machines sent, OriginCopies the same in
	// copies of the content, Offload the part of Delivered that they did not send.
	OriginBytes  int64  `json:"originBytes"`
	OriginCopies Number `json:"originCopies"`
	Offload      Number `json:"offload"`
	// UplinkUse is the mean over the time until the last completion.
	UplinkUse Number `json:"meanUplinkUse"`
	// Jain and Gini are of the rates at which downloaders were served.
	Jain Number `json:"jain"`
	Gini Number `json:"gini"`

	Cost            Number `json:"cost"`
	CostPerDownload Number `json:"costPerDownload"`
	Currency        string `json:"currency"`

	Classes []ClassSummary `json:"classes"`
	// Discovery is nil for what has no peers.
	Discovery *DiscoverySummary `json:"discovery"`
	// Ranks are of several contents, by their popularity.
	Ranks []RankSummary `json:"ranks"`
	// Servers are null in the reports of several runs.
	Servers []ServerSummary `json:"servers"`
}

// DownloadSummary says how long downloads took, from joining to completion.
// Abandoned ones, whose peer left before the end, count in no quantile; those still unfinished when the run
// ended count as longer than all others, so that a quantile which falls among them is null. The mean is that of the completed.
type DownloadSummary struct {
	Asked      int    `json:"asked"`
	Completed  int    `json:"completed"`
	Abandoned  int    `json:"abandoned"`
	Unfinished int    `json:"unfinished"`
	Mean       Number `json:"meanSeconds"`
	Deviation  Number `json:"deviationSeconds"`
	Min        Number `json:"minSeconds"`
	P5         Number `json:"p5Seconds"`
	P25        Number `json:"p25Seconds"`
	P50        Number `json:"p50Seconds"`
	P75        Number `json:"p75Seconds"`
	P95        Number `json:"p95Seconds"`
	P99        Number `json:"p99Seconds"`
	Max        Number `json:"maxSeconds"`
	// First and Last are the times since the start at which a download completed.
	First Number `json:"firstCompletionSeconds"`
	Last  Number `json:"lastCompletionSeconds"`
}

// SourceSummary is what one kind of sender sent.
type SourceSummary struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Copies Number `json:"copies"`
}

// ClassSummary is how the downloaders of one class fared. Jain is that of their
// rates among themselves.
type ClassSummary struct {
	Class      string          `json:"class"`
	Downloads  DownloadSummary `json:"downloads"`
	Up         int64           `json:"upBytes"`
	Down       int64           `json:"downBytes"`
	ShareRatio Number          `json:"shareRatio"`
	Jain       Number          `json:"jain"`
}

// Summarize computes the summary of a run.
func Summarize(run *result.Run) *Summary {
	s := &Summary{
		Name: run.Name, Title: run.Title,
		ScenarioHash: run.ScenarioHash, Seed: run.Seed, Version: run.Version, EventLog: eventLog(run),
		ContentLen: run.ContentLen, Contents: run.Contents, Downloads: run.Downloads,
	}
	for i := range run.Systems {
		s.Systems = append(s.Systems, summarizeSystem(run, &run.Systems[i]))
	}
	return s
}

// eventLog is the hash of all systems' event logs.
func eventLog(run *result.Run) string {
	var logs []string
	for i := range run.Systems {
		if log := run.Systems[i].EventLog; log != "" {
			logs = append(logs, log)
		}
	}
	switch len(logs) {
	case 0:
		return ""
	case 1:
		return logs[0]
	}
	return hashLines(logs)
}

func summarizeSystem(run *result.Run, system *result.System) SystemSummary {
	s := SystemSummary{
		Name: system.Name, Kind: system.Kind, CrossISP: crossISP(system), Reason: system.Reason, Completed: system.Completed,
		End: seconds(system.End), Bound: unlessZero(system.Bound), BoundName: system.BoundName,
		Events: system.Events, EventLog: system.EventLog,
		Downloads: summarizeDownloads(downloaders(system)),
		Currency:  system.Currency,
		Cost:      Unknown, CostPerDownload: Unknown,
	}
	s.RatioToBound = Unknown
	if s.Downloads.Unfinished == 0 && system.Completed && system.Bound > 0 {
		s.RatioToBound = s.Downloads.Last / s.Bound
	}
	s.summarizeTraffic(run, system)
	s.summarizeFairness(run, system)
	s.Ranks = summarizeRanks(run, system)
	s.UplinkUse = meanUplinkUse(system)
	s.Discovery = summarizeDiscovery(system)
	s.Servers = []ServerSummary{}
	for i := range system.Servers {
		s.Servers = append(s.Servers, summarizeServer(system, &system.Servers[i]))
	}
	if system.Cost != 0 || system.Currency != "" {
		s.Cost = Number(system.Cost)
		s.CostPerDownload = ratio(system.Cost, float64(s.Downloads.Completed))
	}
	return s
}

// summarizeTraffic counts bytes.
func (s *SystemSummary) summarizeTraffic(run *result.Run, system *result.System) {
	for _, source := range system.Sources {
		s.Sources = append(s.Sources, SourceSummary{source.Name, source.Bytes, copies(source.Bytes, run)})
		if isPublisher(source.Name) {
			s.OriginBytes += source.Bytes
		}
	}
	for i := range system.Peers {
		p := &system.Peers[i]
		s.Messages += p.MessagesUp
		if !p.Server {
			s.Delivered += p.Down
			s.Wasted += p.Wasted
		}
	}
	s.OriginCopies = copies(s.OriginBytes, run)
	s.Offload = 1 - ratio(float64(s.OriginBytes), float64(s.Delivered))
	if len(system.Sources) == 0 {
		s.OriginCopies, s.Offload = Unknown, Unknown
	}
}

// isPublisher reports whether a source is a machine of whoever publishes the
// content.
func isPublisher(source string) bool {
	return source == result.FromSeed || source == result.FromOrigin || source == result.FromWebSeeds
}

// copies is a number of bytes in copies of the content.
func copies(bytes int64, run *result.Run) Number {
	return ratio(float64(bytes), float64(run.ContentLen))
}

// summarizeFairness fills in what is said of classes and of everybody.
func (s *SystemSummary) summarizeFairness(run *result.Run, system *result.System) {
	everybody := serviceRates(downloaders(system), run, system)
	s.Jain, s.Gini = Number(stats.Jain(everybody)), Number(stats.Gini(everybody))
	for _, class := range classesOf(system) {
		c := ClassSummary{Class: class.name, Downloads: summarizeDownloads(class.peers)}
		for _, p := range class.peers {
			c.Up += p.Up
			c.Down += p.Down
		}
		c.ShareRatio = Number(stats.ShareRatio(c.Up, c.Down))
		c.Jain = Number(stats.Jain(serviceRates(class.peers, run, system)))
		s.Classes = append(s.Classes, c)
	}
}

// downloaders returns the peers of a system that are no servers.
func downloaders(system *result.System) (peers []*result.Peer) {
	for i := range system.Peers {
		if p := &system.Peers[i]; !p.Server {
			peers = append(peers, p)
		}
	}
	return peers
}

// classPeers are the downloaders of one class.
type classPeers struct {
	name  string
	peers []*result.Peer
}

// classesOf returns the classes of downloaders in the order in which they
// first occur.
func classesOf(system *result.System) (classes []classPeers) {
	index := map[string]int{}
	for _, p := range downloaders(system) {
		i, known := index[p.Class]
		if !known {
			i = len(classes)
			index[p.Class] = i
			classes = append(classes, classPeers{name: p.Class})
		}
		classes[i].peers = append(classes[i].peers, p)
	}
	return classes
}

// serviceRates returns the rates of those who have one.
func serviceRates(peers []*result.Peer, run *result.Run, system *result.System) (rates []float64) {
	for _, p := range peers {
		if rate := serviceRate(p, run, system); !math.IsNaN(rate) {
			rates = append(rates, rate)
		}
	}
	return rates
}

// serviceRate is how fast a downloader was served, in bytes/s: the content in the
// time it took, or what it had got when it left or the run ended. It is NaN if it was there for no time.
func serviceRate(p *result.Peer, run *result.Run, system *result.System) float64 {
	got, until := p.Down-p.Wasted, system.End
	if p.Leave > 0 {
		until = p.Leave
	}
	if p.Complete > 0 {
		got, until = run.ContentLen, p.Complete
	}
	if until <= p.Join {
		return math.NaN()
	}
	return float64(got) / (until - p.Join).Seconds()
}

// summarizeDownloads summarizes the downloads of these peers.
func summarizeDownloads(peers []*result.Peer) DownloadSummary {
	var d DownloadSummary
	var took, at []float64
	for _, p := range peers {
		d.Asked++
		duration, completed := p.Duration()
		switch {
		case completed:
			d.Completed++
			took = append(took, duration.Seconds())
			at = append(at, p.Complete.Seconds())
		case p.Leave > 0:
			d.Abandoned++
		default:
			d.Unfinished++
		}
	}
	d.setTimes(took, at)
	return d
}

// setTimes fills in the statistics of the completed downloads.
func (d *DownloadSummary) setTimes(took, at []float64) {
	slices.Sort(took)
	slices.Sort(at)
	d.Mean, d.Deviation = Unknown, Unknown
	if len(took) > 0 {
		d.Mean = Number(stat.Mean(took, nil))
	}
	if len(took) > 1 {
		d.Deviation = Number(stat.StdDev(took, nil))
	}
	d.Min, d.Max = Number(stats.Quantile(0, took)), Number(stats.Quantile(1, took))
	d.First, d.Last = Number(stats.Quantile(0, at)), Number(stats.Quantile(1, at))
	for _, q := range []struct {
		p  float64
		to *Number
	}{{0.05, &d.P5}, {0.25, &d.P25}, {0.5, &d.P50}, {0.75, &d.P75}, {0.95, &d.P95}, {0.99, &d.P99}} {
		*q.to = censoredQuantile(q.p, took, d.Unfinished)
	}
}

// censoredQuantile is the quantile of sorted numbers and of so many more that
// are larger than all of them by nobody knows how much.
func censoredQuantile(p float64, sorted []float64, missing int) Number {
	total := len(sorted) + missing
	last := math.Ceil(p * float64(total-1)) // the position that the quantile needs
	if total == 0 || int(last) >= len(sorted) {
		return Unknown
	}
	upTo := sorted[:int(last)+1]
	if last == 0 {
		return Number(sorted[0])
	}
	return Number(stats.Quantile(p*float64(total-1)/last, upTo))
}

// meanUplinkUse is the mean over time of the samples' uplink use until the last download completed.
func meanUplinkUse(system *result.System) Number {
	last := lastCompletion(system)
	if last == 0 {
		last = system.End
	}
	var used, total float64
	var before time.Duration
	for i := range system.Samples {
		s := &system.Samples[i]
		if before >= last || math.IsNaN(s.UplinkUse) || s.UplinkUse < 0 {
			break
		}
		part := (min(s.At, last) - before).Seconds()
		used += part * s.UplinkUse
		total += part
		before = s.At
	}
	return ratio(used, total)
}

func lastCompletion(system *result.System) (last time.Duration) {
	for i := range system.Peers {
		if p := &system.Peers[i]; !p.Server {
			last = max(last, p.Complete)
		}
	}
	return last
}
