package dhtnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	anacrolix "github.com/anacrolix/dht/v2"
	anacrolixkrpc "github.com/anacrolix/dht/v2/krpc"
	peerstore "github.com/anacrolix/dht/v2/peer-store"
	"github.com/anacrolix/log"
	"golang.org/x/time/rate"

	"github.com/shoal-bt/shoal/dht/krpc"
)

// bubble is a network of foreign nodes, real programs with goroutines and
// sockets, in the virtual time of testing/synctest. Packets take as long, and
// are lost as often, as in a Network with the same Paths.
type bubble struct {
	paths Paths
	rnd   *rand.Rand

	mu         sync.Mutex
	numPackets uint64
	hosts      []*foreign
	byAddr     map[netip.AddrPort]*foreign
}

// foreign is one anacrolix node; it is the net.PacketConn of its server too.
type foreign struct {
	net    *bubble
	index  uint32
	addr   netip.AddrPort
	server *anacrolix.Server
	in     chan datagram
	closed chan struct{}
	close  sync.Once
	silent bool // under net.mu
}

type datagram struct {
	from  *net.UDPAddr
	bytes []byte
}

// inboxLen is a socket's buffer: more packets are dropped, as a kernel does.
const inboxLen = 1024

func (f *foreign) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-f.in:
		return copy(b, d.bytes), d.from, nil
	case <-f.closed:
		return 0, nil, net.ErrClosed
	}
}

func (f *foreign) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errors.New("not a UDP address")
	}
	n := f.net
	receiver := n.route(f, udp.AddrPort())
	if receiver == nil {
		return len(b), nil
	}
	d := datagram{from: net.UDPAddrFromAddrPort(f.addr), bytes: bytes.Clone(b)}
	time.AfterFunc(n.paths.RoundTrip(f.index, receiver.index)/2, func() {
		select {
		case receiver.in <- d:
		default:
		}
	})
	return len(b), nil
}

// route returns whom a packet reaches, nil if nobody.
func (n *bubble) route(sender *foreign, to netip.AddrPort) *foreign {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.numPackets++
	receiver := n.byAddr[netip.AddrPortFrom(to.Addr().Unmap(), to.Port())]
	if n.paths.Loses(n.numPackets) || receiver == nil || receiver.silent || sender.silent {
		return nil
	}
	return receiver
}

func (f *foreign) Close() error {
	f.close.Do(func() { close(f.closed) })
	return nil
}

func (f *foreign) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(f.addr) }
func (f *foreign) SetDeadline(time.Time) error      { return nil }
func (f *foreign) SetReadDeadline(time.Time) error  { return nil }
func (f *foreign) SetWriteDeadline(time.Time) error { return nil }

// add starts a node as anacrolix/torrent does, but with what the comparison is
// fair by: IPv4 alone is asked for, peers are kept, and each has a limiter of
// its own, where the default is one for the process.
func (n *bubble) add(t testing.TB, addr netip.AddrPort, routers []netip.AddrPort) *foreign {
	f := &foreign{net: n, index: uint32(len(n.hosts)), addr: addr, in: make(chan datagram, inboxLen), closed: make(chan struct{})}
	n.mu.Lock()
	n.hosts, n.byAddr[addr] = append(n.hosts, f), f
	n.mu.Unlock()
	cfg := anacrolix.NewDefaultServerConfig()
	cfg.Conn, cfg.PublicIP = f, addr.Addr().AsSlice() // known from the start, so that ids fit addresses
	cfg.DefaultWant = []anacrolixkrpc.Want{anacrolixkrpc.WantNodes}
	cfg.PeerStore = &workingStore{peers: map[peerstore.InfoHash][]anacrolixkrpc.NodeAddr{}}
	cfg.SendLimiter = rate.NewLimiter(anacrolix.DefaultSendLimiter.Limit(), anacrolix.DefaultSendLimiter.Burst())
	cfg.Logger = log.NewLogger()
	cfg.Logger.SetHandlers(log.StreamHandler{W: io.Discard, Fmt: log.LineFormatter})
	cfg.StartingNodes = func() (addrs []anacrolix.Addr, err error) {
		for _, router := range routers {
			if router != addr {
				addrs = append(addrs, anacrolix.NewAddr(net.UDPAddrFromAddrPort(router)))
			}
		}
		return addrs, nil
	}
	var err error
	if f.server, err = anacrolix.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	go f.server.TableMaintainer()
	return f
}

