package report

import (
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// discovering is a swarm of three downloaders, one of which never found anybody, beside an origin.
func discovering() *result.Run {
	return &result.Run{Name: "three", Seed: 1, ContentLen: 1 << 20, Contents: 1, Downloads: 3, Systems: []result.System{{
		Name: "swarm", Kind: result.Swarm, End: time.Minute, Peers: []result.Peer{
			{Server: true, Discovery: result.Discovery{FirstPeer: time.Second, FromDHT: 100, DHTUp: 1 << 30}},
			{Index: 1, Join: time.Second, Discovery: result.Discovery{FirstPeer: 2 * time.Second, FromTracker: 1, FromDHT: 2, FromPEX: 3, FromIncoming: 4, DHTUp: 100, DHTDown: 200}},
			{Index: 2, Join: time.Second, Discovery: result.Discovery{FirstPeer: 4 * time.Second, FromTracker: 10, FromDHT: 20, FromPEX: 30, FromIncoming: 40, DHTUp: 300, DHTDown: 600}},
			{Index: 3, Join: time.Second, Discovery: result.Discovery{DHTUp: 300}},
		},
	}, {Name: "origin", Kind: result.Origin, Peers: []result.Peer{{Index: 0}}}}}
}

func TestDiscoveryIsSummedUp(t *testing.T) {
	s := Summarize(discovering())
	got := *s.Systems[0].Discovery
	if got.FirstPeerP95.Known() {
		t.Errorf("a quantile is %v that falls upon who never had a peer", got.FirstPeerP95)
	}
	got.FirstPeerP95 = 0 // a NaN is not equal to itself
	want := DiscoverySummary{FromTracker: 11, FromDHT: 22, FromPEX: 33, FromIncoming: 44, FirstPeerP50: 3, Alone: 1, DHTBytes: 500}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s.Systems[1].Discovery != nil {
		t.Errorf("an origin has peers that found %+v", s.Systems[1].Discovery)
	}
}

func TestDiscoveryInThePageAndTheTables(t *testing.T) {
	run, dir := discovering(), t.TempDir()
	if err := Write(dir, run); err != nil {
		t.Fatal(err)
	}
	again, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range run.Systems[0].Peers {
		if got, want := again.Systems[0].Peers[i].Discovery, run.Systems[0].Peers[i].Discovery; got != want {
			t.Errorf("peer %d: %+v, want %+v", i, got, want)
		}
	}
	tables := discoveryTables(Summarize(run))
	if len(tables) != 1 || len(tables[0].Rows) != 1 || strings.Join(tables[0].Rows[0], " ") != "swarm 11 22 33 44 3.0 s – 500 bytes" {
		t.Errorf("the page has %+q", tables[0].Rows)
	}
	for i := range run.Systems[0].Peers {
		d := &run.Systems[0].Peers[i].Discovery
		d.FromDHT, d.FromPEX = 0, 0
	}
	if tables := discoveryTables(Summarize(run)); tables != nil {
		t.Errorf("a swarm with nothing but a tracker has %+v", tables)
	}
}
