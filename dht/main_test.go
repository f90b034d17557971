package dht

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := leftGoroutines(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines were left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of goroutines that run this package's code.
// A goroutine that has done its last act may need a moment to go, or more on a
// busy machine.
func leftGoroutines() (stacks string) {
	for begin := time.Now(); time.Since(begin) < time.Minute; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		_, others, _ := strings.Cut(string(buf), "\n\n") // the first is our own
		if !strings.Contains(others, "shoal/dht.(") {
			return ""
		}
		stacks = others
	}
	return stacks
}

// tooLong is when a test that waits for something gives up. It is long, because
// it is only for the tests that fail.
const tooLong = 5 * time.Minute

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// newTestServer returns a node on a free port of a loopback address, which is
// closed at the end of the test. It contacts nobody but the bootstrap nodes.
func newTestServer(tb testing.TB, cfg Config, bootstrap ...string) *Server {
	tb.Helper()
	if !cfg.Bind.IsValid() {
		cfg.Bind = loopback4
	}
	cfg.Bootstrap = append([]string{}, bootstrap...)
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeServer(tb, s) })
	return s
}

func closeServer(tb testing.TB, s *Server) {
	tb.Helper()
	if err := s.Close(testContext(tb)); err != nil {
		tb.Errorf("close: %v", err)
	}
}

// testContext ends when a test has waited for too long.
func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	tb.Cleanup(cancel)
	return ctx
}

// await fails the test if the channel is not closed in good time.
func await(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(tooLong):
		buf := make([]byte, 1<<20)
		tb.Fatalf("waited too long for %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// eventually waits until something is so.
func eventually(tb testing.TB, what string, isSo func() bool) {
	tb.Helper()
	ctx := testContext(tb)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !isSo() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("waited too long for %s", what)
		}
	}
}