func (f *foreign) id() krpc.ID { return f.server.ID() }

// any draws a node that is alive.
func (n *bubble) any() *foreign {
	for {
		if f := n.hosts[n.rnd.IntN(len(n.hosts))]; !f.silent {
			return f
		}
	}
}

// trueClosest are the eight living nodes that are closest to target, but for
// one.
func (n *bubble) trueClosest(target krpc.ID, but *foreign) (ids []krpc.ID) {
	for _, f := range n.hosts {
		if f != but && !f.silent {
			ids = append(ids, f.id())
		}
	}
	slices.SortFunc(ids, func(x, y krpc.ID) int {
		if closer(&target, &x, &y) {
			return -1
		}
		return 1
	})
	return ids[:min(numClosest, len(ids))]
}

// search runs one get_peers to its end, measured as Host.Search does it. The
// traversal has no sign of its own that the closest have answered: it
// converges when it ends.
func (f *foreign) search(t testing.TB, target krpc.ID, opts ...anacrolix.AnnounceOpt) *Search {
	began := time.Now()
	s := &Search{First: Never, Converged: Never, Done: Never}
	closest := f.net.trueClosest(target, f)
	learned, answered := map[krpc.ID]bool{}, map[krpc.ID]bool{}
	a, err := f.server.AnnounceTraversal(target, opts...)
	if err != nil {
		t.Errorf("search: %v", err)
		return s
	}
	for values := range a.Peers {
		answered[krpc.ID(values.NodeInfo.ID)], learned[krpc.ID(values.NodeInfo.ID)] = true, true
		for _, named := range values.Nodes {
			learned[krpc.ID(named.ID)] = true
		}
		if s.First == Never && len(values.Peers) > 0 {
			s.First = time.Since(began)
		}
	}
	<-a.Finished()
	s.Converged, s.Done, s.Queries = time.Since(began), time.Since(began), int(a.NumContacted())
	for _, id := range closest {
		s.Closest++
		if learned[id] {
			s.Learned++
		}
		if answered[id] {
			s.Answered++
		}
	}
	return s
}

// workingStore keeps peers. The library's own store reads them back from their
// IP alone, and so hands out none over IPv4.
type workingStore struct {
	mu    sync.Mutex
	peers map[peerstore.InfoHash][]anacrolixkrpc.NodeAddr
}

func (s *workingStore) AddPeer(hash peerstore.InfoHash, peer anacrolixkrpc.NodeAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[hash] = append(s.peers[hash], peer)
}

func (s *workingStore) GetPeers(hash peerstore.InfoHash) []anacrolixkrpc.NodeAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.peers[hash])
}

// pass lets virtual time pass: it is called in a bubble alone.
func pass(d time.Duration) { <-time.After(d) }

// spread runs count searches over a minute, each in its time, and waits for
// all.
func spread(count int, run func(i int) *Search) []*Search {
	searches := make([]*Search, count)
	var wait sync.WaitGroup
	for i := range count {
		wait.Go(func() { searches[i] = run(i) })
		pass(time.Minute / time.Duration(count))
	}
	wait.Wait()
	return searches
}

