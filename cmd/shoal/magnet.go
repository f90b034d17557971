package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// magnet is a transfer's beginning as a magnet link. It becomes a download in
// steps: a mutable link is looked up, the metadata is fetched and saved, and the
// data that may be there already is checked. The work of a step is done in the
// background; what it comes to, by the session's own goroutine.
type magnet struct {
	metainfo.Magnet
	patterns []string // of --select

	step     chan step // the step under way, nil if there is none
	arriving contents  // belongs to the step under way

	toCheck, checked atomic.Int64 // pieces, while data is checked
}

// step is what came of the work of a step: what to do next, or an error.
type step struct {
	next func() error
	err  error
}

// later does work in the background, and then what it returns.
func (s *session) later(m *magnet, work func(context.Context) (next func() error, err error)) {
	done := make(chan step, 1)
	m.step = done
	s.tasks.Go(func() {
		next, err := work(s.working)
		done <- step{next, err}
		s.wakeUp()
	})
}

// isPending reports whether the transfer is a magnet link with a step under way.
func (t *transfer) isPending() bool { return t.magnet != nil && t.magnet.step != nil }

// isChecking reports whether that step is to check data.
func (t *transfer) isChecking() bool { return t.isPending() && t.magnet.toCheck.Load() > 0 }

// takeStep goes on with a magnet link if a step has ended.
func (s *session) takeStep(t *transfer) {
	if !t.isPending() {
		return
	}
	select {
	case done := <-t.magnet.step:
		t.magnet.step = nil
		if done.err == nil {
			done.err = done.next()
		}
		if done.err != nil {
			s.fail(t, done.err)
		}
	default:
	}
}

// fail ends a transfer that cannot go on. The others do.
func (s *session) fail(t *transfer, err error) {
	t.failed = err
	if len(s.transfers) > 1 {
		s.display.note("%s: %s", t.name(), oneLine(err.Error()))
	}
	if t.torrent == nil {
		return
	}
	// Also if the session is about to end because of it: its trackers are still
	// to be told. When close has told all others, this one has had its time.
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		t.torrent.Stop(ctx)
	})
}

// takeOver hands the transfer what a step left behind that was cut short, so
// that it is closed like the rest. No step is under way any more.
func (t *transfer) takeOver() {
	if t.magnet != nil && t.meta == nil && t.magnet.arriving.meta != nil {
		t.contents = t.magnet.arriving
	}
}

// startMagnet does the first step of a magnet link.
func (s *session) startMagnet(t *transfer) error {
	t.moved = time.Now()
	if t.magnet.Mutable == nil {
		return s.startFetching(t)
	}
	if s.dht == nil {
		return errors.New("a mutable magnet link is looked up in the DHT, and no DHT node runs")
	}
	s.later(t.magnet, func(ctx context.Context) (func() error, error) {
		item, infoHash, err := s.resolveMutable(ctx, t.magnet.Mutable)
		return func() error {
			s.tell("%s: version %d is the torrent %s", t.name(), item.Seq, infoHash)
			s.tasks.Go(func() { s.keepAlive(item) })
			t.magnet.InfoHash = infoHash
			if other := s.find(infoHash); other != t {
				return fmt.Errorf("it is the same torrent as another one on the command line (%s)", other.name())
			}
			return s.startFetching(t)
		}, err
	})
	return nil
}

// startFetching has the client fetch the metadata, unless an earlier run saved
// it.
func (s *session) startFetching(t *transfer) error {
	if saved := loadSaved(t.dir, &t.magnet.Magnet); saved != nil {
		s.later(t.magnet, func(ctx context.Context) (func() error, error) {
			return func() error { return s.begin(t) }, s.readyToBegin(ctx, t, saved)
		})
		return nil
	}
	if err := s.start(t); err != nil {
		return err
	}
	s.later(t.magnet, func(ctx context.Context) (func() error, error) {
		meta, err := fetchMetadata(ctx, t.torrent, &t.magnet.Magnet)
		if err != nil {
			return nil, err
		}
		return func() error { return s.begin(t) }, s.readyToBegin(ctx, t, meta)
	})
	return nil
}

