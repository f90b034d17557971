package engine

import (
	"math/rand/v2"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
)

// Order is the rule by which new pieces are picked.
type Order uint8

// The orders. RarestFirst is the one to use; the others exist for players
// that watch while they download, and for experiments that take the rule away.
const (
	RarestFirst Order = iota
	Random
	Sequential
)

// Config says who the engine is and where it starts. New copies it; zero
// values mean the defaults named at each field, negative ones switch off.
type Config struct {
	InfoHash metainfo.InfoHash
	PeerID   metainfo.PeerID

	// Rand breaks ties and draws the random first pieces. It must not be
	// shared with another engine. The client seeds it from crypto/rand, the
	// simulator from its seed and the entity.
	Rand *rand.Rand

	// Grants is the torrent's share of the process. It must not be nil.
	Grants Grants

	// Geometry may be zero for a magnet link; InGeometry brings it then.
	Geometry metainfo.Geometry
	// Have is what is verified already, nil for nothing. Want is what shall be
	// downloaded, nil for all. The engine takes both over.
	Have, Want *bitfield.Set

	// Metadata is the info dictionary, byte for byte as it was hashed: it is
	// served to peers that ask for it (BEP 9). Nil while it is unknown (a magnet
	// link: the engine fetches it, see OutMetadata), and where nobody asks. The
	// engine keeps the slice and does not change it.
	Metadata []byte

	// Private is BEP 27's flag: peers come from the tracker alone.
	Private bool

	// NoPEX leaves peer exchange (BEP 11) off, as Private does.
	NoPEX bool

	// DHTPort is the UDP port of our DHT node, 0 for none. Peers whose handshake
	// says that they have one are told (BEP 5's message "port").
	DHTPort uint16

	// Client is the "v" of the extension handshake: name and version. Port is
	// our listening port, 0 for none.
	Client string
	Port   uint16

	// UploadCapacity is what our uplink or rate limit carries, in bytes/s, 0
	// for unknown. It decides how many upload slots there are to begin with,
	// and when the uplink counts as filled.
	UploadCapacity int

	// UploadSlots fixes the number of slots, the optimistic one included; 0
	// lets it adapt. Negative uploads nothing.
	UploadSlots int

	// AllowedFast is the size of BEP 6's allowed-fast sets, 0 for 10, negative
	// for none.
	AllowedFast int

	// MaxPeers bounds this torrent's connections, 0 for 80. The Grants bound
	// them too.
	MaxPeers int

	// WebSeedBelow is the rate in bytes/s that peers must bring together for
	// web seeds (BEP 19) to be left alone: then they are asked only for
	// what no peer has. 0 is for 1 MiB/s, negative: as long as a peer brought anything in the last
	// five seconds. A high one is for speed, a low one spares who pays for the servers.
	WebSeedBelow int

	// Outputs is shared with other engines; nil if it is not. Everything that
	// one of them wants done must be asked for by Next before another gets an input.
	Outputs *Outputs

	// Order is how new pieces are picked. NoChoking unchokes every interested
	// peer, NoEndgame asks for each block only once: both are ablations for
	// experiments.
	Order     Order
	NoChoking bool
	NoEndgame bool
}
