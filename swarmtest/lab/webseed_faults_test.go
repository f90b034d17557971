package lab

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// onHybrid runs small as two hybrids: with the web seed on the origin, and with three on edges of which
// each client has two.
func onHybrid(t *testing.T, text string, set ...string) (onOrigin, onEdges *result.System) {
	t.Helper()
	const hybrids = `
[[system]]
kind = "hybrid"
web_seed_below = "unlimited"
[[system]]
name = "edges"
kind = "hybrid"
web_edges = 3
web_edge_up = "2Mbit/s"
web_seeds = 2
web_seed_below = "unlimited"
`
	r := mustRun(t, parse(t, small+text+hybrids, set...), Options{})
	return &r.Systems[0], &r.Systems[1]
}

func completed(sys *result.System) time.Duration {
	last, all := lastCompletion(sys)
	if !all {
		return 0
	}
	return last
}

// bannedBy are the numbers of clients that banned each web seed.
func bannedBy(sys *result.System) (bans []int) {
	for _, p := range sys.Peers {
		if p.Server {
			bans = append(bans, p.BannedBy)
		}
	}
	return bans
}

func TestWebSeedFaultsReachHybrids(t *testing.T) {
	origin, edges := onHybrid(t, "")
	if fast := completed(edges); fast == 0 || fast >= completed(origin) {
		t.Errorf("with three web seeds it took %v, with one %v", fast, completed(origin))
	}
	const at = "at = \"2s\"\nfor = \"5m\"\n"
	downOrigin, downEdges := onHybrid(t, "[[fault]]\nkind = \"web-seed-down\"\n"+at)
	if last := completed(downOrigin); last < 5*time.Minute {
		t.Errorf("the only web seed was gone until 5 min, and all had the content after %v", last)
	}
	if last := completed(downEdges); last == 0 || last > 2*time.Minute {
		t.Errorf("one of three web seeds was gone, and it took %v", last)
	}
	busyOrigin, _ := onHybrid(t, "[[fault]]\nkind = \"web-seed-busy\"\nretry_after = \"50s\"\n"+at)
	if last := completed(busyOrigin); last < 5*time.Minute || last > 10*time.Minute {
		t.Errorf("the only web seed was busy until 5 min, and all had the content after %v", last)
	}
	_, lies := onHybrid(t, "[[fault]]\nkind = \"web-seed-lies\"\nserver = 1\nat = \"0s\"\n")
	bans := bannedBy(lies)
	if completed(lies) == 0 || bans[1] == 0 || bans[0]+bans[2] > 0 {
		t.Errorf("with a lying web seed it took %v; they were banned by %v", completed(lies), bans)
	}
}

// TestEachClientHasSeveralWebSeeds: the nearest, and those as near in turn.
func TestEachClientHasSeveralWebSeeds(t *testing.T) {
	_, edges := onHybrid(t, "")
	var sent []int64
	for _, p := range edges.Peers {
		if p.Server {
			sent = append(sent, p.Up)
		}
	}
	if len(sent) != 3 || 3*slices.Min(sent) < slices.Max(sent) {
		t.Errorf("the edges sent %d", sent)
	}
}

func TestPatienceOutlastsAnOutageOfWebSeeds(t *testing.T) {
	for _, kind := range []string{"down", "busy"} {
		origin, _ := onHybrid(t, "[[fault]]\nkind = \"web-seed-"+kind+"\"\nat = \"2s\"\nfor = \"9h\"\n", "limits.patience=1m")
		if last := completed(origin); last < 9*time.Hour {
			t.Errorf("%s: ended at %v because %s", kind, origin.End, origin.Reason)
		}
	}
}
