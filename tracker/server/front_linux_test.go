package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// An answer that does not fit into the socket's buffer is finished when the
// client has made room.
func TestSlowReadersGetTheWholeAnswer(t *testing.T) {
	const small = 4096 // bytes; the kernel takes some more
	shrink := func(option int) func(string, string, syscall.RawConn) error {
		return func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, small) })
			return err
		}
	}
	listen := net.ListenConfig{Control: shrink(unix.SO_SNDBUF)}
	ln, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const numPeers = 5000
	s := newServer(t, Config{NumWant: numPeers, MaxNumWant: numPeers})
	for port := range numPeers {
		get(t, s, "10.0.0.1:1", announceOf(idA, 1+port, "&numwant=0"))
	}
	dial := net.Dialer{Control: shrink(unix.SO_RCVBUF)}
	conn, err := dial.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, rawRequest("GET "+announceOf(idB, 6881, "&compact=0")+" HTTP/1.1", closing))
	// Only now, so that the request comes with the connection.
	serveUntilEnd(t, func(ctx context.Context) error { return s.Run(ctx, ln) })
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(body), "2:ip"); err != nil || n != numPeers || int64(len(body)) != resp.ContentLength {
		t.Errorf("%d peers in %d bytes, %v", n, len(body), err)
	}
}
