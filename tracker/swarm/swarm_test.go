package swarm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

var ubuntu = metainfo.InfoHash{1}

func newSwarms(t testing.TB, cfg Config) *Swarms {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2))
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// from is an announce of a leecher at addr that wants everyone.
func from(addr string, change ...func(*tracker.Request)) *tracker.Request {
	req := &tracker.Request{InfoHash: ubuntu, Addr: netip.MustParseAddrPort(addr), Left: 1, NumWant: 200}
	copy(req.PeerID[:], addr)
	for _, f := range change {
		f(req)
	}
	return req
}

func seed(r *tracker.Request)       { r.Left = 0 }
func started(r *tracker.Request)    { r.Event = tracker.Started }
func completed(r *tracker.Request)  { r.Left, r.Event = 0, tracker.Completed }
func stopped(r *tracker.Request)    { r.Event = tracker.Stopped }
func sameFamily(r *tracker.Request) { r.SameFamily = true }

func want(n int) func(*tracker.Request) { return func(r *tracker.Request) { r.NumWant = n } }

// announce returns the reply and the peers in it, sorted.
func announce(s *Swarms, now time.Duration, req *tracker.Request) (Reply, []string) {
	var peers Peers
	rep := s.Announce(now, req, &peers)
	var addrs []string
	for _, a := range peers.AppendTo(nil) {
		addrs = append(addrs, a.String())
	}
	slices.Sort(addrs)
	return rep, addrs
}

func wantPeers(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("peers %q, want %q", got, want)
	}
}

func TestLeechersGetAllOthersAndSeedsGetLeechers(t *testing.T) {
	s := newSwarms(t, Config{})
	announce(s, 0, from("10.0.0.1:1", seed))
	announce(s, 0, from("10.0.0.2:2", seed))
	announce(s, 0, from("10.0.0.3:3"))
	_, peers := announce(s, 0, from("10.0.0.4:4"))
	wantPeers(t, peers, "10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3")
	rep, peers := announce(s, 0, from("10.0.0.1:1", seed))
	wantPeers(t, peers, "10.0.0.3:3", "10.0.0.4:4")
	if rep.Complete != 2 || rep.Incomplete != 2 || !rep.Known || !rep.WasSeed {
		t.Errorf("the seed's second announce: %+v", rep)
	}
}

func TestPeersAreKeyedByAddressAndPort(t *testing.T) {
	s := newSwarms(t, Config{})
	announce(s, 0, from("10.0.0.1:1"))
	_, peers := announce(s, 0, from("10.0.0.1:2")) // a neighbour behind the same NAT
	wantPeers(t, peers, "10.0.0.1:1")
	rep, _ := announce(s, 0, from("[::ffff:10.0.0.1]:2"))
	if !rep.Known || rep.Incomplete != 2 {
		t.Errorf("an IPv4-mapped address is not the IPv4 peer: %+v", rep)
	}
	if _, other := s.Scrape(metainfo.InfoHash{2}); other {
		t.Error("the peers are in a swarm that they did not announce")
	}
}

func TestBothFamiliesAreReturnedOwnOneFirst(t *testing.T) {
	s := newSwarms(t, Config{})
	announce(s, 0, from("10.0.0.1:1"))
	announce(s, 0, from("10.0.0.2:2"))
	announce(s, 0, from("[2001:db8::1]:1"))
	_, peers := announce(s, 0, from("[2001:db8::2]:2"))
	wantPeers(t, peers, "10.0.0.1:1", "10.0.0.2:2", "[2001:db8::1]:1")
	_, peers = announce(s, 0, from("[2001:db8::2]:2", want(1)))
	wantPeers(t, peers, "[2001:db8::1]:1")
	_, peers = announce(s, 0, from("10.0.0.1:1", want(1)))
	wantPeers(t, peers, "10.0.0.2:2")
	_, peers = announce(s, 0, from("10.0.0.1:1", sameFamily))
	wantPeers(t, peers, "10.0.0.2:2")
	_, peers = announce(s, 0, from("[2001:db8::2]:2", sameFamily))
	wantPeers(t, peers, "[2001:db8::1]:1")
}

func TestPortZeroIsAnsweredButNeverStored(t *testing.T) {
	s := newSwarms(t, Config{})
	announce(s, 0, from("10.0.0.1:1"))
	rep, peers := announce(s, 0, from("10.0.0.2:0"))
	wantPeers(t, peers, "10.0.0.1:1")
	if rep.Incomplete != 1 {
		t.Errorf("port 0 was counted: %+v", rep)
	}
	_, peers = announce(s, 0, from("10.0.0.1:1"))
	wantPeers(t, peers)
	rep, peers = announce(s, 0, from("10.0.0.9:0", stopped))
	wantPeers(t, peers)
	if rep.Full || rep.Incomplete != 1 {
		t.Errorf("stopped with port 0: %+v", rep)
	}
}

