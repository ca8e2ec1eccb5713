package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"drawbridge/internal/api"
	"drawbridge/internal/broker"
	"drawbridge/internal/oidc"
	"drawbridge/internal/stsapi"
	"drawbridge/internal/svid"
)

// prover says whom tokens and certificates prove: those of registered issuers, and those of registered trust domains.
type prover struct {
	d    *Daemon
	oidc *oidc.Verifier
	svid *svid.Verifier
}

func (d *Daemon) prover() *prover {
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p := &prover{d, &oidc.Verifier{Client: client, Now: d.clock.Now, Once: d.store.Spend}, &svid.Verifier{Client: client, Now: d.clock.Now, Once: d.store.Spend}}
	for _, i := range d.config.Issuers {
		p.oidc.Issuers = append(p.oidc.Issuers, oidc.Issuer{URL: i.URL, Keys: i.Keys, Audience: i.Audience, ID: i.ID, Account: i.Account, MaxLife: i.MaxLife, Sponsors: i.Sponsors})
	}
	for _, t := range d.config.SPIFFE {
		p.svid.Domains = append(p.svid.Domains, svid.Domain{Name: t.TrustDomain, Bundle: t.Bundle, Audience: cmp.Or(t.Audience, d.config.URL), MaxLife: t.MaxLife, Sponsors: t.Sponsors})
	}
	return p
}

// verify says whom a token proves. One of a registered issuer is that issuer's, whatever its subject is called; else it may be a trust domain's.
func (p *prover) verify(ctx context.Context, token string) (broker.Subject, error) {
	if !p.oidc.Speaks(token) && p.svid.Speaks(token) {
		return p.svid.Token(ctx, token)
	}
	return p.oidc.Verify(ctx, token)
}

// refused reports whether an error says that a proof proves nobody, and notes it.
func (p *prover) refused(what string, err error) bool {
	for _, of := range []error{oidc.ErrToken, oidc.ErrExpired, svid.ErrSVID, svid.ErrExpired} {
		if errors.Is(err, of) {
			p.d.log.Info(what+" was refused", "why", err)
			return true
		}
	}
	return false
}

// token is whom an identity token proves to the API.
func (p *prover) token(ctx context.Context, token string) (broker.Subject, error) {
	s, err := p.verify(ctx, token)
	if p.refused("an identity token", err) {
		return s, api.ErrUnproven
	}
	return s, err
}

// certificate is whom the certificate of a connection proves to the API.
func (p *prover) certificate(r *http.Request) (broker.Caller, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || len(p.svid.Domains) == 0 {
		return broker.Caller{}, api.ErrUnproven
	}
	s, until, err := p.svid.Certificate(r.Context(), r.TLS.PeerCertificates)
	if p.refused("a certificate", err) {
		return broker.Caller{}, api.ErrUnproven
	}
	if err != nil {
		return broker.Caller{}, err
	}
	locks, err := p.d.store.Locks(r.Context(), p.d.clock.Now())
	if err != nil {
		return broker.Caller{}, err
	}
	if slices.ContainsFunc(locks, func(l broker.Lock) bool { return outlawed(&s, &l) }) {
		return broker.Caller{}, api.ErrUnproven
	}
	return broker.Caller{Subject: s, Until: until}, nil
}

// webIdentity is whom an identity token proves to the STS face.
func (p *prover) webIdentity(ctx context.Context, token string) (broker.Subject, error) {
	s, err := p.verify(ctx, token)
	switch {
	case errors.Is(err, oidc.ErrExpired), errors.Is(err, svid.ErrExpired):
		return s, fmt.Errorf("%w: %w", stsapi.ErrExpiredToken, err)
	case p.refused("an identity token", err):
		return s, fmt.Errorf("%w: %w", stsapi.ErrBadToken, err)
	}
	return s, err
}

// listening is how the daemon's own TLS listens. Where trust domains are registered it asks for a certificate; whom one proves is found out for each call, by the bundle as it is then.
func (c *Config) listening() *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.SPIFFE) > 0 {
		t.ClientAuth = tls.RequestClientCert
	}
	return t
}
