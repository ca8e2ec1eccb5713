package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"drawbridge/internal/broker"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is an issuer, its key server and a verifier.
type world struct {
	t      *testing.T
	server *httptest.Server
	asked  int
	down   bool
	keys   jose.JSONWebKeySet
	signer jose.Signer
	now    time.Time
	v      *Verifier
	spent  map[string]bool
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: noon, spent: make(map[string]bool)}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked++
		if w.down {
			http.Error(rw, "down", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(rw).Encode(w.keys)
	}))
	t.Cleanup(w.server.Close)
	w.rotate("k1")
	var mu sync.Mutex
	w.v = &Verifier{Client: w.server.Client(), Now: func() time.Time { return w.now }, Issuers: []Issuer{
		{URL: "https://token.actions.githubusercontent.com", Keys: w.server.URL, Audience: "https://broker.example", ID: []string{"repository_id"}},
		{URL: "https://kubernetes.example", Keys: w.server.URL, Audience: "https://broker.example", ID: []string{"kubernetes.io/serviceaccount/uid"}, MaxLife: 24 * time.Hour},
	}, Once: func(_ context.Context, issuer, value string, _ time.Time) error {
		mu.Lock()
		defer mu.Unlock()
		if w.spent[issuer+value] {
			return broker.ErrSpent
		}
		w.spent[issuer+value] = true
		return nil
	}}
	return w
}

// rotate gives the issuer a new key beside those that it has.
func (w *world) rotate(id string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	w.keys.Keys = append(w.keys.Keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: id, Algorithm: "ES256", Use: "sig"})
	w.signer = w.signerOf(jose.ES256, key, id)
}

func (w *world) signerOf(algorithm jose.SignatureAlgorithm, key any, id string) jose.Signer {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// github are the claims of a job of GitHub Actions, in the form of the subject that is given since July 2026.
func github() map[string]any {
	return map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "aud": "https://broker.example", "sub": "repo:acme@42/web@4711:ref:refs/heads/main", "jti": "a-b-c",
		"iat": noon.Unix(), "nbf": noon.Unix() - 30, "exp": noon.Add(5 * time.Minute).Unix(),
		"repository_id": "4711", "repository_owner_id": "42", "ref": "refs/heads/main", "runner_environment": "github-hosted",
	}
}

