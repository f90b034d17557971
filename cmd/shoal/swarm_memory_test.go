package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

func memoryJobs(t *testing.T, n int, set ...string) (jobs []swarmJob) {
	t.Helper()
	s, err := scenario.Source{File: "tiny.toml", Data: []byte(tinyScenario), Set: set}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		jobs = append(jobs, swarmJob{scenario: s})
	}
	return jobs
}

// TestMemoryIsWarnedOf: 100,000 peers are more than 4 GiB and less than 20, and two runs at a time are twice that.
func TestMemoryIsWarnedOf(t *testing.T) {
	for _, tt := range []struct {
		set           string
		runs, workers int
		available     int64
		want          string
	}{
		{"demand.peers=100000", 1, 8, 4 << 30, "of memory, and 4.0 GiB are free; if that is not enough, the system may end it: run fewer peers\n"},
		{"demand.peers=100000", 1, 8, 20 << 30, ""},
		{"demand.peers=100000", 3, 2, 12 << 30, "or fewer runs at a time: --workers 1"},
		{"demand.peers=100000", 3, 1, 12 << 30, ""},
		{"demand.peers=100", 1, 8, 200 << 20, ""},
		{"demand.peers=100", 100, 100, 200 << 20, "--workers 1"},
	} {
		var stderr bytes.Buffer
		warnMemory(&env{stderr: &stderr}, memoryJobs(t, tt.runs, tt.set), tt.workers, tt.available)
		if got := stderr.String(); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s, %d runs by %d: %q", tt.set, tt.runs, tt.workers, got)
		}
	}
}

func TestMemInfo(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       24640952 kB\nMemFree:        3 kB\nMemAvailable:   1024 kB\n": 1 << 20,
		"MemTotal: 5 kB\n":                       math.MaxInt64,
		"MemAvailable: -5 kB\n":                  math.MaxInt64,
		"MemAvailable: lots kB\n":                math.MaxInt64,
		"MemAvailable: 9223372036854775807 kB\n": math.MaxInt64,
		"":                                       math.MaxInt64,
	} {
		if got := parseMemInfo([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
	if available := availableMemory(); available < 1<<20 {
		t.Errorf("this machine has %d bytes left", available)
	}
}
