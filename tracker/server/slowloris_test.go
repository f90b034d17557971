package server

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener accepts the connections that are sent to it.
type pipeListener struct {
	fakeListener
	conns chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Who sends his header a byte a second (slow-loris) is shown out.
func TestSlowHeadersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipeListener{fakeListener{make(chan struct{})}, make(chan net.Conn)}
		runOn(t, ln, Config{})
		ours, theirs := net.Pipe()
		ln.conns <- theirs
		go io.Copy(io.Discard, ours) // ends when the server hangs up
		begin := time.Now()
		for _, err := ours.Write([]byte("G")); err == nil; _, err = ours.Write([]byte("E")) {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > headerTimeout+time.Second {
			t.Errorf("the connection lived for %v", took)
		}
	})
}

// Slow clients who hold every place that the tracker has keep others out for
// twice headerTimeout at most: once here, once when net/http waits for the rest.
// So it is for headers that trickle, and for such that were never begun.
func TestSlowClientsMakeRoom(t *testing.T) {
	const numPlaces = 50
	for what, first := range map[string]string{"a byte a second": "G", "a line and no more": "GET /healthz HTTP/1.1\r\n", "nothing": ""} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := &pipeListener{fakeListener{make(chan struct{})}, make(chan net.Conn)}
				s := newServer(t, Config{MaxConns: numPlaces})
				stop := untilStopped(t, func(ctx context.Context) error { return s.Run(ctx, ln) })
				var slow sync.WaitGroup
				for range numPlaces {
					ours, theirs := net.Pipe()
					ln.conns <- theirs
					slow.Go(func() { io.Copy(io.Discard, ours) })
					slow.Go(func() {
						_, err := ours.Write([]byte(first))
						for ; err == nil && first != ""; _, err = ours.Write([]byte("E")) {
							time.Sleep(time.Second)
						}
					})
				}
				begin := time.Now()
				ours, theirs := net.Pipe()
				ln.conns <- theirs // when there is room
				go ours.Write([]byte(rawRequest(announceLine, closing)))
				answer, err := io.ReadAll(ours)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
					t.Errorf("%q, %v", answer, err)
				}
				if took := time.Since(begin); took > 2*headerTimeout+time.Second {
					t.Errorf("it was answered after %v", took)
				}
				stop()
				slow.Wait()
			})
		})
	}
}
