package client

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

func addrs(list ...string) (out []netip.AddrPort) {
	for _, a := range list {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

func TestParseAnnounce(t *testing.T) {
	id := metainfo.PeerID([]byte("-XX0000-aaaaaaaaaaaa"))
	for name, c := range map[string]struct {
		body string
		want tracker.Response
	}{
		"compact (BEP 23) with all there is": {
			"d8:completei3e10:downloadedi7e11:external ip4:\x01\x02\x03\x0410:incompletei4e8:intervali1800e12:min intervali900e" +
				"5:peers12:\x0a\x00\x00\x01\x1a\xe1\x0a\x00\x00\x02\x00\x0010:tracker id3:xyz15:warning message4:\x1b[2Je",
			tracker.Response{Complete: 3, Downloaded: 7, Incomplete: 4, Interval: 30 * time.Minute, MinInterval: 15 * time.Minute,
				ExternalIP: netip.MustParseAddr("1.2.3.4"), TrackerID: "xyz", Warning: `\x1b[2J`, Peers: addrs("10.0.0.1:6881")},
		},
		"BEP 7's own example": {
			"d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe",
			tracker.Response{Interval: 30 * time.Minute, Complete: -1, Incomplete: -1, Downloaded: -1,
				Peers: addrs("105.105.105.105:28784", "[6969:6969:6969:6969:6969:6969:6969:6969]:28784")},
		},
		"dictionaries (BEP 3); names, port 0 and rubbish are left out": {
			"d8:intervali60e5:peersl" +
				"d2:ip8:10.0.0.14:porti1ee" +
				"d2:ip11:2001:db8::17:peer id20:-XX0000-aaaaaaaaaaaa4:porti2ee" +
				"d2:ip11:example.com4:porti3ee" + "d2:ip8:10.0.0.44:porti0ee" + "d2:ip8:10.0.0.44:porti65536ee" +
				"d2:ip7:0.0.0.04:porti5ee" + "d4:porti6ee" + "i7e" + "le" +
				"d2:ip15:::ffff:10.0.0.87:peer id2:xx4:porti8ee" + "ee",
			tracker.Response{Interval: time.Minute, Complete: -1, Incomplete: -1, Downloaded: -1,
				Peers: addrs("10.0.0.1:1", "[2001:db8::1]:2", "10.0.0.8:8"), PeerIDs: []metainfo.PeerID{{}, id, {}}},
		},
		"absurd numbers": {
			"d8:completei-5e10:incompletei99999999999e8:intervali-1e12:min intervali9223372036854775807e5:peers0:e",
			tracker.Response{Complete: -1, Incomplete: -1, Downloaded: -1, MinInterval: 100_000_000 * time.Second},
		},
		"wrong types": {
			"d8:complete1:x8:intervali5e5:peersi1e6:peers6d1:a1:be10:tracker idlee",
			tracker.Response{Interval: 5 * time.Second, Complete: -1, Incomplete: -1, Downloaded: -1},
		},
		"a cut peer and an external ip of five bytes": {
			"d11:external ip5:123455:peers7:\x0a\x00\x00\x01\x1a\xe1xe",
			tracker.Response{Complete: -1, Incomplete: -1, Downloaded: -1, Peers: addrs("10.0.0.1:6881")},
		},
	} {
		got, err := parseAnnounce([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s:\n %+v, want\n %+v", name, *got, c.want)
		}
	}
}

func TestParseFailures(t *testing.T) {
	for body, want := range map[string]tracker.FailureError{
		"d14:failure reason6:no\nwaye":                            {Reason: `no\nway`},
		"d14:failure reason10:Overloaded8:retry in1:5e":           {Reason: "Overloaded", RetryIn: 5 * time.Minute},
		"d14:failure reason10:Overloaded8:retry ini5ee":           {Reason: "Overloaded", RetryIn: 5 * time.Minute},
		"d14:failure reason13:Not a tracker8:retry in5:nevere":    {Reason: "Not a tracker", Never: true},
		"d14:failure reason1:x8:retry in2:-5e":                    {Reason: "x"},
		"d14:failure reason300:" + strings.Repeat("x", 300) + "e": {Reason: strings.Repeat("x", maxText)},
	} {
		_, err := parseAnnounce([]byte(strings.Replace(body, "6:no\nwaye", "6:no\nwaye", 1)))
		var got *tracker.FailureError
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%q: %v, want %v", body, err, &want)
		}
	}
}

func TestWhatIsNoTrackersAnswer(t *testing.T) {
	for _, body := range []string{"", "<html>", "i1e", "le", "de", "d8:completei1ee", "d8:intervali1800e5:peers6:abc",
		strings.Repeat("l", 1000), "d8:intervali1800e5:peers2000000000:", "d5:peersl" + strings.Repeat("i1e", 70_000) + "ee"} {
		if r, err := parseAnnounce([]byte(body)); !errors.Is(err, errNotTracker) {
			t.Errorf("%.40q gives %+v, %v", body, r, err)
		}
	}
}

func TestPeersAreBounded(t *testing.T) {
	body := fmt.Sprintf("d5:peers%d:%se", 6*5000, strings.Repeat("\x0a\x00\x00\x01\x1a\xe1", 5000))
	if r, err := parseAnnounce([]byte(body)); err != nil || len(r.Peers) != MaxPeers {
		t.Errorf("%v, %v", len(r.Peers), err)
	}
}

func TestParseScrape(t *testing.T) {
	x, y, z := metainfo.InfoHash([]byte("xxxxxxxxxxxxxxxxxxxx")), metainfo.InfoHash([]byte("yyyyyyyyyyyyyyyyyyyy")), metainfo.InfoHash{}
	// BEP 48's own example, which came with two lines.
	body := "d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee" +
		"20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee"
	got, err := parseScrape([]byte(body), []metainfo.InfoHash{y, z, x})
	want := []tracker.ScrapeStats{{Complete: 21, Downloaded: 206, Incomplete: 20}, {}, {Complete: 11, Downloaded: 13772, Incomplete: 19}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"de", "d5:filesle", "d5:filesi1ee", "d5:filesd20:xxxxxxxxxxxxxxxxxxxxee"} {
		if _, err := parseScrape([]byte(bad), []metainfo.InfoHash{x}); !errors.Is(err, errNotTracker) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseAnnounce(f *testing.F) {
	for _, seed := range []string{
		"d8:completei3e11:external ip4:\x01\x02\x03\x048:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiipp10:tracker id3:xyze",
		"d5:peersld2:ip8:10.0.0.17:peer id20:-XX0000-aaaaaaaaaaaa4:porti1eeee",
		"d14:failure reason10:Overloaded8:retry in1:5e", "d14:failure reason0:8:retry in5:nevere", "llll", "d5:peers2000000000:",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseAnnounce(b)
		if err != nil {
			return
		}
		if len(r.Peers) > MaxPeers || r.PeerIDs != nil && len(r.PeerIDs) != len(r.Peers) {
			t.Fatalf("%d peers, %d ids", len(r.Peers), len(r.PeerIDs))
		}
		if r.Interval < 0 || r.MinInterval < 0 || r.Complete < -1 || r.Incomplete < -1 || r.Downloaded < -1 {
			t.Fatalf("%+v", r)
		}
		for _, p := range r.Peers {
			if !p.IsValid() || p.Port() == 0 || p.Addr().Is4In6() {
				t.Fatalf("peer %v", p)
			}
		}
	})
}

func FuzzParseScrape(f *testing.F) {
	f.Add([]byte("d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei-19eeee"))
	f.Add([]byte("d5:filesd20:xxxxxxxxxxxxxxxxxxxxi1eee"))
	f.Add([]byte("d14:failure reason1:xe"))
	hashes := []metainfo.InfoHash{{}, metainfo.InfoHash([]byte("xxxxxxxxxxxxxxxxxxxx"))}
	f.Fuzz(func(t *testing.T, b []byte) {
		stats, err := parseScrape(b, hashes)
		if err == nil && len(stats) != len(hashes) {
			t.Fatalf("%d stats", len(stats))
		}
		for _, st := range stats {
			if st.Complete < 0 || st.Incomplete < 0 || st.Downloaded < 0 {
				t.Fatalf("%+v", st)
			}
		}
	})
}
