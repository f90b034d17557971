package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listenTCP listens on the address of a flag.
func listenTCP(ctx context.Context, flag, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use; choose another address with %s", addr, flag)
	}
	return ln, err
}

// listenPrivately is listenTCP, but a port alone is one of the loopback
// interface: what is served there is nobody else's business.
func listenPrivately(ctx context.Context, flag, addr string) (net.Listener, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return listenTCP(ctx, flag, addr)
}
