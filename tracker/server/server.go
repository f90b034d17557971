package server

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/tracker/swarm"
)

// The defaults of Config.
const (
	// DefaultInterval is what most trackers give.
	DefaultInterval = 30 * time.Minute
	// DefaultMinInterval is far below the usual quarter of an hour, for which
	// the first peers of a new torrent would not hear of each other. Only
	// who has too few peers asks so often, and clients announce no more than
	// once a minute anyway if a tracker says nothing.
	DefaultMinInterval = time.Minute
	// DefaultMaxScrape is arbitrary: clients with many torrents ask in
	// portions of 50 to 100.
	DefaultMaxScrape = 100
	// DefaultMaxConns keeps within the usual limit of descriptors with room
	// to spare.
	DefaultMaxConns = 8192
	// DefaultMaxConnsPerAddr takes 32 addresses to fill the tracker, and is more
	// than the clients behind one address have use for at a time.
	DefaultMaxConnsPerAddr = DefaultMaxConns / 32
)

// The times that a client may take. An announce is one packet each way; who
// sends his header a byte a second (slow-loris) is shown out.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second
	// An answer takes milliseconds. Who has connected and not asked yet would
	// hold up the end for as long as this.
	stopTimeout = time.Second
)

// maxHeaderLen bounds a request's line and header, in bytes, where the front
// leaves it to net/http: 8 KiB, of which net/http adds 4 KiB by itself. An announce is 400 bytes, a scrape of
// 100 torrents 7 KiB.
const maxHeaderLen = 8<<10 - 4<<10

// expireEvery is how often the server sweeps out peers that fell silent: a
// small part of the swarms each time.
const expireEvery = 5 * time.Second

// Config says how a Server behaves. Zero means default.
type Config struct {
	// Whitelist are the torrents that are tracked; nil means all. Those of
	// Blacklist are not.
	Whitelist, Blacklist *TorrentList
	// Private, if not nil, is asked about every announce and scrape.
	Private Private
	// API, if not nil, answers the HTTP requests whose path begins with /api/.
	API http.Handler
	// Interval is how often peers are told to announce, MinInterval how
	// often they may. A peer that is silent for two intervals leaves.
	Interval, MinInterval time.Duration
	// NumWant, MaxNumWant, NearBits4, NearBits6, MaxTorrents, MaxPeers and
	// KeepPeerIDs are those of swarm.Config.
	NumWant, MaxNumWant   int
	NearBits4, NearBits6  int
	MaxTorrents, MaxPeers int
	KeepPeerIDs           bool
	// MaxScrape bounds the torrents of one scrape. A scrape of all torrents
	// is always refused: it tells anyone what is tracked here.
	MaxScrape int
	// MaxConns bounds the open connections of Run, MaxConnsPerAddr those of one
	// IPv4 address or IPv6 /64 (negative: without bound). Trusted proxies and
	// this machine itself may have as many as there are.
	MaxConns, MaxConnsPerAddr int
	// TrustedProxies may say for whom they ask, by the ProxyHeader. So may who
	// comes by a Unix socket.
	TrustedProxies []netip.Prefix
	ProxyHeader    ProxyHeader
	// TrustedIP are the networks whose peers may announce another address
	// than their own by the ip parameter. From anyone else it is ignored, for
	// it would point the whole swarm at a victim.
	TrustedIP []netip.Prefix
	// StateFile keeps the swarms over a restart, if not empty: New reads it,
	// Run writes it now and then and at its end. Its folder must exist.
	StateFile string
	// Logger gets a line at start and stop, none per request; nil means
	// silent.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	c.Interval = cmp.Or(c.Interval, DefaultInterval)
	c.MinInterval = cmp.Or(c.MinInterval, min(DefaultMinInterval, c.Interval))
	c.MaxScrape = cmp.Or(c.MaxScrape, DefaultMaxScrape)
	c.MaxConns = cmp.Or(c.MaxConns, DefaultMaxConns)
	c.MaxConnsPerAddr = cmp.Or(c.MaxConnsPerAddr, DefaultMaxConnsPerAddr)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) validate() error {
	switch {
	case c.Interval < time.Second || c.MinInterval < time.Second:
		return errors.New("tracker: an announce interval must be at least a second")
	case c.MinInterval > c.Interval:
		return fmt.Errorf("tracker: the min interval %v is longer than the interval %v", c.MinInterval, c.Interval)
	case c.MaxScrape < 0 || c.MaxConns < 0:
		return errors.New("tracker: a bound is negative")
	case int(c.ProxyHeader) >= len(proxyHeaderNames):
		return errors.New("tracker: the ProxyHeader is none")
	}
	return nil
}

