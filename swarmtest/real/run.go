package real

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/lab"
	"github.com/shoal-bt/shoal/swarmtest/result"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// Options say with which programs to run.
type Options struct {
	// Shoal is the path of the program.
	Shoal string
	// Nginx is the path of nginx, empty for the file server of this package.
	Nginx string
	// Progress is called now and then, by one goroutine at a time. It may be nil. Index
	// and NumSystems are those of the systems that are run for real.
	Progress func(lab.Progress)
}

// The reasons for the end of a system.
const (
	allComplete = "every peer completed"
	allSettled  = "every other peer left"
	tooLong     = "it took more than twice as long as in the simulator"
)

// lookEvery is how often the processes are asked how they stand: no more often than they look
// themselves.
const lookEvery = 500 * time.Millisecond

// runner runs the systems of one scenario.
type runner struct {
	s       *scenario.Scenario
	clients []demand.Client
	options Options
	network network
	place   *place
	at      lab.Progress
}

// Run runs the swarm and the origin of a scenario for real, and appends what was measured to the
// run that simulated them. Without an error it appends at least one system.
func Run(ctx context.Context, s *scenario.Scenario, run *result.Run, options Options) (err error) {
	if err := errors.Join(Check(s), checkTimes(run)); err != nil {
		return err
	}
	r := &runner{s: s, clients: demand.Clients(s, run.Seed), options: options}
	if r.network, err = newNetwork(); err != nil {
		return err
	}
	if r.place, err = newPlace(ctx, s.Content.Length, len(r.clients)+1, run.Seed); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.place.remove()) }()
	measured, err := r.systems(ctx, run)
	if err != nil {
		return err
	}
	run.Systems = append(run.Systems, measured...)
	return nil
}

func (r *runner) systems(ctx context.Context, run *result.Run) (measured []result.System, err error) {
	for i := range run.Systems {
		if canRun(run.Systems[i].Kind) {
			r.at.NumSystems++
		}
	}
	for i := range run.Systems {
		simulated := &run.Systems[i]
		if !canRun(simulated.Kind) {
			continue
		}
		out, err := r.system(ctx, simulated)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", out.Name, err)
		}
		measured = append(measured, *out)
		r.at.Index++
	}
	return measured, nil
}

// system runs one system for as long as it may take.
func (r *runner) system(ctx context.Context, simulated *result.System) (*result.System, error) {
	out := &result.System{
		Name: simulated.Name + ", real", Kind: result.Real,
		Bound: simulated.Bound, BoundName: simulated.BoundName,
	}
	r.at = lab.Progress{System: out.Name, Index: r.at.Index, NumSystems: r.at.NumSystems, Total: len(r.clients)}
	limited, cancel := context.WithTimeout(ctx, patience(simulated.End))
	defer cancel()
	w := newWatch(r, out)
	w.pex = slices.ContainsFunc(r.s.Systems, func(sys scenario.System) bool { return sys.Name == simulated.Name && sys.PEX })
	serve := w.swarm
	if simulated.Kind == result.Origin {
		serve = w.origin
	}
	err := serve(limited)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return out, err
	}
	w.finish(limited.Err() != nil)
	return out, nil
}

// watch is a system that runs: the one place that knows how all of it stands.
type watch struct {
	*runner
	out   *result.System
	pex   bool // peers tell each other of peers
	start time.Time
	begun chan struct{} // closed when start is set

	mu      sync.Mutex
	rows    []row
	waiting int           // clients that may complete yet
	over    chan struct{} // closed when there are none
	sent    []int64       // by rows, when the last sample was taken
}

// row is a host and what is known of it.
type row struct {
	result.Peer
	joined, left bool
}

func newWatch(r *runner, out *result.System) *watch {
	return &watch{runner: r, out: out, waiting: len(r.clients), over: make(chan struct{}), begun: make(chan struct{})}
}

// begin starts the clock.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start = time.Now()
	w.sent = make([]int64, len(w.rows))
	close(w.begun)
}

// add adds the row of a host, and returns its index.
func (w *watch) add(class string, place demand.Place, up, down int64) int {
	p := result.Peer{Index: len(w.rows), Class: class, UpRate: up, DownRate: down}
	if len(w.s.Regions) > 0 {
		p.Region = w.s.Regions[place.Region].Name
	}
	if len(w.s.ISPs) > 0 {
		p.ISP = w.s.ISPs[place.ISP].Name
	}
	w.rows = append(w.rows, row{Peer: p})
	return p.Index
}

func (w *watch) addServer(class string, up, down int64) int {
	i := w.add(class, demand.Origin(w.s), up, down)
	w.rows[i].Server, w.rows[i].joined = true, true
	return i
}

func (w *watch) addClient(c *demand.Client) int {
	i := w.add(w.s.Classes[c.Class].Name, c.Place, c.Up, c.Down)
	w.rows[i].Join = c.Join
	return i
}

// change changes a row, and returns what time it is.
func (w *watch) change(i int, change func(row *row, now time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.rows[i], time.Since(w.start))
}

