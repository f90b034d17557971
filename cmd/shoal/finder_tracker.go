package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/tracker/client"
)

// trackerFinder joins a torrent's trackers to the torrent: it is the peer.Finder
// that keeps it announced.
type trackerFinder struct {
	client *client.Client
	tiers  [][]string

	mu        sync.Mutex
	announcer *client.Announcer // nil before Find
	told      []string          // by tracker, the failure that troubles returned last
}

// newTrackerClient returns the client that all torrents of a process share.
func newTrackerClient(bind netip.Addr) *client.Client {
	return client.New(client.Config{Version: metainfo.Version, LocalAddr: bind})
}

// Find implements peer.Finder.
func (f *trackerFinder) Find(ctx context.Context, a peer.Announcement) error {
	announcer, err := client.NewAnnouncer(client.AnnouncerConfig{
		Client:   f.client,
		Torrent:  announced{a},
		Tiers:    f.tiers,
		InfoHash: a.InfoHash(),
		PeerID:   a.PeerID(),
		Port:     uint16(a.Port()),
		Rand:     newRand(),
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.announcer = announcer
	f.mu.Unlock()

	announcing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var passing sync.WaitGroup
	passing.Go(func() {
		defer stop() // not before the announcer knows what happened until the end
		passOn(ctx, a, announcer)
	})
	defer passing.Wait()
	return announcer.Run(announcing)
}

// passOn tells the announcer what the torrent says.
func passOn(ctx context.Context, a peer.Announcement, announcer *client.Announcer) {
	completed := a.Completed()
	select {
	case <-completed: // from the beginning: there is nothing to tell
		completed = nil
	default:
	}
	for {
		select {
		case <-ctx.Done():
			select {
			case <-completed:
				tellCompleted(a, announcer)
			default:
			}
			return
		case <-completed:
			completed = nil
			tellCompleted(a, announcer)
		case <-a.NeedPeers():
			announcer.NeedPeers()
		}
	}
}

// tellCompleted obeys BEP 3: "No completed is sent if the file was complete
// when started." Of a magnet link, that shows later than the start.
func tellCompleted(a peer.Announcement, announcer *client.Announcer) {
	if _, downloaded, _ := a.Progress(); downloaded > 0 {
		announcer.Completed()
	}
}

// troubles returns the failures of trackers that are new since the last call,
// one line each.
func (f *trackerFinder) troubles() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.announcer == nil {
		return nil
	}
	var news []string
	trackers := f.announcer.Status().Trackers
	f.told = append(f.told, make([]string, len(trackers)-len(f.told))...)
	for i, t := range trackers {
		trouble := describeTrouble(t)
		if trouble != "" && trouble != f.told[i] {
			news = append(news, trouble)
		}
		f.told[i] = trouble
	}
	return news
}

func describeTrouble(t client.TrackerStatus) string {
	var unusable *client.UnusableURLError
	switch {
	case errors.As(t.Err, &unusable):
		return printable(t.Err.Error())
	case t.Err != nil:
		return printable(t.Err.Error()) + "; trying again later"
	case t.Warning != "":
		return t.Tracker + " warns: " + printable(t.Warning)
	}
	return ""
}

// announced is a peer.Announcement as the announcer sees it.
type announced struct{ peer.Announcement }

func (a announced) Snapshot() (uploaded, downloaded, left int64) { return a.Progress() }
func (a announced) Found(addrs []netip.AddrPort) {
	a.Announcement.Found(addrs, engine.SourceTracker)
}

// newRand returns a generator that nobody can predict.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}
