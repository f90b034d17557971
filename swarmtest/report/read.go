package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// Read returns the run that Write put into a directory. What the files do not
// hold is what can be computed from them.
func Read(dir string) (*result.Run, error) {
	document, err := readRunDocument(dir)
	if err != nil {
		return nil, err
	}
	run := document.run()
	if err := readTable(dir, peersFile, func(r *row) { readPeer(run, r) }); err != nil {
		return nil, err
	}
	err = readTable(dir, timeseriesFile, func(r *row) { readSample(run, r) })
	return run, err
}

// ReadSummary returns the summary of the run that Write put into a
// directory, from run.json alone.
func ReadSummary(dir string) (*Summary, error) {
	document, err := readRunDocument(dir)
	if err != nil {
		return nil, err
	}
	return document.Summary, nil
}

func readRunDocument(dir string) (*runDocument, error) {
	document := &runDocument{Summary: &Summary{}}
	return document, readDocument(filepath.Join(dir, runFile), runFormat, document)
}

func readDocument(name, format string, document any) error {
	text, err := os.ReadFile(name)
	if err == nil {
		err = decode(text, format, document)
	}
	if err != nil {
		return fmt.Errorf("report: %s: %w", name, err)
	}
	return nil
}

// run is the run without its peers and samples.
func (d *runDocument) run() *result.Run {
	run := &result.Run{
		Name: d.Name, Title: d.Title, Scenario: d.Scenario, ScenarioHash: d.ScenarioHash, Seed: d.Seed, Version: d.Version,
		ContentLen: d.ContentLen, Contents: d.Contents, Downloads: d.Downloads,
	}
	for i := range d.Systems {
		run.Systems = append(run.Systems, d.Systems[i].system())
	}
	return run
}

func (s *SystemSummary) system() result.System {
	system := result.System{
		Name: s.Name, Kind: s.Kind, Reason: s.Reason, Completed: s.Completed,
		End: s.End.duration(), Bound: s.Bound.duration(), BoundName: s.BoundName,
		Events: s.Events, EventLog: s.EventLog, Currency: s.Currency,
	}
	if s.Cost.Known() {
		system.Cost = float64(s.Cost)
	}
	if s.CrossISP != nil {
		system.CrossISP = *s.CrossISP
	}
	for i := range s.Servers {
		system.Servers = append(system.Servers, s.Servers[i].server())
	}
	for _, source := range s.Sources {
		system.Sources = append(system.Sources, result.Source{Name: source.Name, Bytes: source.Bytes})
	}
	return system
}

// row is a line of a table, and the first error in it.
type row struct {
	columns map[string]int
	fields  []string
	err     error
}

// readTable gives each line of a table to read.
func readTable(dir, name string, read func(*row)) error {
	name = filepath.Join(dir, name)
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(lines) == 0 {
		return fmt.Errorf("report: %s: no table: %w", name, err)
	}
	r := row{columns: map[string]int{}}
	for i, column := range lines[0] {
		r.columns[column] = i
	}
	for i, fields := range lines[1:] {
		r.fields = fields
		if read(&r); r.err != nil {
			return fmt.Errorf("report: %s: line %d: %w", name, i+2, r.err)
		}
	}
	return nil
}

func (r *row) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *row) text(column string) string {
	i, ok := r.columns[column]
	if !ok {
		r.fail(fmt.Errorf("there is no column %q", column))
		return ""
	}
	return r.fields[i]
}

// parse reads a field, or returns zero and keeps the error.
func parse[T any](r *row, column string, convert func(string) (T, error)) (value T) {
	value, err := convert(r.text(column))
	if err != nil {
		r.fail(fmt.Errorf("column %q: %w", column, err))
	}
	return value
}

func (r *row) int64(column string) int64 {
	return parse(r, column, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
}

func (r *row) int(column string) int { return int(r.int64(column)) }

func (r *row) float(column string) float64 {
	return parse(r, column, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func (r *row) duration(column string) time.Duration { return parse(r, column, parseSeconds) }

// parseSeconds reads what decimalSeconds writes, and 0 from nothing.
func parseSeconds(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	return time.ParseDuration(s + "s")
}

// system finds the system that the line belongs to.
func (r *row) system(run *result.Run) *result.System {
	name := r.text("system")
	for i := range run.Systems {
		if run.Systems[i].Name == name {
			return &run.Systems[i]
		}
	}
	r.fail(fmt.Errorf("%s has no system %q", runFile, name))
	return &result.System{}
}

func readPeer(run *result.Run, r *row) {
	system := r.system(run)
	system.Peers = append(system.Peers, result.Peer{
		Index: r.int("index"), Class: r.text("class"), Region: r.text("region"), ISP: r.text("isp"),
		Content: r.int("content"), Server: parse(r, "server", strconv.ParseBool),
		Join: r.duration("join_s"), FirstPiece: r.duration("first_piece_s"),
		Complete: r.duration("complete_s"), Leave: r.duration("leave_s"),
		Up: r.int64("up_bytes"), Down: r.int64("down_bytes"), Wasted: r.int64("wasted_bytes"),
		MessagesUp: r.int64("messages_up_bytes"), MessagesDown: r.int64("messages_down_bytes"),
		Occupied: r.duration("occupied_s"), UpRate: r.int64("up_rate"), DownRate: r.int64("down_rate"),
		CrossISP: r.int64("cross_isp_bytes"), HashFails: r.int("hash_fails"), BannedBy: r.int("banned_by"),
		FromServers: r.int64("from_servers_bytes"),
		Discovery: result.Discovery{
			FirstPeer: r.duration("first_peer_s"), FromTracker: r.int("from_tracker"), FromDHT: r.int("from_dht"),
			FromPEX: r.int("from_pex"), FromIncoming: r.int("from_incoming"), DHTUp: r.int64("dht_up_bytes"), DHTDown: r.int64("dht_down_bytes"),
		},
	})
}

func readSample(run *result.Run, r *row) {
	system := r.system(run)
	sample := result.Sample{
		At: r.duration("at_s"), Seeds: r.int("seeds"), Leechers: r.int("leechers"),
		Completed: r.int("completed"), Gone: r.int("gone"), UplinkUse: r.float("uplink_use"),
		MinCopies: r.int("min_copies"), MeanCopies: r.float("mean_copies"), Entropy: r.float("entropy"),
	}
	for _, source := range system.Sources {
		if column := bytesColumn + source.Name; strings.TrimSpace(r.text(column)) != "" {
			sample.Bytes = append(sample.Bytes, r.int64(column))
		}
	}
	system.Samples = append(system.Samples, sample)
}
