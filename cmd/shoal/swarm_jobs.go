package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/real"
	swarmresult "github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// swarmJob is one scenario to run with one seed.
type swarmJob struct {
	scenario *scenario.Scenario
	seed     uint64
	// real has it run with real processes as well, by these programs, if it is not nil.
	wire bool
	real *real.Options
	// done gets the result. It may be called by several goroutines at a time.
	done func(*swarmresult.Run) error
}

// serverWork is how much less work than a swarm a system of servers is: about a
// hundredth for the same data.
const serverWork = 0.01

// work is how much data the first systems of the job deliver, weighted by what it
// takes to simulate that: its part of the progress.
func (j *swarmJob) work(numSystems float64) (bytes float64) {
	s := j.scenario
	for i := range s.Systems {
		part := min(max(numSystems-float64(i), 0), 1)
		if kind := s.Systems[i].Kind; kind != swarmresult.Swarm && kind != swarmresult.Hybrid {
			part *= serverWork
		}
		bytes += part * float64(s.NumPeers()) * float64(s.Content.Length)
	}
	return bytes
}

// swarmJobs runs jobs, several at a time, and shows how far they are.
type swarmJobs struct {
	name string
	jobs []swarmJob

	mu       sync.Mutex
	start    time.Time
	finished int
	at       []lab.Progress // of each job
	since    []time.Time    // when its system began
	measured *lab.Progress  // of the job that runs for real, nil if none does
}

// runJobs runs all jobs on so many processors, 0 for all. One job has them for
// itself; of several, each has one, for that wastes the least.
func runJobs(ctx context.Context, e *env, name string, workers int, jobs []swarmJob) error {
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	warnMemory(e, jobs, workers, availableMemory())
	defer collectSeldom(jobs, workers)()
	j := &swarmJobs{
		name: printable(name), jobs: jobs, start: time.Now(),
		at: make([]lab.Progress, len(jobs)), since: make([]time.Time, len(jobs)),
	}
	stop := e.watch(false, func() []progress { return j.progress(time.Now()) })
	defer stop()
	group, groupCtx := errgroup.WithContext(ctx)
	perJob := 1
	if len(jobs) == 1 {
		perJob = workers
	}
	group.SetLimit(workers)
	for i := range jobs {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return j.run(groupCtx, i, perJob) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// A simulation makes little garbage and keeps nearly everything else to its end, so
// collecting costs a fifth of a run and gains nothing as long as memory is no
// concern: it may grow to five times what is in use. But not beyond simulatorMemory,
// which is what 10,000 peers may take together with the rest of a process of 2 GB; or,
// for larger swarms, beyond twice what a peer needs, so that not all time goes into looking
// for the last garbage.
const (
	simulatorPercent = 400
	simulatorMemory  = 1600 << 20
	memoryPerPeer    = 160 << 10
)

// collectSeldom sets how often garbage is collected while jobs run, so many at a time, and
// returns what sets it back. A stricter GOMEMLIMIT of the user's stays.
func collectSeldom(jobs []swarmJob, atATime int) (restore func()) {
	peers := 0
	for _, job := range jobs {
		peers = max(peers, job.scenario.NumPeers())
	}
	limit := max(simulatorMemory, int64(peers)*int64(min(len(jobs), atATime))*memoryPerPeer)
	percent, before := debug.SetGCPercent(simulatorPercent), debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, before))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(before)
	}
}

func (j *swarmJobs) run(ctx context.Context, i, workers int) error {
	job := &j.jobs[i]
	run, err := lab.Run(ctx, job.scenario, job.seed, lab.Options{
		Workers:  workers,
		Wire:     job.wire,
		Progress: func(p lab.Progress) { j.heard(i, p) },
	})
	if err == nil && job.real != nil {
		if err = j.measure(ctx, i, run); err != nil {
			return err
		}
	}
	if run != nil { // also beside an error: what is wrong is to be looked at
		if failed := job.done(run); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.finished++
	j.at[i] = lab.Progress{Index: len(job.scenario.Systems)}
	return nil
}

// measure runs the job with real processes, after it was simulated.
func (j *swarmJobs) measure(ctx context.Context, i int, run *swarmresult.Run) error {
	options := *j.jobs[i].real
	options.Progress = func(p lab.Progress) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.measured = &p
	}
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.measured = nil
	}()
	return real.Run(ctx, j.jobs[i].scenario, run, options)
}

// heard keeps how far a job is.
func (j *swarmJobs) heard(i int, p lab.Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p.System != j.at[i].System {
		j.since[i] = time.Now()
	}
	j.at[i] = p
}

// progress is what the terminal shows: all jobs in one bar, by the data that they deliver.
func (j *swarmJobs) progress(now time.Time) []progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.measured != nil {
		return j.realProgress(j.measured)
	}
	done, total := 0.0, 0.0
	for i := range j.jobs {
		done += j.jobs[i].work(float64(j.at[i].Index) + j.at[i].Part)
		total += j.jobs[i].work(math.Inf(1))
	}
	elapsed := now.Sub(j.start)
	detail := fmt.Sprintf("%d of %d runs", j.finished, len(j.jobs))
	if len(j.jobs) == 1 {
		detail = describeProgress(&j.at[0], now.Sub(j.since[0]))
	}
	if j.finished == len(j.jobs) {
		return []progress{{name: j.name, done: clampBytes(total), total: clampBytes(total), detail: "done in " + formatDuration(elapsed)}}
	}
	if left := eta(elapsed, done/total); left != "" {
		detail += ", " + left + " left"
	}
	return []progress{{name: j.name, done: clampBytes(done), total: clampBytes(total), detail: detail}}
}

// realProgress is what the terminal shows of a run with real processes: the
// data that has arrived.
func (j *swarmJobs) realProgress(p *lab.Progress) []progress {
	total := float64(p.Total) * float64(j.jobs[0].scenario.Content.Length)
	return []progress{{name: j.name, done: clampBytes(p.Part * total), total: clampBytes(total), detail: describeProgress(p, 0)}}
}

// describeProgress says how a run goes: "swarm, 350 of 1000 peers done after 12m30s, 84 times real time".
func describeProgress(p *lab.Progress, elapsed time.Duration) string {
	if p.System == "" {
		return "starting"
	}
	detail := fmt.Sprintf("%s: %d of %s done after %s", printable(p.System), p.Done, count(p.Total, "peer"), formatDuration(p.Now))
	if elapsed > time.Second {
		detail += fmt.Sprintf(", %.0fx real time", p.Now.Seconds()/elapsed.Seconds())
	}
	return detail
}

// eta is how long it will take if it goes on as so far, "" where nobody can tell.
func eta(elapsed time.Duration, part float64) string {
	if part < 0.01 || part > 1 || elapsed < time.Second {
		return ""
	}
	return formatDuration(time.Duration(float64(elapsed) * (1 - part) / part))
}

func clampBytes(n float64) int64 { return int64(min(n, math.MaxInt64/2)) }
