package dht

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

var hash1 = krpc.ID{1, 2, 3}

// newTestNetwork returns nodes that know each other.
func newTestNetwork(tb testing.TB, count int, cfg Config) []*Server {
	tb.Helper()
	servers := []*Server{newTestServer(tb, cfg)}
	for range count - 1 {
		servers = append(servers, newTestServer(tb, cfg, servers[0].Addrs()[0].String()))
	}
	for i, s := range servers {
		await(tb, "a node to join", s.Ready())
		var others []netip.AddrPort
		for _, other := range slices.Delete(slices.Clone(servers), i, i+1) {
			others = append(others, other.Addrs()[0])
		}
		eventually(tb, "a node to know the others", func() bool {
			s.AddNodes(others)
			stats := s.Stats()
			return stats.IPv4.NumNodes+stats.IPv6.NumNodes >= len(others)
		})
	}
	return servers
}

// forEachFamily runs a test over IPv4 and over IPv6.
func forEachFamily(t *testing.T, test func(t *testing.T, bind netip.Addr)) {
	for name, bind := range map[string]netip.Addr{"IPv4": loopback4, "IPv6": loopback6} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", netip.AddrPortFrom(bind, 0).String())
			if err != nil {
				t.Skipf("this machine has no %v: %v", bind, err)
			}
			conn.Close()
			test(t, bind)
		})
	}
}

// Nodes on real sockets join, announce and find each other's peers.
func TestNetwork(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		servers := newTestNetwork(t, 8, Config{Bind: bind})
		result, err := servers[3].Lookup(testContext(t), node.Request{Method: krpc.GetPeers, Target: hash1, Store: true, Port: 4711}, nil)
		if err != nil || result.Stored == 0 {
			t.Fatalf("announce: %+v, %v", result, err)
		}
		var found []netip.AddrPort
		_, err = servers[6].Lookup(testContext(t), node.Request{Method: krpc.GetPeers, Target: hash1}, func(_ netip.AddrPort, r node.Reply) {
			found = append(found, r.Peers...)
		})
		if want := netip.AddrPortFrom(bind, 4711); err != nil || !slices.Contains(found, want) {
			t.Errorf("found %v, %v; want %v", found, err, want)
		}
	})
}

// A node on every interface has a socket for each family, at one port, and
// each answers in its own.
func TestBothFamilies(t *testing.T) {
	s, err := New(Config{Bootstrap: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, s)
	addrs := s.Addrs()
	if len(addrs) != 2 {
		t.Skipf("this machine has one family only: %v", addrs)
	}
	if addrs[0].Port() != addrs[1].Port() || int(addrs[0].Port()) != s.Port() || !addrs[0].Addr().Is4() || !addrs[1].Addr().Is6() {
		t.Errorf("listens at %v, port %d", addrs, s.Port())
	}
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		asker := newTestServer(t, Config{Bind: bind})
		to := netip.AddrPortFrom(bind, uint16(s.Port()))
		answer, _, err := asker.Query(testContext(t), to, krpc.Message{Method: krpc.Ping})
		if err != nil || answer.ID != s.Stats().ID || answer.External != asker.Addrs()[0] {
			t.Errorf("%+v, %v", answer, err)
		}
	})
	stats := s.Stats()
	if !stats.IPv4.On || !stats.IPv6.On {
		t.Errorf("%+v", stats)
	}
}

// One port in use is an error that says which.
func TestPortTaken(t *testing.T) {
	s := newTestServer(t, Config{})
	other, err := New(Config{Bind: loopback4, Port: s.Port()})
	if err == nil {
		closeServer(t, other)
	}
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(s.Port())) {
		t.Error(err)
	}
}

// A query is answered by what the other node says, error or not.
func TestQuery(t *testing.T) {
	a, b := newTestServer(t, Config{}), newTestServer(t, Config{})
	answer, rtt, err := a.Query(testContext(t), b.Addrs()[0], krpc.Message{Method: krpc.GetPeers, Target: hash1})
	if err != nil || answer.ID != b.Stats().ID || len(answer.Token) == 0 || rtt <= 0 {
		t.Errorf("%+v after %v, %v", answer, rtt, err)
	}
	_, _, err = a.Query(testContext(t), b.Addrs()[0], krpc.Message{Method: krpc.AnnouncePeer, Target: hash1, Port: 1, Token: []byte("forged")})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != krpc.CodeProtocol || !strings.Contains(refused.Text, "token") {
		t.Errorf("a forged token: %v", err)
	}
	if stats := a.Stats(); stats.Counts.QueriesOut[krpc.GetPeers] != 1 || stats.Counts.QueriesOut[krpc.AnnouncePeer] != 1 {
		t.Errorf("%+v", stats.Counts)
	}
}

