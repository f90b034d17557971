package udp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

var (
	someHash = metainfo.InfoHash([]byte("hhhhhhhhhhhhhhhhhhhh"))
	somePeer = metainfo.PeerID([]byte("-SH0100-pppppppppppp"))
)

// The bytes are written by hand from the tables of BEP 15.
func TestPackets(t *testing.T) {
	request := RequestHeader{ConnectionID: 0x0102030405060708, Action: Announce, TransactionID: 0x0a0b0c0d}
	announce := AnnounceRequest{
		InfoHash: someHash, PeerID: somePeer, Downloaded: 1, Left: 2, Uploaded: 3, Event: tracker.Started,
		IP: [4]byte{10, 0, 0, 9}, Key: 0xdeadbeef, NumWant: -1, Port: 6881,
	}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"connect request": {
			AppendRequestHeader(nil, RequestHeader{ProtocolID, Connect, 0x0a0b0c0d}),
			"0000041727101980 00000000 0a0b0c0d",
		},
		"connect response": {
			AppendConnectionID(AppendResponseHeader(nil, ResponseHeader{Connect, 0x0a0b0c0d}), 0x0102030405060708),
			"00000000 0a0b0c0d 0102030405060708",
		},
		"announce request": {
			AppendAnnounceRequest(AppendRequestHeader(nil, request), &announce),
			"0102030405060708 00000001 0a0b0c0d" + hex.EncodeToString(someHash[:]) + hex.EncodeToString(somePeer[:]) +
				"0000000000000001 0000000000000002 0000000000000003 00000002 0a000009 deadbeef ffffffff 1ae1",
		},
		"announce response": {
			AppendAnnounceResponse(AppendResponseHeader(nil, ResponseHeader{Announce, 7}), AnnounceResponse{1800, 5, 6}),
			"00000001 00000007 00000708 00000005 00000006",
		},
		"scrape response": {
			AppendScrapeStats(AppendResponseHeader(nil, ResponseHeader{Scrape, 7}), tracker.ScrapeStats{Complete: 1, Incomplete: 3, Downloaded: 2}),
			"00000002 00000007 00000001 00000002 00000003",
		},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.got, want) {
			t.Errorf("%s is\n%x, want\n%x", name, c.got, want)
		}
	}
}

func TestAnnounceRequestRoundTrip(t *testing.T) {
	want := AnnounceRequest{
		InfoHash: someHash, PeerID: somePeer, Downloaded: math.MaxInt64, Left: -1, Uploaded: 3, Event: tracker.Stopped,
		IP: [4]byte{1, 2, 3, 4}, Key: 5, NumWant: 50, Port: 65535,
	}
	packet := AppendAnnounceRequest(AppendRequestHeader(nil, RequestHeader{1, Announce, 2}), &want)
	if len(packet) != AnnounceRequestLen {
		t.Fatalf("%d bytes", len(packet))
	}
	h, body, err := ParseRequestHeader(append(packet, "options"...))
	if err != nil || h != (RequestHeader{1, Announce, 2}) {
		t.Fatalf("header %+v, %v", h, err)
	}
	var got AnnounceRequest
	options, err := ParseAnnounceRequest(body, &got)
	if err != nil || got != want || string(options) != "options" {
		t.Errorf("%+v with %q, %v", got, options, err)
	}
}

func TestUnknownEventIsNone(t *testing.T) {
	packet := AppendAnnounceRequest(nil, &AnnounceRequest{Event: 4})
	var r AnnounceRequest
	if _, err := ParseAnnounceRequest(packet, &r); err != nil || r.Event != tracker.None {
		t.Errorf("event %v, %v", r.Event, err)
	}
}

