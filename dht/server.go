package dht

import (
	"context"
	"errors"
	"net/netip"
)

// ErrClosed is the error of calls on a Server that is closed, or closed
// meanwhile.
var ErrClosed = errors.New("the DHT node is closed")

// Server is one node of the DHT on its sockets. It is safe for concurrent use.
type Server struct {
	cfg Config
}

// New opens the sockets and starts a node, which at once begins to join. The
// caller must Close it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Close ends every call and lookup, saves the state and closes the sockets. It
// returns when all of that is done, or when ctx ends, with an error; an error
// of saving is returned too. Further calls of Close wait for the first.
func (s *Server) Close(ctx context.Context) error { return nil }

// Port returns the UDP port.
func (s *Server) Port() int { return s.cfg.Port }

// Addrs returns where the node listens: one address for each socket, IPv4
// first.
func (s *Server) Addrs() []netip.AddrPort { return nil }

// Ready returns a channel that is closed when the node has joined: it has
// looked itself up, and knows nodes.
func (s *Server) Ready() <-chan struct{} { return nil }

// AddNodes tells the node of others: from a "port" message of a peer (BEP 5),
// or peers that are likely to be nodes too. Those that answer are taken into
// the table if it has room.
func (s *Server) AddNodes(addrs []netip.AddrPort) {}

// AddHosts is like AddNodes for HOST:PORT, such as a torrent's "nodes" (BEP
// 5). Names are resolved in the background. What cannot be resolved, or is
// beyond the number that may wait, is left out.
func (s *Server) AddHosts(hosts []string) {}
