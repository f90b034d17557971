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

// Requests are counted by transport, event and reason, and the sums are those
// of Stats.
func TestTraffic(t *testing.T) {
	s := newServer(t, Config{Whitelist: NewTorrentList([20]byte([]byte(hashA)))})
	const from = "10.0.0.1:4000"
	for _, event := range []string{"started", "", "", "completed", "stopped", "nonsense"} {
		get(t, s, from, announceOf(idA, 7, "&event="+event))
	}
	get(t, s, from, "/scrape?info_hash="+hashA)
	get(t, s, from, "/scrape")
	get(t, s, from, "/announce?info_hash=x")
	get(t, s, from, strings.Replace(announceOf(idA, 7, ""), hashA, strings.Repeat("b", 20), 1))
	overHTTP, overUDP := s.Traffic()
	want := Traffic{Announces: [numEvents]uint64{tracker.None: 3, tracker.Started: 1, tracker.Completed: 1, tracker.Stopped: 1}, Scrapes: 1}
	want.Refused[Malformed], want.Refused[NotTracked] = 2, 1
	if overHTTP != want || overUDP != (Traffic{}) {
		t.Errorf("%+v, %+v, want %+v", overHTTP, overUDP, want)
	}
	if st := s.Stats(); st.Announces != 6 || st.Scrapes != 1 || st.Refused != 3 {
		t.Errorf("%+v", st)
	}

	u := newUDPHandlers(s, 1)[0]
	u.tally.Announces[tracker.Started] = 5
	u.tally.Refused[NoKey] = 2
	u.tell()
	u.tell() // it tells nothing twice
	if _, overUDP := s.Traffic(); overUDP.Announces[tracker.Started] != 5 || overUDP.Refused[NoKey] != 2 {
		t.Errorf("%+v", overUDP)
	}
	if st := s.Stats(); st.Announces != 11 || st.Refused != 5 {
		t.Errorf("%+v", st)
	}
}

func TestReasons(t *testing.T) {
	names := map[string]bool{}
	for r := range NumReasons {
		names[r.String()] = true
	}
	if len(names) != int(NumReasons) || names[""] {
		t.Error(names)
	}
	for err, want := range map[error]Reason{
		errNoPort: Malformed, errNotTracked: NotTracked, errBlacklisted: Blacklisted, errUnknownAddr: NoAddress, errNoUDPKey: NoKey, errFault: Fault,
		errors.New("from elsewhere"): NotAllowed,
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// Counting costs no allocation.
func TestCountingAllocatesNothing(t *testing.T) {
	s := newServer(t, Config{})
	sc := new(scratch)
	query := strings.TrimPrefix(announceOf(idA, 7, "&event=started"), "/announce?")
	allocs := testing.AllocsPerRun(100, func() {
		s.answer(s.now(), sc, "", false, query, netip.MustParseAddr("10.0.0.1"), nil)
		s.answer(s.now(), sc, "", false, "", netip.Addr{}, nil)
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// What is below /api/ is for the API, whatever the method, and it sees whom a
// trusted proxy speaks for.
func TestAPI(t *testing.T) {
	var asked []string
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.RemoteAddr)
	})
	s := newServer(t, Config{API: api, Private: &fakePrivate{key: "api"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/32")}})
	ask := func(method, path, from, forwarded string) int {
		r := httptest.NewRequest(method, path, nil)
		r.RemoteAddr = from
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	ask("POST", "/api/torrents", "10.0.0.1:5", "1.2.3.4")
	ask("GET", "/api/announce", "10.0.0.9:5", "1.2.3.4")
	if code := ask("GET", "/api/me", "10.0.0.9:5", ""); code != http.StatusBadRequest {
		t.Errorf("a proxy that says nothing: %d", code)
	}
	ask("POST", "/apis", "10.0.0.1:5", "")
	if got := strings.Join(asked, ", "); got != "POST /api/torrents 10.0.0.1:0, GET /api/announce 1.2.3.4:0" {
		t.Error(got)
	}
}
