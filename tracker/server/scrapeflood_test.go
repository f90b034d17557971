package server

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/tracker/udp"
)

// hashesOf is the query of a scrape of n torrents.
func hashesOf(n int) string {
	var q strings.Builder
	for i := range n {
		fmt.Fprintf(&q, "&info_hash=%020d", i)
	}
	return q.String()[1:]
}

// A scrape of everything, or of as many torrents as fit, is refused in a few
// words: what it costs and brings does not grow with what is asked for.
func TestScrapeFloods(t *testing.T) {
	s := newServer(t, Config{})
	const from = "192.0.2.1:5000"
	for i := range 2000 {
		get(t, s, from, fmt.Sprintf("/announce?info_hash=%020d&peer_id=%s&port=1&left=1", i, idA))
	}
	for what, query := range map[string]string{
		"all": "", "all, with something else": "?x=info_hash", "too many": "?" + hashesOf(DefaultMaxScrape+1), "very many": "?" + hashesOf(10_000),
		"the same again": "?" + strings.Repeat("info_hash="+hashA+"&", 10_000),
	} {
		if body := get(t, s, from, "/scrape"+query); !strings.HasPrefix(body, "d14:failure reason") || len(body) > 100 {
			t.Errorf("%s: %.100q, %d bytes", what, body, len(body))
		}
	}
	if body := get(t, s, from, "/scrape?"+hashesOf(DefaultMaxScrape)); strings.Count(body, "8:complete") != DefaultMaxScrape {
		t.Errorf("as many as may be: %.100q", body)
	}
	// Refused ones leave nothing behind.
	sc, addr := new(scratch), netip.MustParseAddr("192.0.2.1")
	query := hashesOf(10_000)
	s.answer(s.now(), sc, "", true, query, addr, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		s.answer(s.now(), sc, "", true, query, addr, nil)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("a thousand refused scrapes allocate %d bytes", allocated)
	}
	if n := cap(sc.hashes); n > 4*DefaultMaxScrape {
		t.Errorf("%d hashes are kept", n)
	}
}

// Over UDP as many are answered as BEP 15 has, in fewer bytes than were asked.
func TestScrapeFloodsOverUDP(t *testing.T) {
	a := newAsker(t, Config{})
	var body []byte
	for range 1000 {
		body = append(body, hashA...)
	}
	h := udp.RequestHeader{ConnectionID: a.u.ids.issue(a.now, a.from.Addr().Unmap()), Action: udp.Scrape}
	packet := append(udp.AppendRequestHeader(nil, h), body...)
	reply := a.u.answer(a.now, packet, a.from, make([]byte, 0, maxUDPReply))
	if want := udp.ResponseHeaderLen + udp.MaxScrape*udp.ScrapeStatsLen; len(reply) != want || len(reply) > maxUDPReply {
		t.Errorf("%d bytes, want %d", len(reply), want)
	}
}
