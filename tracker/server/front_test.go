package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// addrConn is a pipe that comes from somewhere.
type addrConn struct {
	net.Conn
	from string
}

func (c addrConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

// frontOf is a Server that runs on pipes, and is stopped by the test's end.
type frontOf struct {
	t    *testing.T
	s    *Server
	ln   *pipeListener
	stop func()
}

func runFront(t *testing.T, cfg Config) *frontOf {
	return newFrontOf(t, cfg, func(ctx context.Context, s *Server, ln net.Listener) error { return s.Run(ctx, ln) })
}

func newFrontOf(t *testing.T, cfg Config, serve func(context.Context, *Server, net.Listener) error) *frontOf {
	s := newServer(t, cfg)
	ln := &pipeListener{fakeListener{make(chan struct{})}, make(chan net.Conn)}
	return &frontOf{t, s, ln, untilStopped(t, func(ctx context.Context) error { return serve(ctx, s, ln) })}
}

func (f *frontOf) dial(from string) net.Conn {
	ours, theirs := net.Pipe()
	f.ln.conns <- addrConn{theirs, from}
	f.t.Cleanup(func() { ours.Close() })
	return ours
}

var (
	announceLine = "GET " + announceOf(idA, 6881, "&compact=1&event=started") + " HTTP/1.1"
	closing      = "Connection: close"
)

// rawRequest is header lines joined to a request; without any, a plain one.
func rawRequest(line string, header ...string) string {
	lines := append([]string{line, "Host: tracker.example:6969"}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// frontCases are what clients send on one connection, and whether its first
// request is one that the front answers.
var frontCases = map[string]struct {
	raw    string
	simple bool
}{
	"an announce":                 {rawRequest(announceLine, "User-Agent: a/1", closing), true},
	"an announce, kept alive":     {rawRequest(announceLine, "connection: Keep-Alive"), true},
	"a refused announce":          {rawRequest("GET /announce?info_hash=1 HTTP/1.1"), true},
	"a scrape":                    {rawRequest("GET /scrape?info_hash="+hashA+" HTTP/1.1", "CONNECTION: Close"), true},
	"raw bytes":                   {rawRequest("GET /announce?info_hash=+;%26aaaaaaaaaaaaaaaa\xff&peer_id=#aaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1"), true},
	"an empty query":              {rawRequest("GET /announce? HTTP/1.1"), true},
	"two in one packet":           {rawRequest(announceLine) + rawRequest("GET /scrape?info_hash="+hashA+" HTTP/1.1", closing), true},
	"more after the last":         {rawRequest(announceLine, closing) + rawRequest(announceLine), true},
	"a simple, then an odd one":   {rawRequest(announceLine) + rawRequest("HEAD /healthz HTTP/1.1", closing), true},
	"a simple, then rubbish":      {rawRequest(announceLine) + "\x00\r\n\r\n", true},
	"a proxy":                     {rawRequest(announceLine, "X-Forwarded-For: 8.8.8.8,  9.9.9.9", "x-forwarded-FOR:\t 127.0.0.1 ", closing), false},
	"a proxy, with spaces":        {rawRequest(announceLine, "X-Forwarded-For: 8.8.8.8,  9.9.9.9", "x-forwarded-FOR:  127.0.0.1 ", closing), true},
	"Forwarded":                   {rawRequest(announceLine, `Forwarded: for="[2001:db8::1]:1";by=x, for=9.9.9.9`, "forwarded: for=127.0.0.1", closing), true},
	"a proxy that says nothing":   {rawRequest(announceLine, "X-Forwarded-For:"), true},
	"no query":                    {rawRequest("GET /announce HTTP/1.1"), false},
	"another page":                {rawRequest("GET /healthz HTTP/1.1"), false},
	"nowhere":                     {rawRequest("GET /announce.php?x HTTP/1.1"), false},
	"HEAD":                        {rawRequest("HEAD " + announceOf(idA, 1, "") + " HTTP/1.1"), false},
	"absolute form":               {rawRequest("GET http://tracker.example:6969" + announceOf(idA, 1, "") + " HTTP/1.1"), false},
	"HTTP/1.0":                    {rawRequest("GET " + announceOf(idA, 1, "") + " HTTP/1.0"), false},
	"HTTP/1.0, kept alive":        {rawRequest("GET "+announceOf(idA, 1, "")+" HTTP/1.0", "Connection: keep-alive"), false},
	"HTTP/2":                      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
	"a body":                      {rawRequest("POST /announce? HTTP/1.1", "Content-Length: 3") + "abc" + rawRequest("GET /healthz HTTP/1.1"), false},
	"a GET with a body":           {rawRequest(announceLine, "content-length: 3") + "abc" + rawRequest("GET /healthz HTTP/1.1", closing), false},
	"a GET with chunks":           {rawRequest(announceLine, "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + rawRequest("GET /healthz HTTP/1.1"), false},
	"two lengths (smuggling)":     {rawRequest(announceLine, "Content-Length: 3", "Content-Length: 4") + "abc", false},
	"length, chunks (smuggling)":  {rawRequest(announceLine, "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n", false},
	"chunks, spaced (smuggling)":  {rawRequest(announceLine, "Transfer-Encoding : chunked") + "0\r\n\r\n", false},
	"Expect":                      {rawRequest(announceLine, "Expect: 100-continue"), false},
	"Upgrade":                     {rawRequest(announceLine, "Connection: Upgrade", "Upgrade: websocket"), false},
	"a list of options":           {rawRequest(announceLine, "Connection: foo, close"), false},
	"a long s in close":           {rawRequest(announceLine, "Connection: clo\u017fe"), false},
	"no host":                     {announceLine + "\r\n\r\n", false},
	"two hosts":                   {rawRequest(announceLine, "Host: b"), false},
	"a bad host":                  {announceLine + "\r\nHost: a b\r\n\r\n", false},
	"a folded line":               {rawRequest(announceLine, "X: a\r\n b"), false},
	"bare line feeds":             {strings.ReplaceAll(rawRequest(announceLine), "\r", ""), false},
	"a bare carriage return":      {rawRequest(announceLine, "X: a\rb"), false},
	"a control character":         {rawRequest("GET /announce?\x01 HTTP/1.1"), false},
	"a space in the query":        {rawRequest("GET /announce?a b HTTP/1.1"), false},
	"a control character, header": {rawRequest(announceLine, "X: \x01"), false},
	"no name":                     {rawRequest(announceLine, ": x"), false},
	"a line without colon":        {rawRequest(announceLine, "x"), false},
	"an odd name":                 {rawRequest(announceLine, "X_y: 1"), false},
	"more than maxSimpleLen":      {rawRequest(announceLine, "X: "+strings.Repeat("x", 4000)), true},
	"cut off":                     {rawRequest(announceLine)[:100], false},
	"nothing":                     {"", false},
}

var dateLine = regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)

// exchange sends raw on a connection in pieces and returns all that comes back,
// without the time.
func exchange(t *testing.T, conn net.Conn, raw string, pieceLen int) string {
	t.Helper()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for piece := range slices.Chunk([]byte(raw), pieceLen) {
			if _, err := conn.Write(piece); err != nil {
				return // the server has heard enough
			}
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
	}()
	answer, _ := io.ReadAll(conn) // it may be reset, if the server did not read all
	conn.Close()
	<-sent
	return dateLine.ReplaceAllString(string(answer), "Date: now")
}

// Whatever is sent, and in whichever pieces, is answered as net/http alone
// would, to the byte.
func TestFrontAnswersLikeNetHTTP(t *testing.T) {
	cfg := Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Interval: time.Hour}
	for name, c := range frontCases {
		t.Run(name, func(t *testing.T) {
			if requestLen := new(simpleRequest).parse(c.raw); (requestLen > 0) != c.simple {
				t.Errorf("simple for %d bytes, want %v", requestLen, c.simple)
			}
			want := exchange(t, dialNetHTTP(t, cfg), c.raw, len(c.raw)+1)
			if !strings.HasPrefix(want, "HTTP/1.") && len(c.raw) > 100 {
				t.Fatalf("net/http answers %q", want)
			}
			ln := listenTCP(t)
			conn := dialTCP(t, ln)
			io.WriteString(conn, c.raw) // before it is accepted
			runOn(t, ln, cfg)
			if got := exchange(t, conn, "", 1); got != want {
				t.Errorf("in one piece\n %q, want\n %q", got, want)
			}
			for _, pieceLen := range []int{1, 7, 300} {
				ln := listenTCP(t)
				runOn(t, ln, cfg)
				if got := exchange(t, dialTCP(t, ln), c.raw, pieceLen); got != want {
					t.Errorf("in pieces of %d bytes\n %q, want\n %q", pieceLen, got, want)
				}
			}
		})
	}
}

func dialTCP(t *testing.T, ln net.Listener) net.Conn {
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func listenTCP(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// dialNetHTTP dials a Server without its front.
func dialNetHTTP(t *testing.T, cfg Config) net.Conn {
	ln := listenTCP(t)
	hs := &http.Server{Handler: newServer(t, cfg), MaxHeaderBytes: maxHeaderLen}
	go hs.Serve(ln)
	t.Cleanup(func() { hs.Close() })
	return dialTCP(t, ln)
}

// runOn runs a Server until the test ends.
func runOn(t *testing.T, ln net.Listener, cfg Config) {
	t.Helper()
	s := newServer(t, cfg)
	serveUntilEnd(t, func(ctx context.Context) error { return s.Run(ctx, ln) })
}

// readAnswer reads one response and its body.
func readAnswer(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// ask sends a request that the front answers.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	io.WriteString(conn, rawRequest(announceLine))
	if body := readAnswer(t, bufio.NewReader(conn)); !strings.HasPrefix(body, "d8:complete") {
		t.Fatalf("answer %q", body)
	}
}

// lifetime is how long a connection stays open.
func lifetime(conn net.Conn) time.Duration {
	begin := time.Now()
	io.Copy(io.Discard, conn)
	return time.Since(begin)
}

// A connection that brings its first request with it stays, if it may.
func TestConnectionsAreKept(t *testing.T) {
	ln := listenTCP(t)
	conn := dialTCP(t, ln)
	defer conn.Close()
	io.WriteString(conn, rawRequest(announceLine))
	runOn(t, ln, Config{})
	r := bufio.NewReader(conn)
	readAnswer(t, r)
	for _, line := range []string{announceLine, "GET /healthz HTTP/1.1", announceLine} { // the second makes it net/http's
		io.WriteString(conn, rawRequest(line))
		readAnswer(t, r)
	}
}

func TestSilentClientsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{})
		if took := lifetime(f.dial("10.0.0.1:1")); took != headerTimeout {
			t.Errorf("without a request: open for %v", took)
		}
		conn := f.dial("10.0.0.1:1")
		for range 3 { // who goes on asking may stay
			ask(t, conn)
			time.Sleep(idleTimeout - 2*deadlineSlack)
		}
		ask(t, conn)
		if took := lifetime(conn); took > idleTimeout || took < idleTimeout-deadlineSlack {
			t.Errorf("after a request: open for %v", took)
		}
		f.stop()
	})
}

// Who asks and does not take the answers is cut off, too.
func TestClientsThatDoNotReadAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{})
		conn := f.dial("10.0.0.1:1")
		io.WriteString(conn, rawRequest(announceLine))
		begin := time.Now()
		var err error
		for err == nil {
			_, err = io.WriteString(conn, rawRequest(announceLine))
		}
		if took := time.Since(begin); took > headerTimeout {
			t.Errorf("open for %v", took)
		}
		f.stop()
	})
}

