package dht

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/dht/node"
)

// ErrClosed is the error of calls on a Server that is closed, or closed
// meanwhile.
var ErrClosed = errors.New("the DHT node is closed")

// Server is one node of the DHT on its sockets. It is safe for concurrent use.
type Server struct {
	cfg       Config
	start     time.Time // of the node's clock
	endpoints []*endpoint
	resolve   resolveFunc

	life  context.Context // ends when the Server closes
	end   context.CancelFunc
	tasks sync.WaitGroup // every goroutine but the one that waits for them

	calls   chan func(now time.Duration) // for the loop; unbuffered: whoever is too quick waits
	arrived chan arrival                 // from the readers, who have two batches each
	hosts   chan string                  // to be resolved
	ready   chan struct{}                // closed when the node has joined
	told    chan struct{}                // closed when the node has been told where to begin, or will not be
	telling sync.Once                    // closes told
	save    chan struct{}                // asks for the state to be saved soon

	unresolved sync.Map // configured HOST:PORTs whose names were reported already

	lookupSlots, querySlots slots

	loop loop // its goroutine's, until that has ended

	closing   sync.Once
	closed    chan struct{} // closed when everything has ended
	closeErr  error         // valid then
	lastStats Stats         // valid then
}

// endpoint is a socket and the batches that belong to it.
type endpoint struct {
	socket
	is6  bool
	free chan *batch // for its reader to fill
	out  *batch      // the loop's: what is to be sent
}

func newEndpoint(s socket) *endpoint {
	e := &endpoint{socket: s, is6: s.addr().Addr().Is6(), free: make(chan *batch, batchesPerReader), out: newBatch()}
	for range batchesPerReader {
		e.free <- newBatch()
	}
	return e
}

// arrival is a batch that a reader filled, for the loop.
type arrival struct {
	from  *endpoint
	batch *batch
}

// batchesPerReader lets a reader fill one batch while the loop handles the
// other.
const batchesPerReader = 2

// New opens the sockets and starts a node, which at once begins to join. The
// caller must Close it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	sockets, err := listen(cfg.Bind, cfg.Port)
	if err != nil {
		return nil, err
	}
	return start(cfg, sockets, net.DefaultResolver.LookupNetIP), nil
}

// start starts a node on sockets, which it takes over.
func start(cfg Config, sockets []socket, resolve resolveFunc) *Server {
	s := &Server{
		cfg: cfg, start: time.Now(), resolve: resolve,
		calls: make(chan func(time.Duration)), arrived: make(chan arrival), hosts: make(chan string, maxWaitingHosts),
		ready: make(chan struct{}), told: make(chan struct{}), save: make(chan struct{}, 1), closed: make(chan struct{}),
		lookupSlots: newSlots(cfg.MaxLookups), querySlots: newSlots(node.MaxAsking),
	}
	s.life, s.end = context.WithCancel(context.Background())
	for _, each := range sockets {
		s.endpoints = append(s.endpoints, newEndpoint(each))
	}
	saved := s.restoreState()
	s.loop.init(s, saved)
	if len(saved.nodes) > 0 || len(cfg.Bootstrap) == 0 {
		s.closeTold()
	}
	s.tasks.Go(s.loop.run)
	for _, e := range s.endpoints {
		s.tasks.Go(func() { s.read(e) })
	}
	for range numResolvers {
		s.tasks.Go(s.resolveHosts)
	}
	s.tasks.Go(func() { s.bootstrap(len(saved.nodes) > 0) })
	s.tasks.Go(s.keepState)
	return s
}

