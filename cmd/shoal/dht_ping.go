package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
)

func dhtPingCommand() command {
	return command{
		name:    "dht ping",
		summary: "ask a DHT node whether it is there",
		usage:   "[flags] HOST:PORT",
		about: `
Pings one node several times. It tells the round-trip times, the node's id, the
program that it says it is, and from which address it sees us.`,
		example: "shoal dht ping router.bittorrent.com:6881",
		new:     func() runner { return new(dhtPingRun) },
	}
}

// Bounds of ping; arbitrary. A node answers a stranger who asks more often
// than it likes with silence.
const (
	defaultPings = 4
	maxPings     = 1_000_000
	pingInterval = time.Second
)

type dhtPingRun struct {
	dhtSocket
	count    int
	interval time.Duration
	timeout  time.Duration
	json     bool

	answered int
	fastest  time.Duration
	slowest  time.Duration
	total    time.Duration
	latest   *krpc.Message
}

func (r *dhtPingRun) flags(fs *pflag.FlagSet) {
	fs.IntVar(&r.count, "count", defaultPings, "send `N` pings")
	fs.DurationVar(&r.interval, "interval", pingInterval, "wait `D` between them")
	r.dhtSocket.flags(fs, "any free port")
	fs.DurationVar(&r.timeout, "timeout", defaultDHTTimeout, "give up after `D`")
	fs.BoolVar(&r.json, "json", false, "print JSON objects, one a line")
}

func (r *dhtPingRun) check() error {
	switch {
	case r.count < 1 || r.count > maxPings:
		return usagef("--count %d is not between 1 and %d", r.count, maxPings)
	case r.interval < 0:
		return usagef("--interval %v is negative", r.interval)
	}
	if err := checkTimeout(r.timeout); err != nil {
		return err
	}
	return r.dhtSocket.check()
}

// The lines that "shoal dht ping --json" prints.
type (
	pingJSON struct {
		Type     string  `json:"type"` // "ping"
		Answered bool    `json:"answered"`
		RTT      float64 `json:"rtt_seconds"`
	}
	pingsJSON struct {
		Type     string  `json:"type"` // "summary"
		Addr     string  `json:"addr"`
		Sent     int     `json:"sent"`
		Answered int     `json:"answered"`
		Fastest  float64 `json:"fastest_seconds"`
		Mean     float64 `json:"mean_seconds"`
		Slowest  float64 `json:"slowest_seconds"`
		ID       string  `json:"id,omitempty"`
		Version  string  `json:"version,omitempty"`
		External string  `json:"external,omitempty"`
	}
)

func (r *dhtPingRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	if len(args) != 1 {
		return usagef("name one node as HOST:PORT")
	}
	cfg := dht.Config{ReadOnly: true, Bootstrap: []string{}, Logger: newLogger(e.logf)}
	return r.withNode(ctx, e, r.timeout, cfg, func(ctx context.Context, s *dht.Server) error {
		addr, err := resolveNode(ctx, s, args[0])
		if err != nil {
			return err
		}
		sent, err := r.ping(ctx, e, s, addr)
		if err != nil && ctx.Err() == nil {
			return err
		}
		return r.summarize(e, addr, sent)
	})
}

// resolveNode returns the address of a node, of a family that s has a socket
// of.
func resolveNode(ctx context.Context, s *dht.Server, hostPort string) (netip.AddrPort, error) {
	host, port, err := splitHostPort(hostPort)
	if err != nil {
		return netip.AddrPort{}, usagef("node %q: %v", hostPort, err)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, own := range s.Addrs() {
		for _, addr := range addrs {
			if addr = addr.Unmap(); addr.Is4() == own.Addr().Unmap().Is4() {
				return netip.AddrPortFrom(addr, port), nil
			}
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s has no address of the kind that --addr has", host)
}

// ping sends the pings one after the other, and returns how many it sent.
func (r *dhtPingRun) ping(ctx context.Context, e *env, s *dht.Server, addr netip.AddrPort) (sent int, err error) {
	for sent < r.count {
		if sent > 0 && !pause(ctx, r.interval) {
			return sent, ctx.Err()
		}
		sent++
		answer, rtt, err := s.Query(ctx, addr, krpc.Message{Method: krpc.Ping})
		switch {
		case err == nil:
			r.hear(answer, rtt)
			r.tell(e, answer, rtt)
		case errors.Is(err, dht.ErrSilent):
			r.tell(e, nil, 0)
		default:
			return sent, err
		}
	}
	return sent, nil
}

// pause waits, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *dhtPingRun) hear(answer *krpc.Message, rtt time.Duration) {
	if r.answered == 0 {
		r.fastest = rtt
	}
	r.answered++
	r.fastest, r.slowest = min(r.fastest, rtt), max(r.slowest, rtt)
	r.total += rtt
	r.latest = answer
}

// tell prints one ping; answer is nil if there was none.
func (r *dhtPingRun) tell(e *env, answer *krpc.Message, rtt time.Duration) {
	switch {
	case r.json:
		e.printJSON(pingJSON{"ping", answer != nil, seconds(rtt)}) // a failure is output's to remember
	case answer == nil:
		e.printf("no answer\n")
	default:
		e.printf("%s\n", formatRTT(rtt))
	}
}

func (r *dhtPingRun) summarize(e *env, addr netip.AddrPort, sent int) error {
	out := pingsJSON{Type: "summary", Addr: addr.String(), Sent: sent, Answered: r.answered}
	if m := r.latest; m != nil {
		mean := r.total / time.Duration(r.answered)
		out.Fastest, out.Mean, out.Slowest = seconds(r.fastest), seconds(mean), seconds(r.slowest)
		out.ID, out.Version = m.ID.String(), printable(string(m.Version))
		if m.External.IsValid() {
			out.External = m.External.String()
		}
		if !r.json {
			e.printf("%d of %s answered: fastest %s, mean %s, slowest %s\n", r.answered, count(sent, "ping"),
				formatRTT(r.fastest), formatRTT(mean), formatRTT(r.slowest))
		}
	}
	if r.json {
		if err := e.printJSON(out); err != nil {
			return err
		}
	} else {
		printField(e, "id", out.ID)
		printField(e, "version", out.Version)
		printField(e, "sees us at", out.External)
	}
	if r.answered == 0 {
		return notFoundf("%s does not answer; check the address, and that UDP passes the firewall", addr)
	}
	return nil
}
