package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/tracker"
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

// There is no way around the keys.
func TestPrivateHasNoUDP(t *testing.T) {
	s := newServer(t, Config{Private: &fakePrivate{}})
	l, err := ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RunUDP(t.Context(), l); !errors.Is(err, errPrivateUDP) {
		t.Error(err)
	}
}
