package peer

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// content is what a torrent consists of, and where that is kept. A torrent that
// began as a magnet link has none at first. It never changes.
type content struct {
	info     *metainfo.Info
	assembly *piecestore.Assembly
	cache    *piecestore.Cache
	resume   *piecestore.Resume // nil for none
}

// newContent returns the content of a valid configuration.
func newContent(c *Client, cfg InfoConfig) *content {
	return &content{
		info:     cfg.Info,
		assembly: piecestore.NewAssembly(cfg.Info.Geometry, cfg.Storage, c.pool),
		cache:    piecestore.NewCache(cfg.Storage, cfg.Info.Geometry, cacheBytes),
		resume:   cfg.Resume,
	}
}

// content returns nil while only the info-hash is known.
func (t *Torrent) content() *content { return t.known.Load() }

// InfoConfig says what SetInfo makes of a torrent. The fields are those of
// TorrentConfig.
type InfoConfig struct {
	Info       *metainfo.Info
	Storage    piecestore.Storage
	Resume     *piecestore.Resume
	Have, Want *bitfield.Set
	WebSeeds   []string
}

func (cfg *InfoConfig) isZero() bool {
	return cfg.Info == nil && cfg.Storage == nil && cfg.Resume == nil && cfg.Have == nil && cfg.Want == nil && cfg.WebSeeds == nil
}

// validate fails if the configuration is not that of a torrent that can be
// shared.
func (cfg *InfoConfig) validate() error {
	switch {
	case cfg.Info == nil:
		return errors.New("the info dictionary is missing")
	case cfg.Storage == nil:
		return errors.New("a torrent needs a storage")
	}
	numPieces := cfg.Info.Geometry.NumPieces()
	for _, set := range []*bitfield.Set{cfg.Have, cfg.Want} {
		if set != nil && set.Len() != numPieces {
			return fmt.Errorf("a set of %d pieces for a torrent of %d", set.Len(), numPieces)
		}
	}
	return nil
}

// Metadata is closed when the info dictionary is known: from the beginning, or
// when peers have sent the one of a magnet link. InfoBytes returns it then, and
// the download waits for SetInfo.
func (t *Torrent) Metadata() <-chan struct{} { return t.metadata }

// InfoBytes returns the info dictionary, whose SHA-1 is the info-hash, once
// Metadata is closed, and nil before. Nothing but the hash was looked at:
// metainfo.ParseInfo says whether it is usable. It must not be changed.
func (t *Torrent) InfoBytes() []byte {
	select {
	case <-t.metadata:
		return t.infoBytes
	default:
		return nil
	}
}

// SetInfo begins the download of a torrent that was added without an Info, when
// Metadata is closed: cfg.Info is what InfoBytes holds. The torrent takes the
// sets over. If it says that the torrent is private, peers that came from
// elsewhere than a tracker or the user are let go.
func (t *Torrent) SetInfo(cfg InfoConfig) error {
	err := cfg.validate()
	if err == nil {
		err = errStopped
		t.ask(func() { err = t.learn(cfg) })
	}
	if err != nil {
		return fmt.Errorf("begin %s: %w", t.infoHash, err)
	}
	return nil
}

// learn is SetInfo in the loop.
func (t *Torrent) learn(cfg InfoConfig) error {
	switch {
	case t.stopping:
		return errStopped
	case t.content() != nil:
		return errors.New("it has begun already")
	case t.InfoBytes() == nil:
		return errors.New("the info dictionary is not known yet")
	}
	t.known.Store(newContent(t.client, cfg)) // before anything is asked for: readers look here
	t.tell(engine.Input{
		Kind: engine.InGeometry, Geometry: cfg.Info.Geometry, Private: cfg.Info.Private,
		Have: cfg.Have, Want: cfg.Want,
	})
	t.publish()
	t.completeIfNothingIsLeft()
	t.startWebSeeds(cfg.WebSeeds)
	return nil
}
