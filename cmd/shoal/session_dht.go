package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"github.com/shoal-bt/shoal/dht"
)

// openDHT starts the DHT node that the session's torrents share, unless none of
// them may use one. Without a node the session goes on: there are trackers.
func (s *session) openDHT() {
	if s.conn.noDHT || !slices.ContainsFunc(s.transfers, func(t *transfer) bool { return !t.isPrivate() }) {
		return
	}
	cfg := s.dhtConfig()
	server, err := dht.New(cfg)
	if errors.Is(err, syscall.EADDRINUSE) { // TCP and UDP ports are given out independently
		cfg.Port = 0
		server, err = dht.New(cfg)
	}
	if err != nil {
		s.e.logf("going on without the DHT: %s", printable(err.Error()))
		return
	}
	s.dht = server
	s.client.UseDHT(server.Port(), func(addr netip.AddrPort) { server.AddNodes([]netip.AddrPort{addr}) })
}

// dhtConfig is that of a node beside the client: on the same port, which is the
// only one that people open in a firewall.
func (s *session) dhtConfig() dht.Config {
	cfg := dht.Config{Bind: s.conn.bindAddr, Port: s.client.Port(), Bootstrap: s.conn.bootstrap, Logger: newLogger(s.notes.add)}
	// Another network's nodes must not get into the file of the public one.
	if len(s.conn.bootstrap) == 0 && !s.conn.bindAddr.IsLoopback() {
		cfg.StateFile = defaultDHTState()
	}
	return cfg
}

func (s *session) closeDHT(ctx context.Context) {
	if s.dht == nil {
		return
	}
	if err := s.dht.Close(ctx); err != nil {
		s.e.logf("stopping the DHT node: %s", printable(err.Error()))
	}
}
