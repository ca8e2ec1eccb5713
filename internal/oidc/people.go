package oidc

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"drawbridge/internal/broker"
)

// People is the identity provider by which people sign in: OpenID Connect's code flow with PKCE. Its fields are set once.
//
// Source: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (issuer in the answer); RFC 9700 (OAuth 2.0 Security Best Current Practice).
type People struct {
	Issuer   string
	ClientID string
	// Secret is the client's, "" for a public one.
	Secret string
	// Return is where the provider sends people back to.
	Return string
	Scopes []string
	// Groups is the claim that lists a person's groups, "" for groups.
	Groups string
	// ID is the claim by which entries name people, "" for email, which then must be verified.
	ID     string
	Client *http.Client
	Now    func() time.Time

	mu       sync.Mutex
	provider *coreos.Provider
	read     time.Time
}

// Attempt is what must be remembered of a sign-in until the person comes back: in their browser, and nowhere else.
type Attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"to"` // where the person wanted to go
}

// Person is somebody who signed in.
type Person struct {
	ID      string // as entries name them
	Name    string
	Subject string // the provider's own id of them
	Groups  []string
}

// ErrSignIn says that somebody did not sign in.
var ErrSignIn = errors.New("the identity provider's answer proves nobody")

// discovered is how long what the provider says of itself is believed.
const discovered = time.Hour

func (p *People) discover(ctx context.Context) (*coreos.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil && p.Now().Sub(p.read) < discovered {
		return p.provider, nil
	}
	// The provider keeps its context for reading keys later.
	got, err := coreos.NewProvider(coreos.ClientContext(context.WithoutCancel(ctx), p.Client), p.Issuer)
	if err != nil {
		if p.provider != nil {
			return p.provider, nil // what it said before holds while it does not answer
		}
		return nil, fmt.Errorf("asking the identity provider %s: %w", p.Issuer, err)
	}
	p.provider, p.read = got, p.Now()
	return got, nil
}

func (p *People) config(provider *coreos.Provider) *oauth2.Config {
	scopes := p.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email", "profile"}
	}
	if !slices.Contains(scopes, coreos.ScopeOpenID) {
		scopes = append([]string{coreos.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret, Endpoint: provider.Endpoint(), RedirectURL: p.Return, Scopes: scopes}
}

// Begin is where a person is sent to sign in. The state and nonce are fresh and random.
func (p *People) Begin(ctx context.Context, state, nonce, next string) (address string, a Attempt, err error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return "", a, err
	}
	a = Attempt{State: state, Nonce: nonce, Verifier: oauth2.GenerateVerifier(), Next: next}
	return p.config(provider).AuthCodeURL(a.State, oauth2.S256ChallengeOption(a.Verifier), coreos.Nonce(a.Nonce)), a, nil
}

// more completes claims that the identity token leaves out by UserInfo: many providers tell a person's address and groups only there. What belongs together comes from one place: an address, and whether it is verified.
func (p *People) more(ctx context.Context, provider *coreos.Provider, tokens *oauth2.Token, subject string, claims map[string]any, id, groups string) error {
	_, there := claims[id]
	if id == "email" && there {
		_, there = claims["email_verified"]
	}
	_, grouped := claims[groups]
	if there && grouped || provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return err
	}
	if info.Subject != subject {
		return errors.New("it answered about somebody else") // OpenID Connect Core 1.0, section 5.3.2
	}
	var told map[string]any
	if err := info.Claims(&told); err != nil {
		return err
	}
	take := func(name string) {
		delete(claims, name)
		if v, ok := told[name]; ok {
			claims[name] = v
		}
	}
	if !there {
		take(id)
		take("email_verified")
	}
	if !grouped {
		take(groups)
	}
	if _, named := claims["name"]; !named {
		take("name")
	}
	return nil
}

// Finish is who came back with an answer. An error that wraps ErrSignIn is theirs or their provider's; any other is ours.
func (p *People) Finish(ctx context.Context, a Attempt, answer url.Values) (Person, error) {
	refuse := func(format string, args ...any) (Person, error) {
		return Person{}, fmt.Errorf("%w: %w", ErrSignIn, fmt.Errorf(format, args...))
	}
	if a.State == "" || a.Verifier == "" || a.Nonce == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(answer.Get("state"))) != 1 {
		return refuse("the answer belongs to no attempt of this browser")
	}
	if iss := answer.Get("iss"); iss != "" && iss != p.Issuer {
		return refuse("the answer is of another issuer")
	}
	if code := answer.Get("error"); code != "" {
		return refuse("the identity provider says %.100q: %.300q", code, answer.Get("error_description"))
	}
	provider, err := p.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	ctx = coreos.ClientContext(ctx, p.Client)
	tokens, err := p.config(provider).Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return refuse("exchanging the code: %w", err)
	}
	text, _ := tokens.Extra("id_token").(string)
	if text == "" || len(text) > maxToken {
		return refuse("the answer holds no identity token")
	}
	token, err := provider.Verifier(&coreos.Config{ClientID: p.ClientID, Now: p.Now, SupportedSigningAlgs: signingAlgorithms()}).Verify(ctx, text)
	if err != nil {
		return refuse("the identity token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return refuse("the identity token belongs to no attempt of this browser")
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return refuse("the identity token: %w", err)
	}
	if azp, ok := claims["azp"].(string); ok && azp != p.ClientID || len(token.Audience) > 1 && !ok {
		return refuse("the identity token is made for another client")
	}
	id, groups := cmp.Or(p.ID, "email"), cmp.Or(p.Groups, "groups")
	if err := p.more(ctx, provider, tokens, token.Subject, claims, id, groups); err != nil {
		return refuse("asking the identity provider for what its token does not say: %w", err)
	}
	who := Person{Subject: token.Subject}
	who.Name, _ = claims["name"].(string)
	who.ID, _ = claims[id].(string)
	switch {
	case who.ID == "":
		return refuse("the identity provider tells no claim %s, by which people are known here", id)
	case id == "email" && claims["email_verified"] != true:
		return refuse("the identity provider does not say that it has verified the address %s", who.ID)
	}
	if id == "email" {
		who.ID = strings.ToLower(who.ID) // so that locks, records and entries mean one person by one address
	}
	if err := broker.ValidPerson(who.ID); err != nil {
		return refuse("the claim %s: %w", id, err)
	}
	switch list := claims[groups].(type) {
	case string:
		who.Groups = []string{list}
	case []any:
		for _, g := range list {
			if name, ok := g.(string); ok {
				who.Groups = append(who.Groups, name)
			}
		}
	}
	return who, nil
}

func signingAlgorithms() []string {
	out := make([]string, len(algorithms))
	for i, a := range algorithms {
		out[i] = string(a)
	}
	return out
}
