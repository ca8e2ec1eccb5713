package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TokenLife is how long a token of the broker's own lives: long enough to be exchanged once, at once.
const TokenLife = 5 * time.Minute

// Own is the broker as an issuer. A target role's trust policy pins its URL, the audience and the subject, which is the entry; AWS reads the keys from the addresses that it serves.
//
// Source: IAM User Guide, "Pass session tags using AssumeRoleWithWebIdentity"; OpenID Connect Discovery 1.0.
type Own struct {
	URL      string // https, without a slash at the end
	Audience string // what target roles' providers name; usually sts.amazonaws.com
	Keys     []SigningKey
	Now      func() time.Time
	NewID    func() string
}

// SigningKey is a key in a file, or in a KMS behind crypto.Signer. It is published before it signs and after: AWS and others keep a key set for hours.
type SigningKey struct {
	ID     string
	Signer crypto.Signer
	// From is when it begins to sign, Until when it is no longer published; zero: for ever.
	From, Until time.Time
}

// algorithm is what the key signs by. AWS takes RS256 and ES256 among others.
func (k *SigningKey) algorithm() (jose.SignatureAlgorithm, error) {
	switch public := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		if public.Size() < 256 {
			return "", fmt.Errorf("the signing key %s is RSA of %d bits: expected 2048 at least", k.ID, public.Size()*8)
		}
		return jose.RS256, nil
	case *ecdsa.PublicKey:
		if public.Curve.Params().BitSize == 256 {
			return jose.ES256, nil
		}
	}
	return "", fmt.Errorf("the signing key %s is neither RSA nor on the curve P-256", k.ID)
}

// ErrNoKey says that no key may sign now.
var ErrNoKey = errors.New("no signing key is in force")

// signing is the key that signs now: the newest that has begun.
func (o *Own) signing() (*SigningKey, error) {
	now := o.Now()
	var best *SigningKey
	for i := range o.Keys {
		k := &o.Keys[i]
		if now.Before(k.From) || !k.Until.IsZero() && !now.Before(k.Until) {
			continue
		}
		if best == nil || k.From.After(best.From) {
			best = k
		}
	}
	if best == nil {
		return nil, ErrNoKey
	}
	return best, nil
}

// Claim are what a token says for one session.
type Claim struct {
	Subject        string // the entry
	SourceIdentity string
	Tags           map[string]string // session tags
	Transitive     []string          // of them, those that later sessions inherit
}

// Token signs a token.
func (o *Own) Token(c Claim) (string, error) {
	k, err := o.signing()
	if err != nil {
		return "", err
	}
	algorithm, err := k.algorithm()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: cryptosigner.Opaque(k.Signer)}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", k.ID))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	now := o.Now()
	type tags struct {
		Principal  map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys,omitempty"`
	}
	claims := struct {
		Issuer         string `json:"iss"`
		Subject        string `json:"sub"`
		Audience       string `json:"aud"`
		IssuedAt       int64  `json:"iat"` // whole seconds: AWS takes no others
		NotBefore      int64  `json:"nbf"`
		Expiry         int64  `json:"exp"`
		ID             string `json:"jti"`
		SourceIdentity string `json:"https://aws.amazon.com/source_identity,omitempty"`
		Tags           *tags  `json:"https://aws.amazon.com/tags,omitempty"`
	}{Issuer: o.URL, Subject: c.Subject, Audience: o.Audience, IssuedAt: now.Unix(), NotBefore: now.Add(-skew).Unix(), Expiry: now.Add(TokenLife).Unix(), ID: o.NewID(), SourceIdentity: c.SourceIdentity}
	if len(c.Tags) > 0 {
		claims.Tags = &tags{Principal: make(map[string][]string), Transitive: c.Transitive}
		for name, value := range c.Tags {
			claims.Tags.Principal[name] = []string{value}
		}
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}

// Paths of what the issuer serves.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/.well-known/jwks.json"
)

// ServeHTTP serves discovery and the key set.
func (o *Own) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "expected GET", http.StatusMethodNotAllowed)
	case strings.HasSuffix(path, DiscoveryPath):
		answer(r.Context(), w, map[string]any{
			"issuer": o.URL, "jwks_uri": o.URL + KeysPath, "response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": o.algorithms(), "claims_supported": []string{"iss", "sub", "aud", "iat", "nbf", "exp", "jti"},
		})
	case strings.HasSuffix(path, KeysPath):
		answer(r.Context(), w, o.Set())
	default:
		http.NotFound(w, r)
	}
}

func (o *Own) algorithms() []string {
	var out []string
	for i := range o.Keys {
		if a, err := o.Keys[i].algorithm(); err == nil && !slices.Contains(out, string(a)) {
			out = append(out, string(a))
		}
	}
	slices.Sort(out)
	return out
}

// Set is what is published: every key that signs, will sign, or has signed lately.
func (o *Own) Set() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i := range o.Keys {
		k := &o.Keys[i]
		a, err := k.algorithm()
		if err != nil || !k.Until.IsZero() && !o.Now().Before(k.Until) {
			continue
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Signer.Public(), KeyID: k.ID, Algorithm: string(a), Use: "sig"})
	}
	return set
}

func answer(_ context.Context, w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_ = json.NewEncoder(w).Encode(v) // the reader has gone: there is nobody to tell
}
