package main

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

func dhtSampleCommand() command {
	return command{
		name:    "dht sample",
		summary: "collect info-hashes from the DHT",
		usage:   "[flags] [HOST:PORT]",
		about: `
It walks through the network and asks nodes for a sample of the info-hashes that
they keep peers of (BEP 51), each node once. With HOST:PORT only that node is
asked, again whenever it says that there are new ones. It ends after --count
info-hashes or after --timeout; the exit code is 4 if there were none.`,
		example: "shoal dht sample --count 1000 --timeout 2m > hashes.txt",
		new:     func() runner { return new(dhtSampleRun) },
	}
}

// Bounds of a walk.
const (
	defaultSamples = 100
	maxSampling    = 16      // queries at a time; the budget of the node is below what they could use
	maxSampleNodes = 200_000 // nodes remembered, 64 bytes or so each: an hour at the rate of the budget
	maxIdleLookups = 3       // lookups of random ids that lead to no new node, and the network has no more
	// minSampleInterval is for a node that allows to be asked again at once; arbitrary.
	minSampleInterval = time.Second
)

type dhtSampleRun struct {
	dhtOnce
	count int
}

func (r *dhtSampleRun) flags(fs *pflag.FlagSet) {
	fs.IntVar(&r.count, "count", defaultSamples, "stop after `N` info-hashes; 0 goes on until --timeout")
	r.dhtOnce.flags(fs)
}

// The lines that "shoal dht sample --json" prints.
type (
	sampleJSON struct {
		Type     string `json:"type"` // "info_hash"
		InfoHash string `json:"info_hash"`
		From     string `json:"from"`
	}
	samplesJSON struct {
		Type       string  `json:"type"` // "summary"
		InfoHashes int     `json:"info_hashes"`
		Asked      int     `json:"asked"`
		Sampled    int     `json:"sampled"`
		Held       int64   `json:"held"`
		Seconds    float64 `json:"seconds"`
	}
)

func (r *dhtSampleRun) check(args []string) error {
	switch {
	case len(args) > 1:
		return usagef("name one node as HOST:PORT, or none")
	case r.count < 0:
		return usagef("--count %d is negative", r.count)
	case len(args) == 0:
		return r.dhtOnce.check()
	case len(r.bootstrap) > 0 || r.hasState:
		return usagef("with HOST:PORT only that node is asked; leave out --bootstrap and --state")
	}
	if err := checkTimeout(r.timeout); err != nil {
		return err
	}
	return r.dhtSocket.check()
}

func (r *dhtSampleRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	collect := func(ctx context.Context, s *dht.Server) error {
		w := &sampler{s: s, once: &r.dhtOnce, e: e, want: r.count, pause: pause, seen: map[krpc.ID]bool{}}
		start := time.Now()
		err := w.collect(ctx, args)
		if err != nil && !timedOut(err) {
			return err
		}
		w.summarize(time.Since(start))
		switch {
		case len(w.seen) > 0:
			return nil
		case err != nil:
			return r.tooShort(err)
		}
		return notFoundf("no info-hashes were found")
	}
	if len(args) == 1 {
		alone := dht.Config{ReadOnly: true, Bootstrap: []string{}, Logger: newLogger(e.logf)}
		return r.dhtSocket.withNode(ctx, e, r.timeout, alone, collect)
	}
	return r.withNode(ctx, e, collect)
}

// sampler collects samples.
type sampler struct {
	s     *dht.Server
	once  *dhtOnce
	e     *env
	want  int // info-hashes; 0 is no bound
	pause func(context.Context, time.Duration) bool

	seen    map[krpc.ID]bool
	asked   int
	sampled int   // nodes that answered with samples
	held    int64 // info-hashes that they say they have, together
}

// collect asks the one node that args name, or walks.
func (w *sampler) collect(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return w.walk(ctx)
	}
	addr, err := resolveNode(ctx, w.s, args[0])
	if err != nil {
		return err
	}
	return w.askAgain(ctx, addr)
}

func (w *sampler) enough() bool { return w.want > 0 && len(w.seen) >= w.want }

// askAgain asks one node as often as it allows. BEP 51: "An indexer should not
// send a new sampling request to this node for that period of time."
func (w *sampler) askAgain(ctx context.Context, addr netip.AddrPort) error {
	for {
		w.asked++
		answer, _, err := w.s.Query(ctx, addr, krpc.Message{Method: krpc.SampleInfohashes, Target: randomTarget()})
		switch {
		case errors.Is(err, dht.ErrSilent):
			return notFoundf("%s does not answer", addr)
		case err != nil:
			return err
		}
		w.take(addr, answer)
		switch {
		case answer.Samples == nil:
			return notFoundf("%s gives no samples: it does not know BEP 51", addr)
		case w.enough() || int64(len(w.seen)) >= answer.Num:
			return nil
		}
		if !w.pause(ctx, max(minSampleInterval, time.Duration(answer.Interval)*time.Second)) {
			return ctx.Err()
		}
	}
}