// A query that nobody answers ends after five seconds; its context may end it
// before.
func TestQuerySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newEther().fakeServer(t, 1, Config{Bootstrap: []string{}})
		took := elapsed(func() {
			if _, _, err := s.Query(t.Context(), fakeAddr(7), krpc.Message{Method: krpc.Ping}); !errors.Is(err, ErrSilent) {
				t.Error(err)
			}
		})
		if took != 5*time.Second {
			t.Errorf("silent after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := s.Query(ctx, fakeAddr(7), krpc.Message{Method: krpc.Ping}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// More queries and lookups than may run at a time wait for their turn.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeNetwork(t, 10)
		s := net.fakeServer(t, 50, Config{Bootstrap: []string{"node0:6881"}, MaxLookups: 3, MaxQueries: -1})
		<-s.Ready()
		net.mu.Lock()
		net.lost = func(from, to netip.AddrPort) bool { return to == fakeAddr(50) } // everybody falls silent
		net.mu.Unlock()
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() {
				if _, err := s.Lookup(t.Context(), node.Request{Method: krpc.FindNode, Target: krpc.ID{byte(i)}}, nil); err != nil {
					t.Error(err)
				}
			})
		}
		for range 5 * node.MaxAsking {
			calls.Go(func() {
				if _, _, err := s.Query(t.Context(), fakeAddr(1), krpc.Message{Method: krpc.Ping}); !errors.Is(err, ErrSilent) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if stats := s.Stats(); stats.Lookups != 3 || stats.WaitingLookups != 17 {
			t.Errorf("%d lookups run and %d wait", stats.Lookups, stats.WaitingLookups)
		}
		if took := elapsed(calls.Wait); took < 5*5*time.Second {
			t.Errorf("all was over after %v", took)
		}
		if stats := s.Stats(); stats.Lookups != 0 || stats.WaitingLookups != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// A context ends its lookup, running or waiting, and nothing else.
func TestLookupCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		s := net.fakeServer(t, 1, Config{Bootstrap: []string{}, MaxLookups: 1})
		s.AddNodes([]netip.AddrPort{fakeAddr(9)}) // silent
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var calls sync.WaitGroup
		for range 2 { // one of them waits
			calls.Go(func() {
				if _, err := s.Lookup(short, node.Request{Method: krpc.GetPeers, Target: hash1}, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		if took := elapsed(calls.Wait); took != time.Second/2 {
			t.Errorf("cancelled after %v", took)
		}
		if stats := s.Stats(); stats.Lookups != 0 {
			t.Errorf("%d lookups run on", stats.Lookups)
		}
		if _, err := s.Lookup(t.Context(), node.Request{Method: krpc.GetPeers, Target: hash1}, nil); err != nil {
			t.Error(err)
		}
	})
}

// Close ends every call that waits, and what comes after it fails.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		s := net.fakeServer(t, 1, Config{Bootstrap: []string{}, MaxLookups: 1})
		s.AddNodes([]netip.AddrPort{fakeAddr(9)}) // silent
		calls := map[string]func() error{
			"lookup": func() error {
				_, err := s.Lookup(t.Context(), node.Request{Method: krpc.GetPeers, Target: hash1}, nil)
				return err
			},
			"query": func() error {
				_, _, err := s.Query(t.Context(), fakeAddr(9), krpc.Message{Method: krpc.Ping})
				return err
			},
			"announce": func() error { return s.Announce(t.Context(), AnnounceConfig{Port: 1}) },
		}
		var waiting sync.WaitGroup
		for name, call := range calls {
			for range 3 {
				waiting.Go(func() {
					if err := call(); !errors.Is(err, ErrClosed) {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
		}
		synctest.Wait()
		if took := elapsed(func() { closeServer(t, s); waiting.Wait() }); took > 0 {
			t.Errorf("closed after %v", took)
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		s.AddNodes([]netip.AddrPort{fakeAddr(9)})
		s.AddHosts([]string{"node9:1"})
		if stats := s.Stats(); stats.Out.Packets == 0 {
			t.Errorf("the last statistics are gone: %+v", stats)
		}
	})
}

// A caller that is slow to take what is found holds up nobody.
func TestSlowCaller(t *testing.T) {
	servers := newTestNetwork(t, 4, Config{})
	req := node.Request{Method: krpc.GetPeers, Target: hash1, Store: true, Port: 4711}
	if _, err := servers[0].Lookup(testContext(t), req, nil); err != nil {
		t.Fatal(err)
	}
	s, calls := servers[1], 0
	_, err := s.Lookup(testContext(t), node.Request{Method: krpc.GetPeers, Target: hash1}, func(netip.AddrPort, node.Reply) {
		calls++
		if _, err := s.Lookup(testContext(t), node.Request{Method: krpc.FindNode, Target: hash1}, nil); err != nil {
			t.Error(err)
		}
	})
	if err != nil || calls == 0 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// Reads and sends that fail do not end the node, and it does not spin.
func TestNetworkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		s := net.fakeServer(t, 1, Config{Bootstrap: []string{}})
		socket := s.endpoints[0].socket.(*fakeSocket)
		for range cap(socket.failures) {
			socket.failures <- errDown
		}
		synctest.Wait()
		if left := len(socket.failures); left < cap(socket.failures)-2 {
			t.Errorf("%d reads failed at once", cap(socket.failures)-left)
		}
		s.AddNodes([]netip.AddrPort{fakeAddr(77)}) // unreachable
		s.AddNodes([]netip.AddrPort{fakeAddr(0)})
		<-s.Ready()
		synctest.Wait()
		if dropped := s.Stats().Dropped; dropped.SendFailed == 0 || dropped.ReadFailures == 0 {
			t.Errorf("%+v", dropped)
		}
	})
}

// The answer to a packet for a port where nobody listens (ICMP) harms neither
// the socket nor the packets behind it.
func TestPortUnreachable(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		gone := newTestServer(t, Config{Bind: bind})
		addr := gone.Addrs()[0]
		closeServer(t, gone)
		s, other := newTestServer(t, Config{Bind: bind}), newTestServer(t, Config{Bind: bind})
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, _, err := s.Query(ctx, addr, krpc.Message{Method: krpc.Ping})
				done <- err
			}()
			if _, _, err := s.Query(testContext(t), other.Addrs()[0], krpc.Message{Method: krpc.Ping}); err != nil {
				t.Error(err)
			}
			cancel()
			<-done
		}
	})
}

