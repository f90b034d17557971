package dht

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
)

// DefaultRouters are the well-known nodes through which others join the DHT,
// HOST:PORT each. Any of them may be gone one day: saved nodes come first.
var DefaultRouters = []string{
	"dht.libtorrent.org:25401",
	"dht.transmissionbt.com:6881",
	"router.bt.ouinet.work:6881",
	"router.bittorrent.com:6881",
}

// DefaultVersion goes into every packet as its v: two letters of the client
// and two bytes of its version (BEP 5, BEP 20).
const DefaultVersion = "SH\x00\x01"

// Config configures a Server. The zero Config is a node on any free port of
// every interface that joins through DefaultRouters and saves nothing.
type Config struct {
	// Bind is the local address of the socket. The zero Addr means every
	// interface, with one socket for IPv4 and one for IPv6.
	Bind netip.Addr
	// Port is the UDP port, the same for both sockets; 0 means any free one.
	Port int

	// StateFile is where the id and the nodes are kept between sessions. Empty
	// keeps nothing. A file that is damaged, or of a later version of Shoal, is
	// renamed to end in ".bad", and the node starts without.
	StateFile string
	// BorrowState only takes the nodes of StateFile: the id is not this node's,
	// and the file stays as it is. It is for a node that runs for a moment,
	// perhaps beside the one that the file belongs to.
	BorrowState bool

	// Bootstrap are the nodes through which to join, HOST:PORT each. Nil means
	// DefaultRouters, or none if Bind is a loopback address; an empty slice
	// means none.
	Bootstrap []string

	// ReadOnly says that the node answers no queries, and asks others to send
	// it none (BEP 43).
	ReadOnly bool
	// EnforceIDs looks up and stores only on nodes whose ids fit their
	// addresses (BEP 42).
	EnforceIDs bool
	// Version replaces DefaultVersion; at most 4 bytes.
	Version string

	// MaxQueries bounds the queries a second in the long run; 0 means 100,
	// negative means no bound.
	MaxQueries int
	// MaxReplies bounds the answers a second to all sources together; 0 means
	// 20,000, negative means no bound.
	MaxReplies int
	MaxPeers   int // peers in store for others, of all torrents; 0 means 50,000
	MaxItems   int // items in store for others (BEP 44); 0 means 2,000
	// MaxLookups bounds the lookups at a time; more wait for their turn. 0
	// means 64. The queries of all share MaxQueries: more at a time make each
	// slower, and the first results later.
	MaxLookups int

	// Logger gets what happens to the node, never one line per packet. Nil
	// means silent.
	Logger *slog.Logger
}

const (
	defaultLookups = 64  // arbitrary: MaxQueries keeps about ten busy
	mostLookups    = 200 // the node takes 256, its own included
)

// withDefaults returns the configuration with every default filled in, or an
// error that says which field is wrong.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Port < 0 || cfg.Port > 65535 {
		return cfg, fmt.Errorf("port %d is not between 0 and 65535", cfg.Port)
	}
	if len(cfg.Version) > 4 {
		return cfg, fmt.Errorf("version %q has %d bytes: it may have 4 (BEP 20)", cfg.Version, len(cfg.Version))
	}
	if cfg.MaxLookups < 0 || cfg.MaxLookups > mostLookups {
		return cfg, fmt.Errorf("%d lookups at a time: it must be 1 to %d", cfg.MaxLookups, mostLookups)
	}
	cfg.Bind = cfg.Bind.Unmap()
	if cfg.MaxLookups == 0 {
		cfg.MaxLookups = defaultLookups
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.Bootstrap == nil && !cfg.Bind.IsLoopback() {
		cfg.Bootstrap = DefaultRouters
	}
	cfg.Bootstrap = slices.Clone(cfg.Bootstrap)
	for _, hostPort := range cfg.Bootstrap {
		if _, _, err := net.SplitHostPort(hostPort); err != nil {
			return cfg, fmt.Errorf("bootstrap node %q must be HOST:PORT: %w", hostPort, err)
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}
