package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cheggaaa/pb/v3/termutil"
	"golang.org/x/term"
)

func main() {
	// Without this, a reader that goes away (shoal get --json | head -1) ends
	// the process in the middle of a download, before anything is saved. With
	// it the write fails, and output.Write stops the command cleanly.
	signal.Ignore(syscall.SIGPIPE)
	// The pool of progress bars would catch the signals too; they are ours.
	termutil.AutoTerminate(false)

	e := &env{
		stdout:           os.Stdout,
		stderr:           os.Stderr,
		stderrIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	os.Exit(run(interruptible(), e, os.Args[1:]))
}

// interruptible returns a context that the first Ctrl-C ends, so that the
// command stops cleanly. The second one ends the process at once.
func interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // two, so that an impatient second one is not lost
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		termutil.RawModeOff() // progress bars switch the terminal's echo off
		os.Exit(exitInterrupted)
	}()
	return ctx
}
