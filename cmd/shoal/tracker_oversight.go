package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
	"github.com/shoal-bt/shoal/tracker/admin"
	"github.com/shoal-bt/shoal/tracker/metrics"
	"github.com/shoal-bt/shoal/tracker/server"
)

// oversightFlags say where a tracker is looked after.
type oversightFlags struct {
	admin      string
	tokenFile  string
	backupsDir string
	metrics    string
}

func (f *oversightFlags) flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics on `ADDR`, /metrics, /healthz and /readyz; a port alone, as in :9882, is of 127.0.0.1 only")
	fs.StringVar(&f.admin, "admin", "", "serve the API of users and torrents on `ADDR`; a port alone, as in :6970, is of 127.0.0.1 only")
	fs.StringVar(&f.tokenFile, "admin-token-file", "", "the operator's tokens for the API are in `FILE`, one a line; made with one if it is missing (default: tracker.token beside the database)")
	fs.StringVar(&f.backupsDir, "backups", "", "the API copies the database into `DIR` (default: backups beside the database)")
}

func (s *trackerSettings) checkOversight() error {
	f := &s.oversightFlags
	if !s.private && (f.admin != "" || f.tokenFile != "" || f.backupsDir != "") {
		return usagef("--admin, --admin-token-file and --backups are for --private")
	}
	if err := checkPrivateAddr("--admin", f.admin); err != nil {
		return err
	}
	return checkPrivateAddr("--metrics", f.metrics)
}

// checkPrivateAddr refuses what start could not listen on.
func checkPrivateAddr(flag, addr string) error {
	if addr == "" {
		return nil
	}
	return checkAddrFlag(flag, addr)
}

// maxOverseers is how many listeners an oversight has.
const maxOverseers = 2

// oversight is what a tracker that runs is looked after by: the API and the
// metrics.
type oversight struct {
	flags         *oversightFlags
	api           *admin.API // nil without accounts
	page          *metrics.Page
	tracker       lateTracker
	accounts      *accounts // nil without
	admin, scrape netip.AddrPort
	cancel        context.CancelFunc
	serving       errgroup.Group
	failed        chan error // the first failure of each listener
}

// lateTracker is a tracker that is made after its API, which it serves.
type lateTracker struct{ atomic.Pointer[server.Server] }

// Swarm returns the counts of a swarm.
func (t *lateTracker) Swarm(h metainfo.InfoHash) (stats tracker.ScrapeStats, ok bool) {
	if s := t.Load(); s != nil {
		return s.Swarm(h)
	}
	return stats, false
}

// Stats returns the counts of the tracker.
func (t *lateTracker) Stats() (stats server.Stats) {
	if s := t.Load(); s != nil {
		return s.Stats()
	}
	return stats
}

// newOversight makes what start serves. accounts are nil on a tracker without
// users.
func (s *trackerSettings) newOversight(accounts *accounts, logger *slog.Logger) (*oversight, error) {
	o := &oversight{flags: &s.oversightFlags, accounts: accounts, failed: make(chan error, maxOverseers)}
	if accounts == nil {
		return o, nil
	}
	database, err := s.path()
	if err != nil {
		return nil, err
	}
	beside := filepath.Dir(database)
	var tokens *admin.Tokens
	if s.admin != "" {
		if tokens, err = admin.OpenTokens(cmp.Or(s.tokenFile, filepath.Join(beside, "tracker.token"))); err != nil {
			return nil, err
		}
	}
	o.api, err = admin.New(admin.Config{
		Store: accounts.store, Accounts: accounts.Service, Tracker: &o.tracker, Tokens: tokens, Logger: logger,
		Backup: backUpTo(cmp.Or(s.backupsDir, filepath.Join(beside, "backups")), accounts.store),
	})
	return o, err
}

// backUpTo makes copies of the database that are named for the second.
func backUpTo(dir string, store *sqlite.Store) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		path := filepath.Join(dir, "tracker-"+time.Now().UTC().Format("20060102-150405")+".db")
		return path, store.Backup(ctx, path)
	}
}

// start listens and serves until stop. It outlives ctx, so that who asks hears
// that the tracker stops.
func (o *oversight) start(ctx context.Context, t *localTracker) error {
	o.tracker.Store(t.Server)
	o.page = metrics.NewPage(o.metricsConfig(t))
	ctx, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if o.scrape, err = o.serve(ctx, "--metrics", o.flags.metrics, o.page); err != nil || o.api == nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", o.api.Handler())
	mux.Handle("GET /healthz", o.page)
	mux.Handle("GET /readyz", o.page)
	o.admin, err = o.serve(ctx, "--admin", o.flags.admin, mux)
	return err
}

func (o *oversight) metricsConfig(t *localTracker) metrics.Config {
	cfg := metrics.Config{Tracker: t.Server, NumSockets: 1}
	for _, addr := range []netip.AddrPort{t.tls, t.udp} {
		if addr.IsValid() {
			cfg.NumSockets++
		}
	}
	if o.accounts != nil {
		cfg.Accounts, cfg.Database = o.accounts.Service, func(ctx context.Context) error {
			_, err := o.accounts.store.Revision(ctx)
			return err
		}
	}
	return cfg
}

// tell says where the API and the metrics are.
func (o *oversight) tell(e *env, log *slog.Logger) {
	if o.admin.IsValid() {
		log.Info("serving the API", "url", "http://"+o.admin.String()+"/api")
		e.tellListening("admin", o.admin)
	}
	if o.scrape.IsValid() {
		log.Info("serving metrics", "url", "http://"+o.scrape.String()+"/metrics")
		e.tellListening("metrics", o.scrape)
	}
}

// serve serves a handler on addr, or nowhere if that is empty.
func (o *oversight) serve(ctx context.Context, flag, addr string, handler http.Handler) (netip.AddrPort, error) {
	if addr == "" {
		return netip.AddrPort{}, nil
	}
	ln, err := listenPrivately(ctx, flag, addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	o.serving.Go(func() error {
		err := admin.Serve(ctx, ln, handler)
		if err != nil {
			o.failed <- err
		}
		return err
	})
	return ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// stopping says to who asks that the tracker is about to stop.
func (o *oversight) stopping() {
	if o.page != nil {
		o.page.Stop()
	}
}

// stop ends serving, and waits for it.
func (o *oversight) stop() error {
	if o.cancel != nil {
		o.cancel()
	}
	return o.serving.Wait()
}