// Server is a tracker. It is an http.Handler, safe for concurrent use; Run
// serves it, faster than net/http would.
type Server struct {
	live     atomic.Pointer[Config] // see Change
	changing sync.Mutex
	begin    time.Time
	store    *store
	counters counters
	faults   faults
	// listening counts the sockets that are served.
	listening atomic.Int32
	scratch   sync.Pool // of *scratch
}

// New returns a Server with empty swarms, or those of its state file.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	store, err := newStore(swarm.Config{
		Rand:        newRand(),
		Timeout:     2 * cfg.Interval,
		NumWant:     cfg.NumWant,
		MaxNumWant:  cfg.MaxNumWant,
		NearBits4:   cfg.NearBits4,
		NearBits6:   cfg.NearBits6,
		MaxTorrents: cfg.MaxTorrents,
		MaxPeers:    cfg.MaxPeers,
		KeepPeerIDs: cfg.KeepPeerIDs,
	})
	if err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	s := &Server{begin: time.Now(), store: store}
	s.live.Store(&cfg)
	s.scratch.New = func() any { return new(scratch) }
	if cfg.StateFile != "" {
		if err := s.loadState(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// newRand returns a source that nobody can predict: who foresees which peers
// are chosen could place his own among them.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails: crypto/rand ends the program instead
	return rand.New(rand.NewChaCha8(seed))
}

func (s *Server) now() time.Duration { return time.Since(s.begin) }

// Run serves HTTP on ln, which it closes, until ctx ends, sweeps out silent
// peers and keeps the state file. Requests under way get a second. Without Run,
// for example in a test of the handler alone, peers never expire.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	s.cfg().Logger.Info("tracker serves", "http", ln.Addr().String())
	served := make(chan error, 1)
	stop := s.serve(ctx, newFront(s, ln), ln, served)
	err := s.tendUntil(ctx, served)
	stop()
	if s.cfg().StateFile != "" {
		err = errors.Join(err, s.saveState())
	}
	s.cfg().Logger.Info("tracker stopped")
	return err
}

// RunTLS serves HTTPS on ln, which it closes, until ctx ends, with the
// certificates of cfg. It may run beside Run, which sweeps out the silent peers
// of both. The bounds on connections are those of each alone. It speaks
// HTTP/1.1 only: an announce is one request.
func (s *Server) RunTLS(ctx context.Context, ln net.Listener, cfg *tls.Config) error {
	s.cfg().Logger.Info("tracker serves", "https", ln.Addr().String())
	front := newFront(s, ln)
	front.secure = cfg
	served := make(chan error, 1)
	stop := s.serve(ctx, front, ln, served)
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return servingEnded(ctx, "HTTPS", err)
	}
}

// servingEnded is what a serving method returns when its listener failed with
// err, which is no error if ctx has ended.
func servingEnded(ctx context.Context, protocol string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("tracker: serve %s: %w", protocol, err)
}

// serve accepts connections of ln until ctx ends; served gets the error with
// which that ends. The result ends the connections, and waits for them.
func (s *Server) serve(ctx context.Context, front *front, ln net.Listener, served chan<- error) (stop func()) {
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderLen,
		ErrorLog:          log.New(io.Discard, "", 0), // it has a line for each bad client
	}
	var serving errgroup.Group
	s.listening.Add(1)
	serving.Go(func() error { served <- front.acceptAll(ctx, ln); return nil })
	serving.Go(func() error { hs.Serve(front.odd); return nil }) // fails only when it is shut down
	return func() {
		s.listening.Add(-1)
		deadline := time.Now().Add(stopTimeout)
		stopCtx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		front.stop(deadline)
		if hs.Shutdown(stopCtx) != nil {
			hs.Close()
		}
		ln.Close()
		serving.Wait()
	}
}

// saveIfKept saves the state while requests are served. A full disk is no
// reason to stop that.
func (s *Server) saveIfKept() {
	if s.cfg().StateFile == "" {
		return
	}
	if err := s.saveState(); err != nil {
		s.cfg().Logger.Warn("tracker goes on without saving", "error", err)
	}
}

// tendUntil sweeps and saves until ctx ends or serving fails.
func (s *Server) tendUntil(ctx context.Context, served <-chan error) error {
	ticker := time.NewTicker(expireEvery)
	defer ticker.Stop()
	saver := time.NewTicker(saveEvery)
	defer saver.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return servingEnded(ctx, "HTTP", err)
		case <-ticker.C:
			s.store.expire(s.now())
		case <-saver.C:
			s.saveIfKept()
		}
	}
}
