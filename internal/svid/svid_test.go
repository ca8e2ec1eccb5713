package svid

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"drawbridge/internal/broker"
)

// authority signs for a trust domain.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var serial atomic.Int64

// sign makes a certificate; parent nil: of its own.
func sign(t *testing.T, template *x509.Certificate, of *ecdsa.PrivateKey, parent *authority) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(serial.Add(1))
	by, key := template, of
	if parent != nil {
		by, key = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &of.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.key, parent)
	return a
}

// leaf makes a workload's certificate, which may be changed before it is signed.
func (a *authority) leaf(id string, change ...func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	c := &x509.Certificate{NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	if id != "" {
		u, err := url.Parse(id)
		if err != nil {
			a.t.Fatal(err)
		}
		c.URIs = []*url.URL{u}
	}
	for _, f := range change {
		f(c)
	}
	return sign(a.t, c, newKey(a.t), a)
}

// document is a bundle as SPIFFE writes it.
func document(t *testing.T, domain string, jwtKeys map[string]*ecdsa.PrivateKey, authorities ...*authority) []byte {
	t.Helper()
	b := spiffebundle.New(spiffeid.RequireTrustDomainFromString(domain))
	for _, a := range authorities {
		b.AddX509Authority(a.cert)
	}
	for id, k := range jwtKeys {
		if err := b.AddJWTAuthority(id, &k.PublicKey); err != nil {
			t.Fatal(err)
		}
	}
	text, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func verifier(domains ...Domain) *Verifier {
	seen := map[string]bool{}
	return &Verifier{Domains: domains, Client: http.DefaultClient, Now: time.Now, Once: func(_ context.Context, issuer, value string, _ time.Time) error {
		if seen[issuer+value] {
			return broker.ErrSpent
		}
		seen[issuer+value] = true
		return nil
	}}
}

const id = "spiffe://acme.example/ns/prod/sa/deploy"

func TestCertificate(t *testing.T) {
	root, other := newAuthority(t, "root", nil), newAuthority(t, "root", nil)
	between := newAuthority(t, "between", root)
	v := verifier(Domain{Name: "acme.example", Bundle: file(t, document(t, "acme.example", nil, root)), Sponsors: []string{"ann"}},
		Domain{Name: "partner.example", Bundle: file(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.cert.Raw}))})
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		want  error
	}{
		"of the root":                              {[]*x509.Certificate{root.leaf(id)}, nil},
		"by an intermediate":                       {[]*x509.Certificate{between.leaf(id), between.cert}, nil},
		"without the intermediate":                 {[]*x509.Certificate{between.leaf(id)}, ErrSVID},
		"none":                                     {nil, ErrSVID},
		"of another root":                          {[]*x509.Certificate{other.leaf(id)}, ErrSVID},
		"of another root, which it brings":         {[]*x509.Certificate{other.leaf(id), other.cert}, ErrSVID},
		"of a trust domain that is not registered": {[]*x509.Certificate{root.leaf("spiffe://other.example/x")}, ErrSVID},
		"of another registered one's keys":         {[]*x509.Certificate{root.leaf("spiffe://partner.example/x")}, ErrSVID},
		"by a bundle in PEM":                       {[]*x509.Certificate{other.leaf("spiffe://partner.example/x")}, nil},
		"of the trust domain itself":               {[]*x509.Certificate{root.leaf("spiffe://acme.example")}, ErrSVID},
		"without an id":                            {[]*x509.Certificate{root.leaf("")}, ErrSVID},
		"of the web":                               {[]*x509.Certificate{root.leaf("", func(c *x509.Certificate) { c.DNSNames = []string{"acme.example"} })}, ErrSVID},
		"with two ids": {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) {
			c.URIs = append(c.URIs, &url.URL{Scheme: "spiffe", Host: "acme.example", Path: "/admin"})
		})}, ErrSVID},
		"an authority's":           {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) { c.IsCA = true })}, ErrSVID},
		"one that may sign others": {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })}, ErrSVID},
		"over":                     {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })}, ErrExpired},
		"to come":                  {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })}, ErrSVID},
		"for a month":              {[]*x509.Certificate{root.leaf(id, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 1, 0) })}, ErrSVID},
	} {
		s, until, err := v.Certificate(t.Context(), tt.chain)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, error %v, want %v", name, s, err, tt.want)
		}
		if err == nil && (!until.Equal(tt.chain[0].NotAfter) || s.ID != tt.chain[0].URIs[0].String() || s.Name != s.ID || !strings.HasPrefix(s.ID, s.Issuer+"/") || len(s.Key) != 64 || s.Person || s.Account != "") {
			t.Errorf("%s: %+v until %v", name, s, until)
		}
		if err != nil && s.ID != "" {
			t.Errorf("%s: it is refused, and is %+v", name, s)
		}
	}
	if s, _, err := v.Certificate(t.Context(), []*x509.Certificate{root.leaf(id)}); err != nil || !slices.Equal(s.Sponsors, []string{"ann"}) {
		t.Errorf("its sponsors: %+v, error %v", s, err)
	}
}

