package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/tracker/certs"
	"github.com/shoal-bt/shoal/tracker/dropdir"
	"github.com/shoal-bt/shoal/tracker/server"
)

// statsInterval is the time between two lines of a tracker's counts.
const statsInterval = time.Minute

// watchInterval is how often folders of torrents and certificates are looked
// at. Arbitrary: a person who has put a file there waits for as long.
const watchInterval = 3 * time.Second

// trackerNode is a tracker that runs, with all that belongs to it.
type trackerNode struct {
	e     *env
	run   *trackerRun // as of the last reload
	log   *slog.Logger
	level slog.LevelVar
	told  map[string]string // what complain said last, by what it is about

	lists    torrentLists
	accounts *accounts // nil if it is not private
	drop     *dropdir.Folder
	files    *certs.Files // nil without
	acme     *certs.ACME  // nil without
	tracker  *localTracker
	hangup   chan os.Signal
	// ready says that announces are answered and that more are welcome.
	ready     atomic.Bool
	oversight *oversight // nil before it listens
}

// torrentLists are those that are tracked, and not: nil if there is no such
// list.
type torrentLists struct{ white, black *server.TorrentList }

func newTrackerNode(e *env, r *trackerRun) *trackerNode {
	n := &trackerNode{e: e, run: r, told: make(map[string]string), hangup: make(chan os.Signal, 1)}
	n.level.Set(r.level())
	n.log = r.newLog(e.stderr, &n.level)
	return n
}

// start listens. What was started when it fails is for stop to end.
func (n *trackerNode) start(ctx context.Context) (err error) {
	r := n.run
	signal.Notify(n.hangup, syscall.SIGHUP) // which would end the process otherwise
	if n.lists, err = n.loadLists(r); err != nil {
		return err
	}
	if r.private {
		if n.accounts, err = r.startAccounts(ctx, r.interval, n.log); err != nil {
			return err
		}
		n.openDrop(ctx)
	}
	if n.oversight, err = r.newOversight(n.accounts, n.log); err != nil {
		return err
	}
	if err := n.startTracker(ctx); err != nil {
		return err
	}
	if err := n.listenTLS(ctx); err != nil {
		return err
	}
	if err := n.oversight.start(ctx, n.tracker); err != nil {
		return err
	}
	n.log.Info("tracking "+n.tracked(), "http", n.tracker.listener, "announce", n.announceURLs())
	n.e.tellListening("tracker", n.tracker.addr)
	n.oversight.tell(n.e, n.log)
	n.ready.Store(true)
	return nil
}

// serverConfig is what the server is told by settings and lists.
func (n *trackerNode) serverConfig(r *trackerRun, lists torrentLists) server.Config {
	cfg := r.serverConfig()
	cfg.Whitelist, cfg.Blacklist, cfg.Logger = lists.white, lists.black, n.log
	if n.accounts != nil { // else an interface that is not nil would hold nil
		cfg.Private, cfg.API = n.accounts, n.oversight.api.ForUsers()
	}
	return cfg
}

// startTracker serves announces over HTTP and UDP.
func (n *trackerNode) startTracker(ctx context.Context) (err error) {
	cfg := n.serverConfig(n.run, n.lists)
	if n.run.udp == sameAsHTTP {
		n.tracker, err = startTrackerOnBoth(ctx, n.run.http, cfg)
		return err
	}
	if n.tracker, err = startTracker(ctx, n.run.http, cfg); err != nil || n.run.udp == noUDP {
		return err
	}
	l, err := listenUDP(ctx, n.run.udp)
	if err == nil {
		n.tracker.serveUDP(l)
	}
	return err
}

func (n *trackerNode) tracked() string {
	switch {
	case n.accounts != nil:
		return "the torrents of the database"
	case n.lists.white != nil:
		return count(n.lists.white.Len(), "torrent")
	case n.lists.black != nil:
		return "every torrent but " + count(n.lists.black.Len(), "torrent")
	}
	return "every torrent"
}

func (n *trackerNode) announceURLs() string {
	if n.accounts != nil {
		return "the URLs that \"shoal tracker user add\" prints"
	}
	return n.tracker.announceURLs()
}

// serve logs the counts now and then, looks after folders and reloads, until
// ctx ends or serving fails.
func (n *trackerNode) serve(ctx context.Context) error {
	stats := time.NewTicker(statsInterval)
	defer stats.Stop()
	watch := time.NewTicker(watchInterval)
	defer watch.Stop()
	var last server.Stats
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-n.tracker.failed:
			return err
		case err := <-n.oversight.failed:
			return err
		case <-n.hangup:
			n.reload(ctx)
		case <-watch.C:
			n.watch(ctx)
		case <-stats.C:
			last = n.tellStats(last)
		}
	}
}

// stop ends what was started, because of err. Who asks whether the tracker is
// ready hears that it is not, before announces are refused; the last of them are
// in the state file and in the database, then.
func (n *trackerNode) stop(err error) error {
	defer signal.Stop(n.hangup)
	if wasReady := n.ready.Swap(false); wasReady {
		n.oversight.stopping()
		n.drainFor(n.run.drain, err)
		n.printStats(n.tracker.Stats())
	}
	if n.tracker != nil {
		err = firstError(n.tracker.stop(), err)
	}
	if n.oversight != nil { // it answers until the tracker does not
		err = firstError(n.oversight.stop(), err)
	}
	if n.acme != nil {
		n.acme.Close()
	}
	if n.accounts != nil {
		err = firstError(n.accounts.stop(), err)
	}
	return err
}

// firstError is what went wrong at the end, or else why it ended.
func firstError(stopErr, err error) error {
	if stopErr != nil {
		return stopErr
	}
	return err
}

// drainFor lets announces come for a while, unless the tracker has failed.
func (n *trackerNode) drainFor(d time.Duration, err error) {
	if d <= 0 || !errors.Is(err, context.Canceled) {
		return
	}
	n.log.Info("draining", "for", d)
	select {
	case <-time.After(d):
	case <-n.tracker.failed:
	}
}

// tellStats logs the counts if they have changed since last.
func (n *trackerNode) tellStats(last server.Stats) server.Stats {
	stats := n.tracker.Stats()
	if last.UptimeSec = stats.UptimeSec; stats != last {
		n.printStats(stats)
	}
	return stats
}

func (n *trackerNode) printStats(s server.Stats) {
	if n.run.json {
		n.e.printJSON(s) // a failure is output's to remember
		return
	}
	n.log.Info("counts", "torrents", s.Torrents, "seeds", s.Seeds, "leechers", s.Leechers,
		"announces", s.Announces, "scrapes", s.Scrapes, "refused", s.Refused, "faults", s.Faults)
}

// complain logs an error about something, unless it is the one that was logged
// about it last.
func (n *trackerNode) complain(about string, err error) {
	text := ""
	if err != nil {
		text = oneLine(err.Error())
	}
	if text != "" && text != n.told[about] {
		n.log.Warn(about, "error", text)
	}
	n.told[about] = text
}
