package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// fakePrivate knows one key and remembers what it was asked.
type fakePrivate struct {
	key  string
	last tracker.Request
}

var errFakeKey = errors.New("who are you?")

func (p *fakePrivate) Check(key string) error {
	if key != p.key {
		return errFakeKey
	}
	return nil
}

func (p *fakePrivate) Announce(key string, req *tracker.Request) error {
	p.last = *req
	return p.Check(key)
}

func TestPrivate(t *testing.T) {
	private := &fakePrivate{key: "sesame"}
	s := newServer(t, Config{Private: private})
	const from = "10.0.0.1:4000"
	for _, path := range []string{"", "/wrong", "/"} {
		wantFailure(t, get(t, s, from, path+announceOf(idA, 1, "")), errFakeKey)
		wantFailure(t, get(t, s, from, path+"/scrape?info_hash="+hashA), errFakeKey)
	}
	if st := s.Stats(); st.Leechers != 0 || st.Refused != 6 {
		t.Errorf("%+v", st)
	}
	if got := get(t, s, from, "/sesame"+announceOf(idA, 7, "&event=started")); got[:11] != "d8:complete" {
		t.Error(got)
	}
	if private.last.Addr.String() != "10.0.0.1:7" || private.last.Event != tracker.Started || private.last.InfoHash != [20]byte([]byte(hashA)) {
		t.Errorf("%+v", private.last)
	}
	wantBody(t, get(t, s, from, "/sesame/scrape?info_hash="+hashA), "d5:filesd20:"+hashA+"d8:completei0e10:downloadedi0e10:incompletei1eeee")
	if get(t, s, from, "/healthz") != "ok\n" {
		t.Error("it needs no key to be well")
	}
	// What has no key is no announce elsewhere either.
	for path, of := range map[string]*Server{"/sesame/announce": newServer(t, Config{}), "/sesame/x/announce": s} {
		w := httptest.NewRecorder()
		of.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

// The front answers announces with a key itself; in other modes a path with one
// is no announce.
func TestPrivateFront(t *testing.T) {
	raw := rawRequest("GET /sesame" + announceOf(idA, 7, "") + " HTTP/1.1")
	if n := new(simpleRequest).parse(raw); n != 0 {
		t.Errorf("simple for %d bytes", n)
	}
	private := &fakePrivate{key: "sesame"}
	s := newServer(t, Config{Private: private})
	for _, c := range []struct {
		raw     string
		refused bool
	}{
		{raw, false},
		{rawRequest("GET /wrong" + announceOf(idA, 7, "") + " HTTP/1.1"), true},
		{rawRequest("GET " + announceOf(idA, 7, "") + " HTTP/1.1"), true},
	} {
		r, sc := simpleRequest{keyed: true}, new(scratch)
		if n := r.parse(c.raw); n != len(c.raw) {
			t.Errorf("%q: simple for %d bytes", c.raw, n)
		}
		s.respondSimple(sc, &r, netip.MustParseAddr("10.0.0.1"))
		if strings.Contains(string(sc.body), errFakeKey.Error()) != c.refused {
			t.Errorf("%q: %q", c.raw, sc.body)
		}
	}
}

// Over UDP the key comes in the options of BEP 41; there is no way around it.
func TestPrivateUDP(t *testing.T) {
	private := &fakePrivate{key: "sesame"}
	a := newAsker(t, Config{Private: private})
	r := udp.AnnounceRequest{InfoHash: metainfo.InfoHash([]byte(hashA)), Port: 7, NumWant: -1, Left: 1, Event: tracker.Started}
	long := "/announce?x=" + strings.Repeat("y", 300) + "&key=sesame" // two options
	good := [][]byte{
		udp.AppendURLData(nil, "/sesame/announce"),
		udp.AppendURLData(nil, "/sesame/announce?x=y"),
		udp.AppendURLData(nil, "/announce?key=sesame"),
		udp.AppendURLData(nil, "/?x=y&key=sesame&z"),
		udp.AppendURLData(nil, long),
		[]byte("\x01\x02\x08/sesame/\x01\x07\x03abc\x02\x00\x02\x08announce\x00\x02\xff"), // with others between, and an end
	}
	for _, options := range good {
		private.last = tracker.Request{}
		body := a.ask(udp.Announce, append(udp.AppendAnnounceRequest(nil, &r), options...))
		if len(body) < udp.AnnounceResponseLen-udp.ResponseHeaderLen {
			t.Errorf("%q: answer %q", options, body)
		}
		if private.last.Addr.String() != "198.51.100.7:7" || private.last.Event != tracker.Started || private.last.InfoHash != r.InfoHash {
			t.Errorf("%q: asked about %+v", options, private.last)
		}
	}
	before := a.u.server.Stats()
	for options, want := range map[string]error{
		"":                                  errNoUDPKey, // Transmission, rtorrent
		"\x00\x00":                          errNoUDPKey, // aria2
		"\x02\x00":                          errNoUDPKey, // "the URLData option with a length-byte of zero"
		"\x02\x09/announce":                 errNoUDPKey,
		"\x02\x0e/announce?key=":            errNoUDPKey,
		"\x00\x02\x10/sesame/announce":      errNoUDPKey, // behind the end
		"\x02\x10/sesame/announc":           errURLData,
		"\x02":                              errURLData,
		"\x02\x0f/wrong/announce":           errFakeKey,
		"\x02\x19/sesame/announce/announce": errFakeKey,
	} {
		wantUDPError(a, r, options, want)
	}
	h, message, _ := udp.ParseResponseHeader(a.send(a.request(udp.Scrape, r.InfoHash[:])))
	if h.Action != udp.Error || string(message) != errUDPScrape.Error() {
		t.Errorf("scrape: %+v %q", h, message)
	}
	if st := a.u.server.Stats(); st.Leechers != before.Leechers || st.Leechers != 1 {
		t.Errorf("%+v, before %+v", st, before)
	}
}

func TestPrivateUDPAllocatesNothing(t *testing.T) {
	a := newAsker(t, Config{Private: &fakePrivate{key: "sesame"}})
	body := udp.AppendURLData(udp.AppendAnnounceRequest(nil, &udp.AnnounceRequest{Port: 1, Left: 1}), "/sesame/announce")
	packet := a.request(udp.Announce, body)
	room := make([]byte, 0, maxUDPReply)
	if n := testing.AllocsPerRun(100, func() { a.u.answer(0, packet, a.from, room) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzKeyOfURL: whatever the options, no panic, and the key is a part of the
// URL that nothing else delimits.
func FuzzKeyOfURL(f *testing.F) {
	for _, seed := range []string{"", "/", "/announce", "/k/announce", "/announce?key=k", "?key=k&", "/k/announce?key=other", "//announce", "/a?b?key=c"} {
		f.Add(udp.AppendURLData(nil, seed))
	}
	f.Fuzz(func(t *testing.T, options []byte) {
		url, err := udp.ParseURLData(nil, options)
		if err != nil {
			return
		}
		key := keyOfURL(string(url))
		if !strings.Contains(string(url), key) {
			t.Fatalf("key %q of %q", key, url)
		}
		// As over HTTP; what does not begin with a slash would go on with the host.
		if want, err := http.NewRequest("GET", "http://x"+string(url), nil); err == nil && strings.HasPrefix(string(url), "/") && strings.HasSuffix(want.URL.Path, "/announce") &&
			!strings.ContainsAny(string(url), "%#") && want.URL.Path != "/announce" && key != strings.TrimPrefix(strings.TrimSuffix(want.URL.Path, "/announce"), "/") {
			t.Fatalf("key %q of %q", key, url)
		}
	})
}
