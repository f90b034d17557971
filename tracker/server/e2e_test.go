package server_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/client"
	"github.com/shoal-bt/shoal/tracker/server"
)

// runTracker serves a tracker on a loopback address and returns it and its
// base URL.
func runTracker(t *testing.T, address string, cfg server.Config) (*server.Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("no such address on this machine: ", err)
	}
	s := runServer(t, cfg, func(ctx context.Context, s *server.Server) error { return s.Run(ctx, ln) })
	return s, "http://" + ln.Addr().String()
}

// runServer returns a tracker that serves until the end of the test.
func runServer(t *testing.T, cfg server.Config, serve func(context.Context, *server.Server) error) *server.Server {
	t.Helper()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.ServeUntilEnd(t, func(ctx context.Context) error { return serve(ctx, s) })
	return s
}

// torrent is a leecher or a seed that hands on what it finds.
type torrent struct {
	left  int64
	found chan []netip.AddrPort
}

func (tr *torrent) Snapshot() (uploaded, downloaded, left int64) { return 0, 0, tr.left }
func (tr *torrent) Found(peers []netip.AddrPort)                 { tr.found <- peers }

var infoHash = metainfo.InfoHash([]byte("\x00+;& %aaaaaaaaaaaaa\xff"))

// runPeer keeps a peer announced until the function it returns is called.
func runPeer(t *testing.T, port uint16, left int64, tiers ...[]string) (*torrent, func()) {
	t.Helper()
	tr := &torrent{left, make(chan []netip.AddrPort, 8)}
	a, err := client.NewAnnouncer(client.AnnouncerConfig{
		Client: client.New(client.Config{}), Torrent: tr, Tiers: tiers,
		InfoHash: infoHash, PeerID: metainfo.NewPeerID(), Port: port, Rand: rand.New(rand.NewPCG(uint64(port), 0)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr, server.UntilStopped(t, a.Run)
}

// Two peers find each other by way of a tracker, over real sockets, whose
// first tracker is down; and when they leave, they are gone.
func TestPeersFindEachOther(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			s, base := runTracker(t, address, server.Config{})
			// One that is down: nobody listens where a connection begins, and
			// nobody else can while it is open.
			conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			deadURL := "http://" + conn.LocalAddr().String() + "/announce"
			ip := netip.MustParseAddrPort(strings.TrimPrefix(base, "http://")).Addr()
			seed := meet(t, s, base+"/announce", ip, []string{deadURL}, []string{base + "/announce"})
			if seed.ExternalIP != ip {
				t.Errorf("the seed is told that it has %v", seed.ExternalIP)
			}
		})
	}
}

// meet has a leecher find a seed by way of a tracker, and leave; it returns what
// the seed was told. Both are at ip. The tiers are the leecher's, and have the
// tracker at announceURL.
func meet(t *testing.T, s *server.Server, announceURL string, ip netip.Addr, tiers ...[]string) *tracker.Response {
	t.Helper()
	c := client.New(client.Config{})
	// A seed that hears nothing of a leecher knows when it is listed: its announce
	// was answered.
	seed, err := c.Announce(t.Context(), announceURL, &tracker.Request{InfoHash: infoHash, Addr: netip.AddrPortFrom(netip.Addr{}, 1), Event: tracker.Started, Compact: true})
	if err != nil || seed.Complete != 1 || seed.Interval != 30*time.Minute {
		t.Fatalf("the seed's announce: %+v, %v", seed, err)
	}
	leecher, stop := runPeer(t, 2, 100, tiers...)
	if peers := <-leecher.found; len(peers) != 1 || peers[0] != netip.AddrPortFrom(ip, 1) {
		t.Errorf("the leecher found %v", peers)
	}
	stats, err := c.Scrape(t.Context(), announceURL, []metainfo.InfoHash{infoHash})
	if err != nil || stats[0] != (tracker.ScrapeStats{Complete: 1, Incomplete: 1}) {
		t.Errorf("scrape %+v, %v", stats, err)
	}
	stop()
	if st := s.Stats(); st.Leechers != 0 || st.Seeds != 1 {
		t.Errorf("after the leecher left: %+v", st)
	}
	return seed
}

func TestClientUnderstandsListsAndRefusals(t *testing.T) {
	_, base := runTracker(t, "127.0.0.1:0", server.Config{KeepPeerIDs: true, Whitelist: server.NewTorrentList(infoHash)})
	c := client.New(client.Config{})
	id := metainfo.NewPeerID()
	var resp *tracker.Response
	for port := range uint16(2) {
		var err error
		resp, err = c.Announce(t.Context(), base+"/announce", &tracker.Request{InfoHash: infoHash, PeerID: id, Left: 1,
			Addr: netip.AddrPortFrom(netip.Addr{}, port+1), NumWant: tracker.NumWantDefault})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(resp.Peers) != 1 || resp.Peers[0].String() != "127.0.0.1:1" || len(resp.PeerIDs) != 1 || resp.PeerIDs[0] != id {
		t.Errorf("%+v", resp)
	}
	_, err := c.Announce(t.Context(), base+"/announce", &tracker.Request{})
	if err == nil || !strings.Contains(err.Error(), "tracker "+base+": the tracker refuses: this tracker does not serve the torrent") {
		t.Errorf("not on the whitelist: %v", err)
	}
}

// A header past its bound is refused before it is kept.
func TestHeadersAreBounded(t *testing.T) {
	_, base := runTracker(t, "127.0.0.1:0", server.Config{})
	for headerLen, want := range map[int]int{4 << 10: http.StatusOK, 9 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		req, _ := http.NewRequest("GET", base+"/healthz", nil)
		req.Header.Set("X", strings.Repeat("x", headerLen))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("a header of %d bytes: status %d, want %d", headerLen, resp.StatusCode, want)
		}
	}
}
