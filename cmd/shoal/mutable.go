package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
	"github.com/shoal-bt/shoal/metainfo"
)

const (
	// lookUpAgain is when a key is looked up again that nobody had anything
	// for. Whoever publishes may only be about to.
	lookUpAgain = 15 * time.Second

	// storeAgain is BEP 44's: "In order to keep items alive, they SHOULD be
	// re-announced once an hour."
	storeAgain = time.Hour
)

var errNoTorrent = errors.New("what its publisher has stored in the DHT names no torrent (BEP 46); ask for a link of another kind")

// resolveMutable asks the DHT which torrent a mutable magnet link stands for at
// present, until it is told (BEP 46).
func (s *session) resolveMutable(ctx context.Context, name *metainfo.MutableName) (*node.Item, metainfo.InfoHash, error) {
	// The nodes known from last time may lead there before the node has joined.
	newest, err := s.newestItem(ctx, name)
	for again := s.dht.Ready(); newest == nil && err == nil; again = after(lookUpAgain) {
		select {
		case <-again:
			newest, err = s.newestItem(ctx, name)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return nil, metainfo.InfoHash{}, err
	}
	id, ok := krpc.ParseTorrentValue(newest.Value)
	if !ok {
		return nil, metainfo.InfoHash{}, errNoTorrent
	}
	return newest, metainfo.InfoHash(id), nil
}

// after is closed when d has passed.
func after(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// newestItem returns the item with the highest sequence number that the nodes
// responsible for it have, nil if none has any. Its signature is verified.
func (s *session) newestItem(ctx context.Context, name *metainfo.MutableName) (newest *node.Item, err error) {
	get := node.Request{
		Method: krpc.Get, Target: krpc.MutableTarget(name.Key[:], name.Salt),
		Item: &node.Item{Salt: name.Salt},
	}
	_, err = s.dht.Lookup(ctx, get, func(_ netip.AddrPort, r node.Reply) {
		newest = newer(newest, r.Item)
	})
	if newest != nil {
		newest.Salt = name.Salt
	}
	return newest, err
}

// newer returns the one of two items with the higher sequence number; either may
// be nil.
func newer(a, b *node.Item) *node.Item {
	if a == nil || b != nil && b.Seq > a.Seq {
		return b
	}
	return a
}

// keepAlive stores an item for its publisher, until the session ends. BEP 46:
// "Both publisher and consumer should periodically put the mutable items they
// have active to keep them alive in the DHT." A failed put is nobody's concern.
func (s *session) keepAlive(item *node.Item) {
	put := node.Request{Method: krpc.Get, Target: krpc.MutableTarget(item.Key, item.Salt), Store: true, Item: item}
	for again := after(0); ; again = after(storeAgain) {
		select {
		case <-again:
			s.dht.Lookup(s.working, put, nil)
		case <-s.working.Done():
			return
		}
	}
}
