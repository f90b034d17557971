package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/server"
)

const (
	// maxInFlight bounds the scrapes at a time; there is one scraper, usually.
	maxInFlight = 4
	// databaseTimeout is how long the database may take to answer when the
	// tracker says whether it is ready. Who asks waits for ten seconds at most,
	// usually.
	databaseTimeout = 2 * time.Second
	// DefaultMaxStoreAge is fifteen flushes.
	DefaultMaxStoreAge = 30 * time.Second
)

// Tracker is what a Page asks of a server.Server.
type Tracker interface {
	Stats() server.Stats
	Traffic() (http, udp server.Traffic)
	Faults() uint64
	NumListening() int
}

// Accounts is what it asks of an account.Service.
type Accounts interface{ Stats() account.Stats }

// Config says what a Page is about. On a tracker without users Accounts and
// Database are nil.
type Config struct {
	Tracker  Tracker
	Accounts Accounts
	// Database is asked for an answer, such as by account.Store.Revision.
	Database func(context.Context) error
	// NumSockets is how many the tracker listens on when it is ready.
	NumSockets int
	// MaxStoreAge is how old the last flush may be; 0 means
	// DefaultMaxStoreAge.
	MaxStoreAge time.Duration
}

// Page answers /metrics, /healthz and /readyz. It is safe for concurrent use.
type Page struct {
	cfg      Config
	mux      http.ServeMux
	stopping atomic.Bool
}

// NewPage returns a Page.
func NewPage(cfg Config) *Page {
	if cfg.MaxStoreAge == 0 {
		cfg.MaxStoreAge = DefaultMaxStoreAge
	}
	p := &Page{cfg: cfg}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{cfg}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxInFlight}))
	p.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	p.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := p.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return p
}

// ServeHTTP answers a request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// Stop says that the tracker is about to stop: it is not ready from now on, so
// that whoever shares out requests sends it no more.
func (p *Page) Stop() { p.stopping.Store(true) }

// Ready returns nil, or everything for which the tracker is not ready. The
// texts of the database's own errors are for the log.
func (p *Page) Ready(ctx context.Context) error {
	var errs []error
	if p.stopping.Load() {
		errs = append(errs, errors.New("the tracker stops"))
	}
	if n := p.cfg.Tracker.NumListening(); n < p.cfg.NumSockets {
		errs = append(errs, fmt.Errorf("%d of %d sockets are served", n, p.cfg.NumSockets))
	}
	if p.cfg.Database != nil {
		ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
		defer cancel()
		if p.cfg.Database(ctx) != nil {
			errs = append(errs, errors.New("the database does not answer"))
		}
	}
	if p.cfg.Accounts != nil {
		if age := p.cfg.Accounts.Stats().LastStoreAge; age > p.cfg.MaxStoreAge {
			errs = append(errs, fmt.Errorf("the database has taken no sums for %v", age.Round(time.Second)))
		}
	}
	return errors.Join(errs...)
}