// Whatever arrives, the next query is answered. Every packet is counted.
func TestHostilePackets(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		s := newTestServer(t, Config{Bind: bind})
		conn, err := net.Dial("udp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		valid := (&krpc.Message{Kind: krpc.Query, Transaction: []byte("aa"), Method: krpc.GetPeers, Target: hash1}).Append(nil)
		hostile := [][]byte{
			{}, []byte("d"), []byte("de"), []byte("i1e"), []byte(strings.Repeat("l", maxPacketLen)), []byte("d1:y1:q1:t2:aa1:q13:announce_peere"),
			[]byte("9999999999:"), make([]byte, maxPacketLen), make([]byte, maxPacketLen+1), make([]byte, 60_000),
		}
		for cut := range valid {
			hostile = append(hostile, valid[:cut])
		}
		buf := make([]byte, 2*maxPacketLen)
		for _, packet := range hostile {
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
			// The valid one behind it keeps the buffers from running over.
			conn.Write(valid)
			conn.SetReadDeadline(time.Now().Add(tooLong))
			for {
				n, err := conn.Read(buf)
				if err != nil {
					t.Fatalf("after %q: %v", packet, err)
				}
				if strings.HasSuffix(string(buf[:n]), "1:y1:re") {
					break
				}
			}
		}
		stats := s.Stats()
		if want := uint64(2 * len(hostile)); stats.In.Packets != want || stats.Dropped.TooLong != 2 {
			t.Errorf("%d packets arrived, want %d; %+v", stats.In.Packets, want, stats.Dropped)
		}
		if want := uint64(len(hostile) - 2); stats.Counts.Malformed != want {
			t.Errorf("%d were malformed, want %d", stats.Counts.Malformed, want)
		}
	})
}

// Serving a packet allocates nothing, from the batch that a socket filled to
// the batch that it sends.
func TestServeAllocations(t *testing.T) {
	s := newTestServer(t, Config{MaxReplies: -1})
	closeServer(t, s) // its loop is ours now
	l, e := &s.loop, s.endpoints[0]
	for len(e.free) > 0 {
		<-e.free
	}
	b, query := newBatch(), krpc.Message{Kind: krpc.Query, Transaction: []byte("aa"), Method: krpc.GetPeers}
	packet, i := []byte(nil), 0
	allocs := testing.AllocsPerRun(1000, func() {
		b.num = 0
		for !b.full() {
			i++
			query.Target = krpc.ID{byte(i), byte(i >> 8)}
			packet = query.Append(packet[:0])
			b.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}), 6881), packet)
		}
		l.handle(arrival{e, b})
		<-e.free
		if e.out.num == 0 {
			t.Fatal("no answers")
		}
		e.out.num = 0
	})
	if allocs > 0 {
		t.Errorf("%v allocations in %d packets", allocs, batchLen)
	}
}

// Statistics tell the table by bucket.
func TestStats(t *testing.T) {
	servers := newTestNetwork(t, 6, Config{})
	stats := servers[2].Stats()
	sum := 0
	for _, count := range stats.IPv4.Buckets {
		sum += count
	}
	if !stats.Ready || sum == 0 || sum != stats.IPv4.NumNodes || stats.IPv6.On {
		t.Errorf("%+v", stats)
	}
	if stats.In.Packets == 0 || stats.Out.Bytes == 0 || stats.Counts.QueriesOut[krpc.FindNode] == 0 {
		t.Errorf("%+v", stats)
	}
}
