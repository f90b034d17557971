package dht

import (
	"crypto/ed25519"
	"crypto/sha256"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	anacrolix "github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/bep44"
	"github.com/anacrolix/dht/v2/exts/getput"
	theirkrpc "github.com/anacrolix/dht/v2/krpc"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"github.com/anacrolix/torrent/bencode"
	"golang.org/x/time/rate"

	"github.com/shoal-bt/shoal/dht/krpc"
	"github.com/shoal-bt/shoal/dht/node"
)

// startShoal starts a node that joins through others, and nobody else.
func startShoal(tb testing.TB, cfg Config, others ...netip.AddrPort) *Server {
	tb.Helper()
	var bootstrap []string
	for _, other := range others {
		bootstrap = append(bootstrap, other.String())
	}
	return newTestServer(tb, cfg, bootstrap...)
}

// startNetwork starts nodes that have joined through the first of them.
func startNetwork(tb testing.TB, bind netip.Addr, count int) []*Server {
	tb.Helper()
	servers := []*Server{startShoal(tb, Config{Bind: bind})}
	for range count - 1 {
		servers = append(servers, startShoal(tb, Config{Bind: bind}, servers[0].Addrs()[0]))
	}
	for _, s := range servers {
		awaitReady(tb, s)
	}
	return servers
}

// startAnacrolix starts a node of the other make that has joined through
// others.
func startAnacrolix(tb testing.TB, bind netip.Addr, others ...netip.AddrPort) *anacrolix.Server {
	tb.Helper()
	conn, err := net.ListenPacket("udp", netip.AddrPortFrom(bind, 0).String())
	if err != nil {
		tb.Fatal(err)
	}
	cfg := anacrolix.NewDefaultServerConfig()
	cfg.Conn = conn
	cfg.NoSecurity = true
	cfg.SendLimiter = rate.NewLimiter(rate.Inf, 0)
	cfg.PeerStore = new(peerStore)
	cfg.StartingNodes = func() (addrs []anacrolix.Addr, err error) {
		for _, other := range others {
			addrs = append(addrs, anacrolix.NewAddr(net.UDPAddrFromAddrPort(other)))
		}
		return addrs, nil
	}
	s, err := anacrolix.NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	if len(others) > 0 {
		if _, err := s.Bootstrap(); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// peerStore is where the other make keeps peers: its own store in memory loses
// their ports.
type peerStore struct {
	mu    sync.Mutex
	peers map[peer_store.InfoHash][]theirkrpc.NodeAddr
}

func (p *peerStore) AddPeer(hash peer_store.InfoHash, addr theirkrpc.NodeAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peers == nil {
		p.peers = map[peer_store.InfoHash][]theirkrpc.NodeAddr{}
	}
	p.peers[hash] = append(p.peers[hash], addr)
}

func (p *peerStore) GetPeers(hash peer_store.InfoHash) []theirkrpc.NodeAddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.peers[hash])
}

func theirAddr(s *anacrolix.Server) netip.AddrPort {
	return s.Addr().(*net.UDPAddr).AddrPort()
}

// awaitNodes waits until a node knows enough others.
func awaitNodes(tb testing.TB, numNodes func() int, want int) {
	tb.Helper()
	eventually(tb, "enough nodes to be known", func() bool { return numNodes() >= want })
}

// mixedNetwork is a network of both makes, whose nodes have joined through
// some of the other.
type mixedNetwork struct {
	shoals     []*Server
	anacrolixs []*anacrolix.Server
}

func startMixed(tb testing.TB, bind netip.Addr) *mixedNetwork {
	tb.Helper()
	root := startShoal(tb, Config{Bind: bind})
	net := &mixedNetwork{shoals: []*Server{root}}
	for range 4 {
		net.anacrolixs = append(net.anacrolixs, startAnacrolix(tb, bind, root.Addrs()[0]))
	}
	for i := range 3 {
		s := startShoal(tb, Config{Bind: bind}, theirAddr(net.anacrolixs[i]))
		awaitReady(tb, s)
		net.shoals = append(net.shoals, s)
	}
	net.introduce(tb)
	return net
}

