// Package svid verifies SPIFFE identities: certificates (X.509-SVIDs) with which a workload opens its connection, and tokens (JWT-SVIDs), by the bundles of registered trust domains and never by the web's certificate authorities.
//
// Source: SPIFFE, "X.509-SVID", "JWT-SVID", "SPIFFE Trust Domain and Bundle" and "SPIFFE Federation" (the https_web profile).
package svid

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"drawbridge/internal/broker"
)

// Domain is a registered trust domain.
type Domain struct {
	Name string // as in spiffe://NAME/path
	// Bundle is where its keys are read: a file, or the https address of its bundle endpoint, whose own certificate is the web's. A file may be of certificates in PEM, and then verifies no tokens.
	Bundle string
	// Audience is what the broker is called in its tokens; "": none are taken.
	Audience string
	// MaxLife is the longest life of a certificate that is taken, 0 for one day: nothing revokes one.
	MaxLife time.Duration
	// Sponsors own its workloads or share their credentials, and never approve for them.
	Sponsors []string
}

// Errors of SVIDs.
var (
	ErrSVID    = errors.New("the SPIFFE identity is not acceptable")
	ErrExpired = errors.New("the SPIFFE identity has expired")
)

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrSVID, fmt.Errorf(format, args...))
}

const (
	defaultLife = 24 * time.Hour
	maxToken    = 20_000
	maxJWTLife  = time.Hour
	maxBundle   = 4 << 20
	skew        = time.Minute
	// A bundle is read again after what it asks for itself, within these bounds; sooner where it does not know a key, but not more often than refetch.
	leastFresh, defaultFresh, mostFresh = time.Minute, 5 * time.Minute, time.Hour
	refetch                             = time.Minute
	// kept is how long a bundle is used when another cannot be read.
	kept = 24 * time.Hour
	// patience is how long a bundle endpoint is waited for.
	patience = 10 * time.Second
)

// Verifier verifies identities of its trust domains. Its fields are set once.
type Verifier struct {
	Domains []Domain
	Client  *http.Client
	Now     func() time.Time
	// Once remembers a token until it is of no use; an error that wraps broker.ErrSpent says that it was seen.
	Once func(ctx context.Context, issuer, value string, until time.Time) error

	mu      sync.Mutex
	bundles map[string]*bundle
}

type bundle struct {
	mu    sync.Mutex
	keys  *spiffebundle.Bundle
	read  time.Time
	tried time.Time
}