// newNode makes the node, with what was saved.
func (s *Server) newNode(saved state) *node.Node {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	cfg := node.Config{
		Rand: rand.New(rand.NewChaCha8(seed)), ID: saved.id, External: saved.external,
		ReadOnly: s.cfg.ReadOnly, EnforceIDs: s.cfg.EnforceIDs, Version: s.cfg.Version,
		MaxQueries: s.cfg.MaxQueries, MaxReplies: s.cfg.MaxReplies, MaxPeers: s.cfg.MaxPeers, MaxItems: s.cfg.MaxItems,
	}
	for _, e := range s.endpoints {
		cfg.IPv4, cfg.IPv6 = cfg.IPv4 || !e.is6, cfg.IPv6 || e.is6
	}
	n, _ := node.New(0, cfg) // fails only without Rand
	return n
}

// Close ends every call and lookup, saves the state and closes the sockets. It
// returns when all of that is done, or when ctx ends, with an error; an error
// of saving is returned too. Further calls of Close wait for the first.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() { go s.shutDown() })
	select {
	case <-s.closed:
		return s.closeErr
	case <-ctx.Done():
		return fmt.Errorf("close the DHT node: %w", ctx.Err())
	}
}

// shutDown waits for every goroutine to end, and then saves the state: the
// loop's memory is nobody's any more.
func (s *Server) shutDown() {
	s.end()
	for _, e := range s.endpoints {
		e.close() // ends its reader
	}
	s.tasks.Wait()
	s.lastStats = s.loop.stats()
	s.closeErr = s.saveState(s.loop.state())
	close(s.closed)
}

// Port returns the UDP port.
func (s *Server) Port() int { return int(s.Addrs()[0].Port()) }

// Addrs returns where the node listens: one address for each socket, IPv4
// first.
func (s *Server) Addrs() (addrs []netip.AddrPort) {
	for _, e := range s.endpoints {
		addrs = append(addrs, e.addr())
	}
	return addrs
}

// Ready returns a channel that is closed when the node has joined: it has
// looked itself up, and knows nodes.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// AddNodes tells the node of others: from a "port" message of a peer (BEP 5),
// or peers that are likely to be nodes too. Those that answer are taken into
// the table if it has room. Of many the first 64 count.
func (s *Server) AddNodes(addrs []netip.AddrPort) {
	addrs = slices.Clone(addrs[:min(len(addrs), maxAddNodes)]) // the caller may change his
	s.do(func(now time.Duration) { s.loop.receive(now, node.Input{Kind: node.InNodes, Addrs: addrs}) })
	if len(addrs) > 0 {
		s.closeTold()
	}
}

// closeTold lets the lookups begin that wait for somebody to ask.
func (s *Server) closeTold() { s.telling.Do(func() { close(s.told) }) }

// do has the loop call f, and returns before it does. It fails only when the
// Server is closed.
func (s *Server) do(f func(now time.Duration)) error {
	select {
	case s.calls <- f:
		return nil
	case <-s.life.Done():
		return ErrClosed
	}
}

// inLoop has the loop call f, and returns what that returns.
func inLoop[T any](s *Server, f func() T) (result T, err error) {
	results := make(chan T, 1)
	if err := s.do(func(time.Duration) { results <- f() }); err != nil {
		return result, err
	}
	return <-results, nil
}

// maxAddNodes is how many addresses the node keeps for its next attempt to
// join.
const maxAddNodes = 64

// read fills batches from a socket until that is closed.
func (s *Server) read(e *endpoint) {
	var failures uint64
	for {
		var b *batch
		select {
		case b = <-e.free:
		case <-s.life.Done():
			return
		}
		for err := e.read(b); err != nil; err = e.read(b) {
			failures++
			if errors.Is(err, net.ErrClosed) || !s.pause(readPause) {
				return
			}
		}
		b.failures, failures = failures, 0
		select {
		case s.arrived <- arrival{e, b}:
		case <-s.life.Done():
			return
		}
	}
}

// readPause is how long a reader waits after a read that failed, as it does on
// some systems when an ICMP message came or the network went down. It keeps a
// failure that lasts from taking a whole core.
const readPause = 10 * time.Millisecond

// pause waits, and reports whether the Server is still open.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.life.Done():
		return false
	}
}
