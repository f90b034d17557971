package peer

import (
	"context"
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// Finder looks for the peers of a torrent: a set of trackers, a DHT node, and
// so on. The caller joins them to a torrent, so that this package knows none.
type Finder interface {
	// Find announces the client and looks for peers until ctx is done, then
	// says goodbye and returns within a few seconds. It is called once, on a
	// goroutine of its own. An error that is not ctx's is logged.
	Find(ctx context.Context, a Announcement) error
}

// Announcement is a torrent as its finders see it. The methods may be called
// at any time by any goroutine.
type Announcement interface {
	InfoHash() metainfo.InfoHash
	PeerID() metainfo.PeerID
	// Port is where the client listens, 0 if it does not.
	Port() int
	// Progress returns payload bytes: sent and received in this session, and
	// still missing of what is wanted. While nobody knows how much that is (a
	// magnet link), left is one block: for 0, a tracker would take us for a seed.
	Progress() (uploaded, downloaded, left int64)
	// Found hands over addresses.
	Found(addrs []netip.AddrPort, source engine.Source)
	// Completed is closed when all that is wanted is there. It is closed from
	// the beginning if the torrent was complete when it was added.
	Completed() <-chan struct{}
	// NeedPeers gets a value when too few addresses are known. It is a hint.
	NeedPeers() <-chan struct{}
}

// announcement is a torrent as one of its finders sees it. It implements
// Announcement.
type announcement struct {
	t         *Torrent
	needPeers chan struct{}
}

func (a *announcement) InfoHash() metainfo.InfoHash { return a.t.infoHash }
func (a *announcement) PeerID() metainfo.PeerID     { return a.t.peerID }
func (a *announcement) Port() int                   { return a.t.client.Port() }
func (a *announcement) Completed() <-chan struct{}  { return a.t.completed }
func (a *announcement) NeedPeers() <-chan struct{}  { return a.needPeers }

func (a *announcement) Progress() (uploaded, downloaded, left int64) {
	// A private tracker credits what an announce says, and the last one says it
	// for good: a snapshot of a moment ago would lose what was uploaded since.
	a.t.ask(a.t.publish)
	s := a.t.Stats()
	if s.NumPieces == 0 {
		s.Left = metainfo.BlockLen
	}
	return s.Uploaded, s.Downloaded, s.Left
}

func (a *announcement) Found(addrs []netip.AddrPort, source engine.Source) {
	a.t.AddPeers(addrs, source)
}

// startFinders runs the finders until endFinders.
func (t *Torrent) startFinders(finders []Finder) {
	ctx, cancel := context.WithCancel(context.Background())
	t.endFind = cancel
	for i, f := range finders {
		t.finding.Go(func() {
			if err := f.Find(ctx, t.finders[i]); err != nil && ctx.Err() == nil {
				t.log.Debug("finder failed", "err", err)
			}
		})
	}
}

// endFinders has the finders say goodbye and waits for them, but not longer
// than finderGrace or than ctx allows.
func (t *Torrent) endFinders(ctx context.Context) error {
	t.endFind()
	done := make(chan struct{})
	go func() {
		t.finding.Wait()
		close(done)
	}()
	ctx, cancel := context.WithTimeout(ctx, finderGrace)
	defer cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("a tracker was not told that we stop: it did not answer in time")
	}
}
