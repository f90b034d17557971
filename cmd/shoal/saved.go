package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shoal-bt/shoal/metainfo"
)

// savedPath is where the .torrent is kept of a download into dir that began
// with a magnet link: under the one name that is known before the metadata is.
func savedPath(dir string, infoHash metainfo.InfoHash) string {
	return filepath.Join(dir, infoHash.String()+".torrent")
}

// saveTorrent keeps the metadata of a magnet link, so that the download goes on
// without peers that send it again, and can be seeded later. Another file of
// this name stays as it is.
func saveTorrent(dir string, meta *metainfo.Metainfo) error {
	path := savedPath(dir, meta.InfoHash)
	if old, err := metainfo.Load(path); err == nil && old.InfoHash == meta.InfoHash {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is something else; move it away", path)
	}
	b, err := meta.Encode()
	if err != nil {
		return err
	}
	return writeNew(path, b)
}

// loadSaved returns what saveTorrent has kept of a magnet link, or nil.
func loadSaved(dir string, link *metainfo.Magnet) *metainfo.Metainfo {
	meta, err := metainfo.Load(savedPath(dir, link.InfoHash))
	if err != nil || meta.InfoHash != link.InfoHash {
		return nil
	}
	complete(meta, link)
	return meta
}

// loadTorrentFor is loadTorrent for data that is there already: beside it may
// lie the .torrent of a magnet link.
func loadTorrentFor(ctx context.Context, name, dataPath string) (*metainfo.Metainfo, error) {
	if !isMagnet(name) {
		return loadTorrent(ctx, name)
	}
	link, err := parseMagnet(name)
	if err != nil {
		return nil, err
	}
	if link.Mutable == nil {
		for _, dir := range []string{dataPath, filepath.Dir(dataPath)} {
			if meta := loadSaved(dir, &link); meta != nil {
				return meta, nil
			}
		}
	}
	return loadTorrent(ctx, name) // which says what is the matter with magnet links
}

// parseMagnet reads a magnet link of the command line.
func parseMagnet(name string) (metainfo.Magnet, error) {
	link, err := metainfo.ParseMagnet(name)
	if err != nil {
		return link, usagef("%s: %v", shorten(name), err)
	}
	return link, nil
}
