package dhtnet

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// The clients of a network with churn.
const (
	announceEvery = 15 * time.Minute // as the client does
	settleFor     = time.Minute      // a host is not asked to search before it has been there for so long
	mostEntries   = 128 + 64 + 32 + 17*16
	mostPeers     = 100 // in store at one host; there are fewer than that in all
)

// churn is a network whose hosts are replaced, but for those that announce.
type churn struct {
	n        *Network
	stay     map[*Host]bool
	since    map[*Host]time.Duration
	targets  []krpc.ID
	peers    []netip.AddrPort
	searches int
	found    int
	replaced int
	done     []*Search
}

// announceForever has each of some hosts announce a torrent of its own, again
// and again.
func (c *churn) announceForever(count int) {
	for i := range count {
		h := c.n.hosts[numRouters+i]
		c.stay[h] = true
		c.targets = append(c.targets, c.n.RandomID())
		c.peers = append(c.peers, netip.AddrPortFrom(h.addr.Addr(), peerPort))
		var again func()
		again = func() {
			h.Search(node.Request{Method: krpc.GetPeers, Target: c.targets[i], Store: true, Port: peerPort}, nil)
			c.n.At(c.n.kernel.Now()+announceEvery, again)
		}
		c.n.At(c.n.kernel.Now()+announceEvery*time.Duration(i)/time.Duration(count), again)
	}
}

// any draws a host that has been there for a while.
func (c *churn) any() *Host {
	for {
		if h := c.n.Any(); c.n.kernel.Now() >= c.since[h]+settleFor {
			return h
		}
	}
}

// replace silences a host and adds another, forever.
func (c *churn) replace(every time.Duration) {
	if h := c.n.Any(); !c.stay[h] && !slices.Contains(c.n.hosts[:numRouters], h) {
		h.Silence()
		spec := honest(0)
		spec.Join = c.n.kernel.Now()
		other, _ := c.n.Add(spec) // fails only if it is given an address
		c.since[other] = c.n.kernel.Now()
		c.replaced++
		c.n.At(c.n.kernel.Now()+every, func() { c.replace(every) })
		return
	}
	c.replace(every)
}

// searchForever has some host look for some torrent, again and again.
func (c *churn) searchForever(every time.Duration) {
	i := c.n.rnd.IntN(len(c.targets))
	c.searches++
	c.any().Search(node.Request{Method: krpc.GetPeers, Target: c.targets[i]}, func(s *Search) {
		if c.done = append(c.done, s); slices.Contains(s.Peers, c.peers[i]) {
			c.found++
		}
	})
	c.n.At(c.n.kernel.Now()+every, func() { c.searchForever(every) })
}

// bounds returns the most nodes in a table and the most peers in a store.
func (c *churn) bounds() (entries, peers int) {
	for _, h := range c.n.hosts {
		if h.Node() != nil {
			num4, _ := h.Node().NumNodes()
			entries, peers = max(entries, num4), max(peers, h.Node().Stored().Peers)
		}
	}
	return entries, peers
}

// testChurn replaces half of the hosts each hour.
func testChurn(t testing.TB, numNodes, numTargets, hours int, searchEvery time.Duration) {
	c := &churn{n: grown(t, 1, numNodes), stay: map[*Host]bool{}, since: map[*Host]time.Duration{}}
	c.announceForever(numTargets)
	c.n.RunFor(announceEvery + 10*time.Second)
	c.replace(2 * time.Hour / time.Duration(numNodes))
	c.searchForever(searchEvery)
	for hour := range hours {
		c.n.RunFor(time.Hour)
		entries, peers := c.bounds()
		if entries > mostEntries || peers > mostPeers {
			t.Errorf("hour %d: a table of %d nodes, a store of %d peers", hour+1, entries, peers)
		}
		if testing.Verbose() {
			fmt.Fprintf(os.Stderr, "hour %d: %d of %d searches found the peer, %d hosts replaced, %v\n", hour+1, c.found, c.searches, c.replaced, Summarize(c.done))
		}
	}
	c.n.RunFor(time.Minute / 2)
	share := float64(c.found) / float64(len(c.done))
	t.Logf("%d hosts, %d replaced in %d h: %.2f %% of %d searches found the peer; %v", numNodes, c.replaced, hours, 100*share, len(c.done), Summarize(c.done))
	if share < 0.99 {
		t.Errorf("%.2f %% of searches found the peer", 100*share)
	}
}

func TestChurn(t *testing.T) { testChurn(t, 120, 10, 1, 30*time.Second) }

// BenchmarkChurn goes on for a virtual day. With -v it says each hour how far it
// has come.
func BenchmarkChurn(b *testing.B) {
	for b.Loop() {
		testChurn(b, 2000, 60, 24, 10*time.Second)
	}
}
