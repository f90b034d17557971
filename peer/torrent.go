package peer

import (
	"context"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
)

// Torrent is one torrent of a client.
type Torrent struct{}

// Stats returns a snapshot, at most 250 ms old.
func (t *Torrent) Stats() Stats { return Stats{} }

// Peers returns a snapshot of the connections.
func (t *Torrent) Peers() []engine.PeerStats { return nil }

// Completed is closed when every wanted piece is verified and stored.
func (t *Torrent) Completed() <-chan struct{} { return nil }

// Err is what keeps the torrent from going on, nil if nothing does.
func (t *Torrent) Err() error { return nil }

// AddPeers tells the torrent about addresses of peers.
func (t *Torrent) AddPeers(addrs []netip.AddrPort, source engine.Source) {}

// Select changes what is to be downloaded, nil for all.
func (t *Torrent) Select(want *bitfield.Set) {}

// Stop ends the torrent.
func (t *Torrent) Stop(ctx context.Context) error { return nil }
