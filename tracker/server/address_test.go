package server

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// proxyCases are the headers of requests, and who asks by them: empty means
// that it could not be found out. The proxies are 127.0.0.0/8 and 10.0.0.0/8.
var proxyCases = map[string]struct {
	header  ProxyHeader
	headers []string
	want    string
}{
	"nothing":                    {XForwardedFor, nil, ""},
	"one":                        {XForwardedFor, []string{"X-Forwarded-For: 9.9.9.9"}, "9.9.9.9"},
	"a spoofed address in front": {XForwardedFor, []string{"X-Forwarded-For: 8.8.8.8, 9.9.9.9"}, "9.9.9.9"},
	"a spoofed line in front":    {XForwardedFor, []string{"X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 9.9.9.9"}, "9.9.9.9"},
	"a spoofed proxy in front":   {XForwardedFor, []string{"X-Forwarded-For: 8.8.8.8, 10.0.0.9, 9.9.9.9, 10.0.0.7"}, "9.9.9.9"},
	"the other header":           {XForwardedFor, []string{"Forwarded: for=8.8.8.8"}, ""},
	"the other header, besides":  {XForwardedFor, []string{"Forwarded: for=8.8.8.8", "X-Forwarded-For: 9.9.9.9"}, "9.9.9.9"},
	"other headers":              {XForwardedFor, []string{"X-Real-IP: 8.8.8.8", "CF-Connecting-IP: 8.8.8.8", "True-Client-IP: 8.8.8.8"}, ""},
	"IPv6":                       {XForwardedFor, []string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1"},
	"IPv6 in brackets":           {XForwardedFor, []string{"X-Forwarded-For: [2001:db8::1]"}, "2001:db8::1"},
	"mapped":                     {XForwardedFor, []string{"X-Forwarded-For: ::ffff:9.9.9.9"}, "9.9.9.9"},
	"an end":                     {XForwardedFor, []string{"X-Forwarded-For: 9.9.9.9,"}, ""},
	"rubbish":                    {XForwardedFor, []string{"X-Forwarded-For: for=9.9.9.9"}, ""},

	"Forwarded: nothing":                   {Forwarded, []string{"X-Forwarded-For: 8.8.8.8"}, ""},
	"Forwarded: one":                       {Forwarded, []string{"Forwarded: for=9.9.9.9"}, "9.9.9.9"},
	"Forwarded: with more":                 {Forwarded, []string{`Forwarded: proto=http ; For="9.9.9.9:1234";by=203.0.113.43`}, "9.9.9.9"},
	"Forwarded: IPv6":                      {Forwarded, []string{`Forwarded: for="[2001:db8::1]:4711"`}, "2001:db8::1"},
	"Forwarded: IPv6, bare":                {Forwarded, []string{`Forwarded: for="[2001:db8::1]"`}, "2001:db8::1"},
	"Forwarded: a spoofed one in front":    {Forwarded, []string{"Forwarded: for=8.8.8.8, for=9.9.9.9;proto=https, for=10.0.0.7"}, "9.9.9.9"},
	"Forwarded: a spoofed line in front":   {Forwarded, []string{"Forwarded: for=8.8.8.8", "Forwarded: for=9.9.9.9"}, "9.9.9.9"},
	"Forwarded: an open quote in front":    {Forwarded, []string{`Forwarded: for="8.8.8.8, for=9.9.9.9`}, "9.9.9.9"},
	"Forwarded: quotes around the proxy's": {Forwarded, []string{`Forwarded: for=8.8.8.8;x=", for=9.9.9.9`}, "9.9.9.9"},
	"Forwarded: twice in one":              {Forwarded, []string{"Forwarded: for=8.8.8.8;for=9.9.9.9"}, ""},
	"Forwarded: hidden":                    {Forwarded, []string{"Forwarded: for=_hidden"}, ""},
	"Forwarded: unknown":                   {Forwarded, []string{"Forwarded: for=8.8.8.8, for=unknown"}, ""},
	"Forwarded: without":                   {Forwarded, []string{"Forwarded: by=9.9.9.9"}, ""},
	"Forwarded: the other header, besides": {Forwarded, []string{"X-Forwarded-For: 8.8.8.8", "Forwarded: for=9.9.9.9"}, "9.9.9.9"},
}

// Over the front and over net/http alike, and from strangers never.
func TestProxyHeaders(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	strangers := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range proxyCases {
		t.Run(name, func(t *testing.T) {
			raw := rawRequest(announceLine, append(c.headers, closing)...)
			odd := rawRequest(announceLine, append(c.headers, "X_odd: 1", closing)...)
			if n := new(simpleRequest).parse(raw); n != len(raw) {
				t.Errorf("it is not the front that answers")
			}
			for _, trusted := range [][]netip.Prefix{proxies, strangers} {
				want := c.want
				if len(trusted) == 1 {
					want = "127.0.0.1"
				}
				ln := listenTCP(t)
				runOn(t, ln, Config{TrustedProxies: trusted, ProxyHeader: c.header})
				for _, request := range []string{raw, odd} {
					wantAsker(t, exchange(t, dialTCP(t, ln), request, len(request)), want)
				}
			}
		})
	}
}

// wantAsker finds the "external ip" of an answer.
func wantAsker(t *testing.T, answer, want string) {
	t.Helper()
	text := errUnknownAddr.Error()
	if want != "" {
		text = string(appendString([]byte("11:external ip"), netip.MustParseAddr(want).AsSlice())) + "10:incomplete"
	}
	if !strings.Contains(answer, text) {
		t.Errorf("%q, want %q", answer, want)
	}
}

// A proxy on the same machine may come by a Unix socket, and must say for whom.
func TestUnixSockets(t *testing.T) {
	for request, want := range map[string]string{
		rawRequest(announceLine, "X-Forwarded-For: 8.8.8.8, 9.9.9.9", closing):             "9.9.9.9",
		rawRequest(announceLine, "X_odd: 1", "X-Forwarded-For: 8.8.8.8, 9.9.9.9", closing): "9.9.9.9",
		rawRequest(announceLine, closing):                                                  "",
	} {
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		if err != nil {
			t.Fatal(err)
		}
		runOn(t, ln, Config{})
		conn, err := new(net.Dialer).DialContext(context.Background(), "unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var answer strings.Builder
		conn.Write([]byte(request))
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			answer.Write(buf[:n])
			if err != nil {
				break
			}
		}
		conn.Close()
		wantAsker(t, answer.String(), want)
	}
}

// FuzzForwarded: whatever a client writes, what the trusted proxy adds behind it
// counts.
func FuzzForwarded(f *testing.F) {
	for _, c := range proxyCases {
		f.Add(strings.Join(c.headers, ","))
	}
	f.Add(`for="`)
	cfg := Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ProxyHeader: Forwarded}
	proxy, want := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("9.9.9.9")
	f.Fuzz(func(t *testing.T, written string) {
		for _, values := range [][]string{{written + ", for=9.9.9.9;proto=http"}, {written, "for=9.9.9.9"}} {
			if got, err := cfg.asker(proxy, forwarding{forwarded: values}); err != nil || got != want {
				t.Fatalf("%q: %v, %v", values, got, err)
			}
		}
		cfg.asker(proxy, forwarding{forwarded: []string{written}})
	})
}