func TestConnectionsPerAddress(t *testing.T) {
	const most = 2
	for name, c := range map[string]struct {
		from    [3]string
		bounded bool
	}{
		"one address":     {[3]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"}, true},
		"mapped":          {[3]string{"10.0.0.1:1", "10.0.0.1:2", "[::ffff:10.0.0.1]:3"}, true},
		"one /64":         {[3]string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1"}, true},
		"two addresses":   {[3]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:3"}, false},
		"two /64":         {[3]string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::3]:1"}, false},
		"this machine":    {[3]string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, false},
		"a trusted proxy": {[3]string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := runFront(t, Config{MaxConnsPerAddr: most, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
				first := f.dial(c.from[0])
				// net/http has the second: it is counted as well.
				second := f.dial(c.from[1])
				io.WriteString(second, "GET /heal")
				third := f.dial(c.from[2])
				synctest.Wait()
				third.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := third.Read(make([]byte, 1)); (err == io.EOF) != c.bounded {
					t.Errorf("the third: %v", err)
				}
				first.Close()
				synctest.Wait()
				fourth := f.dial(c.from[0])
				go io.WriteString(fourth, rawRequest("GET /healthz HTTP/1.1"))
				if body := readAnswer(t, bufio.NewReader(fourth)); body != "ok\n" {
					t.Errorf("after the first has gone: %q", body)
				}
				f.stop()
			})
		})
	}
}

// At the bound of all connections the next one waits until one has gone.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{MaxConns: 2})
		first, odd := f.dial("10.0.0.1:1"), f.dial("10.0.0.2:1")
		ask(t, first)
		io.WriteString(odd, "GET /heal")
		dialed := make(chan net.Conn)
		go func() { dialed <- f.dial("10.0.0.3:1") }()
		synctest.Wait()
		select {
		case <-dialed:
			t.Fatal("a third connection was accepted")
		default:
		}
		first.Close()
		ask(t, <-dialed)
		f.stop()
	})
}

func TestStopEndsIdleConnectionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{})
		f.dial("10.0.0.1:1")
		conn := f.dial("10.0.0.2:1")
		ask(t, conn)
		begin := time.Now()
		f.stop()
		if took := time.Since(begin); took > stopTimeout/2 {
			t.Errorf("stopping took %v", took)
		}
	})
}

// A request under way is answered in the second that is left.
func TestStopAnswersRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := runFront(t, Config{})
		conn, deaf := f.dial("10.0.0.1:1"), f.dial("10.0.0.2:1")
		io.WriteString(conn, rawRequest(announceLine))
		io.WriteString(deaf, rawRequest(announceLine))
		synctest.Wait()
		begin := time.Now()
		stopped := make(chan struct{})
		go func() { f.stop(); close(stopped) }()
		time.Sleep(stopTimeout / 2)
		if body := readAnswer(t, bufio.NewReader(conn)); !strings.HasPrefix(body, "d8:complete") {
			t.Errorf("answer %q", body)
		}
		<-stopped
		if took := time.Since(begin); took > stopTimeout {
			t.Errorf("one that does not read held it up for %v", took)
		}
	})
}

// A want of descriptors passes; the tracker goes on.
func TestAcceptingGoesOn(t *testing.T) {
	for err, passing := range map[error]bool{
		&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}: true,
		net.ErrClosed: false,
	} {
		if isPassing(err) != passing {
			t.Errorf("%v", err)
		}
	}
}

