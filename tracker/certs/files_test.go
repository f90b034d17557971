package certs

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair writes a certificate with a serial number, and its key.
func writePair(t *testing.T, certPath, keyPath string, serial int64) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{domain}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	stamp := time.Unix(serial, 0) // a time of modification of its own
	for path, block := range map[string]*pem.Block{certPath: {Type: "CERTIFICATE", Bytes: der}, keyPath: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if path == os.DevNull {
			continue
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesThatAreReplaced(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadFiles(certPath, keyPath); err == nil {
		t.Error("files that are not there were loaded")
	}
	writePair(t, certPath, keyPath, 1)
	f, err := LoadFiles(certPath, keyPath)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, serial int64, wantChanged, wantErr bool) {
		t.Helper()
		changed, err := f.LoadIfChanged()
		if changed != wantChanged || (err != nil) != wantErr {
			t.Errorf("%s: changed %v, %v", what, changed, err)
		}
		if got := serialOf(t, f); got != serial {
			t.Errorf("%s: certificate %d, want %d", what, got, serial)
		}
	}
	want("nothing", 1, false, false)
	writePair(t, certPath, os.DevNull, 2)
	want("a certificate without its key", 1, false, true)
	want("still without", 1, false, true)
	writePair(t, certPath, keyPath, 3)
	want("both", 3, true, false)
	if err := os.Remove(keyPath); err != nil {
		t.Fatal(err)
	}
	want("the key has gone", 3, false, true)
	other := filepath.Join(dir, "other.pem")
	if err := f.Load(other, other); err == nil || serialOf(t, f) != 3 {
		t.Error("files that are not there were taken")
	}
}

func serialOf(t *testing.T, f *Files) int64 {
	t.Helper()
	cert, err := f.TLSConfig().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}
