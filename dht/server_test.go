package dht

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

var hash1 = krpc.ID{1, 2, 3}

// newTestNetwork returns nodes that have joined through the first of them.
func newTestNetwork(tb testing.TB, count int, cfg Config) []*Server {
	tb.Helper()
	servers := []*Server{newTestServer(tb, cfg)}
	for range count - 1 {
		servers = append(servers, newTestServer(tb, cfg, servers[0].Addrs()[0].String()))
	}
	for _, s := range servers {
		await(tb, "a node to join", s.Ready())
	}
	return servers
}

// Nodes on real sockets join, announce and find each other's peers.
func TestNetwork(t *testing.T) {
	servers := newTestNetwork(t, 8, Config{})
	result, err := servers[3].Lookup(testContext(t), node.Request{Method: krpc.GetPeers, Target: hash1, Store: true, Port: 4711}, nil)
	if err != nil || result.Stored == 0 {
		t.Fatalf("announce: %+v, %v", result, err)
	}
	var found []netip.AddrPort
	_, err = servers[6].Lookup(testContext(t), node.Request{Method: krpc.GetPeers, Target: hash1}, func(_ netip.AddrPort, r node.Reply) {
		found = append(found, r.Peers...)
	})
	if want := netip.AddrPortFrom(loopback4, 4711); err != nil || !slices.Contains(found, want) {
		t.Errorf("found %v, %v; want %v", found, err, want)
	}
}
