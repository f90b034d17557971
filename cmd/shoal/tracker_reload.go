package main

import (
	"context"
	"slices"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/certs"
)

// reload reads the configuration, the lists and the certificate again, and goes
// on with what may change while it runs. Sockets, connections and peers stay. If
// anything is wrong, everything stays as it was.
func (n *trackerNode) reload(ctx context.Context) {
	next, fixed, err := n.run.again()
	if err == nil {
		err = n.goOnWith(ctx, next)
	}
	if err != nil {
		n.log.Error("nothing was reloaded; everything stays as it was", "error", oneLine(err.Error()), "tracking", n.tracked())
		return
	}
	n.log.Info("reloaded", "tracking", n.tracked())
	if len(fixed) > 0 {
		n.log.Warn("these keys have changed, and need a restart", "keys", fixed)
	}
}

// again is the run as it would be told now. The keys in fixed have changed, but
// need a restart: they are as they were.
func (r *trackerRun) again() (next *trackerRun, fixed []string, err error) {
	next = new(trackerRun)
	fs := pflag.NewFlagSet("again", pflag.ContinueOnError)
	next.flags(fs)
	r.keys.commandLine.Visit(func(f *pflag.Flag) {
		texts := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			texts = list.GetSlice()
		}
		for _, text := range texts {
			fs.Set(f.Name, text) // as it was before, so it cannot fail
		}
	})
	if err := next.readFile(); err != nil {
		return nil, nil, err
	}
	if err := next.check(); err != nil {
		return nil, nil, err
	}
	fixed = next.keepFixed(r)
	return next, fixed, next.check()
}

// assign gives a flag the value of another of its kind.
func assign(to, from pflag.Value) {
	if list, ok := to.(pflag.SliceValue); ok {
		list.Replace(from.(pflag.SliceValue).GetSlice())
		return
	}
	to.Set(from.String())
}

// keepFixed gives the keys that need a restart the values of the run that goes
// on, and returns those that differed. Who becomes private, or no longer is,
// changes nothing of which torrents are tracked.
func (r *trackerRun) keepFixed(old *trackerRun) (fixed []string) {
	modeIsFixed := r.private != old.private
	for _, key := range trackerKeys {
		if key.live && !(modeIsFixed && slices.Contains(modeFlags, key.flag)) {
			continue
		}
		value, before := r.keys.of(key).Value, old.keys.of(key).Value
		if tomlValue(value) != tomlValue(before) {
			assign(value, before)
			fixed = append(fixed, key.name)
		}
	}
	return fixed
}

// goOnWith changes what runs. All that can fail comes first.
func (n *trackerNode) goOnWith(ctx context.Context, next *trackerRun) error {
	lists, err := n.loadLists(next)
	if err != nil {
		return err
	}
	if n.files != nil {
		if _, err := certs.LoadFiles(next.tlsCert, next.tlsKey); err != nil {
			return err
		}
	}
	if err := n.tracker.Change(n.serverConfig(next, lists)); err != nil {
		return err
	}
	n.lists = lists
	if n.files != nil {
		n.complain("the certificate cannot be read; it is the one from before", n.files.Load(next.tlsCert, next.tlsKey))
	}
	if n.accounts != nil {
		n.accounts.Change(next.rules(), 2*next.interval)
	}
	movesDrop := next.drop != n.run.drop
	n.run = next
	if n.level.Set(next.level()); movesDrop {
		n.openDrop(ctx)
	}
	return nil
}
