package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/shoal-bt/shoal/tracker/certs"
)

// listenTLS has the tracker answer over HTTPS, too, if the settings want it.
func (n *trackerNode) listenTLS(ctx context.Context) error {
	r := n.run
	if r.https == "" {
		return nil
	}
	ln, err := listenTCP(ctx, "--https", r.https)
	if err != nil {
		return err
	}
	cfg, err := n.certificates(ctx, ln)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	n.tracker.serveTLS(ln, cfg)
	n.e.tellListening("tracker-tls", ln.Addr().(*net.TCPAddr).AddrPort())
	return nil
}

// certificates are those of the files, or of an authority, which connects to ln.
func (n *trackerNode) certificates(ctx context.Context, ln net.Listener) (cfg *tls.Config, err error) {
	r := n.run
	if r.tlsCert != "" {
		if n.files, err = certs.LoadFiles(r.tlsCert, r.tlsKey); err != nil {
			return nil, err
		}
		return n.files.TLSConfig(), nil
	}
	acme := r.acme
	acme.Listen, acme.Logger = ln.Addr().(*net.TCPAddr).AddrPort(), n.log
	if n.acme, err = certs.NewACME(ctx, acme); err != nil {
		return nil, err
	}
	return n.acme.TLSConfig(), nil
}
