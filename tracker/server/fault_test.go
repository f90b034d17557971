package server

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/udp"
)

// faulty is a Private with a bug, for who has the wrong key.
type faulty struct{ fakePrivate }

func (p *faulty) Announce(key string, req *tracker.Request) error {
	if p.Check(key) != nil {
		panic("what shall I do with " + key)
	}
	return nil
}

func faultyConfig() (Config, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return Config{Private: &faulty{fakePrivate{key: "sesame"}}, Logger: slog.New(slog.NewTextHandler(log, nil))}, log
}

// A request that makes the tracker fail is answered and counted, its fault is
// logged once and without the key, and the tracker lives.
func TestFaultsOverHTTP(t *testing.T) {
	cfg, log := faultyConfig()
	ln := listenTCP(t)
	runOn(t, ln, cfg)
	url := "http://" + ln.Addr().String()
	failure := string(appendFailure(nil, errFault.Error()))
	for name, request := range map[string]string{
		"in one packet": rawRequest("GET /wrong"+announceOf(idA, 1, "")+" HTTP/1.1", closing),
		"by net/http":   rawRequest("GET /wrong"+announceOf(idA, 1, "")+" HTTP/1.1", "X_odd: 1", closing),
	} {
		if got := exchange(t, dialTCP(t, ln), request, len(request)); !strings.HasSuffix(got, "\r\n\r\n"+failure) {
			t.Errorf("%s: %q", name, got)
		}
	}
	resp, err := http.Get(url + "/sesame" + announceOf(idA, 1, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(body), "d8:complete") {
		t.Errorf("the tracker answers %q", body)
	}
	text := log.String()
	if strings.Count(text, "a request made it fail") != 1 || !strings.Contains(text, "faulty") || strings.Contains(text, "wrong") {
		t.Errorf("log:\n%s", text)
	}
}

func TestFaultsOnAConnectionThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := faultyConfig()
		f := runFront(t, cfg)
		conn := f.dial("10.0.0.1:1")
		for range 2 {
			io.WriteString(conn, rawRequest("GET /wrong"+announceOf(idA, 1, "")+" HTTP/1.1"))
			buf := make([]byte, 1000)
			n, err := conn.Read(buf)
			if err != nil || !strings.Contains(string(buf[:n]), errFault.Error()) {
				t.Errorf("%q, %v", buf[:n], err)
			}
		}
		if st := f.s.Stats(); st.Faults != 2 {
			t.Errorf("%+v", st)
		}
		f.stop()
	})
}

func TestFaultsOverUDP(t *testing.T) {
	cfg, log := faultyConfig()
	a := newAsker(t, cfg)
	r := udp.AnnounceRequest{Port: 1}
	body := udp.AppendURLData(udp.AppendAnnounceRequest(nil, &r), "/wrong/announce")
	for range 3 {
		reply := a.u.answer(0, a.request(udp.Announce, body), a.from, make([]byte, 0, maxUDPReply))
		h, message, err := udp.ParseResponseHeader(reply)
		if err != nil || h != (udp.ResponseHeader{Action: udp.Error, TransactionID: transaction}) || string(message) != errFault.Error() {
			t.Errorf("%+v %q, %v", h, message, err)
		}
	}
	if st := a.u.server.Stats(); st.Faults != 3 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%+v, log:\n%s", st, log)
	}
	a.announceWith(r, "/sesame/announce")
}

// announceWith announces with a URL, and wants an answer.
func (a *asker) announceWith(r udp.AnnounceRequest, url string) {
	a.t.Helper()
	a.ask(udp.Announce, udp.AppendURLData(udp.AppendAnnounceRequest(nil, &r), url))
}

func TestFaultsOfPages(t *testing.T) {
	cfg, _ := faultyConfig()
	s := newServer(t, cfg)
	s.store = nil // which the page needs
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/stats", nil))
	if w.Code != http.StatusInternalServerError || s.faults.num.Load() != 1 {
		t.Errorf("status %d, %d faults", w.Code, s.faults.num.Load())
	}
}