// take prints the new info-hashes of an answer.
func (w *sampler) take(from netip.AddrPort, answer *krpc.Message) {
	if answer.Samples == nil {
		return
	}
	w.sampled++
	w.held = min(w.held, math.MaxInt64-answer.Num) + answer.Num
	for s := range slices.Chunk(answer.Samples, len(krpc.ID{})) {
		h := krpc.ID(s)
		if w.seen[h] || w.enough() {
			continue
		}
		w.seen[h] = true
		if w.once.json {
			w.e.printJSON(sampleJSON{"info_hash", h.String(), from.String()}) // a failure is output's to remember
		} else {
			w.e.printf("%s\n", h)
		}
	}
}

func (w *sampler) summarize(took time.Duration) {
	if w.once.json {
		w.e.printJSON(samplesJSON{"summary", len(w.seen), w.asked, w.sampled, w.held, seconds(took)})
	} else {
		w.e.logf("%s in %s: %s asked, %d of them gave samples of the %d that they have", plural(len(w.seen), "info-hash", "info-hashes"),
			formatRTT(took), count(w.asked, "node"), w.sampled, w.held)
	}
}

// sampledNode is what became of one query of a walk.
type sampledNode struct {
	addr   netip.AddrPort
	answer *krpc.Message // nil if there was none
}

// walk asks every node that it hears of once: by that, BEP 51's interval, of
// whatever length, is obeyed. Each query has a random target, so that the nodes
// in the answers lead everywhere.
func (w *sampler) walk(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	f := &frontier{known: map[netip.AddrPort]bool{}}
	for _, own := range w.s.Addrs() {
		f.ipv4 = f.ipv4 || own.Addr().Unmap().Is4()
		f.ipv6 = f.ipv6 || !own.Addr().Unmap().Is4()
	}
	answers := make(chan sampledNode)
	running := 0
	defer func() {
		cancel()
		for ; running > 0; running-- {
			<-answers
		}
	}()
	for idle := 0; !w.enough(); {
		if running == 0 && len(f.next) == 0 {
			if idle++; idle > maxIdleLookups {
				return nil
			}
			if err := w.refill(ctx, f); err != nil {
				return err
			}
			continue
		}
		idle = 0
		for ; running < maxSampling && len(f.next) > 0; running++ {
			go w.ask(ctx, f.pop(), answers)
			w.asked++
		}
		got := <-answers
		running--
		if got.answer != nil {
			w.take(got.addr, got.answer)
			f.hear(got.addr, got.answer)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (w *sampler) ask(ctx context.Context, addr netip.AddrPort, answers chan<- sampledNode) {
	// Silence and refusals are no reason to stop: others will answer.
	answer, _, _ := w.s.Query(ctx, addr, krpc.Message{Method: krpc.SampleInfohashes, Target: randomTarget()})
	answers <- sampledNode{addr, answer}
}

// refill looks up a random id for nodes to ask.
func (w *sampler) refill(ctx context.Context, f *frontier) error {
	result, _, err := w.once.lookUp(ctx, w.s, node.Request{Method: krpc.FindNode, Target: randomTarget()}, nil)
	for _, n := range result.Closest {
		f.add(n.Addr)
	}
	return err
}

func randomTarget() (id krpc.ID) {
	rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return id
}

// frontier is the nodes of a walk that are known and were not asked.
type frontier struct {
	ipv4, ipv6 bool // the families that we can send to
	next       []netip.AddrPort
	known      map[netip.AddrPort]bool // asked, or in next
}

func (f *frontier) pop() netip.AddrPort {
	addr := f.next[0]
	f.next = f.next[1:]
	return addr
}

// hear adds the nodes of an answer. A stranger must not make us knock at a
// machine of our own network.
func (f *frontier) hear(from netip.AddrPort, answer *krpc.Message) {
	for n := range answer.AllNodes() {
		if isPublic(n.Addr.Addr()) || !isPublic(from.Addr()) {
			f.add(n.Addr)
		}
	}
}

func (f *frontier) add(addr netip.AddrPort) {
	mine := f.ipv6
	if addr.Addr().Is4() {
		mine = f.ipv4
	}
	if mine && addr.Port() != 0 && !f.known[addr] && len(f.known) < maxSampleNodes {
		f.known[addr] = true
		f.next = append(f.next, addr)
	}
}
