package dht

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ether is a network without delay in which a test decides what arrives. With
// testing/synctest it has no clock of its own either.
type ether struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*fakeSocket
	lost    func(from, to netip.AddrPort) bool // nil: nothing is
	packets map[netip.AddrPort]int             // sent to each address, also where nobody is
}

func newEther() *ether {
	return &ether{sockets: map[netip.AddrPort]*fakeSocket{}, packets: map[netip.AddrPort]int{}}
}

// fakeSocket is a socket in an ether.
type fakeSocket struct {
	ether    *ether
	local    netip.AddrPort
	arrived  chan fakePacket
	failures chan error // for read to return
	closed   chan struct{}
}

type fakePacket struct {
	from    netip.AddrPort
	payload []byte
}

func (e *ether) socket(local netip.AddrPort) *fakeSocket {
	s := &fakeSocket{ether: e, local: local, arrived: make(chan fakePacket, 4096), failures: make(chan error, 64), closed: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sockets[local] = s
	return s
}

func (s *fakeSocket) read(b *batch) error {
	b.num = 0
	select {
	case p := <-s.arrived:
		b.add(p.from, p.payload)
		return nil
	case err := <-s.failures:
		return err
	case <-s.closed:
		return net.ErrClosed
	}
}

func (s *fakeSocket) write(b *batch) (numFailed int) {
	for i := range b.num {
		if !s.ether.deliver(s.local, b.addrs[i], b.packet(i)) {
			numFailed++
		}
	}
	return numFailed
}

func (s *fakeSocket) addr() netip.AddrPort { return s.local }

func (s *fakeSocket) close() error {
	close(s.closed)
	return nil
}

// deliver reports false where a real network would answer "unreachable".
func (e *ether) deliver(from, to netip.AddrPort, payload []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.packets[to]++
	s := e.sockets[to]
	if s == nil || e.lost != nil && e.lost(from, to) {
		return s != nil
	}
	select {
	case s.arrived <- fakePacket{from, append([]byte(nil), payload...)}:
	default: // as the kernel does with a full buffer
	}
	return true
}

// sentTo is the number of packets that went to an address.
func (e *ether) sentTo(to netip.AddrPort) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.packets[to]
}

// fakeAddr is the address of node i. It is a private one, to which any id fits.
func fakeAddr(i int) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("10.%d.%d.1:6881", i/250, i%250))
}

// publicAddr is the address of node i where nodes get to know their addresses
// from each other, and take on ids that fit them (BEP 42).
func publicAddr(i int) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("20.%d.%d.1:6881", i/250, i%250))
}

// fakeServer starts node i.
func (e *ether) fakeServer(t *testing.T, i int, cfg Config) *Server {
	t.Helper()
	return e.fakeServerAt(t, fakeAddr(i), cfg)
}

func (e *ether) fakeServerAt(t *testing.T, addr netip.AddrPort, cfg Config) *Server {
	t.Helper()
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := start(cfg, []socket{e.socket(addr)}, e.resolve)
	t.Cleanup(func() { closeServer(t, s) })
	return s
}

var errNoName = errors.New("no such host")

// resolve knows the name of each node: node7 and so on.
func (e *ether) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var i int
	if _, err := fmt.Sscanf(host, "node%d", &i); err != nil {
		return nil, errNoName
	}
	return []netip.Addr{fakeAddr(i).Addr()}, nil
}

// fakeNetwork starts nodes that join through node 0, and waits for them.
func (e *ether) fakeNetwork(t *testing.T, count int) (servers []*Server) {
	t.Helper()
	for i := range count {
		cfg := Config{Bootstrap: []string{}}
		if i > 0 {
			cfg.Bootstrap = append(cfg.Bootstrap, fakeAddr(0).String())
		}
		servers = append(servers, e.fakeServer(t, i, cfg))
	}
	for _, s := range servers {
		<-s.Ready()
	}
	return servers
}

// errDown is what a send or a read fails with on a machine whose network is
// down.
var errDown error = syscall.ENETUNREACH

// elapsed measures with the clock of a synctest bubble.
func elapsed(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}
