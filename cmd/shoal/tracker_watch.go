package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
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

// watchFlags say where a tracker is looked after.
type watchFlags struct {
	admin      string
	tokenFile  string
	backupsDir string
	metrics    string
}

func (f *watchFlags) flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics on `ADDR`, /metrics, /healthz and /readyz; a port alone, as in :9882, is of 127.0.0.1 only")
	fs.StringVar(&f.admin, "admin", "", "serve the API of users and torrents on `ADDR`; a port alone, as in :6970, is of 127.0.0.1 only")
	fs.StringVar(&f.tokenFile, "admin-token-file", "", "the operator's tokens for the API are in `FILE`, one a line; made with one if it is missing (default: tracker.token beside the database)")
	fs.StringVar(&f.backupsDir, "backups", "", "the API copies the database into `DIR` (default: backups beside the database)")
}

func (f *watchFlags) check(private bool) error {
	if !private && (f.admin != "" || f.tokenFile != "" || f.backupsDir != "") {
		return usagef("--admin, --admin-token-file and --backups are for --private")
	}
	if err := checkPrivateAddr("--admin", f.admin); err != nil {
		return err
	}
	return checkPrivateAddr("--metrics", f.metrics)
}

// checkPrivateAddr refuses what startWatch could not listen on.
func checkPrivateAddr(flag, addr string) error {
	if addr == "" {
		return nil
	}
	return checkAddrFlag(flag, addr)
}

// watch is what a tracker that runs is looked after by: the API and the
// metrics.
type watch struct {
	flags         *watchFlags
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

// newWatch makes what start serves. accounts are nil, and database is empty, on
// a tracker without users.
func (f *watchFlags) newWatch(accounts *accounts, database string, logger *slog.Logger) (*watch, error) {
	w := &watch{flags: f, accounts: accounts, failed: make(chan error, 2)}
	if accounts == nil {
		return w, nil
	}
	if f.tokenFile == "" {
		f.tokenFile = filepath.Join(filepath.Dir(database), "tracker.token")
	}
	if f.backupsDir == "" {
		f.backupsDir = filepath.Join(filepath.Dir(database), "backups")
	}
	var tokens *admin.Tokens
	if f.admin != "" {
		var err error
		if tokens, err = admin.OpenTokens(f.tokenFile); err != nil {
			return nil, err
		}
	}
	var err error
	w.api, err = admin.New(admin.Config{
		Store: accounts.store, Accounts: accounts.Service, Tracker: &w.tracker, Tokens: tokens, Backup: backUpTo(f.backupsDir, accounts.store), Logger: logger,
	})
	return w, err
}

// forUsers is served at the tracker's own port, nil without accounts.
func (w *watch) forUsers() http.Handler {
	if w.api == nil {
		return nil
	}
	return w.api.ForUsers()
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

// start listens and serves until stop, for a tracker that listens on
// numSockets. It outlives ctx, so that who asks hears that the tracker stops.
func (w *watch) start(ctx context.Context, t *server.Server, numSockets int) error {
	w.tracker.Store(t)
	cfg := metrics.Config{Tracker: t, NumSockets: numSockets}
	if w.accounts != nil {
		cfg.Accounts, cfg.Database = w.accounts.Service, func(ctx context.Context) error {
			_, err := w.accounts.store.Revision(ctx)
			return err
		}
	}
	w.page = metrics.NewPage(cfg)
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if w.scrape, err = w.serve(ctx, "--metrics", w.flags.metrics, w.page); err != nil || w.api == nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", w.api.Handler())
	mux.Handle("GET /healthz", w.page)
	mux.Handle("GET /readyz", w.page)
	w.admin, err = w.serve(ctx, "--admin", w.flags.admin, mux)
	return err
}

// serve serves a handler on addr, or nowhere if that is empty. A port alone is
// one of the loopback interface: what is served is nobody else's business.
func (w *watch) serve(ctx context.Context, flag, addr string, handler http.Handler) (netip.AddrPort, error) {
	if addr == "" {
		return netip.AddrPort{}, nil
	}
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return netip.AddrPort{}, fmt.Errorf("%s is in use; choose another address with %s", addr, flag)
	case err != nil:
		return netip.AddrPort{}, err
	}
	w.serving.Go(func() error {
		err := admin.Serve(ctx, ln, handler)
		if err != nil {
			w.failed <- err
		}
		return err
	})
	return ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// stopping says to who asks that the tracker is about to stop.
func (w *watch) stopping() {
	if w.page != nil {
		w.page.Stop()
	}
}

// stop ends serving, and waits for it.
func (w *watch) stop() error {
	if w.cancel != nil {
		w.cancel()
	}
	return w.serving.Wait()
}
