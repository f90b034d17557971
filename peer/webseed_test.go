package peer

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/bitfield"
	"github.com/shoal-bt/shoal/peer/engine"
)

// webServer serves files from memory, and notes what it is asked for.
type webServer struct {
	*httptest.Server
	files map[string][]byte // by escaped path
	// before, if not nil, may answer a request; true: it has. n counts from 1.
	before func(n int, w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	asked  []string // path and range
	agents map[string]bool
	conns  map[string]bool
}

func newWebServer(t testing.TB, files map[string][]byte) *webServer {
	s := &webServer{files: files, agents: map[string]bool{}, conns: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *webServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.EscapedPath()+" "+r.Header.Get("Range"))
	s.agents[r.UserAgent()], s.conns[r.RemoteAddr] = true, true
	n := len(s.asked)
	s.mu.Unlock()
	if s.before != nil && s.before(n, w, r) {
		return
	}
	data, ok := s.files[r.URL.EscapedPath()]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (s *webServer) numAsked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// multiTorrent is a torrent of several files, pads among them.
func multiTorrent(t testing.TB, pieceLen int, files ...string) (*testTorrent, map[string][]byte) {
	t.Helper()
	tt, byPath := new(testTorrent), map[string][]byte{}
	var list, pieces bytes.Buffer
	for i, f := range files { // "path length" or "pad length"
		var name string
		var length int
		fmt.Sscanf(f, "%s %d", &name, &length)
		data := make([]byte, length)
		if name == "pad" {
			fmt.Fprintf(&list, "d4:attr1:p6:lengthi%de4:pathl4:.pad%d:%dee", length, len(fmt.Sprint(i)), i)
		} else {
			for j := range data {
				data[j] = byte(j*7 + j>>8 + i)
			}
			name = strings.ReplaceAll(name, "_", " ")
			var path strings.Builder
			escaped := "/d%20r"
			for _, c := range strings.Split(name, "/") {
				fmt.Fprintf(&path, "%d:%s", len(c), c)
				escaped += "/" + url.PathEscape(c)
			}
			fmt.Fprintf(&list, "d6:lengthi%de4:pathl%see", length, path.String())
			byPath[escaped] = data
		}
		tt.data = append(tt.data, data...)
	}
	for piece := range bytesChunks(tt.data, pieceLen) {
		sum := sha1.Sum(piece)
		pieces.Write(sum[:])
	}
	info := fmt.Sprintf("d5:filesl%se4:name3:d r12:piece lengthi%de6:pieces%d:%se", list.String(), pieceLen, pieces.Len(), pieces.Bytes())
	meta, err := metainfo.ParseInfo([]byte(info))
	if err != nil {
		t.Fatal(err)
	}
	tt.meta = meta
	return tt, byPath
}

// webConfig is that of a torrent that has web seeds alone.
func (tt *testTorrent) webConfig(urls ...string) TorrentConfig {
	cfg := tt.config()
	cfg.WebSeeds = urls
	return cfg
}

func TestWebSeedAlone(t *testing.T) {
	tt := newTestTorrent(t, 3<<20+5000, 64<<10)
	s := newWebServer(t, map[string][]byte{"/data": tt.data})
	for _, path := range []string{"/data", "/"} { // "the client must add the "name""
		c := newTestClient(t, Config{})
		cfg := tt.webConfig(s.URL + path)
		torrent := add(t, c, cfg)
		await(t, "the download", torrent.Completed())
		tt.check(t, cfg.Storage)
		if st := torrent.Stats(); st.DownloadedFromWebSeeds != int64(len(tt.data)) || st.Wasted != 0 {
			t.Errorf("%d bytes came from web seeds, %d were wasted", st.DownloadedFromWebSeeds, st.Wasted)
		}
	}
	if len(s.agents) != 1 || !s.agents[DefaultClient] {
		t.Errorf("the user agents are %v", s.agents)
	}
	if most := 2 * 49 / 2; len(s.asked) > most { // pieces, and half of them for each
		t.Errorf("%d requests for 49 pieces, twice: %v", len(s.asked), s.asked)
	}
	if len(s.conns) > 2 {
		t.Errorf("%d connections for 2 downloads", len(s.conns))
	}
}

func TestWebSeedWithSeveralFiles(t *testing.T) {
	tt, files := multiTorrent(t, 32<<10, "a 100000", "sub/b_%41&?#.txt 70001", "pad 26607", "empty 0", "small 3", "other 200000")
	for _, slash := range []string{"", "/"} {
		s := newWebServer(t, files)
		c := newTestClient(t, Config{})
		cfg := tt.webConfig(s.URL + slash)
		await(t, "the download", add(t, c, cfg).Completed())
		tt.check(t, cfg.Storage)
		for _, asked := range s.asked {
			if strings.Contains(asked, "pad") || strings.Contains(asked, "empty") {
				t.Errorf("it was asked for %s", asked)
			}
		}
	}
}

// TestWebSeedAndPeer has a peer with one half and a web seed for the other.
func TestWebSeedAndPeer(t *testing.T) {
	tt := newTestTorrent(t, 2<<20, 64<<10)
	half := bitfield.New(32)
	for piece := range 16 {
		half.Add(piece)
	}
	seedConfig := tt.seedConfig(t)
	seedConfig.Have, seedConfig.Want = half, half.Clone()
	seeder := newTestClient(t, Config{})
	add(t, seeder, seedConfig)

	s := newWebServer(t, map[string][]byte{"/data": tt.data})
	c := newTestClient(t, Config{})
	cfg := tt.webConfig(s.URL + "/data")
	cfg.Peers, cfg.WebSeedBelow = append(cfg.Peers, addrOfClient(seeder)), -1
	torrent := add(t, c, cfg)
	await(t, "the download", torrent.Completed())
	tt.check(t, cfg.Storage)
	if st := torrent.Stats(); st.DownloadedFromWebSeeds < 1<<20 || st.Conns != 1 {
		t.Errorf("%d bytes came from web seeds, and there are %d peers", st.DownloadedFromWebSeeds, st.Conns)
	}
}

// TestWebSeedOfMagnet is for SetInfo.
func TestWebSeedOfMagnet(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	none := tt.config()
	none.Metadata = tt.meta.InfoBytes
	teller := newTestClient(t, Config{})
	add(t, teller, none)
	s := newWebServer(t, map[string][]byte{"/data": tt.data})
	c := newTestClient(t, Config{})
	torrent := add(t, c, TorrentConfig{InfoHash: tt.meta.InfoHash, Peers: append(none.Peers, addrOfClient(teller))})
	await(t, "the metadata", torrent.Metadata())
	cfg := tt.infoConfig()
	cfg.WebSeeds = []string{s.URL + "/data"}
	if err := torrent.SetInfo(cfg); err != nil {
		t.Fatal(err)
	}
	await(t, "the download", torrent.Completed())
	tt.check(t, cfg.Storage)
}

// TestWebSeedResumes wants only what is missing.
func TestWebSeedResumes(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	s := newWebServer(t, map[string][]byte{"/data": tt.data})
	cfg := tt.webConfig(s.URL + "/data")
	if err := cfg.Storage.WriteAt([][]byte{tt.data[:512<<10]}, 0); err != nil {
		t.Fatal(err)
	}
	cfg.Have = bitfield.New(16)
	for piece := range 8 {
		cfg.Have.Add(piece)
	}
	torrent := add(t, newTestClient(t, Config{}), cfg)
	await(t, "the download", torrent.Completed())
	tt.check(t, cfg.Storage)
	if st := torrent.Stats(); st.Downloaded != 512<<10 {
		t.Errorf("%d bytes were downloaded", st.Downloaded)
	}
}

// TestWebSeedRateLimit holds a download to --down.
func TestWebSeedRateLimit(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	s := newWebServer(t, map[string][]byte{"/data": tt.data})
	c := newTestClient(t, Config{Down: 400 << 10})
	cfg := tt.webConfig(s.URL + "/data")
	began := time.Now()
	await(t, "the download", add(t, c, cfg).Completed())
	if took := time.Since(began); took < time.Second {
		t.Errorf("1 MiB at 400 KiB/s took %v", took)
	}
}

// TestHostileWebSeeds has servers that do what they should not. Each is dropped, with a reason,
// and the next web seed brings all.
func TestHostileWebSeeds(t *testing.T) {
	tt := newTestTorrent(t, 2<<20, 64<<10)
	status := func(code int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
	}
	part := func(contentRange string, n int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, n))
			return true
		}
	}
	for _, test := range []struct {
		name, reason string
		answer       func(n int, w http.ResponseWriter, r *http.Request) bool
	}{
		{"not found", "404 Not Found", status(404)},
		{"shorter file", "416", status(416)},
		{"no words", "bad Content-Range", part("", 1000)},
		{"wrong unit", "bad Content-Range", part("lines 0-1/2", 1000)},
		{"multipart", "bad Content-Range", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}},
		{"another range", "instead of", part("bytes 1-5/2097152", 5)},
		{"another file", "its file has 99 bytes", part("bytes 0-9/99", 10)},
		{"huge claim", "bad Content-Range", part("bytes 0-99999999999999999999/99999999999999999999", 10)},
		{"compressed", "encoding", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}},
		{"whole other file", "its file has 5 bytes", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Write([]byte("hello"))
			return true
		}},
		{"redirect loop", "redirects more than", func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/again", http.StatusFound)
			return true
		}},
		{"redirect to a file", "redirects to the scheme", func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
			return true
		}},
		{"false bytes", "banned: a piece that fails its hash", func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, len(tt.data))))
			return true
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bad := newWebServer(t, nil)
			bad.before = test.answer
			good := newWebServer(t, map[string][]byte{"/data": tt.data})
			log := &syncBuffer{written: make(chan struct{}, 1)}
			c := newTestClient(t, Config{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
			cfg := tt.webConfig(bad.URL + "/data")
			torrent := add(t, c, cfg)
			log.await(t, test.reason)
			if !strings.Contains(log.String(), "web seed given up") || !strings.Contains(log.String(), bad.URL) {
				t.Errorf("the log says\n%s", log.String())
			}
			before := bad.numAsked()
			torrent.inbox.put(event{do: func() { torrent.startWebSeeds([]string{good.URL + "/data"}) }})
			await(t, "the download", torrent.Completed())
			tt.check(t, cfg.Storage)
			if bad.numAsked() > before+1 { // one may have been on its way
				t.Error("a web seed that was given up is asked again")
			}
		})
	}
}

