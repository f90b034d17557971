package peer

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/peer/engine"
)

// TestABusyWebSeedIsAskedUntilItIsNot: "A client does not need to discard a HTTP or FTP server URL if it gets a
// "busy" reply" (BEP 19), however often.
func TestABusyWebSeedIsAskedUntilItIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTorrent(t, 256<<10, 64<<10)
		const busy = 100
		n, began := 0, time.Now()
		c := fakeWeb(t, func(r *http.Request) (*http.Response, error) {
			if n++; n <= busy {
				return &http.Response{StatusCode: 429, Status: "429 Too Many", Header: http.Header{"Retry-After": {"7200"}}, Body: http.NoBody}, nil
			}
			return part(r, tt.data), nil
		})
		cfg := tt.webConfig("http://example.org/data")
		<-add(t, c, cfg).Completed()
		tt.check(t, cfg.Storage)
		if took := time.Since(began); took < busy*time.Hour || took > busy*75*time.Minute { // no more of the two hours is believed
			t.Errorf("it took %v", took)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestWebSeedErrorsAreAskedLessAndLess doubles the pause, also after an answer that says nothing of when.
func TestWebSeedErrorsAreAskedLessAndLess(t *testing.T) {
	for _, code := range []int{500, 503} {
		synctest.Test(t, func(t *testing.T) {
			tt := newTestTorrent(t, 256<<10, 64<<10)
			n, began := 0, time.Now()
			c := fakeWeb(t, func(r *http.Request) (*http.Response, error) {
				if n++; n <= 4 {
					return &http.Response{StatusCode: code, Status: "Oops", Body: http.NoBody}, nil
				}
				return part(r, tt.data), nil
			})
			cfg := tt.webConfig("http://example.org/data")
			<-add(t, c, cfg).Completed()
			if took := time.Since(began); took < (5+10+20+40)*time.Second || took > 94*time.Second {
				t.Errorf("after four answers of %d it took %v", code, took)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPeersGoOnWithoutTheWebSeed has a server that dies in the middle of a range, one that is gone, and one that lies.
// What they were asked for, the peer that comes then must bring.
func TestPeersGoOnWithoutTheWebSeed(t *testing.T) {
	tt := newTestTorrent(t, 1<<20, 64<<10)
	for name, fails := range map[string]func(n int, w http.ResponseWriter, r *http.Request) bool{
		"dies": func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Header().Set("Content-Length", "1048576")
				w.Write(tt.data[:50_000])
			}
			panic(http.ErrAbortHandler) // closes the connection
		},
		"is gone": func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusGone)
			return true
		},
		"lies": func(_ int, w http.ResponseWriter, r *http.Request) bool {
			lies := bytes.Clone(tt.data)
			for i := 0; i < len(lies); i += 20_000 {
				lies[i]++
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(lies))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newWebServer(t, nil)
			s.before = fails
			seeder := newTestSeeder(t, tt)
			cfg := tt.webConfig(s.URL + "/data")
			cfg.WebSeedBelow = 1 << 40
			log := &syncBuffer{written: make(chan struct{}, 1)}
			logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			torrent := add(t, newTestClient(t, Config{Logger: logger}), cfg)
			log.await(t, map[bool]string{true: "web seed failed", false: "web seed given up"}[name == "dies"])
			torrent.AddPeers([]netip.AddrPort{addrOfClient(seeder)}, engine.SourceTracker)
			await(t, "the download", torrent.Completed())
			tt.check(t, cfg.Storage)
			if st := torrent.Stats(); name == "lies" && (st.Banned != 1 || st.HashFails == 0) {
				t.Errorf("%d are banned, %d pieces failed", st.Banned, st.HashFails)
			}
		})
	}
}

// TestWebSeedFailuresAreKeptOnce: a server that fails the same way again is one failure, though the port of ours that the
// error names differs; and one with ever new excuses fills no memory.
func TestWebSeedFailuresAreKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := newTestTorrent(t, 256<<10, 64<<10)
		n := 0
		c := fakeWeb(t, func(r *http.Request) (*http.Response, error) {
			if n++; n <= 3 {
				return nil, &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 1000 + n}, Err: syscall.ECONNRESET}
			}
			if n <= 3+maxWebSeedFailures {
				return &http.Response{StatusCode: 500, Status: fmt.Sprint("excuse ", n), Body: http.NoBody}, nil
			}
			return part(r, tt.data), nil
		})
		torrent := add(t, c, tt.webConfig("http://user:secret@example.org/data"))
		<-torrent.Completed()
		got := torrent.WebSeedFailures()
		if len(got) != maxWebSeedFailures || got[0] != (WebSeedFailure{URL: "http://user:xxxxx@example.org/data", Reason: "connection reset by peer"}) ||
			got[1].Reason != "excuse 4" {
			t.Errorf("%d failures are kept: %+v", len(got), got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
