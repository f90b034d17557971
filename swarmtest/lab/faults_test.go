package lab

import (
	"context"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

const twoISPs = `
[[isp]]
name = "a"
[[isp]]
name = "b"
`

// faulty runs small with faults, and returns its swarm.
func faulty(t *testing.T, text string, set ...string) *result.System {
	t.Helper()
	set = append([]string{"demand.peers=24", "content.length=4MiB"}, set...)
	run := mustRun(t, parse(t, small+twoISPs+text+"\n[[system]]\nkind = \"swarm\"\n", set...), Options{})
	return &run.Systems[0]
}

func TestFaultsReachTheSwarm(t *testing.T) {
	logs := map[string]string{}
	for _, text := range []string{
		"",
		"[[fault]]\nkind = \"crash\"\nclass = \"origin\"\nat = \"5s\"\nfor = \"20s\"",
		"[[fault]]\nkind = \"crash\"\nclass = \"dsl\"\nat = \"5s\"\nfor = \"20s\"",
		"[[fault]]\nkind = \"crash\"\nclass = \"dsl\"\npart = 0.5\nat = \"5s\"\nfor = \"20s\"",
		"[[fault]]\nkind = \"crash\"\nisp = \"a\"\nat = \"5s\"\nfor = \"20s\"",
		"[[fault]]\nkind = \"tracker\"\nat = \"0s\"\nfor = \"20s\"",
		"[[fault]]\nkind = \"partition\"\nisp = \"b\"\nat = \"5s\"\nfor = \"20s\"",
	} {
		swarm := faulty(t, text)
		if last, all := lastCompletion(swarm); !all || text != "" && last < 25*time.Second {
			t.Errorf("%s\ncompleted at %v because %s", text, last, swarm.Reason)
		}
		if same, ok := logs[swarm.EventLog]; ok {
			t.Errorf("the same events with\n%s\nand\n%s", text, same)
		}
		logs[swarm.EventLog] = text
	}
}

func TestLossAndLiarsReachTheSwarm(t *testing.T) {
	whole := faulty(t, "")
	for _, set := range []string{"network.loss=0.02", "class.dsl.loss=0.05", "origin.leave_after=1.5", "class.rider.corrupt=true"} {
		if other := faulty(t, "", set); other.EventLog == whole.EventLog && set != "class.rider.corrupt=true" {
			t.Errorf("%s changes nothing", set) // riders upload nothing, so theirs is never false
		}
	}
	liars := faulty(t, "", "class.rider.corrupt=true", "class.rider.free_rider=false")
	wasted, bans, fails := int64(0), 0, 0
	for _, p := range liars.Peers {
		wasted, fails = wasted+p.Wasted, fails+p.HashFails
		if p.Class == "rider" {
			bans += p.BannedBy
		} else if p.BannedBy > 0 {
			t.Errorf("peer %d of the class %s is banned", p.Index, p.Class)
		}
	}
	if wasted == 0 || bans == 0 || fails == 0 {
		t.Errorf("%d bytes wasted, %d pieces failed, %d bans", wasted, fails, bans)
	}
}

func TestATrackerThatKnowsISPsKeepsBytesAtHome(t *testing.T) {
	free := faulty(t, "", "demand.peers=150", "content.length=2MiB")
	biased := faulty(t, "", "demand.peers=150", "content.length=2MiB", "system.swarm.foreign=3")
	sum := int64(0)
	for _, p := range free.Peers {
		sum += p.CrossISP
	}
	t.Logf("%d bytes between ISPs, %d with a tracker that knows them", free.CrossISP, biased.CrossISP)
	if free.CrossISP != sum || 3*biased.CrossISP > 2*free.CrossISP {
		t.Errorf("%d bytes between ISPs, %d by the peers' rows, %d with a tracker that knows them", free.CrossISP, sum, biased.CrossISP)
	}
}

func TestPatienceOutlastsAnOutage(t *testing.T) {
	swarm := faulty(t, "[[fault]]\nkind = \"tracker\"\nat = \"0s\"\nfor = \"3h\"", "limits.patience=1h")
	if !swarm.Completed {
		t.Errorf("ended at %v because %s", swarm.End, swarm.Reason)
	}
}

func TestAFaultThatStrikesNobody(t *testing.T) {
	s := parse(t, small+"[[fault]]\nkind = \"crash\"\nclass = \"dsl\"\npart = 0.0001\nat = \"1s\"\n")
	if _, err := Run(context.Background(), s, 1, Options{}); err != nil {
		t.Error(err)
	}
}