// introduce has each of our nodes get to know all others. The other make tells
// only of nodes that it has looked over, which takes it minutes.
func (net *mixedNetwork) introduce(tb testing.TB) {
	tb.Helper()
	var all []netip.AddrPort
	for _, s := range net.shoals {
		all = append(all, s.Addrs()[0])
	}
	for _, s := range net.anacrolixs {
		all = append(all, theirAddr(s))
	}
	for i, s := range net.shoals {
		others := slices.Delete(slices.Clone(all), i, i+1)
		eventually(tb, "a node to know the others", func() bool {
			s.AddNodes(others)
			return numNodes(s) >= len(others)
		})
	}
}

func numNodes(s *Server) int {
	stats := s.Stats()
	return stats.IPv4.NumNodes + stats.IPv6.NumNodes
}

func awaitReady(tb testing.TB, s *Server) {
	tb.Helper()
	select {
	case <-s.Ready():
	case <-testContext(tb).Done():
		tb.Fatal("a node does not join")
	}
}

// shoalPeers are the peers that one of ours finds.
func shoalPeers(tb testing.TB, s *Server, hash krpc.ID) (peers []netip.AddrPort) {
	tb.Helper()
	_, err := s.Lookup(testContext(tb), node.Request{Method: krpc.GetPeers, Target: hash}, func(_ netip.AddrPort, r node.Reply) {
		peers = append(peers, r.Peers...)
	})
	if err != nil {
		tb.Error(err)
	}
	return peers
}

// anacrolixPeers are the peers that one of the other make finds; a port makes
// it announce itself as well.
func anacrolixPeers(tb testing.TB, s *anacrolix.Server, hash krpc.ID, port int) (peers []netip.AddrPort) {
	tb.Helper()
	var opts []anacrolix.AnnounceOpt
	if port != 0 {
		opts = append(opts, anacrolix.AnnouncePeer(anacrolix.AnnouncePeerOpts{Port: port}))
	}
	a, err := s.AnnounceTraversal(hash, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	defer a.Close()
	for values := range a.Peers {
		for _, peer := range values.Peers {
			ip, _ := netip.AddrFromSlice(peer.IP)
			peers = append(peers, netip.AddrPortFrom(ip.Unmap(), uint16(peer.Port)))
		}
	}
	<-a.Finished()
	return peers
}

// Both makes join through each other, announce, and find each other's peers.
func TestInteropPeers(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		net := startMixed(t, bind)
		theirs, ours := krpc.ID{1}, krpc.ID{0xff}
		anacrolixPeers(t, net.anacrolixs[1], theirs, 5001)
		eventually(t, "their peer to be found", func() bool {
			return slices.Contains(shoalPeers(t, net.shoals[2], theirs), netip.AddrPortFrom(bind, 5001))
		})
		req := node.Request{Method: krpc.GetPeers, Target: ours, Store: true, Port: 5002}
		result, err := net.shoals[0].Lookup(testContext(t), req, nil)
		if err != nil || result.Stored < 6 || result.Refused > 0 {
			t.Errorf("our announce: %+v, %v", result, err)
		}
		eventually(t, "our peer to be found", func() bool {
			return slices.Contains(anacrolixPeers(t, net.anacrolixs[3], ours, 0), netip.AddrPortFrom(bind, 5002))
		})
	})
}

// What one node of ours announces is kept by the other make alone, and found
// there by another of ours; and the reverse.
func TestInteropStorage(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		store := startAnacrolix(t, bind)
		hash := krpc.ID{7}
		// Read-only nodes are in nobody's table and keep nothing.
		first := startShoal(t, Config{Bind: bind, ReadOnly: true}, theirAddr(store))
		second := startShoal(t, Config{Bind: bind, ReadOnly: true}, theirAddr(store))
		awaitReady(t, first)
		awaitReady(t, second)
		req := node.Request{Method: krpc.GetPeers, Target: hash, Store: true, ImpliedPort: true}
		if result, err := first.Lookup(testContext(t), req, nil); err != nil || result.Stored != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		eventually(t, "our peer to be found", func() bool {
			return slices.Contains(shoalPeers(t, second, hash), first.Addrs()[0])
		})

		ourStore := startShoal(t, Config{Bind: bind})
		announcer, asker := startAnacrolix(t, bind, ourStore.Addrs()[0]), startAnacrolix(t, bind, ourStore.Addrs()[0])
		anacrolixPeers(t, announcer, hash, 5003)
		if peers := anacrolixPeers(t, asker, hash, 0); !slices.Contains(peers, netip.AddrPortFrom(bind, 5003)) {
			t.Errorf("they find %v with us", peers)
		}
		putTheirs(t, announcer, testItem("9:immutable", nil))
		putTheirs(t, announcer, testItem("7:mutable", []byte{}))
		if stored := ourStore.Stats().Stored; stored.Peers != 1 || stored.Torrents != 1 || stored.Items != 2 {
			t.Errorf("%+v", stored)
		}
	})
}