// syncBuffer is a log that can be waited for.
type syncBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // has a value when something was written
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal(s.written)
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(tooLong)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.written:
		case <-late:
			t.Fatalf("the log has no %q:\n%s", text, s.String())
		}
	}
}

// TestWebSeedServesWholeFiles is for a server without ranges: a small file is taken, and a large one given up.
func TestWebSeedServesWholeFiles(t *testing.T) {
	tt := newTestTorrent(t, 500_000, 64<<10)
	s := newWebServer(t, nil)
	s.before = func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.Write(tt.data); return true }
	cfg := tt.webConfig(s.URL)
	await(t, "the download", add(t, newTestClient(t, Config{}), cfg).Completed())
	tt.check(t, cfg.Storage)

	span := metainfo.Span{Offset: maxSkipped + 1, Length: 5}
	err := acceptWhole(&http.Response{ContentLength: -1, Body: io.NopCloser(neverEnds{})}, span, 1<<40)
	if err == nil || err.Error() != "it cannot send parts of a file" {
		t.Error(err)
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return len(p), nil }

// roundTrips answers requests without a network.
type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fakeWeb returns a client whose web seeds are answered by f, in the time of a bubble.
func fakeWeb(t *testing.T, f roundTrips) *Client {
	c := newClient(mustConfig(t, Config{Port: -1}))
	c.disk = newWorkers(1)
	c.web = &http.Client{Transport: f, CheckRedirect: checkRedirect}
	return c
}

