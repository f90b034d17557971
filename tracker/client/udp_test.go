package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/compact"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

const (
	host4 = "198.51.100.1" // RFC 5737: documentation, so never a real tracker
	host6 = "2001:db8::1"
)

// oneUDPTracker returns a Client that knows one tracker, by IPv4. It is for
// tests in fake time, which end only when every socket is closed.
func oneUDPTracker(t *testing.T, cfg Config, f *udpTracker) *Client {
	c := fakeUDPClient(cfg, []string{host4}, map[string]*udpTracker{host4: f})
	t.Cleanup(func() { closeIdle(c) })
	return c
}

func closeIdle(c *Client) {
	for s := c.udp.anyIdle(); s != nil; s = c.udp.anyIdle() {
		c.udp.drop(s)
	}
}

func (c *udpClient) anyIdle() *udpSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return nil
	}
	return c.idle[0]
}

func (c *udpClient) numIdle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

func announceUDP(t *testing.T, c *Client) (*tracker.Response, error) {
	t.Helper()
	return c.Announce(t.Context(), "udp://tracker.example:6969/announce", &tracker.Request{Left: 1})
}

func mustAnnounceUDP(t *testing.T, c *Client) *tracker.Response {
	t.Helper()
	resp, err := announceUDP(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Over real sockets, of both families.
func TestUDPAnnounce(t *testing.T) {
	for host, peers := range map[string][]netip.AddrPort{
		"127.0.0.1": addrs("10.0.0.1:6881", "10.0.0.2:1"),
		"[::1]":     addrs("[2001:db8::2]:6881"),
	} {
		t.Run(host, func(t *testing.T) {
			f := &udpTracker{peers: append(peers, addrs("10.0.0.3:0")...)} // nobody is at port 0
			if host == "[::1]" {
				f.peers = append(peers, addrs("[2001:db8::3]:0")...)
			}
			u := fmt.Sprintf("UDP://%s:%d/dir%%2F/announce?a=b&c=d#x", host, f.listen(t, host+":0"))
			req := &tracker.Request{
				InfoHash: metainfo.InfoHash([]byte("hhhhhhhhhhhhhhhhhhhh")), PeerID: metainfo.PeerID([]byte("pppppppppppppppppppp")),
				Addr: netip.MustParseAddrPort("10.0.0.9:6881"), Uploaded: 1, Downloaded: 2, Left: -1, Event: tracker.Started, NumWant: 50, Key: 7,
			}
			resp, err := New(Config{}).Announce(t.Context(), u, req)
			if err != nil {
				t.Fatal(err)
			}
			want := &tracker.Response{Interval: 30 * time.Minute, Complete: 4, Incomplete: 3, Downloaded: -1, Peers: peers}
			if !reflect.DeepEqual(resp, want) {
				t.Errorf("response %+v, want %+v", resp, want)
			}
			wantHeard := udp.AnnounceRequest{InfoHash: req.InfoHash, PeerID: req.PeerID, Uploaded: 1, Downloaded: 2, Left: unknownLeft,
				Event: tracker.Started, NumWant: 50, Key: 7, Port: 6881}
			if host == "127.0.0.1" {
				wantHeard.IP = [4]byte{10, 0, 0, 9} // BEP 15: under IPv6 "should always be set to 0"
			}
			heard, path := f.heard()
			if heard != wantHeard {
				t.Errorf("the tracker heard %+v, want %+v", heard, wantHeard)
			}
			if path != "/dir%2F/announce?a=b&c=d" {
				t.Errorf("path %q", path)
			}
		})
	}
}

func TestUDPScrape(t *testing.T) {
	f := &udpTracker{}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		hashes := make([]metainfo.InfoHash, MaxScrape)
		for i := range hashes {
			hashes[i][0] = byte(i)
		}
		stats, err := c.Scrape(t.Context(), "udp://tracker.example:1", hashes)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range stats {
			if want := (tracker.ScrapeStats{Complete: i, Incomplete: 1, Downloaded: 2}); s != want {
				t.Errorf("torrent %d: %+v, want %+v", i, s, want)
			}
		}
		f.wantLog(t, "0s connect", "0s scrape", "0s scrape")
	})
}

