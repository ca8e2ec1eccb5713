// Package daemontest runs a whole daemon in a test: with an issuer whose tokens prove workloads, and an AWS that gives what it is asked for.
package daemontest

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
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/awssts"
	"drawbridge/internal/daemon"
)

// Daemon is one that serves until the test ends.
type Daemon struct {
	URL string
	// Token lets the person of the local setup in, who has every role.
	Token string
	// Issuer is the address of the issuer of workloads' tokens.
	Issuer string

	t      *testing.T
	signer jose.Signer
	log    lockedBuffer

	mu         sync.Mutex
	n          int
	asked      []string
	quarantine string // the text of the organisation's policy
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Canary begins every secret that the AWS of the test gives out. Nothing that is kept or logged may hold it.
const Canary = "canary-"

// Start starts a daemon whose registry is made from a text, in which ISSUER stands for the address of the issuer. The audience of its tokens is drawbridge, and repository_id tells its subjects apart. The configuration may be changed before it starts.
func Start(t *testing.T, registry string, change ...func(*daemon.Config)) *Daemon {
	t.Helper()
	d := &Daemon{t: t}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	}))
	t.Cleanup(issuer.Close)
	d.Issuer = issuer.URL
	cloud := httptest.NewServer(http.HandlerFunc(d.aws))
	t.Cleanup(cloud.Close)
	// The daemon asks the issuer as it asks any: by the system's roots. What it asks of STS's own hosts comes to the AWS of the test.
	pool := x509.NewCertPool()
	pool.AddCert(issuer.Certificate())
	old := http.DefaultTransport
	http.DefaultTransport = &aside{cloud.Listener.Addr().String(), &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(func() { http.DefaultTransport = old })
	if d.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil); err != nil {
		t.Fatal(err)
	}
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
	registryFile := filepath.Join(dir, "registry.yaml")
	if err := os.WriteFile(registryFile, []byte(strings.ReplaceAll(registry, "ISSUER", issuer.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &daemon.Config{Listen: "127.0.0.1:0", URL: "https://broker.example", Registry: registryFile, Store: daemon.SecretOf("sqlite:" + filepath.Join(dir, "x.db")),
		Issuers: []daemon.IssuerConfig{{URL: issuer.URL, Keys: issuer.URL, Audience: "drawbridge", ID: []string{"repository_id"}}}}
	c.Issuer.Keys = []daemon.KeyConfig{{ID: "o1", File: keyFile}}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	d.URL = "http://" + l.Addr().String()
	c.Listen = l.Addr().String()
	for _, f := range change {
		f(c)
	}
	built, err := daemon.New(t.Context(), c, c.People.Issuer == "", slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	d.Token = built.Token
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- built.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
		if strings.Contains(d.log.String(), Canary) {
			t.Errorf("the log holds a secret: %s", d.log.String())
		}
	})
	return d
}

// aws answers STS, with sessions as long as was asked, and Organizations, with one policy that binds every account; IAM refuses everything.
func (d *Daemon) aws(w http.ResponseWriter, q *http.Request) {
	if _, operation, ok := strings.Cut(q.Header.Get("X-Amz-Target"), "AWSOrganizationsV20161128."); ok {
		d.organizations(w, q, operation)
		return
	}
	if q.Method == http.MethodGet { // what time it is, every answer says
		return
	}
	_ = q.ParseForm()
	d.mu.Lock()
	d.asked = append(d.asked, q.PostForm.Encode())
	n := len(d.asked)
	d.mu.Unlock()
	switch action := q.PostForm.Get("Action"); action {
	case "GetCallerIdentity":
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::111111111111:assumed-role/nightly/i-0abc</Arn><UserId>AROAEXAMPLE000000001:i-0abc</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		life := time.Hour
		if seconds, err := strconv.Atoi(q.PostForm.Get("DurationSeconds")); err == nil {
			life = time.Duration(seconds) * time.Second
		}
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>ASIAEXAMPLE%[3]d</AccessKeyId><SecretAccessKey>`+Canary+`secret</SecretAccessKey><SessionToken>`+Canary+`token</SessionToken><Expiration>%[2]s</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::222222222222:assumed-role/deploy/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser></%[1]sResult></%[1]sResponse>`,
			action, time.Now().Add(life).UTC().Format(time.RFC3339), n)
	default:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>this AWS knows no such thing</Message></Error></ErrorResponse>`)
	}
}

func (d *Daemon) organizations(w http.ResponseWriter, q *http.Request, operation string) {
	var in struct{ Content string }
	_ = json.NewDecoder(q.Body).Decode(&in)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quarantine == "" {
		d.quarantine = awssts.QuarantinePolicy(nil)
	}
	type object = map[string]any
	answer := map[string]object{
		"DescribeOrganization": {"Organization": object{"MasterAccountId": "999999999999"}},
		"ListTargetsForPolicy": {"Targets": []object{{"TargetId": "r-abcd"}}},
		"ListParents":          {"Parents": []object{{"Id": "r-abcd", "Type": "ROOT"}}},
		"DescribePolicy":       {"Policy": object{"Content": d.quarantine}},
		"UpdatePolicy":         {"Policy": object{}},
	}[operation]
	if operation == "UpdatePolicy" {
		d.quarantine = in.Content
	}
	if answer == nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// Quarantine is the text of the organisation's policy.
func (d *Daemon) Quarantine() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.quarantine
}

// Asked is what AWS was asked for, as forms.
func (d *Daemon) Asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.asked...)
}

// Log is what the daemon has logged.
func (d *Daemon) Log() string { return d.log.String() }

// Proof is a fresh token of the issuer for a repository.
func (d *Daemon) Proof(repository string) string {
	d.t.Helper()
	d.mu.Lock()
	d.n++
	id := d.n
	d.mu.Unlock()
	now := time.Now()
	token, err := jwt.Signed(d.signer).Claims(map[string]any{"iss": d.Issuer, "aud": "drawbridge", "sub": "repo:acme/web:ref:refs/heads/main", "repository_id": repository, "jti": fmt.Sprint("j", id), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}).Serialize()
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// APIToken is a token of the API for a workload.
func (d *Daemon) APIToken(t *testing.T, repository string) string {
	t.Helper()
	c := &client.Client{URL: d.URL}
	token, err := c.Exchange(t.Context(), wire.Proof{Token: d.Proof(repository)})
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// File files a request of a workload, and gives its id.
func (d *Daemon) File(t *testing.T, repository, ask string) string {
	t.Helper()
	var a wire.Ask
	if err := json.Unmarshal([]byte(ask), &a); err != nil {
		t.Fatal(err)
	}
	c := &client.Client{URL: d.URL, Token: client.Static(d.APIToken(t, repository))}
	r, err := c.File(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// aside is a transport that leads requests for STS's hosts to another address.
type aside struct {
	sts  string
	rest http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a *aside) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Host, "sts.") && strings.HasSuffix(r.URL.Host, ".amazonaws.com") {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "http", a.sts
	}
	return a.rest.RoundTrip(r)
}
