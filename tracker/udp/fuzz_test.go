package udp

import (
	"bytes"
	"testing"

	"github.com/shoal-bt/shoal/tracker"
)

// What is parsed and appended again parses to the same.
func FuzzRequest(f *testing.F) {
	f.Add(AppendRequestHeader(nil, RequestHeader{ProtocolID, Connect, 1}))
	announce := AppendAnnounceRequest(AppendRequestHeader(nil, RequestHeader{1, Announce, 2}), &AnnounceRequest{Event: tracker.Completed})
	f.Add(AppendURLData(announce, "/announce?key=1"))
	f.Add(append(announce, 0, 0))
	f.Add(append(AppendRequestHeader(nil, RequestHeader{1, Scrape, 2}), make([]byte, 41)...))
	f.Fuzz(func(t *testing.T, packet []byte) {
		h, body, err := ParseRequestHeader(packet)
		if err != nil {
			return
		}
		if b := AppendRequestHeader(nil, h); !bytes.Equal(b, packet[:len(b)]) {
			t.Fatalf("header %+v becomes %x", h, b)
		}
		var r, again AnnounceRequest
		if options, err := ParseAnnounceRequest(body, &r); err == nil {
			checkOptions(t, options)
			if _, err := ParseAnnounceRequest(AppendAnnounceRequest(nil, &r), &again); err != nil || again != r {
				t.Fatalf("%+v becomes %+v, %v", r, again, err)
			}
		}
		num := 0
		for _, rest, ok := ParseInfoHash(body); ok; _, rest, ok = ParseInfoHash(rest) {
			num++
		}
		if num != len(body)/20 {
			t.Fatalf("%d info-hashes in %d bytes", num, len(body))
		}
	})
}

func checkOptions(t *testing.T, options []byte) {
	path, err := ParseURLData(nil, options)
	if len(path) > len(options) {
		t.Fatalf("%d bytes of path from %d", len(path), len(options))
	}
	if err != nil {
		return
	}
	if again, err := ParseURLData(nil, AppendURLData(nil, string(path))); err != nil || !bytes.Equal(again, path) {
		t.Fatalf("path %q becomes %q, %v", path, again, err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add(AppendConnectionID(AppendResponseHeader(nil, ResponseHeader{Connect, 1}), 2))
	f.Add(append(AppendAnnounceResponse(AppendResponseHeader(nil, ResponseHeader{Announce, 1}), AnnounceResponse{1, 2, 3}), make([]byte, 13)...))
	f.Add(AppendScrapeStats(AppendResponseHeader(nil, ResponseHeader{Scrape, 1}), tracker.ScrapeStats{Complete: 1}))
	f.Add(append(AppendResponseHeader(nil, ResponseHeader{Error, 1}), "no"...))
	f.Fuzz(func(t *testing.T, packet []byte) {
		h, body, err := ParseResponseHeader(packet)
		if err != nil {
			return
		}
		if b := AppendResponseHeader(nil, h); !bytes.Equal(b, packet[:len(b)]) {
			t.Fatalf("header %+v becomes %x", h, b)
		}
		if id, err := ParseConnectionID(body); err == nil && !bytes.HasPrefix(body, AppendConnectionID(nil, id)) {
			t.Fatalf("connection id %x of %x", id, body)
		}
		if r, peers, err := ParseAnnounceResponse(body); err == nil && !bytes.Equal(append(AppendAnnounceResponse(nil, r), peers...), body) {
			t.Fatalf("%+v and %x of %x", r, peers, body)
		}
		for len(body) >= ScrapeStatsLen {
			s, rest, err := ParseScrapeStats(body)
			if err != nil {
				t.Fatal(err)
			}
			if again, _, err := ParseScrapeStats(AppendScrapeStats(nil, s)); err != nil || again != s {
				t.Fatalf("%+v becomes %+v, %v", s, again, err)
			}
			body = rest
		}
	})
}
