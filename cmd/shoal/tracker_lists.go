package main

import (
	"context"
	"errors"
	"time"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/dropdir"
	"github.com/shoal-bt/shoal/tracker/server"
)

// loadLists reads the lists that the settings name.
func (n *trackerNode) loadLists(r *trackerRun) (lists torrentLists, err error) {
	if lists.white, err = n.loadList(r.whitelist); err != nil {
		return lists, err
	}
	lists.black, err = n.loadList(r.blacklist)
	return lists, err
}

func (n *trackerNode) loadList(path string) (*server.TorrentList, error) {
	if path == "" {
		return nil, nil
	}
	list, broken, err := server.LoadTorrentList(path)
	n.nameBroken(broken)
	return list, err
}

// nameBroken names the files of a folder that are no torrents.
func (n *trackerNode) nameBroken(broken []error) {
	for _, err := range broken {
		n.log.Warn("a broken file is skipped", "error", oneLine(err.Error()))
	}
}

// watch looks for files that came, went or changed. Nothing of it waits for
// long, and what fails is tried again the next time.
func (n *trackerNode) watch(ctx context.Context) {
	for _, list := range []*server.TorrentList{n.lists.white, n.lists.black} {
		if list != nil && list.IsFolder() {
			n.watchList(list)
		}
	}
	if n.files != nil {
		n.watchCertificate()
	}
	n.takeDropped(ctx)
}

func (n *trackerNode) watchList(list *server.TorrentList) {
	before := list.Len()
	broken, err := list.Reload()
	n.nameBroken(broken)
	n.complain("the folder of torrents cannot be read; the list is that from before", err)
	if after := list.Len(); err == nil && after != before {
		n.log.Info("the list of torrents has changed", "torrents", after)
	}
}

func (n *trackerNode) watchCertificate() {
	changed, err := n.files.LoadIfChanged()
	n.complain("the certificate cannot be read; it is the one from before", err)
	if changed {
		n.log.Info("a new certificate is used")
	}
}

// openDrop begins with the folder whose torrents are added.
func (n *trackerNode) openDrop(ctx context.Context) {
	if n.drop = nil; n.run.drop != "" {
		n.drop = dropdir.New(n.run.drop)
	}
	n.takeDropped(ctx)
}

// takeDropped adds the torrents that were put into the folder. A file that is
// taken away again removes nothing: users have records of its torrent.
func (n *trackerNode) takeDropped(ctx context.Context) {
	if n.drop == nil || n.accounts == nil {
		return
	}
	changes, err := n.drop.Scan(time.Now())
	n.complain("the folder of new torrents cannot be read", err)
	n.nameBroken(changes.Broken)
	added := 0
	for _, torrent := range changes.Added {
		switch err := n.addDropped(ctx, torrent.Path); {
		case err == nil:
			added++
		case !errors.Is(err, account.ErrExists) && ctx.Err() == nil:
			n.log.Warn("a torrent was not added", "file", torrent.Path, "error", oneLine(err.Error()))
		}
	}
	if added > 0 {
		n.log.Info("torrents were added", "torrents", added)
	}
}

func (n *trackerNode) addDropped(ctx context.Context, path string) error {
	settings, err := n.accounts.store.Settings(ctx)
	if err != nil {
		return err
	}
	b, err := readTorrentFile(path)
	if err != nil {
		return err
	}
	own, err := account.MakeOwn(b, settings.Source)
	if err != nil {
		return err
	}
	_, err = n.accounts.store.AddTorrent(ctx, own.NewTorrent(time.Now()), own.File)
	return err
}