func (w *world) sign(claims map[string]any) string {
	token, err := jwt.Signed(w.signer).Claims(claims).Serialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	s, err := w.v.Verify(t.Context(), w.sign(github()))
	if err != nil {
		t.Fatal(err)
	}
	if s.ID != "oidc:token.actions.githubusercontent.com:repository_id=4711" || s.Name != "oidc:token.actions.githubusercontent.com:repo:acme@42/web@4711:ref:refs/heads/main" || s.Claims["ref"] != "refs/heads/main" || s.Key != "k1" || s.Person {
		t.Errorf("subject %+v", s)
	}
	k8s := map[string]any{"iss": "https://kubernetes.example", "aud": []string{"https://broker.example"}, "sub": "system:serviceaccount:shop:web", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "web", "uid": "u-1"}}}
	s, err = w.v.Verify(t.Context(), w.sign(k8s))
	if err != nil || s.ID != "oidc:kubernetes.example:kubernetes.io/serviceaccount/uid=u-1" || s.Claims["kubernetes.io/namespace"] != "shop" {
		t.Errorf("subject %+v, error %v", s, err)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(w *world, c map[string]any)
		want  string
	}{
		{"another issuer", func(w *world, c map[string]any) { c["iss"] = "https://evil.example" }, "not registered"},
		{"a slash more", func(w *world, c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, "not registered"},
		{"a prefix", func(w *world, c map[string]any) { c["iss"] = "https://token.actions.githubusercontent.com/evil" }, "not registered"},
		{"another audience", func(w *world, c map[string]any) { c["aud"] = "sts.amazonaws.com" }, "made for this broker"},
		{"a second audience", func(w *world, c map[string]any) { c["aud"] = []string{"https://broker.example", "other"} }, "made for this broker"},
		{"no audience", func(w *world, c map[string]any) { delete(c, "aud") }, "made for this broker"},
		{"expired", func(w *world, c map[string]any) { c["exp"] = noon.Add(-2 * time.Minute).Unix() }, "expired"},
		{"no end", func(w *world, c map[string]any) { delete(c, "exp") }, "when it ends"},
		{"no beginning", func(w *world, c map[string]any) { delete(c, "iat") }, "when it was issued"},
		{"to come", func(w *world, c map[string]any) { c["nbf"] = noon.Add(2 * time.Minute).Unix() }, "to come"},
		{"issued in the time to come", func(w *world, c map[string]any) { c["iat"] = noon.Add(2 * time.Minute).Unix() }, "to come"},
		{"a long life", func(w *world, c map[string]any) { c["exp"] = noon.Add(24 * time.Hour).Unix() }, "longer than is taken"},
		{"no subject", func(w *world, c map[string]any) { delete(c, "sub") }, "no subject"},
		{"no id", func(w *world, c map[string]any) { delete(c, "repository_id") }, "repository_id"},
		{"an id that is a list", func(w *world, c map[string]any) { c["repository_id"] = []string{"4711"} }, "repository_id"},
		{"another's key of the same id", func(w *world, c map[string]any) {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			w.signer = w.signerOf(jose.ES256, key, "k1")
		}, "signature"},
		{"an unknown key", func(w *world, c map[string]any) {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			w.signer = w.signerOf(jose.ES256, key, "k9")
		}, "none of its issuer's"},
		{"a shared secret", func(w *world, c map[string]any) {
			w.signer = w.signerOf(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), "k1")
		}, "algorithms that are taken"},
		{"another algorithm than the key's", func(w *world, c map[string]any) {
			key, _ := rsa.GenerateKey(rand.Reader, 2048)
			w.keys.Keys = []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "RS512"}}
			w.signer = w.signerOf(jose.RS256, key, "k1")
		}, "not its key's"},
		{"two keys of one id", func(w *world, c map[string]any) { w.rotate("k1") }, "none of its issuer's"},
		{"a key for encryption", func(w *world, c map[string]any) { w.keys.Keys[0].Use = "enc" }, "none of its issuer's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := github()
			tt.spoil(w, c)
			s, err := w.v.Verify(t.Context(), w.sign(c))
			if err == nil || !strings.Contains(err.Error(), tt.want) || s.ID != "" {
				t.Errorf("subject %+v, error %v; want one with %q", s, err, tt.want)
			}
			if tt.name != "expired" && !errors.Is(err, ErrToken) {
				t.Errorf("error %v is no ErrToken", err)
			}
		})
	}
	w := newWorld(t)
	good := w.sign(github())
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"nothing": "", "two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".", "none": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "long": strings.Repeat("x", maxToken+1),
		"changed": parts[0] + "." + strings.Replace(parts[1], parts[1][10:12], "AA", 1) + "." + parts[2],
	} {
		if s, err := w.v.Verify(t.Context(), token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, error %v", name, s, err)
		}
	}
}

// TestOnce: a token proves something once, whether it has an id or not (51).
func TestOnce(t *testing.T) {
	w := newWorld(t)
	for _, id := range []bool{true, false} {
		c := github()
		if !id {
			delete(c, "jti")
		}
		token := w.sign(c)
		if _, err := w.v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if _, err := w.v.Verify(t.Context(), token); !errors.Is(err, broker.ErrSpent) || !errors.Is(err, ErrToken) {
			t.Errorf("a second time, with an id %v: %v", id, err)
		}
	}
	// What is refused for another reason is not spent: an attacker must not be able to spend another's token.
	c := github()
	c["jti"], c["aud"] = "d", "other"
	_, _ = w.v.Verify(t.Context(), w.sign(c))
	c["aud"] = "https://broker.example"
	if _, err := w.v.Verify(t.Context(), w.sign(c)); err != nil {
		t.Error(err)
	}
}

