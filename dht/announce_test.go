package dht

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo"
)

// announceTest is an Announce in a network of fake nodes, and the times of
// its rounds.
type announceTest struct {
	server *Server
	others []*Server
	begin  time.Time
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	rounds []time.Duration
	found  []netip.AddrPort
	isSeed bool
}

// startAnnounce adds to cfg what records the rounds. Every node is one of the
// eight closest to everything, so that each hears of each announce.
func startAnnounce(t *testing.T, cfg AnnounceConfig) *announceTest {
	net := newEther()
	a := &announceTest{others: net.fakeNetwork(t, 8), begin: time.Now(), done: make(chan error, 1)}
	a.server = net.fakeServer(t, 50, Config{Bootstrap: []string{"node0:6881"}})
	ctx, cancel := context.WithCancel(t.Context())
	a.cancel = cancel
	cfg.InfoHash, cfg.Port = metainfo.InfoHash(hash1), 4711
	cfg.Seed = func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.rounds = append(a.rounds, time.Since(a.begin))
		return a.isSeed
	}
	cfg.Found = func(peers []netip.AddrPort) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.found = append(a.found, peers...)
	}
	go func() { a.done <- a.server.Announce(ctx, cfg) }()
	return a
}

// stop ends the Announce.
func (a *announceTest) stop(t *testing.T) {
	a.cancel()
	if err := <-a.done; err != nil {
		t.Error(err)
	}
}

// takeRounds returns the times of the rounds so far, and forgets them.
func (a *announceTest) takeRounds() []time.Duration {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	rounds := a.rounds
	a.rounds = nil
	return rounds
}

// lookUp finds the peers of the torrent from another node.
func (a *announceTest) lookUp(t *testing.T, noSeed bool) (peers []netip.AddrPort) {
	req := node.Request{Method: krpc.GetPeers, Target: hash1, NoSeed: noSeed}
	if _, err := a.others[5].Lookup(t.Context(), req, func(_ netip.AddrPort, r node.Reply) { peers = append(peers, r.Peers...) }); err != nil {
		t.Error(err)
	}
	return peers
}

// A torrent is announced at once and then every 15 minutes. In the beginning
// it finds nobody, and so tries again soon.
func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAnnounce(t, AnnounceConfig{})
		time.Sleep(30 * time.Second)
		if rounds := a.takeRounds(); len(rounds) != 1 || rounds[0] > time.Second {
			t.Errorf("rounds at %v", rounds)
		}
		if peers := a.lookUp(t, false); !slices.Contains(peers, netip.AddrPortFrom(fakeAddr(50).Addr(), 4711)) {
			t.Errorf("others find %v", peers)
		}
		time.Sleep(time.Hour) // our own announce is found by the second round
		rounds := a.takeRounds()
		if len(rounds) < 4 || len(rounds) > 6 || rounds[0] > 61*time.Second {
			t.Fatalf("rounds at %v", rounds)
		}
		for i, at := range rounds[1:] {
			if gap := at - rounds[i]; gap < 13*time.Minute || gap > 17*time.Minute {
				t.Errorf("%v between two rounds", gap)
			}
		}
		a.stop(t)
	})
}

// Rounds that find nobody come ever more seldom.
func TestAnnounceBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newEther()
		net.fakeNetwork(t, 3)
		s := net.fakeServer(t, 50, Config{Bootstrap: []string{"node0:6881"}})
		begin, rounds := time.Now(), []time.Duration(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := s.Announce(ctx, AnnounceConfig{InfoHash: metainfo.InfoHash(hash1), Seed: func() bool {
			rounds = append(rounds, time.Since(begin).Round(time.Minute))
			return false
		}})
		want := []time.Duration{0, 1, 3, 7, 15}
		for i := range want {
			want[i] *= time.Minute
		}
		if err != nil || len(rounds) < 6 || !slices.Equal(rounds[:5], want) {
			t.Errorf("rounds at %v, want %v and then about every 15 minutes; %v", rounds, want, err)
		}
	})
}

// NeedPeers brings a round forward, to a minute after the last.
func TestAnnounceNeedPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		needPeers := make(chan struct{})
		a := startAnnounce(t, AnnounceConfig{NeedPeers: needPeers})
		time.Sleep(5 * time.Minute)
		a.takeRounds()
		for range 300 { // for ten minutes
			needPeers <- struct{}{}
			time.Sleep(2 * time.Second)
		}
		rounds := a.takeRounds()
		if len(rounds) < 9 || len(rounds) > 11 {
			t.Errorf("%d rounds in ten minutes", len(rounds))
		}
		for i, at := range rounds[1:] {
			if at-rounds[i] < node.MinAnnounceEvery {
				t.Errorf("%v between two rounds", at-rounds[i])
			}
		}
		close(needPeers) // is no need
		time.Sleep(10 * time.Minute)
		if more := a.takeRounds(); len(more) > 1 {
			t.Errorf("%d rounds after the end of all needs", len(more))
		}
		a.stop(t)
	})
}

// A torrent that is complete is announced as a seed soon.
func TestAnnounceCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		completed := make(chan struct{})
		a := startAnnounce(t, AnnounceConfig{Completed: completed})
		time.Sleep(5 * time.Minute)
		a.takeRounds()
		if peers := a.lookUp(t, true); len(peers) == 0 {
			t.Error("not there")
		}
		a.mu.Lock()
		a.isSeed = true
		a.mu.Unlock()
		close(completed)
		time.Sleep(time.Second)
		if rounds := a.takeRounds(); len(rounds) != 1 {
			t.Errorf("rounds at %v", rounds)
		}
		if peers := a.lookUp(t, true); len(peers) != 0 {
			t.Error("not a seed")
		}
		time.Sleep(5 * time.Minute)
		if rounds := a.takeRounds(); len(rounds) > 3 {
			t.Errorf("rounds at %v", rounds)
		}
		a.stop(t)
	})
}

// Before the node has joined there is nothing to do but to wait.
func TestAnnounceBeforeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newEther().fakeServer(t, 1, Config{Bootstrap: []string{}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := s.Announce(ctx, AnnounceConfig{Port: 1, Seed: func() bool {
			t.Error("a round")
			return false
		}})
		if err != nil {
			t.Error(err)
		}
	})
}
