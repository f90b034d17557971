package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/shoal-bt/shoal/metainfo"
)

// LetsEncrypt is the directory of the authority that is asked by default.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// ACMEConfig says which certificates to get, and from whom. Domains and Folder
// are required.
type ACMEConfig struct {
	Domains []string
	// Email is where the authority writes to, about certificates that are
	// about to end. It may be empty.
	Email string
	// Directory is the URL of the authority; empty means LetsEncrypt. CAFile
	// has the certificates (PEM) by which it is known if it is a private one.
	Directory, CAFile string
	// Folder keeps the account, its key and the certificates.
	Folder string
	// Listen is where HTTPS is served. The authority connects to port 443 of
	// each domain (RFC 8737, TLS-ALPN-01), which must lead there.
	Listen netip.AddrPort
	// Logger gets a line for each certificate that was issued, refused or taken into use; nil
	// means silent.
	Logger *slog.Logger
}

func (c *ACMEConfig) setDefaults() {
	if c.Directory == "" {
		c.Directory = LetsEncrypt
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *ACMEConfig) validate() error {
	u, err := url.Parse(c.Directory)
	switch {
	case len(c.Domains) == 0 || c.Folder == "":
		return errors.New("ACME: the domains and the folder are missing")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("ACME: the directory %q is not a URL such as %s", c.Directory, LetsEncrypt)
	}
	return nil
}

// ACME gets certificates from an authority, and new ones before they end.
type ACME struct {
	config *certmagic.Config
	cache  *certmagic.Cache
	cancel context.CancelFunc
}

// NewACME begins to get the certificates that are not in the folder yet, until
// Close. A server with its TLSConfig must be listening soon: the authority
// connects to it. What fails is told to the Logger, and tried again later and
// later.
func NewACME(ctx context.Context, cfg ACMEConfig) (*ACME, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	roots, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	a := new(ACME)
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		Logger:           zap.NewNop(),
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: cfg.Folder},
		OnEvent: cfg.tell,
		// It would ask another server than the authority.
		OCSP:   certmagic.OCSPConfig{DisableStapling: true},
		Logger: zap.NewNop(),
	})
	a.config.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: cfg.Directory, Email: cfg.Email, Agreed: true, TrustedRoots: roots, Logger: zap.NewNop(),
		// One port is enough to be reached at, and this one serves anyway.
		DisableHTTPChallenge: true, AltTLSALPNPort: int(cfg.Listen.Port()), ListenHost: cfg.listenHost(),
		DisableDistributedSolvers: true,
	})}
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.takeKept(ctx, cfg)
	if err := a.config.ManageAsync(ctx, cfg.Domains); err != nil {
		a.Close()
		return nil, fmt.Errorf("ACME: %w", err)
	}
	return a, nil
}

// takeKept takes the certificates that are in the folder, so that those are
// there for the first handshake: ManageAsync would read them in a while.
func (a *ACME) takeKept(ctx context.Context, cfg ACMEConfig) {
	for _, domain := range cfg.Domains {
		if _, err := a.config.CacheManagedCertificate(ctx, domain); err != nil && !errors.Is(err, fs.ErrNotExist) {
			cfg.Logger.Warn("a certificate in the folder cannot be used", "domain", domain, "error", metainfo.Printable(err.Error()))
		}
	}
}

func (c *ACMEConfig) listenHost() string {
	if addr := c.Listen.Addr(); addr.IsValid() && !addr.IsUnspecified() {
		return addr.String()
	}
	return ""
}

// roots are the certificates of CAFile, nil (those of the system) without.
func (c *ACMEConfig) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ACME: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ACME: %s has no certificate in PEM form", c.CAFile)
	}
	return pool, nil
}

// tell logs what became of a certificate.
func (c *ACMEConfig) tell(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		c.Logger.Info("a certificate was issued", "domain", data["identifier"], "renewal", data["renewal"])
	case "cached_managed_cert":
		c.Logger.Info("a certificate is in use", "domains", data["sans"])
	case "cert_failed":
		c.Logger.Warn("no certificate was issued; it is tried again", "domain", data["identifier"], "error", metainfo.Printable(fmt.Sprint(data["error"])))
	}
	return nil
}

// TLSConfig returns what a server needs: the certificates of the moment, and the
// answers to the authority.
func (a *ACME) TLSConfig() *tls.Config {
	cfg := a.config.TLSConfig()
	cfg.NextProtos = append([]string{"http/1.1"}, cfg.NextProtos...) // which has the authority's
	return cfg
}

// Close ends the getting of certificates.
func (a *ACME) Close() {
	a.cancel()
	a.cache.Stop()
}
