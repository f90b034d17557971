package real

import (
	"context"
	"net"
	"time"

	"golang.org/x/time/rate"

	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

const (
	// chunkLen is how much a connection sends or takes at a time: those that share
	// a link take turns of it, as they do with blocks in the simulator.
	chunkLen = 16 << 10
	// sendBuffer keeps what was sent and not taken small. The kernel would grow it to
	// megabytes, and a sender would be ahead of its receivers by that.
	sendBuffer = 4 * chunkLen
)

// catchUp is how long a busy machine may keep us from using a link before what it could have
// carried is lost. It is that of the client's own limits (peer/quota).
const catchUp = 250 * time.Millisecond

// newLimiter returns the limiter of a link in one direction, which has carried nothing before: since
// then it never carries more than its rate allows, though it catches up.
func newLimiter(bytesPerSec int64) *rate.Limiter {
	if bytesPerSec == scenario.Unlimited {
		return rate.NewLimiter(rate.Inf, 0)
	}
	late := int64(float64(bytesPerSec) * catchUp.Seconds())
	l := rate.NewLimiter(rate.Limit(bytesPerSec), int(max(chunkLen, late)))
	forfeit(l)
	return l
}

// forfeit leaves a link nothing to catch up.
func forfeit(l *rate.Limiter) {
	now := time.Now()
	l.AllowN(now, int(min(l.TokensAt(now), float64(l.Burst()))))
}

// limited is a connection over links, which others may share. Waiting for them ends with ctx.
type limited struct {
	net.Conn
	ctx      context.Context
	up, down *rate.Limiter
}

func newLimited(ctx context.Context, conn net.Conn, up, down *rate.Limiter) *limited {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer)
	}
	return &limited{conn, ctx, up, down}
}

func (c *limited) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), chunkLen)])
	if n > 0 {
		if waitErr := c.down.WaitN(c.ctx, n); waitErr != nil {
			return 0, waitErr
		}
	}
	return n, err
}

func (c *limited) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		chunk := p[:min(len(p), chunkLen)]
		if err := c.up.WaitN(c.ctx, len(chunk)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(chunk)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// limitedListener accepts connections that share an uplink and a downlink.
type limitedListener struct {
	net.Listener
	ctx      context.Context
	up, down *rate.Limiter
}

func (l *limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newLimited(l.ctx, conn, l.up, l.down), nil
}