// Items of BEP 44 that one make puts, the other gets.
func TestInteropItems(t *testing.T) {
	forEachFamily(t, func(t *testing.T, bind netip.Addr) {
		net := startMixed(t, bind)
		for name, salt := range map[string][]byte{"immutable": nil, "mutable": {}, "salted": []byte("salt")} {
			theirs, ours := testItem("13:what they put", salt), testItem("11:what we put", salt)
			putTheirs(t, net.anacrolixs[2], theirs)
			eventually(t, name+" item of theirs", func() bool { return has(getOurs(t, net.shoals[1], theirs), theirs) })

			req := node.Request{Method: krpc.Get, Target: target(ours), Store: true, Item: &ours}
			result, err := net.shoals[2].Lookup(testContext(t), req, nil)
			if err != nil || result.Stored < 2 {
				t.Errorf("%s item of ours: %+v, %v", name, result, err)
			}
			// The other make refuses a put of an immutable item, for it has no
			// seq; BEP 44 wants none there.
			if name != "immutable" && result.Refused > 0 {
				t.Errorf("%s item of ours: %d nodes refuse it", name, result.Refused)
			}
			got, _, err := getput.Get(testContext(t), target(ours), net.anacrolixs[3], nil, salt)
			if err != nil || string(got.V) != string(ours.Value) || got.Seq != ours.Seq && name != "immutable" {
				t.Errorf("%s item of ours: they get %+v, %v", name, got, err)
			}
		}
	})
}

// testItem makes an item, signed by a key of its own if it has a salt, maybe
// an empty one.
func testItem(value string, salt []byte) node.Item {
	item := node.Item{Value: []byte(value)}
	if salt == nil {
		return item
	}
	key := itemKey(&item)
	item.Key, item.Salt, item.Seq = key.Public().(ed25519.PublicKey), salt, 3
	item.Sig = ed25519.Sign(key, krpc.AppendSigned(nil, salt, item.Seq, item.Value))
	return item
}

func itemKey(item *node.Item) ed25519.PrivateKey {
	seed := sha256.Sum256(item.Value)
	return ed25519.NewKeyFromSeed(seed[:])
}

func target(item node.Item) krpc.ID {
	if item.Key == nil {
		return krpc.ImmutableTarget(item.Value)
	}
	return krpc.MutableTarget(item.Key, item.Salt)
}

// putTheirs has the other make put an item.
func putTheirs(tb testing.TB, s *anacrolix.Server, item node.Item) {
	tb.Helper()
	_, err := getput.Put(testContext(tb), theirkrpc.ID(target(item)), s, item.Salt, func(int64) bep44.Put {
		put := bep44.Put{V: bencode.Bytes(item.Value), Salt: item.Salt, Seq: item.Seq}
		if item.Key != nil {
			put.K = (*[32]byte)(item.Key)
			put.Sign(itemKey(&item))
		}
		return put
	})
	if err != nil {
		tb.Error(err)
	}
}

// getOurs has one of ours look for an item.
func getOurs(tb testing.TB, s *Server, item node.Item) (found []node.Item) {
	tb.Helper()
	req := node.Request{Method: krpc.Get, Target: target(item), Item: &node.Item{Salt: item.Salt}}
	_, err := s.Lookup(testContext(tb), req, func(_ netip.AddrPort, r node.Reply) {
		if r.Item != nil {
			found = append(found, *r.Item)
		}
	})
	if err != nil {
		tb.Error(err)
	}
	return found
}

func has(found []node.Item, want node.Item) bool {
	return slices.ContainsFunc(found, func(item node.Item) bool {
		return string(item.Value) == string(want.Value) && string(item.Key) == string(want.Key) && item.Seq == want.Seq
	})
}
