package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/server"
)

func trackerRunCommand() command {
	return command{
		name:    "tracker run",
		summary: "run a tracker",
		usage:   "[flags]",
		about: `
The announce URL that torrents need is udp://HOST:PORT/announce, or
http://HOST:PORT/announce for clients without UDP. Say for which torrents the
tracker works: for all (--open), for a list (--whitelist), or for users with
accounts (--private), who announce by HTTP to URLs of their own. It runs until
Ctrl-C, and prints its counts each minute in which they change. A SIGHUP has it
read the list again.`,
		example: "shoal tracker run --http :6969 --whitelist torrents/",
		new:     func() runner { return new(trackerRun) },
	}
}

// statsInterval is the time between two lines of a tracker's counts.
const statsInterval = time.Minute

// maxInterval is arbitrary: a peer that died is listed for twice the interval.
const maxInterval = 24 * time.Hour

// What --udp takes instead of an address.
const (
	sameAsHTTP = "same"
	noUDP      = "off"
)

type trackerRun struct {
	http      string
	udp       string
	open      bool
	whitelist string
	state     string
	interval  time.Duration
	json      bool
	quiet     bool
	privateFlags
}

func (r *trackerRun) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.http, "http", ":6969", "listen for HTTP announces on `ADDR`, such as :6969 or 127.0.0.1:6969")
	fs.StringVar(&r.udp, "udp", sameAsHTTP, "listen for UDP announces on `ADDR`, \"same\" as --http, or \"off\"")
	fs.BoolVar(&r.open, "open", false, "track every torrent")
	fs.StringVar(&r.whitelist, "whitelist", "", "track the torrents in `FILE|DIR` only: a file of info-hashes, one a line, or a folder of .torrent files")
	fs.StringVar(&r.state, "state", "", "keep the peers over a restart, in `FILE`")
	fs.DurationVar(&r.interval, "interval", server.DefaultInterval, "tell peers to announce every `D`")
	r.privateFlags.flags(fs)
	fs.BoolVar(&r.json, "json", false, "print the counts as JSON objects, one a line")
	fs.BoolVar(&r.quiet, "quiet", false, "print no counts")
}

func (r *trackerRun) check(args []string) error {
	switch {
	case len(args) > 0:
		return usagef("run takes no argument")
	case r.numModes() > 1:
		return usagef("--open, --whitelist and --private exclude each other")
	case r.numModes() == 0:
		return usagef("say for which torrents: --open for all, --whitelist FILE|DIR, or --private for those of the database")
	case r.private && r.udp != sameAsHTTP && r.udp != noUDP:
		return usagef("--udp is not for --private: over UDP most clients do not tell their key")
	case r.interval < time.Second:
		return usagef("--interval %v is less than a second", r.interval)
	case r.interval > maxInterval:
		return usagef("--interval %v is more than a day", r.interval)
	}
	if r.udp != sameAsHTTP && r.udp != noUDP {
		if err := checkAddrFlag("--udp", r.udp); err != nil {
			return err
		}
	}
	if err := r.privateFlags.check(); err != nil {
		return err
	}
	return checkHTTPFlag(r.http)
}

// numModes counts those that were chosen.
func (r *trackerRun) numModes() (n int) {
	for _, chosen := range []bool{r.open, r.whitelist != "", r.private} {
		if chosen {
			n++
		}
	}
	return n
}

func (r *trackerRun) run(ctx context.Context, e *env, args []string) error {
	if err := r.check(args); err != nil {
		return err
	}
	warnings := slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	cfg := server.Config{Interval: r.interval, StateFile: r.state, Logger: slog.New(warnings)}
	if !r.private {
		return r.runWith(ctx, e, cfg)
	}
	accounts, err := r.startAccounts(ctx, r.interval, cfg.Logger)
	if err != nil {
		return err
	}
	cfg.Private = accounts
	err = r.runWith(ctx, e, cfg)
	if stopErr := accounts.stop(); stopErr != nil {
		return stopErr
	}
	return err
}

// runWith serves until ctx ends.
func (r *trackerRun) runWith(ctx context.Context, e *env, cfg server.Config) error {
	tracked := "every torrent"
	if r.private {
		tracked = "the torrents of the database"
	}
	if r.whitelist != "" {
		whitelist, broken, err := server.LoadTorrentList(r.whitelist)
		if err != nil {
			return err
		}
		warnBroken(e, broken)
		cfg.Whitelist, tracked = whitelist, count(whitelist.Len(), "torrent")
	}
	t, err := startTracker(ctx, r.http, cfg)
	if err != nil {
		return err
	}
	if err := r.listenUDP(ctx, t); err != nil {
		return errors.Join(err, t.stop())
	}
	hangup := make(chan os.Signal, 1)
	if cfg.Whitelist != nil { // else a SIGHUP ends the process, as usual
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
	}
	if !r.quiet {
		e.logf("tracking %s on %s; announce to %s", tracked, t.addr, r.announceURLs(t))
	}
	e.tellListening("tracker", t.addr)
	err = r.serve(ctx, e, t, hangup)
	if stopErr := t.stop(); stopErr != nil {
		return stopErr
	}
	return err
}

func (r *trackerRun) announceURLs(t *localTracker) string {
	if r.private {
		return "the URLs that \"shoal tracker user add\" prints"
	}
	return t.announceURLs()
}

func (r *trackerRun) listenUDP(ctx context.Context, t *localTracker) error {
	switch {
	case r.udp == noUDP || r.private:
		return nil
	case r.udp == sameAsHTTP:
		return t.listenUDP(ctx, t.addr.String())
	}
	return t.listenUDP(ctx, r.udp)
}

// serve prints the counts now and then, and once more at the end. At a hangup it
// reads the whitelist again.
func (r *trackerRun) serve(ctx context.Context, e *env, t *localTracker, hangup <-chan os.Signal) error {
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	var last server.Stats
	for {
		select {
		case <-ctx.Done():
			r.printStats(e, t.Stats())
			return ctx.Err()
		case err := <-t.served:
			t.served <- err // for stop
			return err
		case err := <-t.servedUDP:
			t.servedUDP <- err
			return err
		case <-hangup:
			r.reload(e, t.whitelist)
			continue
		case <-ticker.C:
		}
		stats := t.Stats()
		last.UptimeSec = stats.UptimeSec
		if stats != last {
			r.printStats(e, stats)
		}
		last = stats
	}
}

// reload reads the whitelist again. One that cannot be read changes nothing.
func (r *trackerRun) reload(e *env, whitelist *server.TorrentList) {
	broken, err := whitelist.Reload()
	warnBroken(e, broken)
	switch {
	case err != nil:
		e.logf("%s; still tracking the %s from before", oneLine(err.Error()), count(whitelist.Len(), "torrent"))
	case !r.quiet:
		e.logf("tracking %s from now on", count(whitelist.Len(), "torrent"))
	}
}

func (r *trackerRun) printStats(e *env, s server.Stats) {
	switch {
	case r.json:
		e.printJSON(s) // a failure is output's to remember
	case !r.quiet:
		e.logf("%s, %s, %s, %d announces (%d refused)", count(s.Torrents, "torrent"), count(s.Seeds, "seed"),
			count(s.Leechers, "leecher"), s.Announces, s.Refused)
	}
}

// warnBroken names the files of a folder that are no torrents.
func warnBroken(e *env, broken []error) {
	for _, err := range broken {
		e.logf("skipped: %s", oneLine(err.Error()))
	}
}