// The second example of BEP 15: "t = 0: connect request [...] t = 15 [...]
// t = 45 [...] t = 105".
func TestUDPConnectIsRetransmitted(t *testing.T) {
	f := &udpTracker{swallow: func(udp.RequestHeader) bool { return true }}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{Timeout: 24 * time.Hour}, f)
		_, err := announceUDP(t, c)
		if err == nil || !strings.Contains(err.Error(), "no answer in time; is it down?") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(f.begin); took != 15*511*time.Second { // 1 + 2 + 4 + ... + 256
			t.Errorf("given up after %v", took)
		}
		f.wantLog(t, "0s connect", "15s connect", "45s connect", "1m45s connect", "3m45s connect",
			"7m45s connect", "15m45s connect", "31m45s connect", "1h3m45s connect")
	})
}

// The third example: announces are lost, and the connection id expires.
func TestUDPAnnounceIsRetransmitted(t *testing.T) {
	f := &udpTracker{swallow: func(h udp.RequestHeader) bool { return h.Action == udp.Announce }}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{Timeout: 5 * time.Minute}, f)
		if _, err := announceUDP(t, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		f.wantLog(t, "0s connect", "0s announce", "15s announce", "45s announce", "1m45s connect", "1m45s announce", "3m45s connect", "3m45s announce")
	})
}

// An answer to the first of two transmissions is an answer.
func TestUDPLateAnswerCounts(t *testing.T) {
	var first udp.RequestHeader
	f := &udpTracker{}
	f.answer = func(h udp.RequestHeader) [][]byte {
		if h.Action != udp.Announce {
			return nil
		}
		if first == (udp.RequestHeader{}) {
			first = h
			return [][]byte{} // not nil: nothing is sent
		}
		h.TransactionID = first.TransactionID
		b := udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: udp.Announce, TransactionID: first.TransactionID})
		return [][]byte{udp.AppendAnnounceResponse(b, udp.AnnounceResponse{})}
	}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		mustAnnounceUDP(t, c)
		f.wantLog(t, "0s connect", "0s announce", "15s announce")
	})
}

func TestUDPTimeout(t *testing.T) {
	f := &udpTracker{swallow: func(udp.RequestHeader) bool { return true }}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		if _, err := announceUDP(t, c); err == nil || !strings.Contains(err.Error(), "tracker udp://tracker.example:6969: no answer in time") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(f.begin); took != DefaultTimeout {
			t.Errorf("given up after %v", took)
		}
	})
}

func TestUDPCancel(t *testing.T) {
	f := &udpTracker{swallow: func(h udp.RequestHeader) bool { return h.Action == udp.Announce }}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.Announce(ctx, "udp://tracker.example:1", &tracker.Request{})
		if took := time.Since(f.begin); took != time.Second || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "given up") {
			t.Errorf("after %v: %v", took, err)
		}
		if c.udp.numIdle() != 0 {
			t.Error("the socket of a request that was given up is kept")
		}
	})
}

// "A client can use a connection ID until one minute after it has received it."
func TestUDPConnectionIDIsReusedForAMinute(t *testing.T) {
	f := &udpTracker{}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		mustAnnounceUDP(t, c)
		time.Sleep(59 * time.Second)
		mustAnnounceUDP(t, c)
		time.Sleep(time.Second)
		mustAnnounceUDP(t, c)
		f.wantLog(t, "0s connect", "0s announce", "59s announce", "1m0s connect", "1m0s announce")
		if n := f.numDialed(); n != 2 {
			t.Errorf("%d sockets, want 2", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := c.udp.numIdle(); n != 0 {
			t.Errorf("%d sockets are kept after a minute", n)
		}
	})
}

