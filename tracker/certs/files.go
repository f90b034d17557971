package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are a certificate and its key in PEM files, which may be replaced while
// they are in use. It is safe for concurrent use.
type Files struct {
	current atomic.Pointer[tls.Certificate]

	mu        sync.Mutex
	certPath  string
	keyPath   string
	certStamp stamp
	keyStamp  stamp
}

// stamp is what shows that a file was changed.
type stamp struct {
	size     int64
	modified time.Time
}

// LoadFiles reads a certificate, with those of the authorities between behind
// it, and its key.
func LoadFiles(certPath, keyPath string) (*Files, error) {
	f := new(Files)
	if err := f.Load(certPath, keyPath); err != nil {
		return nil, err
	}
	return f, nil
}

// Load goes on with the certificate and the key of two files. After an error it
// is the one from before.
func (f *Files) Load(certPath, keyPath string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load(certPath, keyPath)
}

func (f *Files) load(certPath, keyPath string) error {
	// Before they are read: what changes afterwards is found the next time.
	certStamp, keyStamp, err := stampsOf(certPath, keyPath)
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", certPath, keyPath, err)
	}
	f.certPath, f.keyPath, f.certStamp, f.keyStamp = certPath, keyPath, certStamp, keyStamp
	f.current.Store(&cert)
	return nil
}

// LoadIfChanged reads the files again if one of them was changed. While only one
// of the two is there already, they do not fit, and the next call tries again.
func (f *Files) LoadIfChanged() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	certStamp, keyStamp, err := stampsOf(f.certPath, f.keyPath)
	if err != nil || certStamp == f.certStamp && keyStamp == f.keyStamp {
		return false, err
	}
	err = f.load(f.certPath, f.keyPath)
	return err == nil, err
}

func stampsOf(certPath, keyPath string) (cert, key stamp, err error) {
	if cert, err = stampOf(certPath); err != nil {
		return cert, key, fmt.Errorf("certificate: %w", err)
	}
	if key, err = stampOf(keyPath); err != nil {
		return cert, key, fmt.Errorf("key: %w", err)
	}
	return cert, key, nil
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

// TLSConfig returns what a server needs; each handshake takes the certificate of
// its moment.
func (f *Files) TLSConfig() *tls.Config {
	return &tls.Config{
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil },
	}
}
