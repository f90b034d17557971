package server

import (
	"context"
	"io"
	"net"
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
		ctx, cancel := context.WithCancel(t.Context())
		ln := &pipeListener{fakeListener{make(chan struct{})}, make(chan net.Conn)}
		ended := make(chan error)
		go func() { ended <- newServer(t, Config{}).Run(ctx, ln) }()
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
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
