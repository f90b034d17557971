package real

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// seedClass is the class of the origin's machines, as in the simulator.
const seedClass = "seed"

// swarm runs a swarm until nobody is left who could complete.
func (w *watch) swarm(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	addr := netip.AddrPortFrom(w.network.host(trackerHost), trackerPort)
	tracker := process{name: "the tracker", argv: []string{
		w.options.Shoal, "tracker", "run", "--open", "--http", addr.String(), "--interval", w.s.Tracker.Interval.String(), "--json",
	}}
	service, err := tracker.serve(ctx, net.TCPAddrFromAddrPort(addr), end)
	if err != nil {
		return err
	}
	defer service.stop()
	torrent, err := w.place.torrent(ctx, w.s.Content.PieceLength, fmt.Sprintf("http://%s/announce", addr))
	if err != nil {
		return err
	}
	err = w.peers(ctx, torrent, end)
	if cause := context.Cause(ctx); err == nil && failed(cause) {
		err = cause // of the tracker
	}
	return err
}

// peers runs the seeds, and the clients as soon as the seeds are there.
func (w *watch) peers(ctx context.Context, torrent string, end context.CancelCauseFunc) error {
	for range w.s.Origin.Count {
		w.addServer(seedClass, w.s.Origin.Up, w.s.Origin.Down)
	}
	for i := range w.clients {
		w.addClient(&w.clients[i])
	}
	group, groupCtx := errgroup.WithContext(ctx)
	var ready sync.WaitGroup
	for i := range w.s.Origin.Count {
		ready.Add(1)
		group.Go(func() error { return w.seed(groupCtx, i, torrent, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	w.begin()
	for i := range w.clients {
		group.Go(func() error { return w.client(groupCtx, w.s.Origin.Count+i, &w.clients[i], torrent) })
	}
	group.Go(func() error { return w.observe(groupCtx) })
	group.Go(func() error { return w.awaitOver(groupCtx, end) })
	return group.Wait()
}

// awaitOver ends the run when nobody can complete any more.
func (w *watch) awaitOver(ctx context.Context, end context.CancelCauseFunc) error {
	select {
	case <-w.over:
		end(nil)
	case <-ctx.Done():
	}
	return nil
}

// seed runs a seed, which leaves when the origin does. It calls ready when it can be reached, or
// never will.
func (w *watch) seed(ctx context.Context, i int, torrent string, ready func()) error {
	defer ready()
	alive, leave := context.WithCancel(ctx)
	defer leave()
	p := process{
		name: fmt.Sprintf("seed %d", i),
		argv: slices.Concat([]string{w.options.Shoal, "seed", "--trust"}, w.peerFlags(i), []string{torrent, w.place.origin()}),
		heard: func(line []byte) error {
			ready()
			_, err := w.hear(i, line)
			return err
		},
	}
	var leaving sync.WaitGroup
	if at := w.s.Origin.Leave; at != scenario.Forever {
		leaving.Go(func() { w.leaveAt(alive, at, leave) })
	}
	err := p.run(alive)
	if err == nil && alive.Err() == nil {
		err = fmt.Errorf("%s ended by itself", p.name)
	}
	leave()
	leaving.Wait()
	w.leave(ctx, i)
	return err
}

// leaveAt calls leave at a time of the clock, which may not have begun.
func (w *watch) leaveAt(ctx context.Context, at time.Duration, leave func()) {
	select {
	case <-ctx.Done():
	case <-w.begun:
		if w.wait(ctx, at) {
			leave()
		}
	}
}

// client runs a client from its joining to its leaving.
func (w *watch) client(ctx context.Context, i int, c *demand.Client, torrent string) error {
	if !w.wait(ctx, c.Join) {
		return nil
	}
	w.join(i)
	alive, leave := context.WithCancel(ctx)
	defer leave()
	stays := newStay(w, c, leave)
	defer stays.stop()
	dir := filepath.Join(w.place.dir, strconv.Itoa(i))
	p := process{name: fmt.Sprintf("peer %d", i), argv: w.get(i, c, dir, torrent), heard: func(line []byte) error {
		left, err := w.hear(i, line)
		if err == nil && left == 0 && w.complete(i) {
			stays.complete()
		}
		return err
	}}
	err := p.run(alive)
	if err == nil && alive.Err() == nil && c.SeedFor > 0 {
		err = fmt.Errorf("%s ended by itself", p.name)
	}
	w.leave(ctx, i)
	return err
}

// get is the command line of a client.
func (w *watch) get(i int, c *demand.Client, dir, torrent string) []string {
	argv := slices.Concat([]string{w.options.Shoal, "get", "-o", dir}, w.peerFlags(i), rateFlag("--down", c.Down))
	if c.SeedFor > 0 {
		argv = append(argv, "--seed")
	}
	if w.s.Engine.Picker == scenario.Sequential {
		argv = append(argv, "--sequential")
	}
	return append(argv, torrent)
}

// peerFlags are those of seeds and clients alike.
func (w *watch) peerFlags(i int) []string {
	flags := []string{
		"--bind", w.network.host(firstPeer + i).String(), "--port", strconv.Itoa(peerPort), "--no-dht",
		"--max-peers", strconv.Itoa(w.s.Engine.MaxPeers), "--quiet", "--json", "--every", lookEvery.String(),
	}
	if !w.pex {
		flags = append(flags, "--no-pex")
	}
	return append(flags, rateFlag("--up", w.rows[i].UpRate)...)
}

// rateFlag writes a rate as flags have it.
func rateFlag(flag string, rate int64) []string {
	if rate == scenario.Unlimited {
		return nil
	}
	return []string{flag, fmt.Sprintf("%dB/s", rate)}
}

// status is what "shoal get --json" and "shoal seed --json" print, as far as it is needed.
type status struct {
	Left       *int64 `json:"bytes_left"` // nil of a seed
	Downloaded int64  `json:"downloaded"`
	Uploaded   int64  `json:"uploaded"`
	Wasted     int64  `json:"wasted"`
}

// hear takes a line of results of a peer, and returns how many bytes it lacks, -1 for a seed.
func (w *watch) hear(i int, line []byte) (left int64, err error) {
	var s status
	if err := json.Unmarshal(line, &s); err != nil {
		return 0, fmt.Errorf("its results are no JSON: %w", err)
	}
	w.change(i, func(row *row, _ time.Duration) { row.Up, row.Down, row.Wasted = s.Uploaded, s.Downloaded, s.Wasted })
	if s.Left == nil {
		return -1, nil
	}
	return *s.Left, nil
}

// stay is how long a client stays: not for ever if it gives up, or seeds for a time only.
type stay struct {
	seedFor time.Duration
	leave   func()

	mu     sync.Mutex
	timer  *time.Timer // nil if nothing is planned
	isOver bool
}

func newStay(w *watch, c *demand.Client, leave func()) *stay {
	s := &stay{seedFor: c.SeedFor, leave: leave}
	if c.GiveUp != scenario.Forever {
		s.timer = time.AfterFunc(time.Until(w.start.Add(c.GiveUp)), leave)
	}
	return s
}

// complete is for the moment of completion: it does not give up any more. Without a time
// for seeding, the process ends by itself.
func (s *stay) complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.seedFor > 0 && s.seedFor != scenario.Forever && !s.isOver {
		s.timer = time.AfterFunc(s.seedFor, s.leave)
	}
}

func (s *stay) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver = true; s.timer != nil {
		s.timer.Stop()
	}
}
