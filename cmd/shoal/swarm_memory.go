package main

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// What runs need, measured: 100,000 clients of an origin and a CDN took 265 MB together with their report, and a
// slice in a cache takes some 150 bytes. A peer of a swarm needs half of memoryPerPeer. All of it is meant to be rather too
// much than too little.
const (
	memoryPerClient = 3 << 10
	memoryPerSlice  = 150
	memoryOfProcess = 50 << 20
)

// memoryOf estimates the bytes that a run of a scenario needs. Systems run one after the other, and the largest
// counts; their clients' rows stay to the end.
func memoryOf(s *scenario.Scenario) int64 {
	most := int64(0)
	for i := range s.Systems {
		sys := &s.Systems[i]
		needs := s.MostCached(sys) * memoryPerSlice
		if sys.Kind == swarmresult.Swarm || sys.Kind == swarmresult.Hybrid {
			needs = int64(s.NumPeers()) * memoryPerPeer / 2
		}
		most = max(most, needs)
	}
	return memoryOfProcess + most + int64(s.NumPeers())*memoryPerClient
}

// warnMemory says that jobs, so many at a time, will need more memory than the machine has. It is an estimate, so nothing is
// refused.
func warnMemory(e *env, jobs []swarmJob, atATime int, available int64) {
	most := int64(0)
	for _, job := range jobs {
		most = max(most, memoryOf(job.scenario))
	}
	atATime = min(atATime, len(jobs))
	if needed := most * int64(atATime); needed > available {
		advice := "run fewer peers"
		if atATime > 1 {
			advice += ", or fewer runs at a time: --workers 1"
		}
		e.logf("warning: this needs about %s of memory, and %s are free; if that is not enough, the system may end it: %s", formatSize(needed), formatSize(available), advice)
	}
}

// availableMemory is how much memory the machine has left, as Linux says, or the limit of the container. Where nothing says
// it, there is no end of it.
func availableMemory() int64 {
	if runtime.GOOS != "linux" {
		return math.MaxInt64
	}
	available := int64(math.MaxInt64)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		available = parseMemInfo(text)
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil { // or "max"
			available = min(available, limit)
		}
	}
	return available
}

// parseMemInfo finds the line "MemAvailable:  1234 kB".
func parseMemInfo(text []byte) int64 {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemAvailable:" && fields[2] == "kB" {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n >= 0 && n < math.MaxInt64>>10 {
				return n << 10
			}
		}
	}
	return math.MaxInt64
}
