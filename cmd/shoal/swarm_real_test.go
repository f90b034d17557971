//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/real"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
)

// runReal runs a scenario with processes that are this test binary.
func runReal(t *testing.T, args ...string) (summary realSummary, temp string) {
	t.Helper()
	temp = t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv(asMain, "1")
	out := mustRun(t, append([]string{"swarm", "run", "--real", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &summary); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return summary, temp
}

// mustRun runs a command with no limit of time, as mustSucceed has.
func mustRun(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	r := shoalCtx(t.Context(), args...)
	if r.code != exitDone {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	return r.stdout
}

// realSummary is what the tests need of "swarm run --json".
type realSummary struct {
	Systems []struct {
		Name, Kind, Reason string
		Downloads          struct {
			Asked, Completed int
			Median           float64 `json:"p50Seconds"`
			P95              float64 `json:"p95Seconds"`
		}
	}
}

// TestSwarmRunReal has four clients: one comes later, and those who have completed stay for a moment.
func TestSwarmRunReal(t *testing.T) {
	inLab(t)
	summary, temp := runReal(t, "--set", "demand.peers=4", "--set", "origin.up=1MiB/s", "--set", "class.dsl.up=8Mbit/s",
		"--set", "class.dsl.seed_for=300ms", "--set", "demand.arrivals=window", "--set", "demand.window=500ms", "tiny.toml")
	var names []string
	for _, s := range summary.Systems {
		names = append(names, s.Name)
		if s.Downloads.Asked != 4 || s.Downloads.Completed != 4 {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if got := strings.Join(names, "; "); got != "swarm; origin; swarm, real; origin, real" {
		t.Errorf("systems: %s", got)
	}
	if page, err := os.ReadFile(filepath.Join("tiny", "report.html")); err != nil || !strings.Contains(string(page), "swarm, real") {
		t.Errorf("the report does not show what was measured (%v)", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSwarmRunRealInterrupted ends a swarm as soon as it moves. That Run returns says that
// no process is left: it waits for each.
func TestSwarmRunRealInterrupted(t *testing.T) {
	inLab(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv(asMain, "1")
	s, err := loadScenario(&env{}, "tiny.toml", []string{"demand.peers=2", "origin.up=20KiB/s"})
	if err != nil {
		t.Fatal(err)
	}
	options, err := realOptions(s)
	if err != nil {
		t.Fatal(err)
	}
	run, err := lab.Run(t.Context(), s, 1, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	options.Progress = func(lab.Progress) { cancel() }
	if err := real.Run(ctx, s, run, *options); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSwarmRunRealIsTooLarge(t *testing.T) {
	inLab(t)
	r := shoal(t, "swarm", "run", "--real", "--set", "demand.peers=51", "tiny.toml")
	if r.code != exitUsage || !strings.Contains(r.stderr, "--set demand.peers=50") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	if _, err := os.Stat("tiny"); err == nil {
		t.Error("it made a folder first")
	}
}

// TestTwentyReal is the bar of issue 5: with twenty processes, the median and the 95th percentile of the
// download times are within 15 % of what is simulated. It takes three minutes, and a
// machine that has time for it.
func TestTwentyReal(t *testing.T) {
	if os.Getenv("SHOAL_TEST_REAL") == "" {
		t.Skip("SHOAL_TEST_REAL is not set")
	}
	t.Chdir(t.TempDir())
	summary, _ := runReal(t, "twenty-real")
	if len(summary.Systems) != 4 {
		t.Fatalf("systems: %+v", summary.Systems)
	}
	for i := range 2 {
		simulated, measured := &summary.Systems[i], &summary.Systems[i+2]
		if measured.Kind != swarmresult.Real || measured.Downloads.Completed != 20 {
			t.Fatalf("%+v", measured)
		}
		for _, c := range []struct {
			name      string
			want, got float64
		}{
			{"median", simulated.Downloads.Median, measured.Downloads.Median},
			{"95th percentile", simulated.Downloads.P95, measured.Downloads.P95},
		} {
			ratio := c.got / c.want
			t.Logf("%s, %s: simulated %.2f s, measured %.2f s (%+.1f %%)", simulated.Name, c.name, c.want, c.got, 100*(ratio-1))
			if !(ratio > 0.85 && ratio < 1.15) {
				t.Errorf("%s: the %s is more than 15 %% off", simulated.Name, c.name)
			}
		}
	}
}
