package dht

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
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
func (s *Server) Announce(ctx context.Context, cfg AnnounceConfig) error {
	a := announcer{s: s, cfg: cfg, began: time.Now(), rnd: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil
	case <-s.life.Done():
		return ErrClosed
	}
	for {
		err := a.round(ctx)
		if err == nil {
			err = a.wait(ctx)
		}
		switch {
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case err != nil:
			return nil // ctx has ended: a lookup has no other errors
		}
	}
}

// announcer is one torrent's announces.
type announcer struct {
	s      *Server
	cfg    AnnounceConfig
	began  time.Time // where the clock of rounds is at zero
	rounds node.Rounds
	rnd    *rand.Rand
}

// round is one lookup.
func (a *announcer) round(ctx context.Context) error {
	a.rounds.Begin(time.Since(a.began))
	isSeed := a.cfg.Seed != nil && a.cfg.Seed()
	numFound := 0
	req := node.Request{
		Method: krpc.GetPeers, Target: krpc.ID(a.cfg.InfoHash),
		Store: a.cfg.Port != 0, Port: a.cfg.Port, Seed: isSeed,
		NoSeed: isSeed, // seeds have no use for each other
	}
	_, err := a.s.Lookup(ctx, req, func(_ netip.AddrPort, r node.Reply) {
		numFound += len(r.Peers)
		if a.cfg.Found != nil && len(r.Peers) > 0 {
			a.cfg.Found(r.Peers)
		}
	})
	a.rounds.End(numFound, a.rnd)
	return err
}

// wait waits until the next round.
func (a *announcer) wait(ctx context.Context) error {
	timer := time.NewTimer(a.untilDue())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case _, open := <-a.cfg.NeedPeers:
			if !open {
				a.cfg.NeedPeers = nil
			}
		case <-a.cfg.Completed:
			a.cfg.Completed = nil
		case <-ctx.Done():
			return ctx.Err()
		case <-a.s.life.Done():
			return ErrClosed
		}
		a.rounds.Hurry()
		timer.Reset(a.untilDue())
	}
}

// untilDue is how long it is until the next round.
func (a *announcer) untilDue() time.Duration { return a.rounds.Due() - time.Since(a.began) }
