package daemon

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func TestParseConfig(t *testing.T) {
	t.Setenv("DRAWBRIDGE_TEST_STORE", "postgres://canary@db/x")
	good := `
listen: 127.0.0.1:8181
url: https://broker.example
store: env:DRAWBRIDGE_TEST_STORE
issuers:
  - {url: "https://token.actions.githubusercontent.com", keys: "https://token.actions.githubusercontent.com/.well-known/jwks", audience: "https://broker.example", id: [repository_id], maxLife: 15m}
roles: {approver: [release-managers], responder: [security]}
limits: {perSecond: 20, burst: 100}
log: {level: info, format: json}
`
	c, err := ParseConfig("x.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Reveal() != "postgres://canary@db/x" || c.Issuers[0].MaxLife != 15*time.Minute {
		t.Errorf("read %+v", c)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, *c, c.Store); strings.Contains(text, "canary") {
		t.Errorf("printed: %s", text)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"an unknown key":        {"listn: x", "listn"},
		"a deeper unknown key":  {"tls: {cert: x}", "cert"},
		"two documents":         {"listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2", "one document"},
		"open without TLS":      {"listen: 0.0.0.0:80", "no TLS"},
		"half of TLS":           {"tls: {certificate: x}", "belong together"},
		"http":                  {"url: http://broker.example", "https://host"},
		"a slash":               {"url: https://broker.example/", "slash"},
		"an issuer twice":       {"issuers: [{url: 'https://a', keys: 'https://a/k', audience: b}, {url: 'https://a', keys: 'https://a/k', audience: b}]", "twice"},
		"an issuer over http":   {"issuers: [{url: 'http://a', keys: 'https://a/k', audience: b}]", "https"},
		"keys over http":        {"issuers: [{url: 'https://a', keys: 'http://a/k', audience: b}]", "key set"},
		"no audience":           {"issuers: [{url: 'https://a', keys: 'https://a/k'}]", "audience"},
		"a role that is none":   {"roles: {root: [x]}", "root"},
		"a missing variable":    {"store: env:DRAWBRIDGE_NO_SUCH", "DRAWBRIDGE_NO_SUCH"},
		"a missing file":        {"store: file:/no/such/file", "no such file"},
		"keys without an https": {"issuer: {keys: [{id: a, file: b}]}", "must be https"},
		"a key in two places":   {"issuer: {keys: [{id: a, file: b, kms: 'arn:aws:kms:eu-west-1:111111111111:key/x'}]}", "a file, or a key of KMS"},
		"a key of no KMS":       {"issuer: {keys: [{id: a, kms: x}]}", "ARN of a key"},
		"two keys of the log":   {"audit: {name: x, key: a, kms: 'arn:aws:kms:eu-west-1:111111111111:key/x'}", "one of them"},
		"a log without name":    {"audit: {kms: 'arn:aws:kms:eu-west-1:111111111111:key/x'}", "name is missing"},
		"a log's key of no KMS": {"audit: {name: x, kms: y}", "ARN of a key"},
		"half a quarantine":     {"quarantine: {policy: p-12345678}", "ARN of a role"},
		"a policy of no SCP":    {"quarantine: {policy: x, role: 'arn:aws:iam::111111111111:role/x'}", "service control policy"},
		"a form of no chat":     {"notify: [{name: a, url: 'https://a', form: pigeon}]", "json or slack"},
		"sessions of nobody":    {"sessions: {nobody: 1h}", "none of the issuers"},
		"sessions too short":    {"sessions: {people: 1m}", "15m0s to 12h"},
		"an old snapshot":       {"snapshots: {fresh: -1h}", "above zero"},
		"another format":        {"log: {format: xml}", "xml"},
	} {
		if c, err := ParseConfig("x.yaml", []byte(tt.text)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v; want one with %q", name, c, err, tt.want)
		}
	}
}

// running is a daemon that serves, with an issuer of tokens and an AWS that issue what they are asked for.
type running struct {
	t      *testing.T
	url    string
	token  string // of the local setup
	signer jose.Signer
	issuer string
	n      int
	log    *bytes.Buffer
	asked  *[]string // what AWS was asked for
}

func start(t *testing.T) *running {
	r := &running{t: t, log: new(bytes.Buffer), asked: new([]string)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	}))
	t.Cleanup(issuer.Close)
	r.issuer = issuer.URL
	// The daemon asks the issuer as it asks any: by the system's roots.
	pool := x509.NewCertPool()
	pool.AddCert(issuer.Certificate())
	old := http.DefaultTransport
	http.DefaultTransport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(func() { http.DefaultTransport = old })
	if r.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil); err != nil {
		t.Fatal(err)
	}
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodGet { // what time it is, every answer says
			return
		}
		_ = q.ParseForm()
		*r.asked = append(*r.asked, q.PostForm.Encode())
		action := q.PostForm.Get("Action")
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>canary-secret</SecretAccessKey><SessionToken>canary-token</SessionToken><Expiration>%[2]s</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::222222222222:assumed-role/deploy/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser></%[1]sResult></%[1]sResponse>`, action, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(cloud.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": cloud.URL, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "signing.pem")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	registry := filepath.Join(dir, "registry.yaml")
	if err := os.WriteFile(registry, fmt.Appendf(nil, `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {oidc: {issuer: %q, audience: drawbridge, claims: {repository_id: "4711"}}}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {required: 1, approvers: [local]}
  expires: %s
