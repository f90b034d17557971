package report

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// catalogue is a run of six contents, of which the third is wanted by nobody, and the sixth came to nobody in time.
func catalogue() *result.Run {
	run := &result.Run{Name: "catalogue", Contents: 6, ContentLen: 100, Downloads: 7}
	swarm := result.System{Name: "swarm", Kind: result.Swarm, End: time.Minute}
	swarm.Peers = []result.Peer{{Server: true, Up: 900}}
	for _, c := range []struct{ content, took, fromServers int }{{0, 1, 10}, {0, 3, 30}, {0, 8, 20}, {1, 5, 100}, {3, 7, 50}, {4, 9, 70}, {5, 0, 0}} {
		p := result.Peer{Content: c.content, Complete: time.Duration(c.took) * time.Second, Down: 100, FromServers: int64(c.fromServers)}
		swarm.Peers = append(swarm.Peers, p)
	}
	run.Systems = []result.System{swarm, {Name: "cdn", Kind: result.CDN, Peers: swarm.Peers}}
	return run
}

func TestRanks(t *testing.T) {
	s := Summarize(catalogue())
	got := ranksTable(s).Rows
	want := [][]string{
		{"1", "3", "3.0 s", "20.0 %", "3.0 s"},
		{"2", "1", "5.0 s", "100.0 %", "5.0 s"},
		{"3 to 4", "1", "7.0 s", "50.0 %", "7.0 s"},
		{"5 to 6", "2", missing, "35.0 %", missing},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the rows are %q, want %q", got, want)
	}
	if head := ranksTable(s).Head; !reflect.DeepEqual(head, []string{"Rank", "Downloads", "swarm", "swarm, from servers", "cdn"}) {
		t.Errorf("the head is %q", head)
	}
	one := catalogue()
	one.Contents = 1
	if s := Summarize(one); s.Systems[0].Ranks != nil || ranksTable(s) != nil {
		t.Error("one content has ranks")
	}
}

func TestRanksAreOnThePage(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, catalogue()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"report.html": "By popularity of the content", "run.json": `"firstRank": 5,`} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(file), text) {
			t.Errorf("%s has no %q: %v", name, text, err)
		}
	}
	again, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Systems[0].Peers[3]; got.Content != 0 || got.FromServers != 20 {
		t.Errorf("read again, a peer is %+v", got)
	}
}
