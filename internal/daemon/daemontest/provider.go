package daemontest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Provider is an identity provider for people that signs in whoever comes, as the person whose claims were set last. It holds clients to the rules: the code once, PKCE, the same address to return to.
type Provider struct {
	URL string

	mu     sync.Mutex
	claims map[string]any
	codes  map[string]url.Values
	broken map[string]any // claims that replace those of the next token
}

// NewProvider starts one with the client drawbridge.
func NewProvider(t *testing.T) *Provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "p1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{codes: make(map[string]url.Values)}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "p1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("response_type") != "code" || q.Get("client_id") != "drawbridge" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
			http.Error(w, "not a request of the code flow with PKCE", http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		code := fmt.Sprint("code", len(p.codes))
		p.codes[code] = q
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		code := r.PostFormValue("code")
		q, ok := p.codes[code]
		p.codes[code] = nil
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !ok || q == nil || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") || r.PostFormValue("redirect_uri") != q.Get("redirect_uri") {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		now := time.Now()
		claims := map[string]any{"iss": p.URL, "aud": "drawbridge", "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
		for _, more := range []map[string]any{p.claims, p.broken} {
			for name, value := range more {
				claims[name] = value
			}
		}
		p.broken = nil
		text, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": text})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Be sets who signs in next: an address that is verified, and groups.
func (p *Provider) Be(email string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = map[string]any{"sub": "id-of-" + email, "email": email, "email_verified": true, "groups": groups}
}

// Break replaces claims of the next token.
func (p *Provider) Break(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = claims
}

// As sets the provider's own id of who signs in next, who may have had another address before.
func (p *Provider) As(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims["sub"] = id
}
