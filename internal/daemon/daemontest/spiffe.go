package daemontest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"drawbridge/internal/daemon"
)

// TrustDomain issues SVIDs for acme.example, and the certificate of the daemon itself.
type TrustDomain struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	n    int64
}

// NewTrustDomain makes one, with an authority and a key for tokens.
func NewTrustDomain(t *testing.T) *TrustDomain {
	t.Helper()
	d := &TrustDomain{t: t}
	d.root = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	d.key, d.root = d.sign(d.root)
	return d
}

func (d *TrustDomain) sign(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	by := d.key
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, d.root, &key.PublicKey, by)
	if err != nil {
		d.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		d.t.Fatal(err)
	}
	return key, made
}

// Authority is the certificate that signs all others.
func (d *TrustDomain) Authority() *x509.Certificate { return d.root }

// Files writes a certificate for a SPIFFE id, or for a host, with its key.
func (d *TrustDomain) Files(id string) (certificate, key string) {
	d.t.Helper()
	d.n++
	c := &x509.Certificate{SerialNumber: big.NewInt(d.n + 1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	if u, err := url.Parse(id); err == nil && u.Scheme == "spiffe" {
		c.URIs = []*url.URL{u}
	} else {
		c.IPAddresses = []net.IP{net.ParseIP(id)}
	}
	private, made := d.sign(c)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		d.t.Fatal(err)
	}
	certificate, key = filepath.Join(d.t.TempDir(), "svid.pem"), filepath.Join(d.t.TempDir(), "svid.key")
	if err := errors.Join(os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Raw}), 0o600), os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)); err != nil {
		d.t.Fatal(err)
	}
	return certificate, key
}

// Token is a JWT-SVID of the trust domain.
func (d *TrustDomain) Token(id, audience string) string {
	d.t.Helper()
	d.n++
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: d.key, KeyID: "j1"}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{"sub": id, "aud": audience, "exp": time.Now().Add(time.Minute).Unix(), "n": d.n}).Serialize()
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// StartSPIFFE starts a daemon that listens with TLS of its own and knows a trust domain. Clients of the test believe its authority.
func StartSPIFFE(t *testing.T, registry string) (*Daemon, *TrustDomain) {
	t.Helper()
	domain := NewTrustDomain(t)
	bundle := spiffebundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString("acme.example"), []*x509.Certificate{domain.root})
	if err := bundle.AddJWTAuthority("j1", &domain.key.PublicKey); err != nil {
		t.Fatal(err)
	}
	text, err := bundle.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "bundle.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d := Start(t, registry, func(c *daemon.Config) {
		c.TLS.Certificate, c.TLS.Key = domain.Files("127.0.0.1")
		c.URL = "https://" + c.Listen
		c.SPIFFE = []daemon.SPIFFEConfig{{TrustDomain: "acme.example", Bundle: name, Sponsors: []string{"ann@example.com"}}}
	})
	d.URL = "https" + strings.TrimPrefix(d.URL, "http")
	pool := x509.NewCertPool()
	pool.AddCert(domain.root)
	old := http.DefaultTransport
	http.DefaultTransport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(func() { http.DefaultTransport = old })
	return d, domain
}