// join notes that a client is there.
func (w *watch) join(i int) {
	w.change(i, func(row *row, _ time.Duration) { row.joined = true })
}

// complete notes that a client has completed just now; only the first time counts.
func (w *watch) complete(i int) (first bool) {
	w.change(i, func(row *row, now time.Duration) {
		if first = row.Complete == 0; first {
			row.Complete = now
			w.settle()
		}
	})
	return first
}

// leave notes that a host is no longer there, if that was before the end.
func (w *watch) leave(ctx context.Context, i int) {
	if ctx.Err() != nil {
		return
	}
	w.change(i, func(row *row, now time.Duration) {
		row.left, row.Leave = true, now
		if !row.Server && row.Complete == 0 {
			w.settle()
		}
	})
}

// settle counts a client that has completed, or never will.
func (w *watch) settle() {
	if w.waiting--; w.waiting == 0 {
		close(w.over)
	}
}

// wait waits until the clock shows a time; false if ctx ends first.
func (w *watch) wait(ctx context.Context, until time.Duration) bool {
	timer := time.NewTimer(time.Until(w.start.Add(until)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// observe takes samples, and tells how far it is, until ctx ends.
func (w *watch) observe(ctx context.Context) error {
	samples := time.NewTicker(max(w.s.Samples.Every, lookEvery))
	defer samples.Stop()
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-samples.C:
			w.sample()
		case <-looks.C:
			w.report()
		}
	}
}

func (w *watch) report() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var arrived int64
	for i := range w.rows {
		if p := &w.rows[i]; !p.Server {
			arrived += p.Down
		}
	}
	w.at.Now, w.at.Done = time.Since(w.start), len(w.clients)-w.waiting
	w.at.Part = min(1, float64(arrived)/(float64(len(w.clients))*float64(w.s.Content.Length)))
	if w.options.Progress != nil {
		w.options.Progress(w.at)
	}
}

// sample notes how the system stands. Nobody knows who has which piece.
func (w *watch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples(time.Since(w.start))
}

func (w *watch) samples(now time.Duration) {
	s := result.Sample{At: now, MinCopies: -1, MeanCopies: -1, Entropy: -1}
	for i := range w.rows {
		row := &w.rows[i]
		completed := !row.Server && row.Complete > 0
		switch {
		case row.left:
			s.Gone++
		case row.Server || completed && w.isSwarm():
			s.Seeds++
		case row.joined && !completed:
			s.Leechers++
		}
		if completed {
			s.Completed++
		}
	}
	for _, source := range w.sources() {
		s.Bytes = append(s.Bytes, source.Bytes)
	}
	s.UplinkUse = w.uplinkUse(now)
	w.out.Samples = append(w.out.Samples, s)
}

// uplinkUse is what was sent since the last sample, in proportion to what those present could
// who send.
func (w *watch) uplinkUse(now time.Duration) float64 {
	before := time.Duration(0)
	if n := len(w.out.Samples); n > 0 {
		before = w.out.Samples[n-1].At
	}
	sent, could := 0.0, 0.0
	for i := range w.rows {
		row := &w.rows[i]
		if row.joined && !row.left && (row.Server || w.isSwarm()) {
			could += float64(row.UpRate) * (now - before).Seconds()
			sent += float64(row.Up - w.sent[i])
		}
		w.sent[i] = row.Up
	}
	if could == 0 {
		return 0
	}
	return min(1, sent/could)
}

func (w *watch) isSwarm() bool { return w.rows[0].Class == seedClass }

// sources are the bytes by who sent them. What came twice is counted for peers
// as it is for seeds.
func (w *watch) sources() []result.Source {
	var sent, received int64
	for i := range w.rows {
		if p := &w.rows[i]; p.Server {
			sent += p.Up
		} else {
			received += p.Down
		}
	}
	if !w.isSwarm() {
		return []result.Source{{Name: result.FromOrigin, Bytes: sent}}
	}
	return []result.Source{{Name: result.FromSeed, Bytes: sent}, {Name: result.FromPeers, Bytes: max(0, received-sent)}}
}

// finish writes the results.
func (w *watch) finish(timedOut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Completed, w.out.Reason = true, allComplete
	for i := range w.rows {
		row := &w.rows[i]
		w.out.End = max(w.out.End, row.Complete, row.Leave)
		if !row.Server && row.Complete == 0 && !row.left {
			w.out.Completed = false
		} else if row.left && row.Complete == 0 && !row.Server {
			w.out.Reason = allSettled
		}
	}
	if timedOut {
		w.out.Reason, w.out.End = tooLong, time.Since(w.start)
	}
	w.samples(w.out.End)
	w.out.Sources = w.sources()
	for i := range w.rows {
		w.out.Peers = append(w.out.Peers, w.rows[i].Peer)
	}
	if p := &w.s.Prices; !p.Free() {
		w.out.Cost, w.out.Currency = float64(w.out.Sources[0].Bytes)/1e9*p.Origin, p.Currency
	}
}