func TestStoppedRemovesAndUnknownStoppedSucceeds(t *testing.T) {
	s := newSwarms(t, Config{})
	rep, _ := announce(s, 0, from("10.0.0.1:1", stopped))
	if rep != (Reply{}) || s.Stats() != (Stats{}) {
		t.Errorf("stopped to an empty tracker left %+v, %+v", rep, s.Stats())
	}
	announce(s, 0, from("10.0.0.1:1", seed))
	announce(s, 0, from("10.0.0.2:2"))
	rep, peers := announce(s, 0, from("10.0.0.1:1", seed, stopped))
	wantPeers(t, peers)
	if !rep.Known || !rep.WasSeed || rep.Complete != 0 || rep.Incomplete != 1 {
		t.Errorf("the seed stopped: %+v", rep)
	}
	if st := s.Stats(); st != (Stats{Torrents: 1, Leechers: 1, Peers4: 1}) {
		t.Errorf("stats %+v", st)
	}
}

func TestCompletedCountsOncePerPeer(t *testing.T) {
	s := newSwarms(t, Config{})
	announce(s, 0, from("10.0.0.1:1", started))
	for i, step := range []struct {
		req      *tracker.Request
		snatched bool
	}{
		{from("10.0.0.1:1", func(r *tracker.Request) { r.Event = tracker.Completed }), false}, // but left is 1
		{from("10.0.0.1:1", completed), true},
		{from("10.0.0.1:1", completed), false}, // sent again: the reply was lost
		{from("10.0.0.1:1"), false},            // found a bad piece
		{from("10.0.0.1:1", completed), false},
		{from("10.0.0.2:2", seed), false},
		{from("10.0.0.3:3", completed), true}, // the tracker had been restarted
	} {
		if rep, _ := announce(s, 0, step.req); rep.Snatched != step.snatched {
			t.Errorf("step %d: snatched is %v", i, rep.Snatched)
		}
	}
	if st, _ := s.Scrape(ubuntu); st != (tracker.ScrapeStats{Complete: 3, Downloaded: 2}) {
		t.Errorf("scrape %+v", st)
	}
}

func TestNumWantIsBounded(t *testing.T) {
	s := newSwarms(t, Config{})
	for i := range 300 {
		announce(s, 0, from(fmt.Sprintf("10.0.%d.%d:6881", i/250, i%250), seed))
	}
	for asked, got := range map[int]int{0: 0, 1: 1, 30: 30, -1: 50, -1 << 40: 50, 1 << 40: 200} {
		_, peers := announce(s, 0, from("10.9.9.9:9", want(asked)))
		if len(peers) != got {
			t.Errorf("numwant %d got %d peers, want %d", asked, len(peers), got)
		}
		if len(slices.Compact(peers)) != got {
			t.Errorf("numwant %d: somebody comes twice", asked)
		}
	}
}

// Everybody but the announcer must be equally likely: 20,000 choices of 7 of
// 100 peers name each 1,400 times, with a standard deviation below 40.
func TestChoiceIsUniform(t *testing.T) {
	s := newSwarms(t, Config{})
	for i := range 101 {
		announce(s, 0, from(fmt.Sprintf("10.0.0.%d:6881", i)))
	}
	named := map[string]int{}
	for range 20000 {
		_, peers := announce(s, 0, from("10.0.0.50:6881", want(7)))
		for _, p := range peers {
			named[p]++
		}
	}
	if named["10.0.0.50:6881"] != 0 || len(named) != 100 {
		t.Fatalf("%d peers were named, the announcer %d times", len(named), named["10.0.0.50:6881"])
	}
	for p, n := range named {
		if n < 1400-6*40 || n > 1400+6*40 {
			t.Errorf("%s was named %d times of 1,400 expected", p, n)
		}
	}
}

