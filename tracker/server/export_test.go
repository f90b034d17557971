package server

import (
	"context"
	"testing"
)

// The tests from outside serve as those from inside do.
var (
	UntilStopped  = untilStopped
	ServeUntilEnd = serveUntilEnd
)

// untilStopped serves until the function it returns is called, which fails the
// test if that ends with an error.
func untilStopped(tb testing.TB, serve func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx) }()
	return func() {
		tb.Helper()
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	}
}

// serveUntilEnd serves until the end of the test.
func serveUntilEnd(tb testing.TB, serve func(context.Context) error) {
	tb.Helper()
	tb.Cleanup(untilStopped(tb, serve))
}
