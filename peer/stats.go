package peer

import (
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/peer/engine"
)

// Stats is a snapshot of a torrent.
type Stats struct {
	engine.Stats
	InfoHash metainfo.InfoHash
	Name     string // as the torrent says: remote text, unsafe to print raw
}