func TestSilentPeersExpire(t *testing.T) {
	s := newSwarms(t, Config{Timeout: time.Hour})
	announce(s, 0, from("10.0.0.1:1", seed))
	announce(s, 0, from("[2001:db8::1]:1"))
	announce(s, 30*time.Minute, from("10.0.0.2:2"))
	if n := s.Expire(time.Hour); n != 0 {
		t.Errorf("%d peers expired after just the timeout", n)
	}
	if n := s.Expire(time.Hour + 15*time.Minute); n != 2 {
		t.Errorf("%d peers expired, want 2", n)
	}
	if st := s.Stats(); st != (Stats{Torrents: 1, Leechers: 1, Peers4: 1}) {
		t.Errorf("stats %+v", st)
	}
	s.Expire(2 * time.Hour)
	s.Expire(3 * time.Hour)
	if st := s.Stats(); st != (Stats{}) {
		t.Errorf("after all left: %+v", st)
	}
}

// Small steps must come round to everyone, whatever joins and leaves between
// them, within 1.25 timeouts; and no step may look at everything at once.
func TestExpiryBySmallSteps(t *testing.T) {
	s := newSwarms(t, Config{Timeout: time.Hour})
	for i := range 5000 {
		req := from(fmt.Sprintf("10.0.%d.%d:6881", i/250, i%250))
		req.InfoHash = metainfo.InfoHash{byte(i % 7)}
		announce(s, 0, req)
	}
	most := 0
	for now := time.Duration(0); now < 75*time.Minute; now += 5 * time.Second {
		announce(s, now, from("10.1.0.1:1", seed))
		most = max(most, s.Expire(now))
	}
	if n := s.Stats().Peers4; n != 1 {
		t.Errorf("%d peers are left, want the one that is alive", n)
	}
	if most == 0 || most > 100 {
		t.Errorf("one step removed %d peers, of about 56 that it may look at", most)
	}
}

func TestDownloadsOutliveAnEmptySwarmForADay(t *testing.T) {
	s := newSwarms(t, Config{Timeout: time.Hour})
	announce(s, 0, from("10.0.0.1:1", completed))
	announce(s, time.Minute, from("10.0.0.1:1", seed, stopped))
	s.Expire(20 * time.Hour)
	if st, ok := s.Scrape(ubuntu); !ok || st.Downloaded != 1 {
		t.Errorf("after 20 hours: %+v, %v", st, ok)
	}
	s.Expire(25 * time.Hour)
	if st, ok := s.Scrape(ubuntu); ok {
		t.Errorf("after 25 hours: %+v", st)
	}
}

func TestBoundsHold(t *testing.T) {
	s := newSwarms(t, Config{MaxTorrents: 2, MaxPeers: 3})
	other := func(b byte) func(*tracker.Request) {
		return func(r *tracker.Request) { r.InfoHash = metainfo.InfoHash{b} }
	}
	announce(s, 0, from("10.0.0.1:1"))
	announce(s, 0, from("10.0.0.1:1", other(2)))
	if rep, _ := announce(s, 0, from("10.0.0.1:1", other(3))); !rep.Full {
		t.Error("a third torrent was stored")
	}
	announce(s, 0, from("10.0.0.2:2"))
	rep, peers := announce(s, 0, from("10.0.0.3:3"))
	if !rep.Full || s.Stats().Peers4 != 3 {
		t.Errorf("a fourth peer was stored: %+v, %+v", rep, s.Stats())
	}
	wantPeers(t, peers, "10.0.0.1:1", "10.0.0.2:2")
	if rep, _ := announce(s, 0, from("10.0.0.2:2", completed)); rep.Full || !rep.Snatched {
		t.Errorf("a known peer is refused: %+v", rep)
	}
}

func TestPeerIDsAreKeptOnlyIfAskedFor(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := newSwarms(t, Config{KeepPeerIDs: keep})
		for i := range 40 {
			announce(s, 0, from(fmt.Sprintf("10.0.0.%d:6881", i)))
			announce(s, 0, from(fmt.Sprintf("[2001:db8::%x]:6881", i+1), seed))
		}
		var peers Peers
		s.Announce(0, from("10.0.0.7:6881", seed), &peers)
		s.Announce(0, from("10.0.0.8:6881"), &peers)
		if n := len(peers.IDs4) + len(peers.IDs6); n != 0 != keep || keep && n != peers.Len() {
			t.Fatalf("keep %v: %d ids of %d peers", keep, n, peers.Len())
		}
		ids := append(slices.Clip(peers.IDs4), peers.IDs6...)
		for i, a := range peers.AppendTo(nil) {
			if keep && string(ids[i][:12]) != a.String()[:12] {
				t.Errorf("%s has the id of %s", a, ids[i])
			}
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, cfg := range map[string]Config{
		"no rand":       {},
		"tiny timeout":  {Rand: r, Timeout: 1},
		"negative want": {Rand: r, NumWant: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
