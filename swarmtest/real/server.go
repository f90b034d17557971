package real

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// originServer is the origin's server: what is at addr has the origin's links.
type originServer struct {
	class string // of its row
	addr  netip.AddrPort
	up    *rate.Limiter
	stops []func() // in this order
}

func (s *originServer) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

// startOrigin starts nginx if there is one, else a file server. If it ends early, failed is called.
//
// nginx can limit the rate of a connection, and not that of all together. So it is
// behind a relay, which has the links of the origin. They talk over a Unix socket: its buffers are
// small.
func (w *watch) startOrigin(ctx context.Context, failed context.CancelCauseFunc) (*originServer, error) {
	s := &originServer{class: "file server", addr: netip.AddrPortFrom(w.network.host(originHost), originPort), up: newLimiter(w.s.OriginUp())}
	serve := w.serveFiles
	if w.options.Nginx != "" {
		s.class = "nginx"
		behind := &net.UnixAddr{Net: "unix", Name: filepath.Join(w.place.dir, "nginx.socket")}
		nginx, err := w.startNginx(ctx, behind, failed)
		if err != nil {
			return nil, err
		}
		s.stops = append(s.stops, nginx.stop)
		serve = func(ctx context.Context, l net.Listener) (stop func()) { return relay(ctx, l, behind) }
	}
	l, err := net.Listen("tcp", s.addr.String())
	if err != nil {
		s.stop()
		return nil, err
	}
	stop := serve(ctx, &limitedListener{Listener: l, ctx: ctx, up: s.up, down: newLimiter(w.s.Origin.Down * int64(w.s.Origin.Count))})
	s.stops = append([]func(){stop}, s.stops...)
	return s, nil
}

// serveFiles serves the content.
func (w *watch) serveFiles(_ context.Context, l net.Listener) (stop func()) {
	server := &http.Server{Handler: http.FileServer(http.Dir(w.place.origin()))}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) }) // it ends with Close, and then its error says so
	return func() {
		server.Close()
		serving.Wait()
	}
}

// relay passes connections on.
func relay(ctx context.Context, l net.Listener, to net.Addr) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var relaying sync.WaitGroup
	relaying.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed, or out of descriptors: downloads fail, and say so
			}
			relaying.Go(func() { relayOne(ctx, conn, to) })
		}
	})
	return func() {
		cancel()
		l.Close()
		relaying.Wait()
	}
}

// relayOne passes on what comes, either way, until one side closes.
func relayOne(ctx context.Context, near net.Conn, to net.Addr) {
	defer near.Close()
	var dialer net.Dialer
	far, err := dialer.DialContext(ctx, to.Network(), to.String())
	if err != nil {
		return // the client is told by the end of its connection
	}
	defer far.Close()
	group, groupCtx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(groupCtx, func() {
		near.Close()
		far.Close()
	})
	defer stop()
	pass := func(to, from net.Conn) error {
		_, err := io.Copy(to, from)
		return errors.Join(err, io.EOF) // either end is the end
	}
	group.Go(func() error { return pass(far, near) })
	group.Go(func() error { return pass(near, far) })
	group.Wait()
}

// nginxConfig is for one server of files that needs nothing but its folder. It never gives up on
// a connection because the link is slow.
const nginxConfig = `daemon off;
master_process off;
pid %[1]q;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	send_timeout 1d;
	client_body_temp_path %[2]q;
	proxy_temp_path %[2]q;
	fastcgi_temp_path %[2]q;
	uwsgi_temp_path %[2]q;
	scgi_temp_path %[2]q;
	server { listen %[3]q; root %[4]q; }
}
`

func (w *watch) startNginx(ctx context.Context, addr *net.UnixAddr, failed context.CancelCauseFunc) (*service, error) {
	dir := filepath.Join(w.place.dir, "nginx")
	config := filepath.Join(dir, "nginx.conf")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(nginxConfig, filepath.Join(dir, "pid"), filepath.Join(dir, "temp"), "unix:"+addr.Name, w.place.origin())
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		return nil, err
	}
	nginx := process{name: "nginx", argv: []string{w.options.Nginx, "-p", dir, "-e", "stderr", "-c", config}}
	return nginx.serve(ctx, addr, failed)
}
