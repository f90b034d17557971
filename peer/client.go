package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// ErrAdded says that a client shares the torrent already.
var ErrAdded = errors.New("the torrent is shared already")

// errClosed is what a client fails with after Close.
var errClosed = errors.New("the client is closed")

// Client shares torrents. Its methods may be called by any goroutine.
type Client struct {
	cfg    Config
	log    *slog.Logger
	start  time.Time // what the times of engines count from
	shares *shares
	pool   *piecestore.Pool
	disk   *workers

	listener   *net.TCPListener // nil: it does not listen
	handshakes handshakes
	dht        dhtNode // set before the first torrent
	web        *http.Client
	// connect makes an outgoing connection: a field, so that tests can join
	// clients without sockets.
	connect func(context.Context, netip.AddrPort) (transport, error)

	closing context.Context // ends with Close
	end     context.CancelFunc
	tasks   sync.WaitGroup // accepting, handshakes, the port mapping

	mu       sync.Mutex
	torrents map[metainfo.InfoHash]*Torrent
	closed   bool
}

// New returns a client that listens. Close ends it.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := newClient(cfg)
	if cfg.Port >= 0 {
		if c.listener, err = listen(cfg); err != nil {
			c.end()
			return nil, fmt.Errorf("listen: %w", err)
		}
		c.tasks.Go(c.accept)
	}
	c.disk = newWorkers(runtime.GOMAXPROCS(0))
	if cfg.mapsPorts() {
		c.tasks.Go(func() { c.keepMapped(c.Port(), routers("TCP")) })
	}
	return c, nil
}

// newClient returns a client with nothing running.
func newClient(cfg Config) *Client {
	c := &Client{
		cfg:    cfg,
		log:    cfg.Logger,
		start:  time.Now(),
		shares: newShares(cfg),
		// The pool hands out runs of 16 blocks, of which pieces that have only
		// begun use one. Twice what the engines may ask for is room for that.
		pool:     piecestore.NewPool(2 * cfg.BufferBytes),
		torrents: make(map[metainfo.InfoHash]*Torrent),
	}
	c.closing, c.end = context.WithCancel(context.Background())
	c.connect = c.dialTCP
	c.web = newWebClient(cfg)
	return c
}

// now is the time as the engines count it.
func (c *Client) now() time.Duration { return time.Since(c.start) }

// Port is where the client listens, 0 if it does not.
func (c *Client) Port() int {
	if c.listener == nil {
		return 0
	}
	return c.listener.Addr().(*net.TCPAddr).Port
}

// Add starts to share a torrent. It fails with ErrAdded if the client shares
// it already.
func (c *Client) Add(cfg TorrentConfig) (*Torrent, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errClosed
	case c.torrents[cfg.InfoHash] != nil:
		return nil, fmt.Errorf("%s: %w", cfg.InfoHash, ErrAdded)
	}
	t, err := newTorrent(c, cfg)
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", cfg.InfoHash, err)
	}
	c.torrents[cfg.InfoHash] = t
	go t.run()
	t.AddPeers(cfg.Peers, engine.SourceUser)
	t.startFinders(cfg.Finders)
	t.startWebSeeds(cfg.WebSeeds)
	return t, nil
}

// torrent returns the torrent of an info-hash, or nil.
func (c *Client) torrent(infoHash metainfo.InfoHash) *Torrent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.torrents[infoHash]
}

// forget takes a torrent that has stopped out.
func (c *Client) forget(t *Torrent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.torrents[t.infoHash] == t {
		delete(c.torrents, t.infoHash)
	}
}

// Close stops every torrent as Torrent.Stop does, then closes the sockets and
// waits for all that the client started.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	var stopping []*Torrent
	for _, t := range c.torrents {
		stopping = append(stopping, t)
	}
	c.mu.Unlock()

	errs := make([]error, len(stopping))
	var stopped sync.WaitGroup
	for i, t := range stopping {
		stopped.Go(func() { errs[i] = t.Stop(ctx) })
	}
	stopped.Wait()

	c.end()
	if c.listener != nil {
		c.listener.Close()
	}
	c.tasks.Wait()
	c.web.CloseIdleConnections()
	for _, t := range stopping {
		select {
		case <-t.ended:
		default:
			return errors.Join(errs...) // ctx was done first; the disk is still busy
		}
	}
	c.disk.close()
	return errors.Join(errs...)
}
