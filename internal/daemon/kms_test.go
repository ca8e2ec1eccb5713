package daemon_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// TestKeysInKMS: the broker's tokens and its log are signed by keys that it never sees. A client library of OpenID Connect reads discovery and keys as AWS does, and verifies the token that AWS was given; the checkpoint verifies by the key that the daemon told.
func TestKeysInKMS(t *testing.T) {
	issuing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, logging, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const issuerKey, logKey = "arn:aws:kms:eu-west-1:111111111111:key/issuer", "arn:aws:kms:eu-west-1:111111111111:key/log"
	kms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Key     string `json:"KeyId"`
			Message []byte
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		key, algorithm, hash := crypto.Signer(issuing), "ECDSA_SHA_256", crypto.SHA256
		if in.Key == logKey {
			key, algorithm, hash = logging, "ED25519_SHA_512", 0
		}
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetPublicKey") {
			_ = json.NewEncoder(w).Encode(map[string]any{"PublicKey": public, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": []string{algorithm}})
			return
		}
		signature, err := key.Sign(rand.Reader, in.Message, hash)
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Signature": signature})
	}))
	defer kms.Close()
	t.Setenv("AWS_ENDPOINT_URL_KMS", kms.URL)
	d := daemontest.Start(t, strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), `{required: 2, approvers: ["group:release"]}`, "{automatic: true}").Replace(twoApprovers), func(c *daemon.Config) {
		c.Issuer.Keys = []daemon.KeyConfig{{ID: "k1", KMS: issuerKey}}
		c.Audit.Name, c.Audit.KMS, c.Audit.Every = "broker.example/audit", logKey, time.Second
	})
	c := &client.Client{URL: d.URL, Token: client.Static(d.APIToken(t, "4711"))}
	r, err := c.File(t.Context(), wire.Ask{Entry: "ci-deploy", Reason: "release 7"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Credentials(t.Context(), r.ID, wire.Demand{}); err != nil {
		t.Fatal(err)
	}
	var token string
	for _, asked := range d.Asked() {
		if form, err := url.ParseQuery(asked); err == nil && form.Get("Action") == "AssumeRoleWithWebIdentity" {
			token = form.Get("WebIdentityToken")
		}
	}
	// The library asks the issuer's own address, which is led to the daemon of the test.
	ctx := coreos.ClientContext(t.Context(), &http.Client{Transport: led(d.URL)})
	provider, err := coreos.NewProvider(ctx, "https://broker.example")
	if err != nil {
		t.Fatal(err)
	}
	verified, err := provider.Verifier(&coreos.Config{ClientID: "sts.amazonaws.com"}).Verify(ctx, token)
	if err != nil || verified.Subject != "ci-deploy" {
		t.Errorf("the token that AWS was given: %+v, error %v", verified, err)
	}
	if _, err := provider.Verifier(&coreos.Config{ClientID: "another"}).Verify(ctx, token); err == nil {
		t.Error("the token is for everybody")
	}
	var text string
	for range 50 {
		a, err := http.Get(d.URL + "/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		var status int
		if status, text, _ = read(t, a); status == http.StatusOK {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	_, told, ok := strings.Cut(d.Log(), `public key"=`)
	if !ok {
		t.Fatalf("the daemon does not tell its public key: %s", d.Log())
	}
	key, _, _ := strings.Cut(told, "\n")
	verifier, err := note.NewVerifier(strings.Trim(key, `"`))
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	if _, err := note.Open([]byte(text), note.VerifierList(verifier)); err != nil {
		t.Errorf("the checkpoint: %v\n%s", err, text)
	}
}

// led leads every call to one address.
type led string

func (l led) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := url.Parse(string(l))
	if err != nil {
		return nil, err
	}
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
	return http.DefaultTransport.RoundTrip(r)
}
