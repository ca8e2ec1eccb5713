// Package oidc is the broker's two sides of OpenID Connect: it verifies the tokens of registered issuers, by which workloads prove who they are, and it is an issuer itself, whose tokens AWS exchanges for sessions.
//
// A token proves something only by exact rules: the issuer is one of the registered ones, letter by letter; its keys come from the address that was registered with it, never from the token; the algorithm is one of few; the
// audience is the broker's own; the time is right; and it is taken once. What a token says beyond that is a claim of its issuer, which the registry's entries ask for one by one.
//
// Source: OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519; RFC 8725 (JSON Web Token Best Current Practices).
package oidc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"drawbridge/internal/broker"
)

// Issuer is a registered issuer of tokens.
type Issuer struct {
	URL string // exactly as in the claim iss
	// Keys is where its key set is read: registered with it, so that nobody who can steer discovery can steer the keys.
	Keys string
	// Audience is what the broker is called in its tokens.
	Audience string
	// ID are the claims that make the subject's stable id: ids that the issuer never gives to another, where it has such.
	ID []string
	// Account is the AWS account that the issuer speaks for: for AWS's own signed tokens and EKS clusters. "" for others.
	Account string
	// MaxLife is the longest life of a token that is taken, 0 for one hour.
	MaxLife time.Duration
	// Sponsors own the issuer's subjects or share their credentials, and never approve for them.
	Sponsors []string
}

// The algorithms that are taken: signatures by a private key. Neither none nor anything with a shared secret.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// Errors of tokens.
var (
	ErrToken   = errors.New("the token is not acceptable")
	ErrExpired = errors.New("the token has expired")
)

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrToken, fmt.Sprintf(format, args...))
}

const (
	skew        = time.Minute
	maxToken    = 20_000
	maxKeys     = 1 << 20
	defaultLife = time.Hour
	// fresh is how long a key set is believed without asking; refetch is how soon an unknown key may make it be asked again.
	fresh   = time.Hour
	refetch = time.Minute
	// keptKeys is how long keys are used when the issuer cannot be asked.
	keptKeys = 24 * time.Hour
)

// Verifier verifies tokens of its issuers.
type Verifier struct {
	Issuers []Issuer
	Client  *http.Client
	Now     func() time.Time
	// Once remembers a token until it is of no use; an error that wraps broker.ErrSpent says that it was seen.
	Once func(ctx context.Context, issuer, value string, until time.Time) error

	mu   sync.Mutex
	keys map[string]*keySet
}

type keySet struct {
	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time
	tried   time.Time
}