// FuzzSimpleRequest: what is simple to us is so to net/http, and means the
// same.
func FuzzSimpleRequest(f *testing.F) {
	for _, c := range frontCases {
		f.Add(c.raw, false)
	}
	f.Add(rawRequest("GET /0123456789abcdef"+announceOf(idA, 1, "")+" HTTP/1.1"), true)
	f.Add(rawRequest("GET //scrape?info_hash="+hashA+" HTTP/1.1"), true)
	open, private := newServer(f, Config{}), newServer(f, Config{Private: new(fakePrivate)})
	f.Fuzz(func(t *testing.T, raw string, keyed bool) {
		got, s := simpleRequest{keyed: keyed}, open
		if keyed {
			s = private
		}
		requestLen := got.parse(raw)
		if requestLen == 0 {
			return
		}
		rest := bufio.NewReader(strings.NewReader(raw))
		want, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		path := "/announce"
		if got.scrape {
			path = "/scrape"
		}
		if key, rest := s.splitKey(want.URL.Path); key != got.key || rest != path {
			t.Fatalf("%+v, net/http %+v", got, want)
		}
		if want.Method != "GET" || want.URL.RawQuery != got.query || want.Close != got.close ||
			!want.ProtoAtLeast(1, 1) || want.ContentLength != 0 || want.TransferEncoding != nil || want.Host == "" ||
			!slices.Equal(want.Header.Values("X-Forwarded-For"), got.forwarded.xForwardedFor) ||
			!slices.Equal(want.Header.Values("Forwarded"), got.forwarded.forwarded) {
			t.Fatalf("%+v, net/http %+v", got, want)
		}
		for _, odd := range []string{"Expect", "Upgrade", "Trailer"} {
			if want.Header.Get(odd) != "" {
				t.Fatalf("%s was passed over", odd)
			}
		}
		if left, _ := io.ReadAll(rest); string(left) != raw[requestLen:] {
			t.Fatalf("%q is left, net/http leaves %q", raw[requestLen:], left)
		}
	})
}

// simpleAnnounce is what BenchmarkSimpleRequest measures.
func simpleAnnounce(s *Server, sc *scratch, r *simpleRequest, raw []byte) {
	r.parse(asString(raw))
	s.respondSimple(sc, r, netip.AddrFrom4([4]byte{10, 0, 0, 1}))
}

// Nothing is allocated for a request, whether a proxy brings it or not, and
// whether it is taken or refused.
func TestSimpleRequestsAllocateNothing(t *testing.T) {
	s := newServer(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}})
	for name, request := range map[string]string{
		"announce": rawRequest("GET "+announceOf(idA, 6881, "&compact=1&numwant=30&key=abcd&ip=2001%3Adb8%3A%3A1")+" HTTP/1.1", "X-Forwarded-For: 9.9.9.9, 10.0.0.2"),
		"scrape":   rawRequest("GET /scrape?info_hash="+hashA+" HTTP/1.1", "X-Forwarded-For: 9.9.9.9", closing),
		"refused":  rawRequest("GET /announce?info_hash=1 HTTP/1.1", "X-Forwarded-For: 9.9.9.9"),
	} {
		var sc scratch
		var r simpleRequest
		raw := []byte(request)
		if n := testing.AllocsPerRun(100, func() { simpleAnnounce(s, &sc, &r, raw) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSimpleRequest(b *testing.B) {
	s := newServer(b, Config{})
	raw := []byte(rawRequest(announceLine, closing))
	var sc scratch
	var r simpleRequest
	b.ReportAllocs()
	for b.Loop() {
		simpleAnnounce(s, &sc, &r, raw)
	}
}