// measuredAnacrolix does with anacrolix's nodes what measured does with ours.
func measuredAnacrolix(t testing.TB, seed uint64, numNodes, numSearches int) Summary {
	n := &bubble{paths: Internet(seed), rnd: rand.New(rand.NewPCG(seed, 0)), byAddr: map[netip.AddrPort]*foreign{}}
	n.grow(t, numNodes, 300*time.Second)
	pass(200 * time.Second)
	n.log(t)
	hashes := make([]krpc.ID, numSearches/5)
	for i := range hashes {
		for j := range hashes[i] {
			hashes[i][j] = byte(n.rnd.Uint32())
		}
	}
	announcers := n.draw(len(hashes))
	spread(len(hashes), func(i int) *Search {
		return announcers[i].search(t, hashes[i], anacrolix.AnnouncePeer(anacrolix.AnnouncePeerOpts{Port: 6881}))
	})
	pass(20 * time.Second)
	n.silenceSome(0.2)
	searchers := n.draw(numSearches)
	s := Summarize(spread(numSearches, func(i int) *Search { return searchers[i].search(t, hashes[i%len(hashes)]) }))
	n.silenceSome(1)
	return s
}

// grow adds nodes one after the other. The first are the routers, as in a
// Network.
func (n *bubble) grow(t testing.TB, numNodes int, during time.Duration) {
	var routers []netip.AddrPort
	for i := range numNodes {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{20 + byte(i>>16), byte(i >> 8), byte(i), 7}), 6881)
		if len(routers) < numRouters {
			routers = append(routers, addr)
		}
		n.add(t, addr, routers)
		pass(during / time.Duration(numNodes))
	}
}

func (n *bubble) log(t testing.TB) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := 0
	for _, f := range n.hosts {
		known += f.server.NumNodes()
	}
	t.Logf("anacrolix: %d nodes joined, %d packets, %.1f nodes known by each", len(n.hosts), n.numPackets, float64(known)/float64(len(n.hosts)))
}

// silenceSome ends a share of the nodes that are alive; routers stay, unless
// all go.
func (n *bubble) silenceSome(share float64) {
	for i, f := range n.hosts {
		if share < 1 && (i < numRouters || n.rnd.Float64() >= share) {
			continue
		}
		n.mu.Lock()
		f.silent = true
		n.mu.Unlock()
		f.server.Close()
	}
}

func (n *bubble) draw(count int) (hosts []*foreign) {
	for range count {
		hosts = append(hosts, n.any())
	}
	return hosts
}

// inBubble measures in virtual time. The traversals of a server that was closed
// leave goroutines behind, which wait for nothing any more: the end of the
// bubble calls that a deadlock.
func inBubble(t *testing.T, measure func(*testing.T) Summary) (s Summary) {
	defer func() {
		if r := recover(); r != nil && !strings.Contains(fmt.Sprint(r), "main bubble goroutine has exited") {
			panic(r)
		}
	}()
	synctest.Test(t, func(t *testing.T) { s = measure(t) })
	return s
}

// The same network, joined in the same time, with the same searches after a
// fifth has fallen silent: with our nodes, and with those of anacrolix/dht.
// The figures in docs/benchmarks.md are of 1,000 nodes, by SHOAL_COMPARE_NODES.
func TestBesideAnacrolix(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: each of the nodes is a real program")
	}
	const seed = 1
	numNodes := 60
	if s := os.Getenv("SHOAL_COMPARE_NODES"); s != "" {
		numNodes, _ = strconv.Atoi(s)
	}
	numSearches := numNodes
	n := grown(t, seed, numNodes)
	hashes, _ := announce(n, numSearches/5)
	n.SilenceSome(0.2)
	ours := Summarize(search(n, hashes, numSearches))
	theirs := inBubble(t, func(t *testing.T) Summary { return measuredAnacrolix(t, seed, numNodes, numSearches) })
	t.Logf("shoal:     %v", ours)
	t.Logf("anacrolix: %v", theirs)
	if theirs.Found < theirs.Searches*9/10 {
		t.Errorf("anacrolix: %d of %d found: the comparison is not fair", theirs.Found, theirs.Searches)
	}
	if ours.Found < theirs.Found || ours.FirstP50 > theirs.FirstP50 || numNodes >= 1000 && ours.FirstP99 > theirs.FirstP99 || ours.ConvergedP50 > theirs.ConvergedP50 ||
		ours.Learned < theirs.Learned || ours.Answered < theirs.Answered {
		t.Error("we are worse in something")
	}
}