func TestUDPIdleSocketsAreBounded(t *testing.T) {
	f := &udpTracker{}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		remote := netip.MustParseAddrPort(host4 + ":1")
		var open []*udpSession
		for range maxIdle + 3 {
			s, err := c.udp.session(remote)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.ask(t.Context(), udp.Scrape, nil); err != nil {
				t.Fatal(err)
			}
			open = append(open, s)
		}
		for _, s := range open {
			c.udp.release(s)
		}
		if n := c.udp.numIdle(); n != maxIdle {
			t.Errorf("%d sockets are kept", n)
		}
	})
}

// A tracker that has restarted knows no old connection id: it refuses it, or is
// silent.
func TestUDPForgottenConnectionID(t *testing.T) {
	for name, c := range map[string]struct {
		packets [][]byte
		want    []string
	}{
		"refuses": {nil, []string{"1s announce", "1s connect", "1s announce"}},
		"silent":  {[][]byte{}, []string{"1s announce", "16s connect", "16s announce"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &udpTracker{}
			synctest.Test(t, func(t *testing.T) {
				client := oneUDPTracker(t, Config{}, f)
				mustAnnounceUDP(t, client)
				f.wantLog(t, "0s connect", "0s announce")
				f.answer = func(h udp.RequestHeader) [][]byte {
					if h.ConnectionID != 1 {
						return nil
					}
					if c.packets == nil {
						return [][]byte{refuse(h, "Connection ID missmatch")}
					}
					return c.packets
				}
				time.Sleep(time.Second)
				mustAnnounceUDP(t, client)
				f.wantLog(t, c.want...)
			})
		})
	}
}

func TestUDPRefusal(t *testing.T) {
	f := &udpTracker{}
	f.answer = func(h udp.RequestHeader) [][]byte {
		if h.Action == udp.Connect {
			return nil
		}
		return [][]byte{refuse(h, "not \x1b[31mhere")}
	}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		_, err := announceUDP(t, c)
		var refused *tracker.FailureError
		if !errors.As(err, &refused) || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "refuses: not") {
			t.Errorf("error %v", err)
		}
		f.wantLog(t, "0s connect", "0s announce")
	})
}

// What does not repeat the transaction id, or is of another action, or too
// short, changes nothing.
func TestUDPStrayPacketsAreIgnored(t *testing.T) {
	f := &udpTracker{}
	f.answer = func(h udp.RequestHeader) [][]byte {
		if h.Action == udp.Connect {
			return nil
		}
		wrong := h
		wrong.TransactionID++
		right := udp.ResponseHeader{Action: udp.Announce, TransactionID: h.TransactionID}
		return [][]byte{
			{}, make([]byte, 7),
			refuse(wrong, "forged"),
			udp.AppendAnnounceResponse(udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: udp.Announce, TransactionID: wrong.TransactionID}), udp.AnnounceResponse{}),
			udp.AppendConnectionID(udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: udp.Connect, TransactionID: h.TransactionID}), 9),
			udp.AppendAnnounceResponse(udp.AppendResponseHeader(nil, right), udp.AnnounceResponse{Seeders: 77}),
		}
	}
	synctest.Test(t, func(t *testing.T) {
		c := oneUDPTracker(t, Config{}, f)
		if resp := mustAnnounceUDP(t, c); resp.Complete != 77 {
			t.Errorf("%+v", resp)
		}
	})
}

func TestUDPShortAnswers(t *testing.T) {
	for _, short := range []udp.Action{udp.Connect, udp.Announce, udp.Scrape} {
		f := &udpTracker{}
		f.answer = func(h udp.RequestHeader) [][]byte {
			if h.Action != short {
				return nil
			}
			b := udp.AppendResponseHeader(nil, udp.ResponseHeader{Action: h.Action, TransactionID: h.TransactionID})
			return [][]byte{append(b, 1, 2, 3)}
		}
		synctest.Test(t, func(t *testing.T) {
			c := oneUDPTracker(t, Config{}, f)
			_, err := announceUDP(t, c)
			if short == udp.Scrape {
				_, err = c.Scrape(t.Context(), "udp://tracker.example:1", make([]metainfo.InfoHash, 1))
			}
			if !errors.Is(err, errNotTracker) {
				t.Errorf("a short answer to %v: %v", short, err)
			}
		})
	}
}

