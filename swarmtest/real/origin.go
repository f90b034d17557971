package real

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shoal-bt/shoal/swarmtest/demand"
	"github.com/shoal-bt/shoal/swarmtest/scenario"
)

// origin has the clients download from the origin alone, by HTTP.
func (w *watch) origin(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	server, err := w.startOrigin(ctx, end)
	if err != nil {
		return err
	}
	defer server.stop()
	w.addServer(server.class, w.s.OriginUp(), w.s.Origin.Down)
	for i := range w.clients {
		w.addClient(&w.clients[i])
	}
	w.begin()
	forfeit(server.up) // since it was made
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range w.clients {
		group.Go(func() error { return w.download(groupCtx, 1+i, &w.clients[i], server) })
	}
	group.Go(func() error { return w.observe(groupCtx) })
	group.Go(func() error { return w.awaitOver(groupCtx, end) })
	err = group.Wait()
	if cause := context.Cause(ctx); err == nil && failed(cause) {
		err = cause // of nginx
	}
	return err
}

// failed reports whether a run was ended by something that went wrong.
func failed(cause error) bool {
	return cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded)
}

// download is a client that downloads all from the origin, and leaves.
func (w *watch) download(ctx context.Context, i int, c *demand.Client, server *originServer) error {
	if !w.wait(ctx, c.Join) {
		return nil
	}
	w.join(i)
	alive, giveUp := ctx, context.CancelFunc(func() {})
	if c.GiveUp != scenario.Forever {
		alive, giveUp = context.WithDeadline(ctx, w.start.Add(c.GiveUp))
	}
	defer giveUp()
	err := w.fetch(alive, i, c, server)
	if alive.Err() != nil {
		err = nil // it was ended
	}
	w.leave(ctx, i)
	if err != nil {
		return fmt.Errorf("client %d: %w", i, err)
	}
	return nil
}

func (w *watch) fetch(ctx context.Context, i int, c *demand.Client, server *originServer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.addr.String()+"/"+contentName, nil)
	if err != nil {
		return err
	}
	transport := w.transport(ctx, w.network.host(firstPeer+i), c.Down)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the origin answers %s", response.Status)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(hash, counter{w, 0, i}), response.Body)
	switch {
	case err != nil:
		return err
	case n != w.place.length || [sha256.Size]byte(hash.Sum(nil)) != w.place.sum:
		return errors.New("the origin sent something else than the content")
	}
	w.complete(i)
	return nil
}

// counter counts the bytes that the server sends to a client.
type counter struct {
	watch      *watch
	server, to int
}

func (c counter) Write(p []byte) (int, error) {
	c.watch.change(c.to, func(row *row, _ time.Duration) {
		row.Down += int64(len(p))
		c.watch.rows[c.server].Up += int64(len(p))
	})
	return len(p), nil
}

// transport makes connections from one address, with a downlink.
func (w *watch) transport(ctx context.Context, from netip.Addr, down int64) *http.Transport {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return &http.Transport{
		DisableCompression: true, DisableKeepAlives: true,
		DialContext: func(dialCtx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(dialCtx, network, addr)
			if err != nil {
				return nil, err
			}
			return newLimited(ctx, conn, newLimiter(scenario.Unlimited), newLimiter(down)), nil
		},
	}
}
