package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
)

func dhtRunCommand() command {
	return command{
		name:    "dht run",
		summary: "run a DHT node",
		usage:   "[flags]",
		about: `
The node serves others until Ctrl-C, and saves the nodes that it knows: the next
one, and every other command of "shoal dht", starts from them. On a terminal it
shows its table, traffic and storage live, elsewhere it prints a line now and
then. For others to reach it, forward its UDP port in your router.`,
		example: "shoal dht run --addr :6881 --metrics :9881",
		new:     func() runner { return new(dhtRun) },
	}
}

// The times of a running node; arbitrary.
const (
	drawNode        = time.Second      // between two views on a terminal
	defaultInterval = time.Minute      // between two lines, if something has changed
	minInterval     = time.Second / 10 // of --interval
)

// The UDP ports of a node by default: those of the client (see peer).
const (
	firstDHTPort = 6881
	lastDHTPort  = 6999
)

type dhtRun struct {
	dhtNetwork
	readOnly bool
	metrics  string
	interval time.Duration
	json     bool
	quiet    bool
}

func (r *dhtRun) flags(fs *pflag.FlagSet) {
	r.dhtNetwork.flags(fs, "the first free port from 6881 up")
	fs.BoolVar(&r.readOnly, "read-only", false, "answer no queries (BEP 43)")
	fs.StringVar(&r.metrics, "metrics", "", "serve Prometheus metrics on `ADDR`, /metrics and /healthz; a port alone, as in :9881, is of 127.0.0.1 only")
	fs.DurationVar(&r.interval, "interval", defaultInterval, "print a line, or a JSON object, every `D`")
	fs.BoolVar(&r.json, "json", false, "print snapshots as JSON objects, one a line")
	fs.BoolVar(&r.quiet, "quiet", false, "show nothing but what goes wrong")
}

func (r *dhtRun) check(args []string) error {
	switch {
	case len(args) > 0:
		return usagef("it takes no argument, but got %q", args[0])
	case r.interval < minInterval:
		return usagef("--interval %v is less than %v", r.interval, minInterval)
	}
	if err := checkMetricsFlag(r.metrics); err != nil {
		return err
	}
	return r.dhtNetwork.check()
}

func (r *dhtRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	view := r.newView(e)
	s, err := r.open(dht.Config{ReadOnly: r.readOnly, StateFile: r.state, Bootstrap: r.bootstrap, Logger: newLogger(view.note)})
	if err != nil {
		return err
	}
	defer closeNode(ctx, e, s) // after its metrics, which read it
	metrics, err := startMetrics(ctx, r.metrics, s)
	if err != nil {
		return err
	}
	if !r.quiet {
		view.note("%s", r.begins(s, metrics))
	}
	for _, addr := range s.Addrs() {
		e.tellListening("dht", addr)
	}
	if metrics != nil {
		e.tellListening("metrics", metrics.addr)
	}
	err = r.serve(ctx, e, s, metrics, view)
	return errors.Join(err, metrics.stop())
}

// begins says where everything listens.
func (r *dhtRun) begins(s *dht.Server, m *metricsServer) string {
	var addrs []string
	for _, addr := range s.Addrs() {
		addrs = append(addrs, addr.String())
	}
	text := "DHT node on " + strings.Join(addrs, " and ")
	if m != nil {
		text += ", metrics on http://" + m.addr.String() + "/metrics"
	}
	return text
}

// open opens the sockets: where --addr says, or on the first free port.
func (r *dhtRun) open(cfg dht.Config) (*dht.Server, error) {
	if r.hasPort {
		return r.dhtNetwork.open(cfg)
	}
	for r.port = firstDHTPort; r.port <= lastDHTPort; r.port++ {
		s, err := r.dhtNetwork.open(cfg)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return s, err
		}
	}
	r.port = 0
	return r.dhtNetwork.open(cfg)
}

// serve shows the node until ctx ends.
func (r *dhtRun) serve(ctx context.Context, e *env, s *dht.Server, metrics *metricsServer, view nodeView) error {
	defer view.close()
	ticker := time.NewTicker(view.interval())
	defer ticker.Stop()
	start := time.Now()
	last := newSnapshot(start, start, s)
	ready := s.Ready()
	for {
		select {
		case <-ctx.Done():
			view.show(last, newSnapshot(start, time.Now(), s))
			return ctx.Err()
		case err := <-metrics.failed():
			metrics.failed() <- err
			return nil // stop returns it
		case <-ready:
			ready = nil
			view.joined(newSnapshot(start, time.Now(), s))
			e.tellListening("joined", s.Addrs()[0])
		case now := <-ticker.C:
			next := newSnapshot(start, now, s)
			view.show(last, next)
			last = next
		}
	}
}

// snapshot is a node at one moment.
type snapshot struct {
	dht.Stats
	uptime time.Duration
	listen []netip.AddrPort
}

func newSnapshot(start, now time.Time, s *dht.Server) snapshot {
	return snapshot{s.Stats(), now.Sub(start), s.Addrs()}
}