`, issuer.URL, time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Config{Listen: "127.0.0.1:0", URL: "https://broker.example", Registry: registry, Store: SecretOf("sqlite:" + filepath.Join(dir, "x.db")),
		Issuers: []IssuerConfig{{URL: issuer.URL, Keys: issuer.URL, Audience: "drawbridge", ID: []string{"repository_id"}}}}
	c.Issuer.Keys = []KeyConfig{{ID: "o1", File: keyFile}}
	d, err := New(t.Context(), c, true, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.token = d.Token
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
		if strings.Contains(r.log.String(), "canary") {
			t.Errorf("the log holds a secret: %s", r.log)
		}
	})
	return r
}

// proof is a fresh token of the issuer.
func (r *running) proof(repository string) string {
	r.t.Helper()
	r.n++
	now := time.Now()
	token, err := jwt.Signed(r.signer).Claims(map[string]any{"iss": r.issuer, "aud": "drawbridge", "sub": "repo:acme/web:ref:refs/heads/main", "repository_id": repository, "jti": fmt.Sprint("j", r.n), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}).Serialize()
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *running) assume(token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	c := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &r.url})
	return c.AssumeRoleWithWebIdentity(r.t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/deploy"), RoleSessionName: aws.String("ci"), WebIdentityToken: &token})
}

func (r *running) call(method, path, body string) (int, string) {
	r.t.Helper()
	q, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Content-Type", "application/json")
	a, err := (&http.Client{Transport: &http.Transport{}}).Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(a.Body); err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, b.String()
}

// TestCrossing is the whole way: an unmodified AWS client asks with its identity token, waits for a person, gets AWS's credentials by the broker's own issuer, and is refused once it was taken back.
func TestCrossing(t *testing.T) {
	r := start(t)
	var api smithy.APIError
	if _, err := r.assume(r.proof("4711")); !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" || !strings.Contains(api.ErrorMessage(), "approval pending") {
		t.Fatalf("before approval: %v", err)
	}
	_, text := r.call("GET", "/v1/requests?state=awaiting", "")
	var list struct {
		Requests []struct{ ID, Hash, Subject string }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Requests) != 1 || !strings.Contains(list.Requests[0].Subject, "repository_id=4711") {
		t.Fatalf("waiting: %s, error %v", text, err)
	}
	q := list.Requests[0]
	if _, err := r.assume(r.proof("4711")); err == nil || !strings.Contains(err.Error(), q.ID) {
		t.Errorf("asking again does not lead to the same request: %v", err)
	}
	if status, text := r.call("POST", "/v1/requests/"+q.ID+"/decision", `{"approve": true, "hash": "`+q.Hash+`"}`); status != 200 {
		t.Fatalf("approving: %d %s", status, text)
	}
	proof := r.proof("4711")
	out, err := r.assume(proof)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Credentials.AccessKeyId != "ASIAEXAMPLE" || *out.SourceIdentity != q.ID+".1" || len(*r.asked) != 1 || !strings.Contains((*r.asked)[0], "AssumeRoleWithWebIdentity") {
		t.Errorf("got %+v; AWS was asked %v", out, *r.asked)
	}
	if _, err := r.assume(proof); !errors.As(err, &api) || api.ErrorCode() != "InvalidIdentityToken" {
		t.Errorf("the same proof again: %v", err)
	}
	if _, err := r.assume(r.proof("4711")); err != nil || len(*r.asked) != 1 {
		t.Errorf("a live session is not handed out again: AWS was asked %d times, error %v", len(*r.asked), err)
	}
	if _, err := r.assume(r.proof("4712")); !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" || strings.Contains(api.ErrorMessage(), "ci-deploy") {
		t.Errorf("another repository: %v", err)
	}
	if status, text := r.call("POST", "/v1/requests/"+q.ID+"/revocation", `{"reason": "incident"}`); status != 200 {
		t.Fatalf("revoking: %d %s", status, text)
	}
	if _, err := r.assume(r.proof("4711")); !errors.As(err, &api) || !strings.Contains(api.ErrorMessage(), "not in force") {
		t.Errorf("after revocation: %v", err)
	}
	if len(*r.asked) < 1 || strings.Count(strings.Join(*r.asked, " "), "Action=AssumeRoleWithWebIdentity") != 1 {
		t.Errorf("AWS was asked %v", *r.asked)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/.well-known/openid-configuration", "/v1/openapi.json"} {
		if status, _ := r.call("GET", path, ""); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if _, text := r.call("GET", "/v1/audit?most=1000", ""); strings.Contains(text, "canary") || !strings.Contains(text, "session.issued") {
		t.Errorf("the log: %s", text)
	}
}
