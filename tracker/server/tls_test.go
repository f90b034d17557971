package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tlsPair is a certificate for tracker.test and what trusts it.
func tlsPair(t *testing.T) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"tracker.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}},
		&tls.Config{ServerName: "tracker.test", RootCAs: roots, NextProtos: []string{"http/1.1"}}
}

// runFrontTLS runs a front that is encrypted.
func runFrontTLS(t *testing.T, cfg Config) (*frontOf, *tls.Config) {
	serverTLS, clientTLS := tlsPair(t)
	return newFrontOf(t, cfg, func(ctx context.Context, s *Server, ln net.Listener) error { return s.RunTLS(ctx, ln, serverTLS) }), clientTLS
}

// Announces over HTTPS are answered by the front, the rest of a connection by
// net/http; a proxy says for whom it asks as over HTTP.
func TestHTTPS(t *testing.T) {
	serverTLS, clientTLS := tlsPair(t)
	ln := listenTCP(t)
	s := newServer(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	serveUntilEnd(t, func(ctx context.Context) error { return s.RunTLS(ctx, ln, serverTLS) })
	conn, err := tls.Dial("tcp", ln.Addr().String(), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, line := range []string{announceLine, announceLine, "GET /healthz HTTP/1.1", announceLine} { // the third makes it net/http's
		io.WriteString(conn, rawRequest(line, "X-Forwarded-For: 9.9.9.9"))
		if body := readAnswer(t, r); body != "ok\n" && !strings.Contains(body, "\x09\x09\x09\x09") {
			t.Errorf("%s: %q", line, body)
		}
	}
}

// Who is slow with the handshake, or with what comes behind it, is shown out.
func TestSlowTLSClientsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, clientTLS := runFrontTLS(t, Config{})
		if took := lifetime(f.dial("10.0.0.1:1")); took != headerTimeout {
			t.Errorf("without a handshake: open for %v", took)
		}
		conn := f.dial("10.0.0.1:1")
		begin := time.Now()
		go io.Copy(io.Discard, conn)
		hello := []byte{22, 3, 1, 2, 0} // the beginning of a record of 512 bytes
		for err := error(nil); err == nil; {
			_, err = conn.Write(hello[:1])
			if len(hello) > 1 {
				hello = hello[1:]
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > headerTimeout+2*time.Second {
			t.Errorf("a handshake of a byte a second: open for %v", took)
		}
		begin = time.Now()
		secure := tls.Client(f.dial("10.0.0.1:1"), clientTLS)
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, secure)
		for _, err := io.WriteString(secure, "G"); err == nil; _, err = io.WriteString(secure, "E") {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > 2*headerTimeout+time.Second {
			t.Errorf("a header of a byte a second: open for %v", took)
		}
		f.stop()
	})
}

// headerBomb is a header without an end.
type headerBomb struct {
	line string
	sent int
}

func (b *headerBomb) writeTo(conn net.Conn) {
	n, err := io.WriteString(conn, "GET "+announceOf(idA, 1, "")+" HTTP/1.1\r\nHost: a\r\n")
	for ; err == nil && b.sent < 10<<20; n, err = io.WriteString(conn, b.line) {
		b.sent += n
	}
}

// Whoever sends a header without end is cut off after a little more than its
// bound, whether in one line or in many.
func TestHeaderBombs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := runFront(t, Config{})
		secure, clientTLS := runFrontTLS(t, Config{})
		for name, line := range map[string]string{"one line": strings.Repeat("x", 1000), "many lines": "X: y\r\n"} {
			for _, conn := range []net.Conn{plain.dial("10.0.0.1:1"), tls.Client(secure.dial("10.0.0.1:1"), clientTLS)} {
				bomb := &headerBomb{line: line}
				go bomb.writeTo(conn)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("%s: %+v, %v", name, resp, err)
				}
				conn.Close()
				synctest.Wait()
				if bomb.sent > 64<<10 {
					t.Errorf("%s: %d bytes were taken", name, bomb.sent)
				}
			}
		}
		plain.stop()
		secure.stop()
	})
}
