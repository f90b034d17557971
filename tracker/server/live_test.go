package server

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/udp"
)

func change(t *testing.T, s *Server, cfg Config) {
	t.Helper()
	if err := s.Change(cfg); err != nil {
		t.Fatal(err)
	}
}

// A change holds for the next request, and costs no peer.
func TestChange(t *testing.T) {
	a := newAsker(t, Config{Interval: time.Hour, MaxPeers: 100})
	s := a.u.server
	get(t, s, "10.0.0.1:1", announceOf(idA, 1, "&left=1"))
	change(t, s, Config{Interval: 10 * time.Minute, MinInterval: 2 * time.Minute, NumWant: 1, MaxPeers: 7})
	body := get(t, s, "10.0.0.2:1", announceOf(idB, 2, "&left=1"))
	if !strings.Contains(body, "8:intervali600e12:min intervali120e5:peers6:") {
		t.Errorf("answer %q", body)
	}
	if st := s.Stats(); st.Leechers != 2 || s.cfg().MaxPeers != 100 {
		t.Errorf("%+v, at most %d peers", st, s.cfg().MaxPeers)
	}
	answer, peers := a.announce(udp.AnnounceRequest{InfoHash: metainfo.InfoHash([]byte(hashA)), Port: 3, NumWant: -1, Left: 1})
	if answer.IntervalSec != 600 || len(peers) != 1 {
		t.Errorf("UDP: %+v, %d peers", answer, len(peers))
	}
	for name, bad := range map[string]Config{
		"a short interval":   {Interval: time.Millisecond},
		"a negative number":  {NumWant: -1},
		"a negative scrape":  {MaxScrape: -1},
		"a long min":         {Interval: time.Minute, MinInterval: time.Hour},
		"a negative maximum": {MaxNumWant: -1},
	} {
		if err := s.Change(bad); err == nil || s.cfg().Interval != 10*time.Minute {
			t.Errorf("%s: %v; interval %v", name, err, s.cfg().Interval)
		}
	}
}

// Peers are measured by the interval of now.
func TestChangeOfTheIntervalExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Interval: time.Hour})
		get(t, s, "10.0.0.1:1", announceOf(idA, 1, ""))
		change(t, s, Config{Interval: time.Minute})
		time.Sleep(2*time.Minute + time.Second)
		s.store.expire(s.now())
		if st := s.Stats(); st.Peers4 != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A connection that was counted for its address is uncounted when it ends, even
// if addresses are not counted any more by then.
func TestChangeOfWhoIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{MaxConnsPerAddr: 1})
		first := f.dial("192.0.2.1:1")
		ask(t, first)
		proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		change(t, f.s, Config{MaxConnsPerAddr: 1, TrustedProxies: proxies})
		first.Close()
		synctest.Wait()
		change(t, f.s, Config{MaxConnsPerAddr: 1})
		ask(t, f.dial("192.0.2.1:2"))
		f.stop()
	})
}

func TestBlacklist(t *testing.T) {
	a := newAsker(t, Config{Blacklist: NewTorrentList(metainfo.InfoHash([]byte(hashA)))})
	s := a.u.server
	wantFailure(t, get(t, s, "10.0.0.1:1", announceOf(idA, 1, "")), errBlacklisted)
	wantBody(t, get(t, s, "10.0.0.1:1", "/scrape?info_hash="+hashA), "d5:filesdee")
	a.announce(udp.AnnounceRequest{InfoHash: metainfo.InfoHash{1}, Port: 1})
	wantUDPError(a, udp.AnnounceRequest{InfoHash: metainfo.InfoHash([]byte(hashA)), Port: 1}, "", errBlacklisted)
}

// wantUDPError announces with options, and wants to be refused.
func wantUDPError(a *asker, r udp.AnnounceRequest, options string, want error) {
	a.t.Helper()
	body := append(udp.AppendAnnounceRequest(nil, &r), options...)
	h, message, err := udp.ParseResponseHeader(a.send(a.request(udp.Announce, body)))
	if err != nil || h != (udp.ResponseHeader{Action: udp.Error, TransactionID: transaction}) || string(message) != want.Error() {
		a.t.Errorf("%+v %q, %v; want %q", h, message, err, want)
	}
}
