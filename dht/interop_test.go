package dht_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	anacrolix "github.com/anacrolix/dht/v2"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"golang.org/x/time/rate"

	"github.com/shoal-bt/shoal/dht"
)

// tooLong is when a test that waits for something gives up.
const tooLong = 30 * time.Second

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	tb.Cleanup(cancel)
	return ctx
}

// startShoal starts a node that joins through others, and nobody else.
func startShoal(tb testing.TB, cfg dht.Config, others ...netip.AddrPort) *dht.Server {
	tb.Helper()
	cfg.Bootstrap = []string{}
	for _, other := range others {
		cfg.Bootstrap = append(cfg.Bootstrap, other.String())
	}
	s, err := dht.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(testContext(tb)); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// startNetwork starts nodes that have joined through the first of them.
func startNetwork(tb testing.TB, bind netip.Addr, count int) []*dht.Server {
	tb.Helper()
	servers := []*dht.Server{startShoal(tb, dht.Config{Bind: bind})}
	for range count - 1 {
		servers = append(servers, startShoal(tb, dht.Config{Bind: bind}, servers[0].Addrs()[0]))
	}
	for _, s := range servers {
		select {
		case <-s.Ready():
		case <-testContext(tb).Done():
			tb.Fatal("a node does not join")
		}
	}
	return servers
}

// startAnacrolix starts a node of the other make that joins through Shoal's.
func startAnacrolix(tb testing.TB, bind netip.Addr, others ...netip.AddrPort) *anacrolix.Server {
	tb.Helper()
	conn, err := net.ListenPacket("udp", netip.AddrPortFrom(bind, 0).String())
	if err != nil {
		tb.Fatal(err)
	}
	cfg := anacrolix.NewDefaultServerConfig()
	cfg.Conn = conn
	cfg.NoSecurity = true
	cfg.SendLimiter = rate.NewLimiter(rate.Inf, 0)
	cfg.PeerStore = new(peer_store.InMemory)
	cfg.StartingNodes = func() (addrs []anacrolix.Addr, err error) {
		for _, other := range others {
			addrs = append(addrs, anacrolix.NewAddr(net.UDPAddrFromAddrPort(other)))
		}
		return addrs, nil
	}
	s, err := anacrolix.NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	if _, err := s.Bootstrap(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func addrOf(s *anacrolix.Server) netip.AddrPort {
	return s.Addr().(*net.UDPAddr).AddrPort()
}

// awaitNodes waits until a node knows enough others.
func awaitNodes(tb testing.TB, numNodes func() int, want int) {
	tb.Helper()
	ctx := testContext(tb)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for numNodes() < want {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("only %d of %d nodes are known", numNodes(), want)
		}
	}
}
