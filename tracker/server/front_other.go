//go:build !linux

package server

import (
	"context"
	"net"
)

// acceptAll serves the connections of ln, which it closes, until ctx ends.
func (f *front) acceptAll(ctx context.Context, ln net.Listener) error { return f.accept(ctx, ln) }
