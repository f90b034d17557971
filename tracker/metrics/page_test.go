package metrics

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
	"github.com/shoal-bt/shoal/tracker/server"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// ask returns the status and the body of a page.
func ask(p *Page, path string) (int, string) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// fake is a tracker and its accounts as a test wants them.
type fake struct {
	listening int
	age       time.Duration
}

func (fake) Stats() server.Stats               { return server.Stats{} }
func (fake) Traffic() (http, u server.Traffic) { return http, u }
func (fake) Faults() uint64                    { return 0 }
func (f fake) NumListening() int               { return f.listening }

type fakeAccounts struct{ *fake }

func (f fakeAccounts) Stats() account.Stats { return account.Stats{LastStoreAge: f.age} }

// The tracker is ready when its sockets are served, the database answers and
// has taken the last sums, and it does not stop.
func TestReady(t *testing.T) {
	f := &fake{listening: 2}
	var away error
	p := NewPage(Config{Tracker: f, Accounts: fakeAccounts{f}, Database: func(context.Context) error { return away }, NumSockets: 2})
	want := func(code int, text string) {
		t.Helper()
		if got, body := ask(p, "/readyz"); got != code || !strings.Contains(body, text) {
			t.Errorf("%d %q, want %d %q", got, body, code, text)
		}
		if got, _ := ask(p, "/healthz"); got != http.StatusOK {
			t.Errorf("unhealthy: %d", got)
		}
	}
	want(200, "ok")
	f.listening = 1
	want(503, "1 of 2 sockets")
	f.listening = 2
	away = errors.New("open secret/tracker.db")
	want(503, "the database does not answer")
	if _, body := ask(p, "/readyz"); strings.Contains(body, "secret") {
		t.Errorf("it tells too much: %q", body)
	}
	away = nil
	f.age = DefaultMaxStoreAge + 1
	want(503, "no sums for 30s")
	f.age = DefaultMaxStoreAge
	want(200, "ok")
	p.Stop()
	want(503, "the tracker stops")
}

// A database that hangs makes the tracker unready, and not the page hang.
func TestReadyDoesNotHang(t *testing.T) {
	p := NewPage(Config{Tracker: fake{}, Database: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // in place of waiting for databaseTimeout
	if p.Ready(ctx) == nil {
		t.Error("ready")
	}
}

// realTracker is a private one that has seen announces of both kinds and
// refused some.
func realTracker(t *testing.T) (p *Page, secrets []string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "tracker.db"))
	must(err)
	t.Cleanup(func() { store.Close() })
	key, h := account.NewKey(), metainfo.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	_, err = store.CreateUser(t.Context(), account.User{Name: "anna", CreatedAt: time.Now()}, key.Hash())
	must(err)
	_, err = store.AddTorrent(t.Context(), account.Torrent{InfoHash: h, Name: "photos", Len: 5, AddedAt: time.Now()}, []byte("d"))
	must(err)
	accounts, err := account.New(t.Context(), account.Config{Store: store})
	must(err)
	s, err := server.New(server.Config{Private: accounts})
	must(err)
	announce := "/announce?info_hash=" + string(h[:]) + "&peer_id=-TR4000-aaaaaaaaaaaa&port=7001&uploaded=0&downloaded=0&left=5&event=started"
	for _, path := range []string{"/" + key.Reveal() + announce, "/" + strings.Repeat("0", 32) + announce, "/announce?x"} {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "10.1.2.3:4567"
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	p = NewPage(Config{Tracker: s, Accounts: accounts, Database: func(ctx context.Context) error { _, err := store.Revision(ctx); return err }})
	return p, []string{key.Reveal(), "anna", "photos", h.String(), string(h[:]), "10.1.2.3", strings.Repeat("0", 32)}
}

// The series are those of testdata/metrics.txt, whatever is announced, and
// nothing of what was announced is in them.
func TestMetrics(t *testing.T) {
	p, secrets := realTracker(t)
	status, page := ask(p, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d\n%s", status, page)
	}
	for _, secret := range secrets {
		if strings.Contains(page, secret) {
			t.Errorf("it has %q", secret)
		}
	}
	var series []string
	for line := range strings.Lines(page) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "shoal_") {
			series = append(series, name)
		}
	}
	got := strings.Join(slices.Sorted(slices.Values(series)), "\n") + "\n"
	path := filepath.Join("testdata", "metrics.txt")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("got\n%s, %v", got, err)
	}
	for _, line := range []string{
		`shoal_tracker_announces_total{event="started",transport="http"} 1`,
		`shoal_tracker_refused_total{reason="not-allowed",transport="http"} 1`,
		`shoal_tracker_refused_total{reason="malformed",transport="http"} 1`,
		`shoal_tracker_not_allowed_total{reason="key"} 1`,
		`shoal_tracker_users 1`,
		`shoal_tracker_swarm_members{role="leecher"} 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("it lacks %s", line)
		}
	}
	if !strings.Contains(page, "\ngo_goroutines ") || !regexp.MustCompile(`(?m)^process_open_fds \d`).MatchString(page) {
		t.Error("the metrics of the process are missing")
	}
	if code, body := ask(p, "/readyz"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
}

// Without users there are no metrics of them.
func TestMetricsOfAnOpenTracker(t *testing.T) {
	s, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := NewPage(Config{Tracker: s, NumSockets: 1})
	if _, page := ask(p, "/metrics"); strings.Contains(page, "shoal_tracker_users") || !strings.Contains(page, "shoal_tracker_torrents 0\n") {
		t.Error(page)
	}
	if code, body := ask(p, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "0 of 1 sockets") {
		t.Errorf("%d %s", code, body)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/healthz") // then it serves
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if code, body := ask(p, "/readyz"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if code, _ := ask(p, "/readyz"); code != http.StatusServiceUnavailable {
		t.Error("it is ready without a socket")
	}
}

// An announce does not pay for being counted: reading the metrics is what
// costs.
func BenchmarkScrape(b *testing.B) {
	s, err := server.New(server.Config{})
	if err != nil {
		b.Fatal(err)
	}
	p := NewPage(Config{Tracker: s})
	for b.Loop() {
		if code, _ := ask(p, "/metrics"); code != http.StatusOK {
			b.Fatal(code)
		}
	}
}
