package admin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/server"
)

// The bounds of serving. Those who work with an API are few.
const (
	maxConns      = 64
	maxHeaderLen  = 8 << 10 // bytes
	headerTimeout = 5 * time.Second
	// bodyTimeout lets a .torrent of the largest size come over 10 Mbit/s.
	bodyTimeout = time.Minute
	idleTimeout = time.Minute
	// stopTimeout bounds the wait for requests under way at the end.
	stopTimeout = 5 * time.Second
	// maxUploads bounds the .torrent files that are in memory at a time, each
	// of up to metainfo.MaxTorrentLen bytes and several times that while it is
	// parsed.
	maxUploads = 2
)

// Tracker is what an API asks of a server.Server.
type Tracker interface {
	Swarm(metainfo.InfoHash) (tracker.ScrapeStats, bool)
	Stats() server.Stats
}

// Config says what an API works with. Tokens, Logger, Now and Backup may be
// nil.
type Config struct {
	Store    account.Store
	Accounts *account.Service
	Tracker  Tracker
	// Tokens are the operator's; without, there is none.
	Tokens *Tokens
	// Backup copies the database, and returns the path of the copy.
	Backup func(context.Context) (path string, err error)
	// Logger gets a line for each change, with who made it and by which route;
	// nil means silent.
	Logger *slog.Logger
	// Now is the time of day; nil means time.Now.
	Now func() time.Time
}

// API is the HTTP API. It is safe for concurrent use.
type API struct {
	cfg     Config
	failed  *limiter
	uploads chan struct{}
	// changing is held from reading a user to writing him, so that of two
	// changes at a time neither is lost.
	changing sync.Mutex
}

// New returns an API.
func New(cfg Config) (*API, error) {
	if cfg.Store == nil || cfg.Accounts == nil || cfg.Tracker == nil {
		return nil, errors.New("admin: an API needs a Store, Accounts and a Tracker")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &API{cfg: cfg, failed: newLimiter(cfg.Now), uploads: make(chan struct{}, maxUploads)}, nil
}

// Description is openapi.yaml, which describes every route.
//
//go:embed openapi.yaml
var Description []byte

// Handler answers every route, for the operator and for users.
func (a *API) Handler() http.Handler { return a.mux(func(route) bool { return true }, true) }

// ForUsers answers what members and uploaders need, for users only: the
// operator's token is none there. It is meant for the port at which the
// tracker is reached by anybody.
func (a *API) ForUsers() http.Handler {
	return a.mux(func(rt route) bool { return rt.forUsers }, false)
}

func (a *API) mux(has func(route) bool, forOperator bool) http.Handler {
	mux := http.NewServeMux()
	methods := make(map[string]string) // of each path
	for _, rt := range routes() {
		if has(rt) {
			mux.Handle(rt.method+" "+rt.path, a.handler(rt, forOperator))
			methods[rt.path] += ", " + rt.method
		}
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", allowed[2:])
			writeProblem(w, problemf(http.StatusMethodNotAllowed, "this path is for %s", allowed[2:]))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problemf(http.StatusNotFound, "there is no such path; /api/openapi.yaml lists those that there are"))
	})
	return mux
}

// Run serves the API on ln, which it closes, until ctx ends. Requests under way
// are waited for.
func (a *API) Run(ctx context.Context, ln net.Listener) error {
	return Serve(ctx, ln, a.Handler())
}

// Serve serves a handler for the few who look after a tracker, with bounds to
// all that a client may take, until ctx ends.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	hs := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderLen,
		ErrorLog:       log.New(io.Discard, "", 0), // it has a line for each bad client
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if hs.Shutdown(stopCtx) != nil {
			hs.Close()
		}
	})
	err := hs.Serve(netutil.LimitListener(ln, maxConns))
	if unhook() {
		return fmt.Errorf("admin: serve HTTP: %w", err)
	}
	<-stopped
	return nil
}
