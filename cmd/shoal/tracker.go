package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

func trackerRunCommand() command {
	return command{
		name:    "tracker run",
		summary: "run a tracker",
		usage:   "[flags]",
		about: `
The announce URL that torrents need is udp://HOST:PORT/announce, or
http://HOST:PORT/announce for clients without UDP. Say for which torrents the
tracker works: for all (--open), for those of a list or all others (--whitelist,
--blacklist), or for users with accounts (--private), who announce to URLs of
their own. All that flags say, and more, can stand in a file (--config); flags
override it. It runs until Ctrl-C, and logs its counts each minute in which they
change. A SIGHUP has it read the file, the lists and the certificates again.`,
		example: "shoal tracker run --http :6969 --whitelist torrents/",
		new:     func() runner { return new(trackerRun) },
	}
}

// trackerRun is "shoal tracker run". It knows how it was told what it was told,
// for a reload.
type trackerRun struct {
	trackerSettings
	keys keySet
}

func (r *trackerRun) flags(fs *pflag.FlagSet) {
	r.trackerSettings.flags(fs)
	r.keys = newKeySet(&r.trackerSettings, fs)
}

func (r *trackerRun) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usagef("run takes no argument")
	}
	if err := r.readFile(); err != nil {
		return usagef("%v", err)
	}
	if r.printConfig {
		r.keys.print(e.stdout, func(trackerKey) bool { return true })
		return nil
	}
	if err := r.check(); err != nil {
		return err
	}
	node := newTrackerNode(e, r)
	if err := node.start(ctx); err != nil {
		return node.stop(err)
	}
	return node.stop(node.serve(ctx))
}

func (r *trackerRun) readFile() error {
	if r.config == "" {
		return nil
	}
	return r.keys.readConfig(r.config)
}

// level is the least of what is logged.
func (s *trackerSettings) level() slog.Level {
	if s.isQuiet {
		return max(s.logLevel.Level, slog.LevelWarn)
	}
	return s.logLevel.Level
}

// newLog returns a log of the form that the settings want.
func (s *trackerSettings) newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if s.logFormat == logJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