// token makes a JWT-SVID, whose claims may be changed; a nil value takes one out.
func token(t *testing.T, key *ecdsa.PrivateKey, kid string, change map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"sub": id, "aud": []string{"https://broker.example"}, "exp": time.Now().Add(5 * time.Minute).Unix(), "n": serial.Add(1)}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestToken(t *testing.T) {
	key, other := newKey(t), newKey(t)
	v := verifier(Domain{Name: "acme.example", Audience: "https://broker.example", Bundle: file(t, document(t, "acme.example", map[string]*ecdsa.PrivateKey{"j1": key}))},
		Domain{Name: "partner.example", Audience: "https://broker.example", Bundle: file(t, document(t, "partner.example", map[string]*ecdsa.PrivateKey{"j1": other}))},
		Domain{Name: "silent.example", Bundle: file(t, document(t, "silent.example", map[string]*ecdsa.PrivateKey{"j1": key}))})
	for name, tt := range map[string]struct {
		key    *ecdsa.PrivateKey
		kid    string
		change map[string]any
		want   error
	}{
		"as it should be":         {key, "j1", nil, nil},
		"another key":             {other, "j1", nil, ErrSVID},
		"a key id that is none":   {key, "j2", nil, ErrSVID},
		"no key id":               {key, "", nil, ErrSVID},
		"another audience":        {key, "j1", map[string]any{"aud": "https://other.example"}, ErrSVID},
		"two audiences":           {key, "j1", map[string]any{"aud": []string{"https://broker.example", "https://other.example"}}, ErrSVID},
		"no audience":             {key, "j1", map[string]any{"aud": nil}, ErrSVID},
		"no end":                  {key, "j1", map[string]any{"exp": nil}, ErrSVID},
		"over":                    {key, "j1", map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}, ErrExpired},
		"for a day":               {key, "j1", map[string]any{"exp": time.Now().Add(23 * time.Hour).Unix()}, ErrSVID},
		"to come":                 {key, "j1", map[string]any{"nbf": time.Now().Add(3 * time.Minute).Unix()}, ErrSVID},
		"no subject":              {key, "j1", map[string]any{"sub": nil}, ErrSVID},
		"a subject that is none":  {key, "j1", map[string]any{"sub": "repo:acme/web"}, ErrSVID},
		"the trust domain itself": {key, "j1", map[string]any{"sub": "spiffe://acme.example"}, ErrSVID},
		"not registered":          {key, "j1", map[string]any{"sub": "spiffe://other.example/x"}, ErrSVID},
		"of another's":            {key, "j1", map[string]any{"sub": "spiffe://partner.example/x"}, ErrSVID},
		"of one without audience": {key, "j1", map[string]any{"sub": "spiffe://silent.example/x"}, ErrSVID},
	} {
		text := token(t, tt.key, tt.kid, tt.change)
		s, err := v.Token(t.Context(), text)
		if !errors.Is(err, tt.want) || err == nil && (s.ID != id || s.Issuer != "spiffe://acme.example" || s.Key != "j1") {
			t.Errorf("%s: %+v, error %v, want %v", name, s, err, tt.want)
		}
		if err != nil {
			continue
		}
		if _, err := v.Token(t.Context(), text); !errors.Is(err, broker.ErrSpent) {
			t.Errorf("%s: twice: %v", name, err)
		}
		// ECDSA has a second signature for each, which is no other token.
		head, rest, _ := strings.Cut(text, ".")
		if _, err := v.Token(t.Context(), head+"."+rest[:strings.LastIndexByte(rest, '.')]+"."+strings.Repeat("A", 86)); !errors.Is(err, ErrSVID) {
			t.Errorf("%s: with another signature: %v", name, err)
		}
		if !v.Speaks(text) {
			t.Errorf("%s: it does not say whose it is", name)
		}
	}
	for _, text := range []string{"", "x", "a.b.c", strings.Repeat("a", maxToken+1), token(t, key, "j1", map[string]any{"sub": "spiffe://other.example/x"})} {
		if v.Speaks(text) {
			t.Errorf("%.40q says that it is of a registered trust domain", text)
		}
	}
}