// fetchMetadata waits until peers have sent the metadata.
func fetchMetadata(ctx context.Context, torrent *peer.Torrent, link *metainfo.Magnet) (*metainfo.Metainfo, error) {
	select {
	case <-torrent.Metadata():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	meta, err := metainfo.ParseInfo(torrent.InfoBytes())
	if err != nil {
		return nil, fmt.Errorf("the metadata is what the link names, but not usable: %w", err)
	}
	complete(meta, link)
	return meta, nil
}

// complete adds what only a magnet link says to metadata.
func complete(meta *metainfo.Metainfo, link *metainfo.Magnet) {
	if len(link.Trackers) > 0 {
		meta.Announce = link.Announce()
	}
	if len(link.WebSeeds) > 0 {
		meta.WebSeeds = link.WebSeeds
	}
}

// readyToBegin does in the background what prepare does for a .torrent.
func (s *session) readyToBegin(ctx context.Context, t *transfer, meta *metainfo.Metainfo) error {
	want, err := chooseFiles(&meta.Info, t.magnet.patterns, t.magnet.Select)
	if err != nil {
		return err
	}
	t.magnet.arriving = newContents(meta, want)
	c := &t.magnet.arriving
	recheck, err := c.open(t.dir, s.handles)
	if err != nil {
		return err
	}
	if err := saveTorrent(t.dir, meta); err != nil {
		s.notes.add("%s: the metadata will have to be fetched again if this is interrupted: %v", printable(meta.Info.Name), err)
	}
	t.magnet.toCheck.Store(int64(recheck.Count()))
	defer t.magnet.toCheck.Store(0)
	return c.check(recheck, func() (*bitfield.Set, error) {
		return piecestore.Verify(ctx, c.store, meta.Info.Geometry, meta.Info.PieceHash, recheck, 0,
			func(done int) { t.magnet.checked.Store(int64(done)) })
	})
}

// begin makes a download of a magnet link of which all is known.
func (s *session) begin(t *transfer) error {
	t.contents = t.magnet.arriving
	s.tell("%s: got the metadata: %s in %s", t.name(), formatSize(t.meta.Info.Geometry.TotalLen()), count(numFiles(&t.meta.Info), "file"))
	if err := checkSpace(t.dir, s.neededByOthers(t)+t.needed); err != nil {
		return err
	}
	if t.torrent == nil {
		return s.start(t)
	}
	if t.isPrivate() {
		s.tell("%s: it is private; going on without DHT and peer exchange", t.name())
		if t.dhtFinder != nil {
			t.dhtFinder.turnAside()
		}
	}
	t.startClock()
	return t.torrent.SetInfo(s.infoConfig(t))
}

// neededByOthers is what the disk must still give to all transfers but t.
func (s *session) neededByOthers(t *transfer) (n int64) {
	for _, other := range s.transfers {
		if other != t && other.failed == nil {
			n += max(0, other.needed-other.stats.Downloaded)
		}
	}
	return n
}

// callPeers hands the torrent the addresses that its magnet link names, which
// may be names of hosts. Where a peer is, there most likely is a DHT node.
func (s *session) callPeers(t *transfer) {
	for _, hostPort := range t.magnet.Peers {
		addrs, err := resolve(s.working, hostPort)
		if err != nil {
			continue // a hint of whoever made the link
		}
		t.torrent.AddPeers(addrs, engine.SourceUser)
		if t.dhtFinder != nil {
			s.dht.AddNodes(addrs)
		}
	}
}

// isLookedUp reports whether the link names a torrent, as all do but mutable
// ones at first.
func (m *magnet) isLookedUp() bool { return m.InfoHash != metainfo.InfoHash{} }

// outcome says what is missing that the link could become a download.
func (m *magnet) outcome() string {
	if m.isLookedUp() {
		return "nobody has sent the metadata"
	}
	return "the DHT has no version of it"
}

// name is what to call the link before its metadata is known: printable.
func (m *magnet) name() string {
	switch {
	case m.Name != "":
		return printable(m.Name)
	case !m.isLookedUp():
		return fmt.Sprintf("key %x…", m.Mutable.Key[:4])
	}
	return m.InfoHash.String()[:8] + "…"
}

// progress says how far the link is.
func (m *magnet) progress(s *peer.Stats) string {
	switch toCheck := m.toCheck.Load(); {
	case toCheck > 0:
		return fmt.Sprintf("%d of %s checked", m.checked.Load(), count(int(toCheck), "piece"))
	case !m.isLookedUp():
		return "looking for the newest version in the DHT"
	case s.Conns == 0:
		return "looking for peers that have the metadata"
	case s.MetadataLen == 0:
		return "asking " + count(s.Conns, "peer") + " for the metadata"
	}
	return fmt.Sprintf("fetching the metadata from %s, %s of %s", count(s.Conns, "peer"),
		formatSize(int64(s.MetadataHave)), formatSize(int64(s.MetadataLen)))
}
