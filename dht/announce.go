package dht

import (
	"context"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
)

// AnnounceConfig says what Announce does for one torrent. Private torrents
// (BEP 27) must not be announced here: that is for the caller to see to.
type AnnounceConfig struct {
	InfoHash metainfo.InfoHash

	// Port is the TCP and uTP port of the peer, which the closest nodes are
	// told. 0 announces nothing and only looks for peers.
	Port uint16
	// Seed says whether the torrent is complete by now (BEP 33). Nil means
	// that it is not. It is called on Announce's goroutine before each round.
	Seed func() bool

	// Found gets peers as they are found, on Announce's goroutine; one peer
	// may come many times, our own address too. Nil only announces.
	Found func([]netip.AddrPort)

	// NeedPeers asks for a round soon: each value received counts. Nil never
	// asks.
	NeedPeers <-chan struct{}
	// Completed asks for a round soon as well, once, by a value or by being
	// closed, so that the nodes know of another seed. Nil never asks.
	Completed <-chan struct{}
}

// Announce looks for the peers of a torrent and announces it as soon as the
// node is ready, about every 15 minutes from then on, sooner when it finds no
// peers, when NeedPeers asks or when the torrent is Completed, but never more
// often than once a minute. It runs until ctx ends and then returns nil, or
// until the Server is closed, and then returns ErrClosed.
func (s *Server) Announce(ctx context.Context, cfg AnnounceConfig) error { return ErrClosed }