// BEP 15: "Clients that resolve hostnames to v4 and v6 and then announce to
// both should use the same key for both".
func TestUDPBothFamilies(t *testing.T) {
	four := &udpTracker{peers: addrs("10.0.0.1:1")}
	six := &udpTracker{peers: addrs("[2001:db8::9]:1")}
	silent := &udpTracker{swallow: func(udp.RequestHeader) bool { return true }}
	refusing := &udpTracker{answer: func(h udp.RequestHeader) [][]byte { return [][]byte{refuse(h, "no")} }}
	for name, c := range map[string]struct {
		four, six *udpTracker
		want      string
		wantTook  time.Duration
	}{
		"both":             {four, six, "[10.0.0.1:1 [2001:db8::9]:1]", 0},
		"no IPv6":          {four, nil, "[10.0.0.1:1]", 0},
		"no IPv4":          {nil, six, "[[2001:db8::9]:1]", 0},
		"silent IPv6":      {four, silent, "[10.0.0.1:1]", familyGrace},
		"silent both":      {silent, silent, "no answer in time", DefaultTimeout},
		"refused":          {refusing, silent, "refuses: no", DefaultTimeout},
		"no route":         {nil, nil, "no route", 0},
		"no route, silent": {nil, silent, "no answer in time", DefaultTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trackers := map[string]*udpTracker{}
				if c.four != nil {
					trackers[host4] = c.four
				}
				if c.six != nil {
					trackers[host6] = c.six
				}
				client := fakeUDPClient(Config{}, []string{host6, host4}, trackers)
				begin := time.Now()
				resp, err := client.Announce(t.Context(), "udp://tracker.example:1", &tracker.Request{Key: 5})
				if took := time.Since(begin); took != c.wantTook {
					t.Errorf("took %v, want %v", took, c.wantTook)
				}
				switch {
				case err != nil && !strings.Contains(err.Error(), c.want):
					t.Errorf("error %v, want %q", err, c.want)
				case err == nil && !sameAddrs(resp.Peers, c.want):
					t.Errorf("peers %v, want %v", resp.Peers, c.want)
				}
				for _, f := range trackers {
					if heard, _ := f.heard(); name == "both" && heard.Key != 5 {
						t.Errorf("key %d", heard.Key)
					}
				}
				closeIdle(client)
			})
		})
	}
}

// sameAddrs compares addresses in any order with a list as fmt prints it.
func sameAddrs(got []netip.AddrPort, want string) bool {
	if len(got) == 2 && fmt.Sprint(got) != want {
		got[0], got[1] = got[1], got[0]
	}
	return fmt.Sprint(got) == want
}

// An address that has no route is not the last that a name has.
func TestUDPSecondAddressOfAFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &udpTracker{}
		c := fakeUDPClient(Config{}, []string{"198.51.100.9", host4}, map[string]*udpTracker{host4: f})
		mustAnnounceUDP(t, c)
		closeIdle(c)
	})
}