func mustConfig(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// part answers as a server that has data.
func part(r *http.Request, data []byte) *http.Response {
	w := httptest.NewRecorder()
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	return w.Result()
}

// stalls is a body that sends nothing until the request is cancelled.
type stalls struct{ r *http.Request }

func (b stalls) Read([]byte) (int, error) { <-b.r.Context().Done(); return 0, b.r.Context().Err() }
func (b stalls) Close() error             { return nil }

// TestWebSeedIsPatient has a server that is busy, breaks, stalls and falls short, and then works.
func TestWebSeedIsPatient(t *testing.T) {
	tt := newTestTorrent(t, 256<<10, 64<<10)
	for _, test := range []struct {
		name  string
		first func(r *http.Request) (*http.Response, error)
		pause time.Duration
	}{
		{"busy", func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Status: "503 Busy", Header: http.Header{"Retry-After": {"77"}}, Body: http.NoBody}, nil
		}, 77 * time.Second},
		{"error", func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 500, Status: "500 Oops", Body: http.NoBody}, nil
		}, engine.WebSeedRetryFirst},
		{"refuses", func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") }, engine.WebSeedRetryFirst},
		{"stalls", func(r *http.Request) (*http.Response, error) {
			resp := part(r, tt.data)
			resp.Body = stalls{r}
			return resp, nil
		}, blockTimeout + engine.WebSeedRetryFirst},
		{"falls short", func(r *http.Request) (*http.Response, error) {
			resp := part(r, tt.data)
			resp.Body = io.NopCloser(io.LimitReader(resp.Body, 20000))
			return resp, nil
		}, engine.WebSeedRetryFirst},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, began := 0, time.Now()
				var again time.Duration
				c := fakeWeb(t, func(r *http.Request) (*http.Response, error) {
					if n++; n == 1 {
						return test.first(r)
					} else if n == 2 {
						again = time.Since(began)
					}
					return part(r, tt.data), nil
				})
				cfg := tt.webConfig("http://example.org/data")
				torrent := add(t, c, cfg)
				<-torrent.Completed()
				tt.check(t, cfg.Storage)
				if again < test.pause || again > test.pause*5/4 {
					t.Errorf("it was asked again after %v, want %v or a little more", again, test.pause)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestWebSeedIsGivenUp after it has failed too often.
func TestWebSeedIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTorrent(t, 256<<10, 64<<10)
		n := 0
		c := fakeWeb(t, func(*http.Request) (*http.Response, error) { n++; return nil, errors.New("refused") })
		add(t, c, tt.webConfig("http://example.org/data"))
		<-time.After(72 * time.Hour) // of the bubble
		if n != engine.MaxWebSeedFails {
			t.Errorf("it was asked %d times", n)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestStopWithWebSeed stops while a server holds its answer back.
func TestStopWithWebSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTorrent(t, 256<<10, 64<<10)
		c := fakeWeb(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		torrent := add(t, c, tt.webConfig("http://example.org/data"))
		synctest.Wait()
		began := time.Now()
		if err := torrent.Stop(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("it took %v to stop: %v", time.Since(began), err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestFileURL(t *testing.T) {
	single := &newTestTorrent(t, 5, 16384).meta.Info
	tt, _ := multiTorrent(t, 16384, "a 5", "sub/b_%41&?#.txt 5")
	for _, test := range []struct {
		info  *metainfo.Info
		index int
		base  string
		want  string
	}{
		{single, 0, "http://mirror.com/file.exe", "http://mirror.com/file.exe"},
		{single, 0, "http://mirror.com/pub/", "http://mirror.com/pub/data"},
		{single, 0, "http://mirror.com/get?x=1&y=2#z", "http://mirror.com/get?x=1&y=2"},
		{single, 0, "https://u:p@[::1]:8080/a%2Fb/", "https://u:p@[::1]:8080/a%2Fb/data"},
		{&tt.meta.Info, 0, "http://mirror.com/pub/", "http://mirror.com/pub/d%20r/a"},
		{&tt.meta.Info, 1, "http://mirror.com", "http://mirror.com/d%20r/sub/b%20%2541&%3F%23.txt"},
	} {
		u, err := parseWebSeed(test.base)
		if err != nil {
			t.Fatal(err)
		}
		if got := fileURL(u, test.info, test.index).String(); got != test.want {
			t.Errorf("%s: file %d is at %s, want %s", test.base, test.index, got, test.want)
		}
	}
	for _, bad := range []string{"ftp://mirror.com/", "http:///x", "mirror.com", "http://a b/", ":"} {
		if CheckWebSeed(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestRedirects(t *testing.T) {
	request := func(s string) *http.Request { return httptest.NewRequest("GET", s, nil) }
	for _, test := range []struct {
		from, to string
		ok       bool
	}{
		{"http://mirror.com/", "https://other.org/x", true},
		{"http://mirror.com/", "http://192.168.1.1/reboot", false},
		{"http://mirror.com/", "http://localhost:631/", false},
		{"http://mirror.com/", "http://[::1]/", false},
		{"http://10.0.0.1/", "http://10.0.0.2/", true},
	} {
		if err := checkRedirect(request(test.to), []*http.Request{request(test.from)}); (err == nil) != test.ok {
			t.Errorf("from %s to %s: %v", test.from, test.to, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "99999999999": engine.WebSeedRetryLast, "-1": 0, "soon": 0,
		"Fri, 31 Dec 1999 23:59:59 GMT": 0, "Fri, 31 Dec 2999 23:59:59 GMT": engine.WebSeedRetryLast,
	} {
		if got := retryAfter(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-499/1234", "bytes 42-1233/*", "bytes */1234", "bytes 5-4/9", "bytes 0-9/9", "bytes 0-", "", "bytes 0-9223372036854775807/*", "bytes +1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, err := parseContentRange(s)
		if err != nil {
			return
		}
		if first < 0 || last < first || total != -1 && total <= last {
			t.Errorf("%q is %d to %d of %d", s, first, last, total)
		}
		again := fmt.Sprintf("bytes %d-%d/%d", first, last, total)
		if total < 0 {
			again = fmt.Sprintf("bytes %d-%d/*", first, last)
		}
		f2, l2, t2, err := parseContentRange(again)
		if err != nil || f2 != first || l2 != last || t2 != total {
			t.Errorf("%q is read as %q, and that is %d to %d of %d, %v", s, again, f2, l2, t2, err)
		}
	})
}