// Certificate says whom the chain of a connection proves, the workload's own certificate first, and until when.
func (v *Verifier) Certificate(ctx context.Context, chain []*x509.Certificate) (broker.Subject, time.Time, error) {
	if len(chain) == 0 {
		return broker.Subject{}, time.Time{}, bad("there is no certificate")
	}
	leaf, now := chain[0], v.Now()
	id, err := x509svid.IDFromCert(leaf)
	if err != nil {
		return broker.Subject{}, time.Time{}, bad("its certificate is no X.509-SVID: %w", err)
	}
	d, err := v.domain(id)
	if err != nil {
		return broker.Subject{}, time.Time{}, err
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > cmp.Or(d.MaxLife, defaultLife) {
		return broker.Subject{}, time.Time{}, bad("its certificate lives for %v, longer than is taken", life)
	}
	if now.After(leaf.NotAfter) {
		return broker.Subject{}, time.Time{}, ErrExpired
	}
	if err := v.verify(ctx, d, func(keys *spiffebundle.Bundle) error {
		_, _, err := x509svid.Verify(chain, keys, x509svid.WithTime(now))
		return err
	}); err != nil {
		return broker.Subject{}, time.Time{}, err
	}
	sum := sha256.Sum256(leaf.Raw)
	return subject(d, id, hex.EncodeToString(sum[:])), leaf.NotAfter, nil
}

// Speaks reports whether a token says of itself that it is of a registered trust domain. Nothing is believed by that.
func (v *Verifier) Speaks(token string) bool {
	_, id, err := unverified(token)
	if err != nil {
		return false
	}
	_, err = v.domain(id)
	return err == nil
}

// The algorithms of JWT-SVIDs.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512}

func unverified(token string) (jwt.Claims, spiffeid.ID, error) {
	var c jwt.Claims
	if len(token) > maxToken {
		return c, spiffeid.ID{}, bad("it has %d characters, more than %d", len(token), maxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return c, spiffeid.ID{}, bad("it is no JWT that is signed once, by one of the algorithms that are taken")
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		return c, spiffeid.ID{}, bad("its claims cannot be read")
	}
	id, err := spiffeid.FromString(c.Subject)
	if err != nil {
		return c, id, bad("its subject is no SPIFFE id")
	}
	return c, id, nil
}

// Token says whom a JWT-SVID proves, once.
func (v *Verifier) Token(ctx context.Context, token string) (broker.Subject, error) {
	c, id, err := unverified(token)
	if err != nil {
		return broker.Subject{}, err
	}
	d, err := v.domain(id)
	if err != nil {
		return broker.Subject{}, err
	}
	now := v.Now()
	switch {
	case d.Audience == "":
		return broker.Subject{}, bad("no tokens are taken of its trust domain")
	case len(c.Audience) != 1 || c.Audience[0] != d.Audience:
		return broker.Subject{}, bad("it is not made for this broker alone")
	case c.Expiry == nil:
		return broker.Subject{}, bad("it does not say when it ends")
	case now.After(c.Expiry.Time().Add(skew)):
		return broker.Subject{}, ErrExpired
	case c.Expiry.Time().Sub(now) > min(cmp.Or(d.MaxLife, defaultLife), maxJWTLife)+skew:
		return broker.Subject{}, bad("it lives for longer than is taken")
	}
	if err := v.verify(ctx, d, func(keys *spiffebundle.Bundle) error {
		_, err := jwtsvid.ParseAndValidate(token, keys, []string{d.Audience})
		return err
	}); err != nil {
		return broker.Subject{}, err
	}
	// The whole of what was signed: the id of a token is its issuer's to choose, and not every SPIFFE server gives one.
	sum := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
	if err := v.Once(ctx, d.issuer(), hex.EncodeToString(sum[:]), c.Expiry.Time().Add(2*skew)); err != nil {
		return broker.Subject{}, fmt.Errorf("%w: %w", ErrSVID, err)
	}
	s := subject(d, id, "")
	if parsed, err := jwt.ParseSigned(token, algorithms); err == nil {
		s.Key = parsed.Headers[0].KeyID
	}
	return s, nil
}

func (d *Domain) issuer() string { return "spiffe://" + d.Name }

// subject is who a verified identity speaks of. A SPIFFE id is a name, and what it names is the trust domain's: it has no other id.
func subject(d *Domain, id spiffeid.ID, key string) broker.Subject {
	return broker.Subject{ID: id.String(), Name: id.String(), Issuer: d.issuer(), Key: key, Sponsors: d.Sponsors}
}

// domain is the registered one of an id; one without a path names no workload.
func (v *Verifier) domain(id spiffeid.ID) (*Domain, error) {
	i := slices.IndexFunc(v.Domains, func(d Domain) bool { return d.Name == id.TrustDomain().Name() })
	switch {
	case i < 0:
		return nil, bad("its trust domain is not registered")
	case id.Path() == "":
		return nil, bad("it names a trust domain, and no workload")
	}
	return &v.Domains[i], nil
}

// verify holds an identity against the bundle of its trust domain. Where it does not hold, a key may be newer than what is kept: the bundle is read again, and it is held against that.
func (v *Verifier) verify(ctx context.Context, d *Domain, hold func(*spiffebundle.Bundle) error) error {
	keys, again, err := v.bundle(ctx, d, false)
	if err != nil {
		return err
	}
	failure := hold(keys)
	if failure != nil && again {
		if keys, _, err = v.bundle(ctx, d, true); err != nil {
			return err
		}
		failure = hold(keys)
	}
	if failure != nil {
		return bad("%w", failure)
	}
	return nil
}

// bundle is the bundle of a trust domain; again says that it was kept, and may be read anew.
func (v *Verifier) bundle(ctx context.Context, d *Domain, anew bool) (keys *spiffebundle.Bundle, again bool, err error) {
	v.mu.Lock()
	if v.bundles == nil {
		v.bundles = make(map[string]*bundle)
	}
	b := v.bundles[d.Name]
	if b == nil {
		b = &bundle{}
		v.bundles[d.Name] = b
	}
	v.mu.Unlock()

	b.mu.Lock()
	defer b.mu.Unlock()
	now := v.Now()
	fresh := defaultFresh
	if b.keys != nil {
		if hint, ok := b.keys.RefreshHint(); ok {
			fresh = min(max(hint, leastFresh), mostFresh)
		}
	}
	if b.keys != nil && !anew && now.Sub(b.read) <= fresh {
		return b.keys, now.Sub(b.tried) >= refetch, nil
	}
	if b.tried.IsZero() || now.Sub(b.tried) >= refetch {
		b.tried = now
		var read *spiffebundle.Bundle
		if read, err = v.fetch(ctx, d); err == nil {
			b.keys, b.read = read, now
			return b.keys, false, nil
		}
	}
	if b.keys == nil || now.Sub(b.read) > kept {
		return nil, false, fmt.Errorf("the bundle of %s: %w", d.issuer(), cmp.Or(err, errors.New("it could not be read lately")))
	}
	return b.keys, false, nil
}

// fetch reads a bundle. Who asked first may go away; it is read for all who come after.
func (v *Verifier) fetch(ctx context.Context, d *Domain) (*spiffebundle.Bundle, error) {
	td, err := spiffeid.TrustDomainFromString(d.Name)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(d.Bundle, "https://") {
		f, err := os.Open(d.Bundle)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return parse(td, f)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Bundle, nil)
	if err != nil {
		return nil, err
	}
	answer, err := v.Client.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", d.Bundle, answer.Status)
	}
	return parse(td, answer.Body)
}

// parse reads a bundle: SPIFFE's own form, or certificates in PEM. One without any key is not taken in the place of another.
func parse(td spiffeid.TrustDomain, r io.Reader) (*spiffebundle.Bundle, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBundle+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBundle:
		return nil, fmt.Errorf("it is larger than %d bytes", maxBundle)
	}
	var keys *spiffebundle.Bundle
	if strings.Contains(string(text), "-----BEGIN CERTIFICATE-----") && !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		authorities, err := x509bundle.Parse(td, text)
		if err != nil {
			return nil, err
		}
		keys = spiffebundle.FromX509Bundle(authorities)
	} else if keys, err = spiffebundle.Parse(td, text); err != nil {
		return nil, err
	}
	if len(keys.X509Authorities())+len(keys.JWTAuthorities()) == 0 {
		return nil, errors.New("it has no keys")
	}
	return keys, nil
}