// The name of a public tracker must not lead to a local one, and an address
// that we are bound to not to another family.
func TestUDPAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		local, host, resolves string
		want                  string
	}{
		"public name":            {"", "tracker.example", host4, ""},
		"public name to private": {"", "tracker.example", "10.0.0.1", "it leads to 10.0.0.1 in the local network"},
		"mapped":                 {"", "tracker.example", "::ffff:127.0.0.1", "it leads to 127.0.0.1"},
		"private by address":     {"", "10.0.0.1", "10.0.0.1", ""},
		"bound to IPv4":          {"198.51.100.7", "tracker.example", host6, "it has no address of the family"},
		"bound to IPv6":          {"2001:db8::7", "tracker.example", host6, ""},
	} {
		cfg := Config{}
		if c.local != "" {
			cfg.LocalAddr = netip.MustParseAddr(c.local)
		}
		client := fakeUDPClient(cfg, []string{c.resolves}, nil)
		_, err := client.Announce(t.Context(), "udp://"+c.host+":1", &tracker.Request{})
		if c.want == "" {
			c.want = "no route" // it was dialed
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestUDPConnectionRefused(t *testing.T) {
	_, err := New(Config{}).Announce(t.Context(), "udp://"+nobodyListens(t, "udp"), &tracker.Request{})
	if err == nil || !strings.Contains(err.Error(), "connection refused; is it running?") {
		t.Errorf("error %v", err)
	}
}

func TestUDPBindsToItsLocalAddress(t *testing.T) {
	f := &udpTracker{}
	port := f.listen(t, "127.0.0.1:0")
	c := New(Config{LocalAddr: netip.MustParseAddr("127.0.0.2")})
	if _, err := c.Announce(t.Context(), fmt.Sprintf("udp://127.0.0.1:%d", port), &tracker.Request{}); err != nil {
		t.Skip("this system has no 127.0.0.2: ", err)
	}
	if from := c.udp.anyIdle().conn.LocalAddr().String(); !strings.HasPrefix(from, "127.0.0.2:") {
		t.Errorf("asked from %s", from)
	}
}

// A dead UDP tracker leaves the next tier its turn, and a live one hears
// stopped at once.
func TestAnnouncerOverUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &udpTracker{swallow: func(udp.RequestHeader) bool { return true }}
		live := &udpTracker{peers: addrs("[2001:db8::9]:1")}
		c := fakeUDPClient(Config{}, nil, map[string]*udpTracker{host4: dead, host6: live})
		c.udp.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(host)}, nil
		}
		torrent := &fakeTorrent{left: 100}
		_, stop := startAnnouncer(t, AnnouncerConfig{Client: c, Torrent: torrent, Tiers: [][]string{{"udp://" + host4 + ":1"}, {"udp://[" + host6 + "]:1"}}})
		time.Sleep(time.Minute)
		synctest.Wait()
		dead.wantLog(t, "0s connect", "15s connect")
		live.wantLog(t, "30s connect", "30s announce")
		if heard, _ := live.heard(); len(torrent.found) != 1 || heard.Event != tracker.Started {
			t.Errorf("found %v, the tracker heard %v", torrent.found, heard.Event)
		}
		if took := stop(); took != 0 {
			t.Errorf("stopped after %v", took)
		}
		if heard, _ := live.heard(); heard.Event != tracker.Stopped || heard.NumWant != 0 {
			t.Errorf("the tracker heard %+v at the end", heard)
		}
		closeIdle(c)
	})
}

func FuzzParseUDPAnnounce(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(append(udp.AppendAnnounceResponse(nil, udp.AnnounceResponse{IntervalSec: 1800, Leechers: 1, Seeders: 2}), "\x0a\x00\x00\x01\x1a\xe1cut"...), true)
	f.Add(udp.AppendAnnounceResponse(nil, udp.AnnounceResponse{IntervalSec: 1<<32 - 1, Leechers: 1<<32 - 1, Seeders: 1<<32 - 1}), false)
	f.Fuzz(func(t *testing.T, answer []byte, four bool) {
		remote := netip.MustParseAddr(host6)
		if four {
			remote = netip.MustParseAddr(host4)
		}
		r, err := parseUDPAnnounce(answer, remote)
		if err != nil {
			return
		}
		if len(r.Peers) > min(MaxPeers, len(answer)/compact.Len4) || r.Complete < 0 || r.Incomplete < 0 || r.Interval < 0 {
			t.Errorf("%+v", r)
		}
		for _, peer := range r.Peers {
			if peer.Port() == 0 || !peer.IsValid() {
				t.Errorf("peer %v", peer)
			}
		}
	})
}
