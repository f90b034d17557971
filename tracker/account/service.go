package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/tracker/account/announcelog"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

// The times of a Service.
const (
	// DefaultFlushEvery is how long sums wait in memory, when all is well.
	DefaultFlushEvery = 2 * time.Second
	// flushTimeout bounds one batch. A database that is locked by hand gives
	// up sooner by itself.
	flushTimeout = 30 * time.Second
	// stopTimeout bounds the last write. A service manager kills after 90
	// seconds, usually.
	stopTimeout = 20 * time.Second
	// lookEvery is how often the Store is asked whether a command has changed
	// anything, which costs 50 microseconds. A client that is started right
	// after "torrent get" and is refused, because its key is not known yet, asks
	// again after half an hour only.
	lookEvery = 100 * time.Millisecond
	// lookShare bounds the part of the time that is spent on reading tables
	// again while commands change one thing after another: a tenth.
	lookShare = 10
	// reloadEvery is how often the tables are read again although nothing has
	// changed: hit-and-runs come about by the passing of time.
	reloadEvery = 10 * time.Minute
	// complainEvery is the least time between two lines on a database that
	// stays away.
	complainEvery = time.Minute
)

// maxLogWaiting bounds the entries of the announce log that wait in memory, in
// bytes: 50,000 announces.
const maxLogWaiting = 50_000 * announcelog.EntryLen

// Config says how a Service behaves. Zero means default; the Store is
// required.
type Config struct {
	Store  Store
	Rules  ledger.Rules
	Ledger ledger.Config
	// FlushEvery is the time between two writes.
	FlushEvery time.Duration
	// Log gets every announce that counts, if not nil. The Service writes to
	// it, and does not close it.
	Log *announcelog.Writer
	// Logger gets a line when the database goes and when it comes back, and
	// never one for an announce. nil means silent.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.FlushEvery == 0 {
		c.FlushEvery = DefaultFlushEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) validate() error {
	switch {
	case c.Store == nil:
		return errors.New("account: there is no Store")
	case c.FlushEvery < 0:
		return errors.New("account: the time between two writes is negative")
	}
	return nil
}

// Service answers announces from memory and keeps the Store up to date. It is
// safe for concurrent use.
type Service struct {
	cfg   Config
	begin time.Time
	run   RunID

	tables  atomic.Pointer[tables]
	added   sync.Map                         // of AddKey: a StoredKey by its hash
	refused [len(refusals) + 1]atomic.Uint64 // by kindOf

	mu         sync.Mutex // never held while the database or a file is asked
	ledger     *ledger.Ledger
	logWaiting []byte
	logLost    uint64

	// writing is held while the database is written or the tables are read,
	// so that sums that are read are not on their way at the same time.
	writing    sync.Mutex
	reloadedAt time.Duration
	reloadTook time.Duration
	storedAt   atomic.Int64 // when all went well for the last time, as now tells
	flushes    Durations
	flushError problem
	loadError  problem
	logError   problem
}

// New reads the tables and the sessions of the last run.
func New(ctx context.Context, cfg Config) (*Service, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l, err := ledger.New(cfg.Ledger)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, begin: time.Now(), run: NewRunID(), ledger: l}
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	s.storedAt.Store(int64(s.now()))
	if err := s.restore(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) restore(ctx context.Context) error {
	timeout := s.cfg.Ledger.Timeout
	if timeout == 0 {
		timeout = ledger.DefaultTimeout
	}
	now := s.now()
	err := s.cfg.Store.Sessions(ctx, now-timeout, func(session ledger.Session, seededUntil time.Duration) error {
		s.ledger.Restore(now, session, seededUntil)
		return nil
	})
	if err != nil {
		return fmt.Errorf("account: sessions: %w", err)
	}
	return nil
}

// now is the time since the Unix epoch, by a clock that does not jump while
// the process runs.
func (s *Service) now() time.Duration {
	return time.Duration(s.begin.UnixNano()) + time.Since(s.begin)
}

