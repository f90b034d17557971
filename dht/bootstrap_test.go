package dht

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// A name that cannot be resolved is tried again, ever more seldom, and the
// node joins when that works. With nodes in the table the routers have peace.
func TestBootstrapBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		var mu sync.Mutex
		var tries []time.Duration
		var works bool
		begin := time.Now()
		cfg, _ := Config{Bootstrap: []string{"node0:6881"}}.withDefaults()
		s := start(cfg, []socket{net.socket(fakeAddr(1))}, func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Since(begin))
			if !works {
				return nil, errNoName
			}
			return net.resolve(ctx, network, host)
		})
		defer closeServer(t, s)

		time.Sleep(time.Minute)
		mu.Lock()
		want := []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second}
		if !slices.Equal(tries, want) {
			t.Errorf("resolved after %v, want %v", tries, want)
		}
		works = true
		mu.Unlock()
		<-s.Ready()
		synctest.Wait()
		numTries := len(tries)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(tries) != numTries {
			t.Errorf("%d more tries after the node had joined", len(tries)-numTries)
		}
	})
}

// A name that the user chose is reported when it cannot be resolved, once: it may
// be misspelt. The routers are not, and neither is what a torrent names.
func TestBootstrapNameIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		DefaultRouters = []string{"router:6881"}
		defer func() { DefaultRouters = nil }()
		net := newEther()
		var log bytes.Buffer
		s := net.fakeServer(t, 0, Config{
			Bootstrap: []string{"misspelt:6881", "router:6881"}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		s.AddHosts([]string{"of-a-torrent:6881"})
		time.Sleep(time.Minute)
		closeServer(t, s)
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "WARN") || !strings.Contains(got, "misspelt:6881") {
			t.Errorf("the log:\n%s", got)
		}
	})
}

// A name whose resolver never answers delays nobody, not even Close.
func TestResolverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		cfg, _ := Config{Bootstrap: []string{"slow:1", "node0:6881"}}.withDefaults()
		s := start(cfg, []socket{net.socket(fakeAddr(1))}, func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			if host == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return net.resolve(ctx, network, host)
		})
		if took := elapsed(func() { <-s.Ready() }); took > time.Second {
			t.Errorf("joined after %v", took)
		}
		if took := elapsed(func() { closeServer(t, s) }); took > 0 {
			t.Errorf("closed after %v", took)
		}
	})
}

// A lookup does not end for want of somebody to ask while a name is resolved,
// and does not wait until the node has joined either.
func TestLookupWaitsForBootstrapNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		const resolving = 700 * time.Millisecond
		cfg, _ := Config{Bootstrap: []string{"node0:6881"}}.withDefaults()
		s := start(cfg, []socket{net.socket(fakeAddr(1))}, func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			time.Sleep(resolving)
			return net.resolve(ctx, network, host)
		})
		defer closeServer(t, s)
		req := node.Request{Method: krpc.GetPeers, Target: krpc.ID{1}}
		ctx, cancel := context.WithTimeout(t.Context(), resolving/2)
		defer cancel()
		if _, err := s.Lookup(ctx, req, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled while the name is resolved: %v", err)
		}
		result, err := s.Lookup(t.Context(), req, nil)
		if err != nil || len(result.Closest) != 1 || result.Closest[0].Addr != fakeAddr(0) {
			t.Errorf("found %v, %v; want the bootstrap node", result.Closest, err)
		}
	})
}

// What waits to be resolved is bounded, and what is no HOST:PORT is left out.
func TestAddHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		s := net.fakeServer(t, 1, Config{Bootstrap: []string{}})
		s.AddHosts([]string{"", "x", "node0", "node0:", "node0:0", "node0:65536", "[::1", "nowhere:1", "0.0.0.0:1", "255.255.255.255:6881", "224.0.0.1:1"})
		s.AddHosts(slices.Repeat([]string{"nowhere:1"}, 10_000))
		synctest.Wait()
		s.AddHosts([]string{"node0:6881"})
		if took := elapsed(func() { <-s.Ready() }); took > time.Second {
			t.Errorf("joined after %v", took)
		}
	})
}

// A node that has saved ones joins through them, without routers.
func TestSavedNodesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		servers := net.fakeNetwork(t, 12)
		file := filepath.Join(t.TempDir(), "dht.state")
		first := net.fakeServer(t, 100, Config{StateFile: file, Bootstrap: []string{"node0:6881"}})
		<-first.Ready()
		time.Sleep(time.Minute) // fills the table
		id := first.Stats().ID
		closeServer(t, first)

		router := fakeAddr(200)
		again := net.fakeServer(t, 100, Config{StateFile: file, Bootstrap: []string{router.String()}})
		if took := elapsed(func() { <-again.Ready() }); took > savedHeadStart {
			t.Errorf("joined after %v", took)
		}
		time.Sleep(10 * time.Minute)
		if stats := again.Stats(); stats.ID != id || stats.IPv4.NumNodes < len(servers)/2 {
			t.Errorf("restored as %v with %d nodes; was %v", stats.ID, stats.IPv4.NumNodes, id)
		}
		if net.sentTo(router) > 0 {
			t.Errorf("the router got %d packets", net.sentTo(router))
		}
	})
}

// When all saved nodes are gone, the routers help.
func TestSavedNodesGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeServer(t, 0, Config{Bootstrap: []string{}})
		file := filepath.Join(t.TempDir(), "dht.state")
		saved := state{id: krpc.ID{1}}
		for i := range 300 {
			saved.nodes = append(saved.nodes, krpc.Node{ID: krpc.ID{byte(i), byte(i >> 8), 1}, Addr: fakeAddr(1000 + i)})
		}
		if err := writeFile(file, appendState(nil, saved)); err != nil {
			t.Fatal(err)
		}
		s := net.fakeServer(t, 1, Config{StateFile: file, Bootstrap: []string{"node0:6881"}})
		took := elapsed(func() { <-s.Ready() })
		if took < savedHeadStart || took > 2*savedHeadStart {
			t.Errorf("joined after %v", took)
		}
	})
}

// Nobody may tell a node on a loopback address to bother the world.
func TestBootstrapDefaults(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, DefaultRouters},
		{Config{Bind: netip.MustParseAddr("192.0.2.1")}, DefaultRouters},
		{Config{Bind: loopback4}, nil},
		{Config{Bind: netip.MustParseAddr("127.9.9.9")}, nil},
		{Config{Bind: netip.MustParseAddr("::ffff:127.0.0.1")}, nil},
		{Config{Bind: loopback6}, nil},
		{Config{Bootstrap: []string{}}, nil},
		{Config{Bind: loopback4, Bootstrap: []string{"127.0.0.1:1"}}, []string{"127.0.0.1:1"}},
	} {
		got, err := test.cfg.withDefaults()
		if err != nil || !slices.Equal(got.Bootstrap, test.want) {
			t.Errorf("%+v: contacts %v, %v; want %v", test.cfg, got.Bootstrap, err, test.want)
		}
	}
}

// A configuration that cannot work is refused.
func TestConfigErrors(t *testing.T) {
	for _, cfg := range []Config{
		{Bind: loopback4, Port: -1}, {Bind: loopback4, Port: 65536},
		{Bind: loopback4, Version: "SH000"}, {Bind: loopback4, MaxLookups: -1}, {Bind: loopback4, MaxLookups: 1000},
		{Bind: loopback4, Bootstrap: []string{"router"}},
		{Bind: netip.MustParseAddr("192.0.2.1"), Bootstrap: []string{}}, // not an address of this machine
	} {
		if s, err := New(cfg); err == nil {
			closeServer(t, s)
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
