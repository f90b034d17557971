package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

func TestServersAreInThePage(t *testing.T) {
	tables := elements(t, pageOf(t, invented()))["table"]
	var cells []string
	for n := range tables[len(tables)-1].Descendants() {
		if n.Data == "th" || n.Data == "td" {
			cells = append(cells, textOf(n))
		}
	}
	got := strings.Join(cells, "|")
	for _, want := range []string{
		"System|Server|Region|Sent|Peak|Use of its link|Requests|Refused|Hits|Misses|Coalesced|Evicted|Down|Cost|",
		"cdn|origin 0|–|16 MiB|–|–|20|0|–|–|–|–|–|0.02 EUR|",
		"cdn|edge 1|eu|1.17 GiB|5.25 MiB/s|",
		"|4,000|3|3,900|100|80|17|1.5 s from 0 s, 1.5 s from 10.0 s, 1.5 s from 20.0 s, and 2 more|0.04 EUR",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table of servers has no %q:\n%s", want, strings.ReplaceAll(got, "|cdn", "\n|cdn"))
		}
	}
}

// TestColumnsThatSayNothingAreLeftOut, and rows that nobody would read.
func TestColumnsThatSayNothingAreLeftOut(t *testing.T) {
	run := &result.Run{Systems: []result.System{{Name: "origin", Servers: []result.Server{{Name: "origin 0", Peak: -1}}}}}
	for i := range 100 {
		run.Systems[0].Servers = append(run.Systems[0].Servers, result.Server{Name: fmt.Sprint("mirror ", i), Peak: -1, Out: 5})
	}
	table := serversTable(Summarize(run))
	if !slices.Equal(table.Head, []string{"System", "Server", "Sent"}) || len(table.Rows) != maxTableRows || table.Note != "41 servers more in run.json." {
		t.Errorf("%v, %d rows, %s", table.Head, len(table.Rows), table.Note)
	}
	run.Systems[0].Servers = nil
	if table := serversTable(Summarize(run)); len(table.Rows) != 0 {
		t.Errorf("there are servers: %v", table.Rows)
	}
}

// TestServersAreInReportsOfOneRun: ten thousand runs of a thousand edges would be too much for one file.
func TestServersAreInReportsOfOneRun(t *testing.T) {
	digest := NewDigest(invented())
	if len(digest.Systems[2].Servers) != 3 {
		t.Fatalf("the digest has %d servers", len(digest.Systems[2].Servers))
	}
	dir := t.TempDir()
	if err := WriteReplicas(filepath.Join(dir, "replicas"), []*Digest{digest}); err != nil {
		t.Fatal(err)
	}
	sweep := &Sweep{Name: "x", Parameters: []string{"p"}, Points: []Point{{Values: []string{"1"}, Runs: []*Summary{digest.Summary}}}}
	if err := WriteSweep(filepath.Join(dir, "sweep"), sweep); err != nil {
		t.Fatal(err)
	}
	for name, text := range contents(t, dir) {
		if strings.HasSuffix(name, ".json") && (strings.Contains(text, `"servers": [`) || !strings.Contains(text, `"servers": null`)) {
			t.Errorf("%s has servers", name)
		}
	}
	if len(digest.Systems[2].Servers) != 3 || len(sweep.Points[0].Runs[0].Systems[2].Servers) != 3 {
		t.Error("the servers of the run itself are gone")
	}
}

// TestCrossISPIsNullWhereItWasNotCounted: 0 would say that nothing crossed.
func TestCrossISPIsNullWhereItWasNotCounted(t *testing.T) {
	for want, system := range map[string]result.System{
		"null":  {Peers: []result.Peer{{}}, CrossISP: 0},
		"7":     {Peers: []result.Peer{{}, {ISP: "a"}}, CrossISP: 7},
		"0":     {Peers: []result.Peer{{ISP: "a"}}},
		"null ": {Kind: result.Real, Peers: []result.Peer{{ISP: "a"}}},
	} {
		text, err := json.Marshal(Summarize(&result.Run{Systems: []result.System{system}}))
		if err != nil || !bytes.Contains(text, []byte(`"crossISPBytes":`+strings.TrimSpace(want)+`,`)) {
			t.Errorf("want %s: %s, %v", want, text, err)
		}
	}
}
