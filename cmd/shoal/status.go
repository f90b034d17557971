package main

import (
	"time"

	"github.com/spf13/pflag"
)

// statusFlag is --every: with it, a program that runs Shoal learns how a
// download goes while it goes.
type statusFlag struct {
	every time.Duration // 0: only what --json prints without it
	next  time.Time
	done  map[*transfer]bool // those that were told to be complete
}

func (f *statusFlag) flag(fs *pflag.FlagSet) {
	fs.DurationVar(&f.every, "every", 0, "with --json, print the objects every `D`, too, and when a torrent is complete")
}

func (f *statusFlag) check(json bool) error {
	switch {
	case f.every < 0:
		return usagef("--every %v is negative", f.every)
	case f.every > 0 && !json:
		return usagef("--every is for --json; add it, or leave out --every")
	}
	return nil
}

// tell prints the status of the transfers for which it is time.
func (f *statusFlag) tell(now time.Time, all []*transfer, print func(*transfer) error) error {
	if f.every == 0 {
		return nil
	}
	due := !now.Before(f.next)
	if due {
		f.next = now.Add(f.every)
	}
	if f.done == nil {
		f.done = make(map[*transfer]bool)
	}
	for _, t := range all {
		if t.torrent == nil {
			continue
		}
		complete := !t.finished.IsZero()
		if !due && complete == f.done[t] {
			continue
		}
		f.done[t] = complete
		if err := print(t); err != nil {
			return err
		}
	}
	return nil
}
