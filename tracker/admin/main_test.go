package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
	"github.com/shoal-bt/shoal/tracker/server"
)

// site is a private tracker without sockets but that of its API.
type site struct {
	t        *testing.T
	store    *sqlite.Store
	accounts *account.Service
	url      string
	token    string
	key      map[string]string // of a user with each role, who is called as the role
	log      *syncBuffer
	now      *clock
}

// clock is a time of day that a test sets forward.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fakeTracker has a swarm of 3 seeds and 2 others for every torrent.
type fakeTracker struct{}

func (fakeTracker) Swarm(metainfo.InfoHash) (tracker.ScrapeStats, bool) {
	return tracker.ScrapeStats{Complete: 3, Incomplete: 2}, true
}

func (fakeTracker) Stats() server.Stats { return server.Stats{Announces: 7} }

// token is the operator's.
const token = "a-token-that-has-at-least-32-characters"

func newSite(t *testing.T, handlers ...func(*API) http.Handler) *site {
	t.Helper()
	s := &site{t: t, token: token, key: map[string]string{}, log: new(syncBuffer), now: &clock{at: time.Now()}}
	handler := (*API).Handler
	if len(handlers) > 0 {
		handler = handlers[0]
	}
	hs := httptest.NewServer(handler(s.newAPI(t)))
	t.Cleanup(hs.Close)
	s.url = hs.URL
	return s
}

// newAPI returns an API with a database in which there is a user for each role.
func (s *site) newAPI(t testing.TB) *API {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	var err error
	s.store, err = sqlite.Create(ctx, filepath.Join(t.TempDir(), "tracker.db"))
	must(err)
	t.Cleanup(func() { s.store.Close() })
	must(s.store.SetSettings(ctx, account.Settings{URL: "http://tracker.example:6969", Source: "example"}))
	for role := account.Member; role <= account.Admin; role++ {
		key := account.NewKey()
		s.key[role.String()] = key.Reveal()
		_, err := s.store.CreateUser(ctx, account.User{Name: role.String(), Role: role, CreatedAt: s.now.now()}, key.Hash())
		must(err)
	}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.accounts, err = account.New(ctx, account.Config{Store: s.store, Rules: ledger.Rules{Slots: 1}, Logger: logger})
	must(err)
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, token+"\n", 0o600)
	tokens, err := OpenTokens(path)
	must(err)
	api, err := New(Config{
		Store: s.store, Accounts: s.accounts, Tracker: fakeTracker{}, Tokens: tokens, Logger: logger, Now: s.now.now,
		Backup: func(context.Context) (string, error) { return "backups/tracker.db", nil },
	})
	must(err)
	return api
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// answer is a response, read.
type answer struct {
	*http.Response
	body []byte
}

// ask sends a request, JSON if it has a body, and holds the answer to
// openapi.yaml.
func (s *site) ask(method, path, secret, body string) answer {
	s.t.Helper()
	contentType := "application/json"
	if strings.HasPrefix(body, "d") { // bencoded
		contentType = torrentType
	}
	return s.askWith(method, path, body, http.Header{"Authorization": {"Bearer " + secret}, "Content-Type": {contentType}})
}

func (s *site) askWith(method, path, body string, header http.Header) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	s.must(err)
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	s.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	s.must(err)
	if err := description(s.t).check(req, resp, body, b); err != nil {
		s.t.Errorf("%s %s: %v\n%s", method, path, err, b)
	}
	return answer{resp, b}
}

// want asks, and fails unless the status is as wanted.
func (s *site) want(status int, method, path, secret, body string) answer {
	s.t.Helper()
	a := s.ask(method, path, secret, body)
	if a.StatusCode != status {
		s.t.Fatalf("%s %s %.100s: %d %s, want %d", method, path, body, a.StatusCode, a.body, status)
	}
	return a
}

// get reads a JSON answer of the operator.
func get[T any](s *site, path string) (v T) {
	s.t.Helper()
	a := s.want(http.StatusOK, "GET", path, s.token, "")
	s.must(json.Unmarshal(a.body, &v))
	return v
}

func decode[T any](s *site, a answer) (v T) {
	s.t.Helper()
	s.must(json.Unmarshal(a.body, &v))
	return v
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// aTorrent is a .torrent file of another tracker, with some data of its own.
func aTorrent(name string) string {
	info := fmt.Sprintf("d6:lengthi5e4:name%d:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae", len(name), name)
	return "d8:announce27:http://foreign.example/x/an4:info" + info + "e"
}

// add adds a torrent, and returns its info-hash.
func (s *site) add(name string) string {
	s.t.Helper()
	return decode[addedJSON](s, s.want(http.StatusCreated, "POST", "/api/torrents", s.token, aTorrent(name))).InfoHash
}

// announce has a user's client announce a torrent.
func (s *site) announce(key, infoHash string, uploaded, downloaded, left int64, event tracker.Event) error {
	h, err := metainfo.ParseInfoHash(infoHash)
	s.must(err)
	return s.accounts.Announce(key, &tracker.Request{
		InfoHash: h, PeerID: metainfo.PeerID([]byte(key[:20])), Uploaded: uploaded, Downloaded: downloaded, Left: left, Event: event,
	})
}

// flushed has what was announced written.
func (s *site) flushed() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	s.must(s.accounts.Run(ctx)) // which writes at its end
}