// Speaks reports whether a token says of itself that it is of a registered issuer. Nothing is believed by that.
func (v *Verifier) Speaks(token string) bool {
	var unsafe jwt.Claims
	if len(token) > maxToken {
		return false
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	return err == nil && parsed.UnsafeClaimsWithoutVerification(&unsafe) == nil && slices.ContainsFunc(v.Issuers, func(i Issuer) bool { return i.URL == unsafe.Issuer })
}

// Verify says whom a token proves.
func (v *Verifier) Verify(ctx context.Context, token string) (broker.Subject, error) {
	if len(token) > maxToken {
		return broker.Subject{}, bad("it has %d characters, more than %d", len(token), maxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return broker.Subject{}, bad("it is no JWT that is signed once, by one of the algorithms that are taken")
	}
	// Whose it says that it is, only to know whose keys to ask; nothing is believed before its signature was checked.
	var unsafe jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&unsafe); err != nil {
		return broker.Subject{}, bad("its claims cannot be read")
	}
	i := slices.IndexFunc(v.Issuers, func(i Issuer) bool { return i.URL == unsafe.Issuer })
	if i < 0 {
		return broker.Subject{}, bad("its issuer is not registered")
	}
	issuer := &v.Issuers[i]
	key, err := v.key(ctx, issuer, parsed.Headers[0].KeyID)
	if err != nil {
		return broker.Subject{}, err
	}
	if key.Algorithm != "" && key.Algorithm != parsed.Headers[0].Algorithm {
		return broker.Subject{}, bad("its algorithm is not its key's")
	}
	var claims jwt.Claims
	var all map[string]any
	if err := parsed.Claims(key.Key, &claims, &all); err != nil {
		return broker.Subject{}, bad("its signature does not match")
	}
	now := v.Now()
	switch {
	case claims.Expiry == nil || claims.IssuedAt == nil:
		return broker.Subject{}, bad("it does not say when it was issued and when it ends")
	case now.After(claims.Expiry.Time().Add(skew)):
		return broker.Subject{}, ErrExpired
	case claims.NotBefore != nil && now.Before(claims.NotBefore.Time().Add(-skew)), now.Before(claims.IssuedAt.Time().Add(-skew)):
		return broker.Subject{}, bad("it is of a time to come")
	case claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > cmp.Or(issuer.MaxLife, defaultLife):
		return broker.Subject{}, bad("it lives for %v, longer than is taken", claims.Expiry.Time().Sub(claims.IssuedAt.Time()))
	case issuer.Audience == "" || len(claims.Audience) != 1 || claims.Audience[0] != issuer.Audience:
		return broker.Subject{}, bad("it is not made for this broker alone")
	case claims.Subject == "":
		return broker.Subject{}, bad("it has no subject")
	}
	s, err := subject(issuer, &claims, all)
	if err != nil {
		return broker.Subject{}, err
	}
	s.Key = parsed.Headers[0].KeyID
	// A token is taken once, by its id; one without is known by what it says. Its signature would not do: the same one can be written in several ways, and of ECDSA's there are two.
	once := claims.ID
	if once == "" {
		text, err := json.Marshal(all)
		if err != nil {
			return broker.Subject{}, bad("its claims cannot be read")
		}
		sum := sha256.Sum256(text)
		once = "claims " + hex.EncodeToString(sum[:])
	}
	if err := v.Once(ctx, issuer.URL, once, claims.Expiry.Time().Add(skew)); err != nil {
		return broker.Subject{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return s, nil
}

// subject is who a verified token speaks of.
func subject(issuer *Issuer, c *jwt.Claims, all map[string]any) (broker.Subject, error) {
	flat := flatten(all)
	flat["aud"] = c.Audience[0]
	id := "oidc:" + strings.TrimPrefix(issuer.URL, "https://")
	names := issuer.ID
	if len(names) == 0 {
		names = []string{"sub"}
	}
	for _, name := range names {
		value := flat[name]
		if value == "" {
			return broker.Subject{}, bad("it has no claim %s, by which this issuer's subjects are told apart", name)
		}
		if len(names) > 1 {
			value = idEscapes.Replace(value)
		}
		id += ":" + name + "=" + value
	}
	s := broker.Subject{ID: id, Name: "oidc:" + strings.TrimPrefix(issuer.URL, "https://") + ":" + c.Subject, Issuer: issuer.URL, Claims: flat, Account: issuer.Account, Sponsors: issuer.Sponsors}
	return s, nil
}

// idEscapes keeps what a claim says apart from what the id is made of: a=1:b=2 of one claim is not a=1 and b=2 of two.
var idEscapes = strings.NewReplacer("%", "%25", ":", "%3A", "=", "%3D")

// flatten gives claims as text by their path: objects by a slash, as kubernetes.io/namespace. Lists are no text and are left out: an entry cannot ask for them. So is what two claims are called by, because nobody knows which of them
// an entry means, and a number that has lost digits, because two of them may have become the same.
func flatten(claims map[string]any) map[string]string {
	out, twice := make(map[string]string), make(map[string]bool)
	put := func(at, text string) {
		if _, there := out[at]; there {
			twice[at] = true
		}
		out[at] = text
	}
	var walk func(at string, v any, depth int)
	walk = func(at string, v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			if depth > 4 {
				return
			}
			for name, value := range v {
				path := name
				if depth > 0 {
					path = at + "/" + name
				}
				walk(path, value, depth+1)
			}
		case string:
			put(at, v)
		case bool:
			put(at, strconv.FormatBool(v))
		case float64:
			if math.Abs(v) < 1<<53 {
				put(at, strconv.FormatFloat(v, 'f', -1, 64))
			}
		}
	}
	walk("", claims, 0)
	for at := range twice {
		delete(out, at)
	}
	return out
}

// key is an issuer's key by its id.
func (v *Verifier) key(ctx context.Context, issuer *Issuer, id string) (*jose.JSONWebKey, error) {
	v.mu.Lock()
	if v.keys == nil {
		v.keys = make(map[string]*keySet)
	}
	set := v.keys[issuer.URL]
	if set == nil {
		set = &keySet{}
		v.keys[issuer.URL] = set
	}
	v.mu.Unlock()

	set.mu.Lock()
	defer set.mu.Unlock()
	now := v.Now()
	find := func() *jose.JSONWebKey {
		var found *jose.JSONWebKey
		for i := range set.set.Keys {
			k := &set.set.Keys[i]
			if k.KeyID != id || !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
				continue
			}
			if found != nil {
				return nil // two keys of one id: nobody knows which is meant
			}
			found = k
		}
		return found
	}
	k := find()
	stale := now.Sub(set.fetched) > fresh
	if k != nil && !stale {
		return k, nil
	}
	if set.tried.IsZero() || now.Sub(set.tried) >= refetch {
		set.tried = now
		read, err := v.fetch(ctx, issuer.Keys)
		if err == nil {
			set.set, set.fetched = *read, now
			k = find()
		} else if now.Sub(set.fetched) > keptKeys {
			return nil, fmt.Errorf("the keys of %s: %w", issuer.URL, err)
		}
	}
	if k == nil || now.Sub(set.fetched) > keptKeys {
		return nil, bad("its key is none of its issuer's")
	}
	return k, nil
}

// patience is how long an issuer is waited for.
const patience = 10 * time.Second

// fetch reads a key set. Who asked first may go away; it is read for all who come after, so that nobody can keep the keys from being read by not waiting for them.
func (v *Verifier) fetch(ctx context.Context, address string) (*jose.JSONWebKeySet, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for keys: %w", err)
	}
	answer, err := v.Client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("asking for keys: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeys+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading keys: %w", err)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking for keys: %s", answer.Status)
	case len(text) > maxKeys:
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxKeys)
	}
	set := new(jose.JSONWebKeySet)
	if err := json.Unmarshal(text, set); err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	return set, nil
}