// TestWrittenDifferently: a token without an id is the same token however its signature is written: base64 has bits that say nothing, and lines; and of ECDSA's signatures (r, s) and (r, n-s) both hold.
func TestWrittenDifferently(t *testing.T) {
	w := newWorld(t)
	c := github()
	delete(c, "jti")
	token := w.sign(c)
	if _, err := w.v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	signed, signature := token[:strings.LastIndexByte(token, '.')+1], token[strings.LastIndexByte(token, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, signature[len(signature)-1])
	other := slices.Clone(raw)
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(other[32:])
	for name, again := range map[string]string{
		"other bits": signature[:len(signature)-1] + string(letters[last^1]), "a line": signature[:10] + "\n" + signature[10:], "n-s": base64.RawURLEncoding.EncodeToString(other),
	} {
		if s, err := w.v.Verify(t.Context(), signed+again); !errors.Is(err, ErrToken) {
			t.Errorf("%s: it proves %q again, error %v", name, s.ID, err)
		}
	}
}

// TestSubjectsApart: no two subjects of an issuer have one id, whatever their claims say; and what is called by one name is not taken from two places.
func TestSubjectsApart(t *testing.T) {
	issuer := &Issuer{URL: "https://ci.example", ID: []string{"project", "environment"}}
	id := func(project, environment any) string {
		s, err := subject(issuer, &jwt.Claims{Subject: "x", Audience: jwt.Audience{"b"}}, map[string]any{"project": project, "environment": environment})
		if err != nil {
			return err.Error()
		}
		return s.ID
	}
	if a, b := id("1", "2:environment=3"), id("1:environment=2", "3"); a == b {
		t.Errorf("two subjects have the id %s", a)
	}
	if a, b := id("a%3A", "x"), id("a:", "x"); a == b {
		t.Errorf("two subjects have the id %s", a)
	}
	if got := id(float64(9007199254740993), "prod"); !strings.Contains(got, "no claim project") {
		t.Errorf("a number that has lost digits: %s", got)
	}
	for range 20 { // maps have no order
		flat := flatten(map[string]any{"kubernetes.io": map[string]any{"namespace": "prod"}, "kubernetes.io/namespace": "sandbox", "a": "b", "": map[string]any{"a": "c"}})
		if v, ok := flat["kubernetes.io/namespace"]; ok || flat["a"] != "b" {
			t.Fatalf("kubernetes.io/namespace is %q, a is %q", v, flat["a"])
		}
	}
}

// TestKeysForAll: who goes away while the keys are read does not keep them from those who come after.
func TestKeysForAll(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := github()
	_, _ = w.v.Verify(ctx, w.sign(c))
	c["jti"] = "after"
	if _, err := w.v.Verify(t.Context(), w.sign(c)); err != nil {
		t.Errorf("the one after: %v", err)
	}
}

// TestKeys: a new key is found, an unknown one does not make the issuer be asked for every token, and an issuer that is down for a while stops nobody whose key is known.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	n := 0
	verify := func() error {
		c := maps.Clone(github())
		n++
		c["jti"], c["iat"], c["nbf"], c["exp"] = fmt.Sprint(n), w.now.Unix(), w.now.Unix(), w.now.Add(time.Minute).Unix()
		_, err := w.v.Verify(t.Context(), w.sign(c))
		return err
	}
	must := func(what string, err error, asked int) {
		t.Helper()
		if err != nil || w.asked != asked {
			t.Errorf("%s: asked %d times, want %d; error %v", what, w.asked, asked, err)
		}
	}
	must("first", verify(), 1)
	must("second", verify(), 1)
	w.rotate("k2")
	if err := verify(); !errors.Is(err, ErrToken) || w.asked != 1 {
		t.Errorf("a new key within a minute: asked %d times, error %v", w.asked, err)
	}
	w.now = w.now.Add(refetch)
	must("a new key after a minute", verify(), 2)
	old := w.signer
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.signer = w.signerOf(jose.ES256, key, "attacker")
	for range 50 {
		if err := verify(); err == nil {
			t.Fatal("an unknown key was taken")
		}
	}
	if w.asked != 2 {
		t.Errorf("50 tokens of an unknown key made the issuer be asked %d times", w.asked-2)
	}
	w.signer = old
	w.now = w.now.Add(fresh + time.Second)
	must("after an hour", verify(), 3)
	w.down = true
	w.now = w.now.Add(fresh + time.Second)
	must("the issuer is down", verify(), 4)
	w.now = w.now.Add(keptKeys)
	if err := verify(); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("the issuer is down for a day: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	t := new(testing.T)
	w := newWorld(t)
	f.Add(w.sign(github()))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if s, err := w.v.Verify(context.Background(), token); err == nil && s.Claims["repository_id"] != "4711" {
			t.Errorf("subject %+v", s)
		}
	})
}