// TestBundleEndpoint: keys change while the broker runs; what cannot be read is replaced by what was, for a day; and nobody can have the endpoint asked without end.
func TestBundleEndpoint(t *testing.T) {
	first, second := newAuthority(t, "first", nil), newAuthority(t, "second", nil)
	var asked atomic.Int32
	var answer atomic.Pointer[[]byte]
	set := func(text []byte) { answer.Store(&text) }
	set(document(t, "acme.example", nil, first))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if text := *answer.Load(); text != nil {
			_, _ = w.Write(text)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	now := time.Now()
	v := verifier(Domain{Name: "acme.example", Bundle: s.URL})
	v.Client, v.Now = s.Client(), func() time.Time { return now }
	at := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-time.Minute), now.Add(time.Hour) }
	try := func(a *authority) error {
		_, _, err := v.Certificate(t.Context(), []*x509.Certificate{a.leaf(id, at)})
		return err
	}
	for range 5 {
		if err := try(first); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the endpoint was asked %d times", asked.Load())
	}
	// A key that is not known makes it be asked again, but not each time.
	for range 5 {
		if err := try(second); !errors.Is(err, ErrSVID) {
			t.Errorf("a key that is none: %v", err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("within a minute the endpoint was asked %d times", asked.Load())
	}
	set(document(t, "acme.example", nil, first, second))
	now = now.Add(refetch)
	if err := try(second); err != nil || asked.Load() != 2 {
		t.Errorf("the new key: %v, asked %d times", err, asked.Load())
	}
	// What is no bundle takes the place of none; what is kept is used for a day.
	for what, text := range map[string][]byte{"an error": nil, "no JSON": []byte("<html>"), "no keys": []byte(`{"keys":[]}`), "too large": []byte(strings.Repeat(" ", maxBundle+1))} {
		set(text)
		now = now.Add(2 * time.Hour)
		if err := try(first); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	now = now.Add(kept)
	if err := try(first); err == nil || errors.Is(err, ErrSVID) {
		t.Errorf("after a day without: %v", err)
	}
	// An authority that was taken out is believed no more.
	set(document(t, "acme.example", nil, second))
	now = now.Add(refetch)
	if err := try(first); !errors.Is(err, ErrSVID) {
		t.Errorf("an authority that was taken out: %v", err)
	}
}

// FuzzToken: whatever is written where a token should be, nobody is proved by it and nothing panics.
func FuzzToken(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsImtpZCI6ImoxIn0.eyJzdWIiOiJzcGlmZmU6Ly9hY21lLmV4YW1wbGUveCJ9.AAAA")
	f.Add("a.b.c")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	b := spiffebundle.New(spiffeid.RequireTrustDomainFromString("acme.example"))
	if err := b.AddJWTAuthority("j1", &key.PublicKey); err != nil {
		f.Fatal(err)
	}
	text, err := b.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	name := filepath.Join(f.TempDir(), "bundle")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		f.Fatal(err)
	}
	v := verifier(Domain{Name: "acme.example", Bundle: name, Audience: "x"})
	f.Fuzz(func(t *testing.T, token string) {
		v.Speaks(token)
		if s, err := v.Token(context.Background(), token); err == nil {
			t.Errorf("it proves %s", fmt.Sprint(s))
		}
	})
}