// One byte less than the format is an error everywhere, and one more is none.
func TestLengths(t *testing.T) {
	for name, c := range map[string]struct {
		minLen int
		parse  func(b []byte) error
	}{
		"request header":    {16, func(b []byte) error { _, _, err := ParseRequestHeader(b); return err }},
		"response header":   {8, func(b []byte) error { _, _, err := ParseResponseHeader(b); return err }},
		"connection id":     {8, func(b []byte) error { _, err := ParseConnectionID(b); return err }},
		"announce request":  {98 - 16, func(b []byte) error { _, err := ParseAnnounceRequest(b, new(AnnounceRequest)); return err }},
		"announce response": {20 - 8, func(b []byte) error { _, _, err := ParseAnnounceResponse(b); return err }},
		"scrape stats":      {12, func(b []byte) error { _, _, err := ParseScrapeStats(b); return err }},
	} {
		for n := range c.minLen + 2 {
			err := c.parse(make([]byte, n))
			if n < c.minLen && !errors.Is(err, ErrShort) || n >= c.minLen && err != nil {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestScrapeRequest(t *testing.T) {
	body := append(append(someHash[:len(someHash):len(someHash)], somePeer[:]...), "cut off"...)
	first, body, ok := ParseInfoHash(body)
	if !ok || first != someHash {
		t.Errorf("first %v, %v", first, ok)
	}
	second, body, ok := ParseInfoHash(body)
	if !ok || second != metainfo.InfoHash(somePeer) {
		t.Errorf("second %v, %v", second, ok)
	}
	if _, _, ok := ParseInfoHash(body); ok {
		t.Error("a third was read")
	}
}

func TestCountsSaturate(t *testing.T) {
	b := AppendScrapeStats(nil, tracker.ScrapeStats{Complete: -1, Incomplete: math.MaxInt, Downloaded: math.MaxInt32})
	got, _, err := ParseScrapeStats(b)
	if want := (tracker.ScrapeStats{Complete: 0, Incomplete: math.MaxInt32, Downloaded: math.MaxInt32}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if n := Count(math.MaxUint32); n != math.MaxInt32 {
		t.Errorf("count %d", n)
	}
}

// The first three are the examples of BEP 41; the two zeros are aria2's, whose
// announces have 100 bytes.
func TestURLData(t *testing.T) {
	long := strings.Repeat("x", 300)
	for options, want := range map[string]string{
		"\x02\x0c/dir?a=b&c=d":             "/dir?a=b&c=d",
		"\x02\x0c/dir?a=b&c=d\x01\x01\x00": "/dir?a=b&c=d",
		"\x02\x00":                         "",
		"\x00\x00":                         "",
		"":                                 "",
		"\x02\x02/a\x01\x09\x01?\x02\x01b": "/ab", // an unknown option between two blocks
		"\x02\x01/\x00\x02\x01a":           "/",   // nothing counts after the end
		string(AppendURLData(nil, long)):   long,
	} {
		if got, err := ParseURLData([]byte("path "), []byte(options)); err != nil || string(got) != "path "+want {
			t.Errorf("%q: %q, %v", options, got, err)
		}
	}
	for _, options := range []string{"\x02", "\x02\x01", "\x09\x02a", "\x02\x01/\x02\xffa"} {
		if got, err := ParseURLData(nil, []byte(options)); !errors.Is(err, ErrOption) || len(got) > 1 {
			t.Errorf("%q: %q, %v", options, got, err)
		}
	}
	if b := AppendURLData(nil, "/dir?a=b&c=d"); string(b) != "\x02\x0c/dir?a=b&c=d" {
		t.Errorf("appended %q", b)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	packet := make([]byte, 0, 1024)
	path := make([]byte, 0, 1024)
	var r AnnounceRequest
	if n := testing.AllocsPerRun(100, func() {
		b := AppendRequestHeader(packet, RequestHeader{1, Announce, 2})
		b = AppendURLData(AppendAnnounceRequest(b, &r), "/announce")
		_, body, _ := ParseRequestHeader(b)
		options, _ := ParseAnnounceRequest(body, &r)
		if p, err := ParseURLData(path, options); err != nil || len(p) != len("/announce") {
			t.Errorf("%q, %v", p, err)
		}
		b = AppendAnnounceResponse(AppendResponseHeader(packet, ResponseHeader{Announce, 2}), AnnounceResponse{})
		b = AppendScrapeStats(b, tracker.ScrapeStats{})
		_, body, _ = ParseResponseHeader(b)
		_, rest, _ := ParseAnnounceResponse(body)
		if _, _, err := ParseScrapeStats(rest); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestActionNames(t *testing.T) {
	if got := Connect.String() + Announce.String() + Scrape.String() + Error.String() + Action(4).String(); got != "connectannouncescrapeerroraction(4)" {
		t.Error(got)
	}
}
