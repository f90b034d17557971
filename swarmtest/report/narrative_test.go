package report

import (
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// served is a system whose downloads took so long, 0 for those unfinished.
func served(kind string, originBytes int64, took ...time.Duration) result.System {
	s := result.System{Name: kind, Kind: kind, Completed: true, End: time.Minute}
	source := result.FromOrigin
	if kind == result.Swarm {
		source = result.FromSeed
	}
	s.Sources = []result.Source{{Name: source, Bytes: originBytes}}
	for _, d := range took {
		s.Peers = append(s.Peers, result.Peer{Complete: d, Down: 1 << 20})
		if d == 0 {
			s.Completed, s.Reason = false, "no progress for 1h0m0s"
		}
	}
	return s
}

func TestSentences(t *testing.T) {
	const mib = 1 << 20
	bounded := func(s result.System, bound time.Duration) result.System {
		s.Bound, s.BoundName = bound, "Kumar and Ross"
		return s
	}
	abandoned := served(result.Swarm, mib, 10*time.Second, 0)
	abandoned.Peers[1].Leave, abandoned.Completed = time.Second, true
	secondSwarm := served(result.Swarm, mib, 30*time.Second)
	secondSwarm.Name = "no choking"
	for _, c := range []struct {
		name    string
		systems []result.System
		want    [2]string
	}{
		{"the swarm wins",
			[]result.System{
				bounded(served(result.Swarm, 2*mib, 10*time.Second, 20*time.Second), 16*time.Second),
				served(result.Origin, 2*mib, 40*time.Second, 50*time.Second), served(result.CDN, mib, 15*time.Second, 15*time.Second),
			},
			[2]string{
				"The swarm completed all 2 downloads of 1 MiB within 20.0 s, 1.25 times the least possible (16.0 s by Kumar and Ross), and the seed sent 2.0 copies.",
				"A download took 15.0 s on average with the swarm, against 45.0 s with the origin alone (3.0 times as long) and 15.0 s with the CDN (the same).",
			}},
		{"the swarm loses",
			[]result.System{served(result.Swarm, mib, 40*time.Second), served(result.CDN, mib, 10*time.Second), served(result.Mirrors, mib, 30*time.Second)},
			[2]string{
				"The swarm completed the one download of 1 MiB within 40.0 s, and the seed sent 1 copy.",
				"A download took 40.0 s on average with the swarm, against 10.0 s with the CDN (4.0 times as fast) and 30.0 s with the set of mirrors (25 % shorter).",
			}},
		{"the swarm is incomplete",
			[]result.System{served(result.Swarm, mib, 10*time.Second, 0, 0), served(result.Origin, 3*mib, 12*time.Second, 12*time.Second, 12*time.Second)},
			[2]string{
				"The swarm completed 1 of 3 downloads of 1 MiB before it ended after 60.0 s (no progress for 1h0m0s), and the seed sent 1 copy.",
				"A download took 10.0 s on average with the swarm (2 unfinished), against 12.0 s with the origin alone (20 % longer).",
			}},
		{"the other is incomplete",
			[]result.System{served(result.Swarm, mib, 10*time.Second), served(result.Origin, mib, 30*time.Second, 0)},
			[2]string{
				"The swarm completed the one download of 1 MiB within 10.0 s, and the seed sent 1 copy.",
				"A download took 10.0 s on average with the swarm, against 30.0 s with the origin alone (3.0 times as long, 1 unfinished).",
			}},
		{"nobody completes",
			[]result.System{served(result.Swarm, 0, 0), served(result.Origin, 0, 0)},
			[2]string{
				"The swarm completed none of 1 download of 1 MiB before it ended after 60.0 s (no progress for 1h0m0s), and the seed sent 0.0 copies.",
				"No download completed with the swarm, and none with the origin alone.",
			}},
		{"somebody gives up",
			[]result.System{abandoned},
			[2]string{
				"The swarm completed 1 of 2 downloads (1 abandoned) of 1 MiB within 10.0 s, and the seed sent 1 copy.",
				"A download took 10.0 s on average, and 95 of 100 took at most 10.0 s.",
			}},
		{"the bound is beaten",
			[]result.System{bounded(served(result.Swarm, mib, 10*time.Second), 20*time.Second)},
			[2]string{
				"The swarm completed the one download of 1 MiB within 10.0 s, 0.500 times the bound (20.0 s), which is impossible: the simulator is wrong, and the seed sent 1 copy.",
				"A download took 10.0 s on average, and 95 of 100 took at most 10.0 s.",
			}},
		{"no swarm",
			[]result.System{served(result.Origin, mib, 10*time.Second)},
			[2]string{
				"The origin alone completed the one download of 1 MiB within 10.0 s, and the origin sent 1 copy.",
				"A download took 10.0 s on average, and 95 of 100 took at most 10.0 s.",
			}},
		{"two swarms",
			[]result.System{served(result.Swarm, mib, 10*time.Second), secondSwarm},
			[2]string{
				"The swarm “swarm” completed the one download of 1 MiB within 10.0 s, and the seed sent 1 copy.",
				"A download took 10.0 s on average with the swarm “swarm”, against 30.0 s with the swarm “no choking” (3.0 times as long).",
			}},
		{"nobody asks",
			[]result.System{served(result.Swarm, 0)},
			[2]string{"Nobody asked the swarm for a download.", "No download completed."}},
		{"nothing", nil, [2]string{"Nothing was run.", "There is nothing to compare."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Summarize(&result.Run{ContentLen: mib, Systems: c.systems})
			got := s.Sentences()
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("sentence %d:\n%s\nwant\n%s", i+1, got[i], c.want[i])
				}
			}
			wrong := len(s.Systems) > 0 && s.Systems[0].BeatsBound()
			if warned := strings.Contains(strings.Join(s.warnings(), " "), "the simulator is wrong"); warned != wrong || wrong != (c.name == "the bound is beaten") {
				t.Errorf("beaten: %v, warned: %v", wrong, warned)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(0).time(), "0 s"}, {Number(0.25).time(), "250 ms"}, {Number(0.9999).time(), "1.0 s"}, {Number(99.94).time(), "99.9 s"},
		{Number(100).time(), "1 min 40 s"}, {Number(119.7).time(), "2 min"}, {Number(7199).time(), "119 min 59 s"}, {Number(7200).time(), "2 h"},
		{Number(86400 * 3.5).time(), "3 d 12 h"}, {Unknown.time(), "–"}, {Number(-2).time(), "−2.0 s"},
		{Number(0.0117).spread(), "0.012 s"}, {Number(0).spread(), "0 s"}, {Number(-0.5).spread(), "−0.5 s"},
		{Number(0.99999).percent(), "> 99.9 %"}, {Number(1).percent(), "100.0 %"}, {Number(0.0001).percent(), "< 0.1 %"}, {Number(0).percent(), "0.0 %"},
		{Number(-0.025).points(), "−2.5 %"},
		{Number(1.5).money("EUR"), "1.50 EUR"}, {Number(0.0213).money(""), "0.0213"}, {Unknown.money("EUR"), "–"},
		{formatBytes(1536), "1.5 KiB"}, {formatBytes(100 << 20), "100 MiB"}, {formatBytes(7), "7 bytes"},
		{plural(1, "run"), "1 run"}, {plural(1200, "run"), "1,200 runs"}, {unbroken("in 5 min 3 s, 95 % of 2 seeds"), "in 5\u00a0min 3\u00a0s, 95\u00a0% of 2 seeds"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
