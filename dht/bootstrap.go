package dht

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	// savedHeadStart is how long saved nodes have before routers are asked,
	// which serve the whole world and are spared where possible. It is as long
	// as a node waits for an answer.
	savedHeadStart = 5 * time.Second
	// bootstrapRetry is the first wait before the bootstrap nodes are tried
	// again, while the table is empty; it doubles up to maxBootstrapRetry.
	bootstrapRetry    = 5 * time.Second
	maxBootstrapRetry = 2 * time.Minute

	// Names are resolved a few at a time, each for so long; a torrent can name
	// as many as it likes. All arbitrary.
	numResolvers    = 4
	maxWaitingHosts = 64
	resolveTimeout  = 10 * time.Second
	maxAddrsPerHost = 16
)

// resolveFunc is that of net.Resolver.LookupNetIP.
type resolveFunc func(ctx context.Context, network, host string) ([]netip.Addr, error)

// bootstrap tries the configured nodes as long as the table is empty: in the
// beginning, and whenever it has become empty again.
func (s *Server) bootstrap(haveSaved bool) {
	if len(s.cfg.Bootstrap) == 0 || haveSaved && !s.pause(savedHeadStart) {
		return
	}
	for wait := bootstrapRetry; ; wait = min(2*wait, maxBootstrapRetry) {
		if s.isAlone() {
			s.AddHosts(s.cfg.Bootstrap)
		} else {
			wait = bootstrapRetry
		}
		if !s.pause(wait) {
			return
		}
	}
}

// isAlone reports whether the table is empty.
func (s *Server) isAlone() bool {
	numNodes, _ := inLoop(s, func() int {
		num4, num6 := s.loop.node.NumNodes()
		return num4 + num6
	})
	return numNodes == 0
}

// AddHosts is like AddNodes for HOST:PORT, such as a torrent's "nodes" (BEP
// 5). Names are resolved in the background. What cannot be resolved, or is
// beyond the number that may wait, is left out.
func (s *Server) AddHosts(hosts []string) {
	var addrs []netip.AddrPort
	for _, hostPort := range hosts {
		if addr, err := netip.ParseAddrPort(hostPort); err == nil {
			addrs = append(addrs, addr)
			continue
		}
		select {
		case s.hosts <- hostPort:
		default: // too many wait
		}
	}
	if len(addrs) > 0 {
		s.AddNodes(addrs)
	}
}

// resolveHosts resolves what AddHosts was given, until the Server closes.
func (s *Server) resolveHosts() {
	for {
		select {
		case hostPort := <-s.hosts:
			addrs, err := s.resolveHost(hostPort)
			if err != nil && s.life.Err() == nil {
				s.tellUnresolved(hostPort, err)
			}
			s.AddNodes(addrs)
		case <-s.life.Done():
			return
		}
	}
}

// tellUnresolved warns, once, of a name that the user chose to join through: it
// may be misspelt. That a router cannot be found says only that there is no
// network now, and a torrent may name what it likes.
func (s *Server) tellUnresolved(hostPort string, err error) {
	const text = "a DHT node's name cannot be resolved"
	if slices.Contains(s.cfg.Bootstrap, hostPort) && !slices.Contains(DefaultRouters, hostPort) {
		if _, told := s.unresolved.LoadOrStore(hostPort, true); !told {
			s.cfg.Logger.Warn(text, "node", hostPort, "error", err)
			return
		}
	}
	s.cfg.Logger.Debug(text, "node", hostPort, "error", err)
}

// resolveHost returns the addresses of HOST:PORT, of both families.
func (s *Server) resolveHost(hostPort string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.life, resolveTimeout)
	defer cancel()
	ips, err := s.resolve(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxAddrsPerHost)] {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return addrs, nil
}
