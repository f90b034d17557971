package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	domain = "tracker.test"
	token  = "a-token-of-the-authority"
)

// authority is an ACME server (RFC 8555) for one order. It looks at nothing but
// whether the domain's server proves the token that it gave (RFC 8737).
type authority struct {
	*httptest.Server
	t     *testing.T
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	https string // where the domain is served

	mu         sync.Mutex
	thumbprint string // of the account's key
	status     string // of the domain's authorization
	chain      []byte // issued, PEM
	contact    []string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, key: newKey(t), status: "pending"}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.sign(template, template, &a.key.PublicKey)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", func(w http.ResponseWriter, _ *http.Request) {
		a.answer(w, http.StatusOK, map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order"})
	})
	mux.HandleFunc("HEAD /nonce", func(w http.ResponseWriter, _ *http.Request) { a.answer(w, http.StatusOK, nil) })
	mux.HandleFunc("POST /account", a.account)
	mux.HandleFunc("POST /order", a.order)
	mux.HandleFunc("POST /authorization", a.authorization)
	mux.HandleFunc("POST /challenge", a.challenge)
	mux.HandleFunc("POST /finalize", a.finalize)
	mux.HandleFunc("POST /certificate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Header().Set("Replay-Nonce", "1")
		w.Write(a.chain)
	})
	a.Server = httptest.NewTLSServer(mux)
	t.Cleanup(a.Close)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, public any) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a *authority) answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Replay-Nonce", "1")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if v != nil {
		json.NewEncoder(w).Encode(v)
	}
}

// read returns what a request signs: its header and its payload.
func (a *authority) read(r *http.Request, header, payload any) {
	var jws struct{ Protected, Payload string }
	err := json.NewDecoder(r.Body).Decode(&jws)
	for encoded, into := range map[string]any{jws.Protected: header, jws.Payload: payload} {
		var text []byte
		if text, _ = base64.RawURLEncoding.DecodeString(encoded); err == nil && len(text) > 0 && into != nil {
			err = json.Unmarshal(text, into)
		}
	}
	if err != nil {
		a.t.Error(err)
	}
}

func (a *authority) account(w http.ResponseWriter, r *http.Request) {
	var header struct{ JWK struct{ Crv, X, Y string } }
	var payload struct{ Contact []string }
	a.read(r, &header, &payload)
	canonical := fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, header.JWK.Crv, header.JWK.X, header.JWK.Y) // RFC 7638
	sum := sha256.Sum256([]byte(canonical))
	a.mu.Lock()
	a.thumbprint, a.contact = base64.RawURLEncoding.EncodeToString(sum[:]), payload.Contact
	a.mu.Unlock()
	w.Header().Set("Location", a.URL+"/account/1")
	a.answer(w, http.StatusCreated, map[string]string{"status": "valid"})
}

func (a *authority) order(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", a.URL+"/order/1")
	a.answer(w, http.StatusCreated, map[string]any{
		"status": "pending", "authorizations": []string{a.URL + "/authorization"}, "finalize": a.URL + "/finalize",
		"identifiers": []any{map[string]string{"type": "dns", "value": domain}},
	})
}

func (a *authority) authorization(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer(w, http.StatusOK, map[string]any{
		"status": a.status, "identifier": map[string]string{"type": "dns", "value": domain},
		"challenges": []any{a.challengeJSON()},
	})
}

func (a *authority) challengeJSON() map[string]string {
	return map[string]string{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": token, "status": a.status}
}

func (a *authority) challenge(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = "invalid"
	if a.isProven() {
		a.status = "valid"
	}
	a.answer(w, http.StatusOK, a.challengeJSON())
}

// isProven connects to the domain. RFC 8737, 3: the certificate has the SHA-256
// of the token and the account's key in an extension.
func (a *authority) isProven() bool {
	conn, err := tls.Dial("tcp", a.https, &tls.Config{ServerName: domain, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		a.t.Error(err)
		return false
	}
	defer conn.Close()
	sum := sha256.Sum256([]byte(token + "." + a.thumbprint))
	want, err := asn1.Marshal(sum[:])
	if err != nil {
		a.t.Error(err)
	}
	for _, extension := range conn.ConnectionState().PeerCertificates[0].Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			return bytes.Equal(extension.Value, want)
		}
	}
	return false
}

