package peer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
	"github.com/shoal-bt/shoal/piecestore"
)

// The defaults of Config.
const (
	// DefaultMaxPeers is what one process of other clients has by default,
	// give or take a factor of two.
	DefaultMaxPeers = 200
	// DefaultBufferBytes is the memory for blocks that are asked for or not
	// written yet. It must hold the bytes in flight at full speed and the
	// pieces that wait for the disk; more only costs memory.
	DefaultBufferBytes = 32 << 20
	// DefaultClient is the name and version that peers get to see.
	DefaultClient = "Shoal/0.1.0"
)

// Config configures a Client. The zero Config is a client that listens on all
// interfaces, without limits on its rates.
type Config struct {
	// Bind is the local address of the listener and of all dials. The zero
	// Addr means every interface, IPv4 and IPv6.
	Bind netip.Addr
	// Port is where to listen: 0 takes the first free port of 6881 to 6999,
	// or any; a negative one does not listen at all.
	Port int
	// Up and Down limit the payload of the whole process, in bytes/s; 0 is no
	// limit.
	Up, Down int
	// MaxPeers bounds the connections of the process, 0 for DefaultMaxPeers.
	MaxPeers int
	// BufferBytes bounds the block memory of the process, 0 for
	// DefaultBufferBytes.
	BufferBytes int64
	// Client is the name and version that peers get to see, empty for
	// DefaultClient.
	Client string
	// MapPorts asks the router for a port mapping, by UPnP and NAT-PMP. It
	// has no effect on a client that is bound to a loopback address or does
	// not listen.
	MapPorts bool
	// Logger gets the events of connections at debug level, never one line
	// per message. Nil means silent.
	Logger *slog.Logger
}

// withDefaults returns the configuration with every default filled in, or an
// error that says which field is wrong.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case cfg.Port > 65535:
		return cfg, fmt.Errorf("port %d is not between 1 and 65535", cfg.Port)
	case cfg.Up < 0 || cfg.Down < 0:
		return cfg, errors.New("a rate limit is negative; 0 means unlimited")
	case cfg.MaxPeers < 0:
		return cfg, fmt.Errorf("a client of %d connections can do nothing", cfg.MaxPeers)
	case cfg.BufferBytes < 0:
		return cfg, fmt.Errorf("%d bytes of block memory are too few", cfg.BufferBytes)
	}
	if cfg.MaxPeers == 0 {
		cfg.MaxPeers = DefaultMaxPeers
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = DefaultBufferBytes
	}
	if cfg.Client == "" {
		cfg.Client = DefaultClient
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

// mapsPorts reports whether a router is to be asked. It never is by a client
// that nobody could reach from there.
func (cfg Config) mapsPorts() bool {
	return cfg.MapPorts && cfg.Port >= 0 && !cfg.Bind.IsLoopback()
}

// TorrentConfig says what to share. Add copies it and takes the sets over.
type TorrentConfig struct {
	InfoHash metainfo.InfoHash
	// Info is the info dictionary. Nil is for a magnet link: peers are asked
	// for it, SetInfo begins the download, and Metadata, Storage, Resume, Have
	// and Want must be nil until then.
	Info *metainfo.Info
	// Metadata is Info as it was hashed, for peers that come by a magnet link
	// (BEP 9). Nil serves it to nobody. It must not be changed.
	Metadata []byte
	// PeerID is this torrent's name for us, zero for a fresh one.
	PeerID metainfo.PeerID
	// Storage is where the bytes are. The caller closes it, after the torrent
	// has stopped.
	Storage piecestore.Storage
	// Resume is told about pieces before and after they are written, and is
	// checkpointed when the torrent stops. Nil keeps no record.
	Resume *piecestore.Resume
	// Have is what is verified already, nil for nothing; Want what is to be
	// downloaded, nil for all.
	Have, Want *bitfield.Set
	// Peers are addresses to dial that were named by the user.
	Peers []netip.AddrPort
	// NoPEX exchanges no addresses with peers (BEP 11). A private torrent never
	// does.
	NoPEX bool
	// WebSeeds are URLs of servers that have the content (BEP 19). Those that are not
	// of http or https are ignored. WebSeedBelow is that of engine.Config.
	WebSeeds     []string
	WebSeedBelow int
	// Finders look for peers until the torrent stops.
	Finders []Finder
	// Order is the rule by which pieces are picked.
	Order engine.Order
	// Up and Down limit the payload of this torrent in bytes/s, within the
	// limits of the process; 0 is no limit.
	Up, Down int
	// MaxPeers and UploadSlots are those of engine.Config.
	MaxPeers, UploadSlots int
}

// validate fails if the configuration is not that of a torrent that can be
// shared.
func (cfg *TorrentConfig) validate() error {
	info := cfg.infoConfig()
	switch {
	case cfg.Up < 0 || cfg.Down < 0:
		return errors.New("a rate limit is negative; 0 means unlimited")
	case cfg.Info != nil:
		return info.validate()
	case !info.isZero() || cfg.Metadata != nil:
		return errors.New("the info dictionary is missing; without it, nothing else can be said of the data")
	}
	return nil
}

func (cfg *TorrentConfig) infoConfig() InfoConfig {
	return InfoConfig{Info: cfg.Info, Storage: cfg.Storage, Resume: cfg.Resume, Have: cfg.Have, Want: cfg.Want, WebSeeds: cfg.WebSeeds}
}
