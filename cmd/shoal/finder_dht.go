package main

import (
	"context"
	"net/netip"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
)

// dhtFinder joins the DHT node of the process to a torrent: it is the
// peer.Finder that keeps it announced there.
type dhtFinder struct {
	server *dht.Server
	nodes  []string // of the .torrent, HOST:PORT

	public    context.Context // ends when the torrent turns out to be private
	turnAside context.CancelFunc
}

func newDHTFinder(server *dht.Server, nodes []string) *dhtFinder {
	f := &dhtFinder{server: server, nodes: nodes}
	f.public, f.turnAside = context.WithCancel(context.Background())
	return f
}

// Find implements peer.Finder. There is no goodbye in the DHT: nodes forget
// whoever does not announce again.
func (f *dhtFinder) Find(ctx context.Context, a peer.Announcement) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.public, cancel)()
	f.server.AddHosts(f.nodes)
	completed := a.Completed()
	if isSeed(a) {
		completed = nil // from the beginning: there is nothing to tell
	} else {
		f.lookUpEarly(ctx, a)
	}
	return f.server.Announce(ctx, dht.AnnounceConfig{
		InfoHash:  a.InfoHash(),
		Port:      uint16(a.Port()),
		Seed:      func() bool { return isSeed(a) },
		Found:     func(addrs []netip.AddrPort) { a.Found(addrs, engine.SourceDHT) },
		NeedPeers: a.NeedPeers(),
		Completed: completed,
	})
}

// lookUpEarly looks for peers before the node has joined, which takes seconds
// when many of the nodes are gone that it knew last time. Those that are left
// lead to peers much sooner.
func (f *dhtFinder) lookUpEarly(ctx context.Context, a peer.Announcement) {
	select {
	case <-f.server.Ready():
		return // Announce looks at once
	default:
	}
	get := node.Request{Method: krpc.GetPeers, Target: krpc.ID(a.InfoHash())}
	// An error means that it is over: Announce says so, too.
	f.server.Lookup(ctx, get, func(_ netip.AddrPort, r node.Reply) {
		if len(r.Peers) > 0 {
			a.Found(r.Peers, engine.SourceDHT)
		}
	})
}

func isSeed(a peer.Announcement) bool {
	_, _, left := a.Progress()
	return left == 0
}