// Run writes to the Store until ctx ends, and then once more. Stop the
// servers that announce before. The error says what could not be written at
// the end.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.FlushEvery)
	defer ticker.Stop()
	looker := time.NewTicker(lookEvery)
	defer looker.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.stop(ctx)
		case <-ticker.C:
			s.tick(ctx)
		case <-looker.C:
			s.look(ctx)
		}
	}
}

// look takes over what commands have changed. Its errors are the next tick's to
// tell.
func (s *Service) look(ctx context.Context) {
	s.writing.Lock()
	rested := s.now()-s.reloadedAt >= lookShare*s.reloadTook
	s.writing.Unlock()
	if rested {
		s.reloadIfChanged(ctx)
	}
}

// tick does what is due. An error is told, and tried again the next time.
func (s *Service) tick(ctx context.Context) {
	s.mu.Lock()
	s.ledger.Expire(s.now())
	s.mu.Unlock()
	flushErr, loadErr := s.flush(ctx), s.reloadIfChanged(ctx)
	if flushErr == nil && loadErr == nil {
		s.storedAt.Store(int64(s.now()))
	}
	s.tell(ctx, &s.flushError, flushErr, "the database does not take the sums; they wait in memory")
	s.tell(ctx, &s.loadError, loadErr, "the tables could not be read again; changes of users and torrents wait")
	s.tell(ctx, &s.logError, s.writeLog(), "the announce log is not written")
}

func (s *Service) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := s.flush(ctx)
	if err != nil {
		st := s.Stats()
		err = fmt.Errorf("account: the last sums are not stored (%d deltas); the next announces bring them: %w", st.Ledger.Waiting, err)
	}
	return errors.Join(err, s.writeLog())
}

// flush stores all that waits.
func (s *Service) flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	for {
		s.mu.Lock()
		batch := s.ledger.Drain()
		s.mu.Unlock()
		if batch == nil {
			return nil
		}
		if err := s.store(ctx, batch); err != nil {
			return err
		}
		s.mu.Lock()
		s.ledger.Ack()
		s.mu.Unlock()
	}
}

func (s *Service) store(ctx context.Context, batch *ledger.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	begin := s.now()
	err := s.cfg.Store.Flush(ctx, s.run, batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.flushes.add(s.now() - begin)
	}
	return err
}

// writeLog appends what waits to the announce log.
func (s *Service) writeLog() error {
	if s.cfg.Log == nil {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	entries := s.logWaiting
	s.logWaiting = nil
	s.mu.Unlock()
	err := s.cfg.Log.Append(entries)
	if err != nil {
		s.mu.Lock()
		s.logWaiting = append(entries, s.logWaiting...)
		s.mu.Unlock()
	}
	return err
}

// problem is something that fails again and again.
type problem struct {
	lasts  bool
	toldAt time.Duration
	count  atomic.Uint64
}

// tell logs the first failure, one a minute afterwards, and the end. What ctx
// has interrupted is no failure.
func (s *Service) tell(ctx context.Context, p *problem, err error, what string) {
	now := s.now()
	if err != nil && ctx.Err() == nil {
		p.count.Add(1)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err == nil && p.lasts:
		s.cfg.Logger.Info("account: it works again", "after", what)
	case err != nil && (!p.lasts || now-p.toldAt >= complainEvery):
		s.cfg.Logger.Warn("account: "+what, "error", err, "waiting", s.Stats().Ledger.Waiting)
		p.toldAt = now
	}
	p.lasts = err != nil
}

// LastRefusal returns why a user's announce was last refused, if it was in this
// run.
func (s *Service) LastRefusal(id ledger.UserID) (ledger.Refusal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.LastRefusal(id)
}

// Change has the Service go on with other rules, and with another time after
// which a session that is silent has ended (see ledger.Config), from the next
// announce on. Hit-and-runs are counted by the new rules within FlushEvery.
func (s *Service) Change(rules ledger.Rules, timeout time.Duration) {
	s.writing.Lock() // as reload asks for the rules
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Rules = rules
	s.ledger.SetTimeout(timeout)
	s.reloadedAt = 0
}