func (a *authority) finalize(w http.ResponseWriter, r *http.Request) {
	var payload struct{ CSR string }
	a.read(r, nil, &payload)
	der, err := base64.RawURLEncoding.DecodeString(payload.CSR)
	if err != nil {
		a.t.Error(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		a.t.Error(err)
		return
	}
	leaf := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: csr.DNSNames, NotAfter: time.Now().Add(time.Hour)}, a.cert, csr.PublicKey)
	a.mu.Lock()
	a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	a.mu.Unlock()
	a.answer(w, http.StatusOK, map[string]any{"status": "valid", "certificate": a.URL + "/certificate"})
}

// caFile has the certificate by which the authority's own server is known.
func (a *authority) caFile() string {
	path := filepath.Join(a.t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// awaited is a log that tells of a line.
type awaited struct {
	mu   sync.Mutex
	text strings.Builder
	want string
	came chan struct{}
}

func (l *awaited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if l.want != "" && strings.Contains(l.text.String(), l.want) {
		close(l.came)
		l.want = ""
	}
	return len(b), nil
}

func (l *awaited) await(t *testing.T) {
	t.Helper()
	select {
	case <-l.came:
	case <-time.After(5 * time.Minute):
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Fatalf("log: %s", &l.text)
	}
}

// serveTLS takes connections as a tracker does: the first read of each makes
// the handshake.
func serveTLS(t *testing.T) (ln net.Listener, use func(*tls.Config)) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln, func(cfg *tls.Config) {
		server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		go server.Serve(tls.NewListener(ln, cfg))
		t.Cleanup(func() { server.Close() })
	}
}

// leafOf returns the certificate that a server shows for the domain.
func leafOf(t *testing.T, address string, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: domain, RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("it speaks %q", got)
	}
	return conn.ConnectionState().PeerCertificates[0]
}

// An authority of one's own issues a certificate, which is there after a restart
// without it.
func TestACME(t *testing.T) {
	a := newAuthority(t)
	ln, use := serveTLS(t)
	a.https = ln.Addr().String()
	log := &awaited{want: "a certificate is in use", came: make(chan struct{})}
	cfg := ACMEConfig{
		Domains: []string{domain}, Email: "admin@tracker.test", Directory: a.URL + "/directory", CAFile: a.caFile(), Folder: t.TempDir(),
		Listen: netip.MustParseAddrPort(ln.Addr().String()), Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	acme, err := NewACME(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	use(acme.TLSConfig())
	log.await(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	leaf := leafOf(t, a.https, roots)
	if len(a.contact) != 1 || a.contact[0] != "mailto:admin@tracker.test" {
		t.Errorf("contact %q", a.contact)
	}
	acme.Close()
	a.Close()

	again, use := serveTLS(t)
	cfg.Listen = netip.MustParseAddrPort(again.Addr().String())
	if acme, err = NewACME(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer acme.Close()
	use(acme.TLSConfig())
	if after := leafOf(t, again.Addr().String(), roots); !after.Equal(leaf) {
		t.Error("after the restart it is another certificate")
	}
}

// Nobody is asked before the configuration is right.
func TestACMEConfig(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, cfg := range map[string]ACMEConfig{
		"no domain":           {Folder: none},
		"no folder":           {Domains: []string{domain}},
		"a directory by name": {Domains: []string{domain}, Folder: none, Directory: "letsencrypt"},
		"without encryption":  {Domains: []string{domain}, Folder: none, Directory: "http://127.0.0.1/"},
		"no CA file":          {Domains: []string{domain}, Folder: none, CAFile: none},
	} {
		if _, err := NewACME(context.Background(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
