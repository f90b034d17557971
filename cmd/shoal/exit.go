package main

import (
	"context"
	"errors"
	"fmt"
)

// The exit codes of every command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitMismatch    = 3 // data does not match its hashes, or the download is incomplete
	exitNotFound    = 4 // not found, or nobody to get it from within --timeout
	exitInterrupted = 130
)

// usageError is what the person at the keyboard got wrong: its text says what
// to do instead, in one line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// mismatchError says that data is not what its hashes promise, or not there.
type mismatchError struct{ text string }

func (e *mismatchError) Error() string { return e.text }

func mismatchf(format string, args ...any) error {
	return &mismatchError{fmt.Sprintf(format, args...)}
}

// notFoundError says that there was nobody, or nothing, to be found.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }

func notFoundf(format string, args ...any) error {
	return &notFoundError{fmt.Sprintf(format, args...)}
}

// exitCode is the one place that turns an error into an exit code.
func exitCode(err error) int {
	var usage *usageError
	var mismatch *mismatchError
	var notFound *notFoundError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &mismatch):
		return exitMismatch
	case errors.As(err, &notFound):
		return exitNotFound
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}
