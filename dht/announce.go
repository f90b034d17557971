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

const (
	// announceEvery is the time between rounds, give or take a tenth: nodes
	// forget a peer after 30 minutes or so. (BEP 5 does not say.)
	announceEvery = 15 * time.Minute
	// minAnnounceEvery bounds what NeedPeers can ask for, and is the first wait
	// after a round that found no peers; that doubles up to announceEvery.
	minAnnounceEvery = time.Minute
)

// Announce looks for the peers of a torrent and announces it as soon as the
// node is ready, about every 15 minutes from then on, sooner when it finds no
// peers, when NeedPeers asks or when the torrent is Completed, but never more
// often than once a minute. It runs until ctx ends and then returns nil, or
// until the Server is closed, and then returns ErrClosed.
func (s *Server) Announce(ctx context.Context, cfg AnnounceConfig) error {
	a := announcer{s: s, cfg: cfg}
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
	s       *Server
	cfg     AnnounceConfig
	started time.Time     // the last round
	retry   time.Duration // the wait after a round without peers; 0 after one with
}

// round is one lookup.
func (a *announcer) round(ctx context.Context) error {
	a.started = time.Now()
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
	if numFound > 0 {
		a.retry = 0
	} else {
		a.retry = min(max(2*a.retry, minAnnounceEvery), announceEvery)
	}
	return err
}

// wait waits until the next round.
func (a *announcer) wait(ctx context.Context) error {
	timer := time.NewTimer(a.until(a.interval()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case _, open := <-a.cfg.NeedPeers:
			if !open {
				a.cfg.NeedPeers = nil
			}
			timer.Reset(a.until(minAnnounceEvery))
		case <-a.cfg.Completed:
			a.cfg.Completed = nil
			timer.Reset(a.until(minAnnounceEvery))
		case <-ctx.Done():
			return ctx.Err()
		case <-a.s.life.Done():
			return ErrClosed
		}
	}
}

// interval is the time from the start of one round to that of the next. It is
// random so that the torrents of a client do not stay in step.
func (a *announcer) interval() time.Duration {
	if a.retry > 0 && a.retry < announceEvery {
		return a.retry
	}
	return announceEvery - announceEvery/10 + rand.N(announceEvery/5)
}

// until is how long it is until d after the start of the last round.
func (a *announcer) until(d time.Duration) time.Duration { return time.Until(a.started.Add(d)) }
