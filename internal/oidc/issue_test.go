package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func own(t *testing.T) (*Own, *time.Time) {
	curve := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now, n := noon, 0
	return &Own{Audience: "sts.amazonaws.com", Now: func() time.Time { return now }, NewID: func() string { n++; return fmt.Sprint("id-", n) }, Keys: []SigningKey{
		{ID: "old", Signer: curve(), From: noon.AddDate(0, -2, 0), Until: noon.AddDate(0, 0, 2)},
		{ID: "now", Signer: large, From: noon.AddDate(0, -1, 0)},
		{ID: "next", Signer: curve(), From: noon.AddDate(0, 0, 1)},
	}}, &now
}

// TestOwnIsVerified: our own verifier, as a stranger with discovery's addresses alone, takes our tokens, before and after a key takes over.
func TestOwnIsVerified(t *testing.T) {
	o, now := own(t)
	server := httptest.NewServer(o)
	defer server.Close()
	o.URL = server.URL
	answer, err := http.Get(server.URL + DiscoveryPath)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var discovered struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&discovered); err != nil || discovered.Issuer != o.URL {
		t.Fatalf("discovered %+v, error %v", discovered, err)
	}
	w := newWorld(t)
	v := &Verifier{Client: server.Client(), Now: o.Now, Once: w.v.Once, Issuers: []Issuer{{URL: discovered.Issuer, Keys: discovered.Keys, Audience: "sts.amazonaws.com"}}}
	for day, key := range map[int]string{0: "now", 2: "next"} {
		*now = noon.AddDate(0, 0, day)
		token, err := o.Token(Claim{Subject: "ci-deploy", SourceIdentity: "r-1.1", Tags: map[string]string{"entry": "ci-deploy"}, Transitive: []string{"entry"}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.Verify(t.Context(), token)
		if err != nil || s.Key != key || s.Claims["sub"] != "ci-deploy" {
			t.Errorf("day %d: %+v, error %v; want key %s", day, s, err, key)
		}
		body, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		for _, want := range []string{`"https://aws.amazon.com/source_identity":"r-1.1"`, `"https://aws.amazon.com/tags":{"principal_tags":{"entry":["ci-deploy"]},"transitive_tag_keys":["entry"]}`} {
			if !strings.Contains(string(body), want) {
				t.Errorf("the token says %s; want %s", body, want)
			}
		}
	}
}

// TestRotation: which keys are published, and which signs.
func TestRotation(t *testing.T) {
	o, now := own(t)
	for _, tt := range []struct {
		day       int
		published string
		signs     string
	}{{0, "old now next", "now"}, {1, "old now next", "next"}, {2, "now next", "next"}, {-40, "old now next", "old"}} {
		*now = noon.AddDate(0, 0, tt.day)
		var ids []string
		for _, k := range o.Set().Keys {
			ids = append(ids, k.KeyID)
			if !k.IsPublic() {
				t.Fatalf("key %s is published with its secret", k.KeyID)
			}
		}
		k, err := o.signing()
		if err != nil || k.ID != tt.signs || strings.Join(ids, " ") != tt.published {
			t.Errorf("day %d: %v signs of %v, error %v; want %s of %s", tt.day, k, ids, err, tt.signs, tt.published)
		}
	}
	*now = noon.AddDate(-1, 0, 0)
	if _, err := o.Token(Claim{Subject: "x"}); !errors.Is(err, ErrNoKey) {
		t.Errorf("error %v, want ErrNoKey", err)
	}
}

func TestWeakKeys(t *testing.T) {
	o, _ := own(t)
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o.Keys = []SigningKey{{ID: "p384", Signer: curve}}
	if _, err := o.Token(Claim{Subject: "x"}); err == nil {
		t.Error("a token was signed on a curve that ES256 is not of")
	}
	if n := len(o.Set().Keys); n != 0 {
		t.Errorf("%d keys are published that cannot sign", n)
	}
}

func TestServesNothingElse(t *testing.T) {
	o, _ := own(t)
	for _, tt := range []struct {
		method, path string
		status       int
	}{{"GET", "/", 404}, {"POST", KeysPath, 405}, {"GET", KeysPath, 200}} {
		w := httptest.NewRecorder()
		o.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		text, _ := io.ReadAll(w.Body)
		if w.Code != tt.status || strings.Contains(string(text), `"d":`) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, w.Code, text)
		}
	}
}
