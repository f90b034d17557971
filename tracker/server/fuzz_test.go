package server

import (
	"bytes"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bscan"
)

// FuzzAnnounceQuery: whatever the query, no panic, and the answer is strict
// bencode; and the two 20-byte fields survive being written by net/url.
func FuzzAnnounceQuery(f *testing.F) {
	for _, seed := range []string{
		"", "info_hash=" + hashA, announceOf(idA, 6881, "")[len("/announce?"):],
		announceOf(idA, 0, "&event=stopped&compact=0&numwant=-1&ip=::1&key=ff&left=18446744073709551615")[len("/announce?"):],
		"info_hash=%00%ff+;" + hashA[4:] + "&peer_id=" + idA + "&port=1&ip=1%3A%3a1", "%", "info_hash=%", "&&==&",
	} {
		f.Add(seed)
	}
	s := newServer(f, Config{KeepPeerIDs: true, TrustedIP: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	f.Fuzz(func(t *testing.T, raw string) {
		var sc scratch
		if err := s.announce(0, &sc, "", raw, netip.MustParseAddr("10.0.0.1")); err != nil {
			return
		}
		if _, err := bscan.Strict(sc.body, bscan.Limits{}); err != nil {
			t.Fatalf("answer %q: %v", sc.body, err)
		}
		var again announceQuery
		req := &sc.query.req
		err := again.parse("port=1&info_hash=" + url.PathEscape(string(req.InfoHash[:])) + "&peer_id=" + url.PathEscape(string(req.PeerID[:])))
		if err == nil && (again.req.InfoHash != req.InfoHash || again.req.PeerID != req.PeerID) {
			t.Fatalf("%q and %q did not survive", req.InfoHash, req.PeerID)
		}
	})
}

func FuzzScrapeQuery(f *testing.F) {
	for _, seed := range []string{"", "info_hash=" + hashA, "info_hash=" + hashA + "&info_hash=%", "info_hash=%41" + hashA[1:] + "&x&info_hash=" + hashA} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		const most = 5
		hashes, err := parseScrape(nil, raw, most)
		if err == nil && (len(hashes) == 0 || len(hashes) > most) {
			t.Fatalf("%d hashes", len(hashes))
		}
		order := func(a, b metainfo.InfoHash) int { return bytes.Compare(a[:], b[:]) }
		if err == nil && !slices.IsSortedFunc(hashes, order) {
			t.Fatal("not sorted")
		}
	})
}

func BenchmarkAnnounce(b *testing.B) {
	s := newServer(b, Config{})
	var sc scratch
	query := announceOf(idA, 6881, "&numwant=30&event=started&compact=1")[len("/announce?"):]
	for i := range 100 {
		s.announce(0, &sc, "", query, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	b.ReportAllocs()
	for b.Loop() {
		sc.body = sc.body[:0]
		s.announce(0, &sc, "", query, netip.AddrFrom4([4]byte{10, 0, 0, 1}))
	}
}
