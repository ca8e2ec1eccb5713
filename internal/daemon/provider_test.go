package daemon_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// startProvider starts a certified OpenID provider, the one of `make oidc`, for a broker; DRAWBRIDGE_OIDC=required forbids to skip. Clients of the test believe its certificate.
func startProvider(t *testing.T, brokerURL string, env ...string) string {
	t.Helper()
	modules, err := filepath.Abs("../../.tools/oidc-provider")
	if err != nil {
		t.Fatal(err)
	}
	_, missing := os.Stat(filepath.Join(modules, "node_modules", "oidc-provider"))
	node, noNode := exec.LookPath("node")
	if err := errors.Join(missing, noNode); err != nil {
		if os.Getenv("DRAWBRIDGE_OIDC") == "required" {
			t.Fatalf("make oidc installs it: %v", err)
		}
		t.Skip("there is no OpenID provider: 'make oidc' installs it")
	}
	domain := daemontest.NewTrustDomain(t)
	certificate, key := domain.Files("127.0.0.1")
	p := exec.Command(node, "testdata/provider.mjs", modules, certificate, key, brokerURL)
	p.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by that
		_ = p.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			go func() { // what it prints later is of no interest, and must not fill the pipe
				for lines.Scan() {
				}
			}()
			pool := x509.NewCertPool()
			pool.AddCert(domain.Authority())
			old := http.DefaultTransport
			http.DefaultTransport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
			t.Cleanup(func() { http.DefaultTransport = old })
			return address
		}
	}
	t.Fatal("the provider does not start")
	return ""
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="(login|consent)"`)
)

// signInAt goes through the provider's own pages: it signs in, and consents. It gives where it ends.
func (b *browser) signInAt(path, who string) (int, string, string) {
	b.t.Helper()
	status, text, at := b.get(path)
	for range 4 {
		action, prompt := formAction.FindStringSubmatch(text), formPrompt.FindStringSubmatch(text)
		if action == nil || prompt == nil {
			return status, text, at
		}
		base, err := url.Parse(at)
		if err != nil {
			b.t.Fatal(err)
		}
		to, err := base.Parse(action[1])
		if err != nil {
			b.t.Fatal(err)
		}
		form := url.Values{"prompt": {prompt[1]}}
		if prompt[1] == "login" {
			form.Set("login", who)
			form.Set("password", "any")
		}
		q, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, to.String(), strings.NewReader(form.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := b.Do(q)
		if err != nil {
			b.t.Fatal(err)
		}
		status, text, at = read(b.t, a)
	}
	b.t.Fatalf("the provider's pages lead nowhere: %d %s", status, text)
	return 0, "", ""
}

// TestRealProvider signs people in at a certified provider, with its own pages for signing in and consent, as a confidential and as a public client, with claims in the token and by UserInfo.
func TestRealProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		env            []string
		client, secret string
	}{
		"UserInfo":            {nil, "drawbridge", "a secret of the client"},
		"claims in the token": {[]string{"CLAIMS_IN_TOKEN=yes"}, "drawbridge", "a secret of the client"},
		"a public client":     {nil, "drawbridge-public", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var issuer string
			d := daemontest.Start(t, strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) {
				c.URL = "http://" + c.Listen
				issuer = startProvider(t, c.URL, tt.env...)
				c.People = daemon.PeopleConfig{Issuer: issuer, Client: tt.client, Secret: daemon.SecretOf(tt.secret), Scopes: []string{"email", "profile", "groups"}}
				c.Issuer.Keys = nil
				c.Issuers = nil
				c.Roles = map[broker.Role][]string{broker.Approver: {"release"}, broker.Responder: {"security"}}
			})
			person := func(who string) *browser {
				b := newBrowser(t, d.URL)
				b.Transport = http.DefaultTransport
				status, text, at := b.signInAt("/", who)
				if status != http.StatusOK || !strings.HasPrefix(at, d.URL+"/") {
					t.Fatalf("%s comes back to %s: %d %s", who, at, status, text)
				}
				return b
			}
			for who, want := range map[string]wire.Who{
				"ann+release+security": {Subject: "ann@example.com", Groups: []string{"release", "security"}, Roles: []string{"approver", "responder"}},
				"eve":                  {Subject: "eve@example.com"},
			} {
				b := person(who)
				c := &client.Client{URL: d.URL, Token: client.Static(b.commandLine())}
				if got, err := c.Who(t.Context()); err != nil || fmt.Sprint(*got) != fmt.Sprint(want) {
					t.Errorf("%s is %+v, error %v; want %+v", who, got, err, want)
				}
			}
			// Whose address is not verified is nobody; whoever cancels is not signed in; a code of another browser is of no use.
			b := newBrowser(t, d.URL)
			b.Transport = http.DefaultTransport
			if status, text, _ := b.signInAt("/", "unverified+release"); status == http.StatusOK || !strings.Contains(text, "has verified") {
				t.Errorf("an address that is not verified: %d %s", status, text)
			}
			thief, victim := newBrowser(t, d.URL), newBrowser(t, d.URL)
			thief.Transport, victim.Transport = http.DefaultTransport, http.DefaultTransport
			var stolen string
			victim.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
				if strings.HasPrefix(r.URL.String(), d.URL+"/sign-in/callback") {
					stolen = r.URL.RequestURI()
					return http.ErrUseLastResponse
				}
				return nil
			}
			victim.signInAt("/", "bob+release")
			if stolen == "" {
				t.Fatal("the provider sent nobody back")
			}
			if status, text, _ := thief.get(stolen); status == http.StatusOK {
				t.Errorf("with another's answer: %d %s", status, text)
			}
		})
	}
}

// TestRealTokens crosses by tokens that a certified provider gives a workload (client credentials, JWT access tokens for the broker's audience).
func TestRealTokens(t *testing.T) {
	var issuer string
	entry := strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), `{sub: "repo:acme/web:ref:refs/heads/main", repository_id: "4711"}`, `{sub: nightly, client_id: nightly}`, "audience: drawbridge", `audience: "https://broker.example"`,
		`{required: 2, approvers: ["group:release"]}`, "{automatic: true}")
	// The provider's address is part of the registry, so that it is there before the daemon.
	issuer = startProvider(t, "https://broker.example")
	believed := http.DefaultTransport
	d := daemontest.Start(t, strings.ReplaceAll(entry.Replace(twoApprovers), "ISSUER", issuer), func(c *daemon.Config) {
		http.DefaultTransport = believed
		c.Issuers = []daemon.IssuerConfig{{URL: issuer, Keys: issuer + "/jwks", Audience: "https://broker.example", ID: []string{"client_id"}, MaxLife: 10 * time.Minute}}
	})
	token := func(id, secret, resource string) string {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"cross"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth(id, url.QueryEscape(secret))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		status, text, _ := read(t, a)
		var got struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.AccessToken == "" {
			t.Fatalf("the provider answers %d %s, error %v", status, text, err)
		}
		return got.AccessToken
	}
	c := &client.Client{URL: d.URL}
	proof := token("nightly", "a secret of the workload", "https://broker.example")
	got, err := c.Exchange(t.Context(), wire.Proof{Token: proof})
	if err != nil || got.Subject != "oidc:"+strings.TrimPrefix(issuer, "https://")+":client_id=nightly" {
		t.Fatalf("exchanged: %+v, error %v", got, err)
	}
	if _, err := c.Exchange(t.Context(), wire.Proof{Token: proof}); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("a token twice: %v", err)
	}
	if _, err := c.Exchange(t.Context(), wire.Proof{Token: token("nightly", "a secret of the workload", "https://other.example")}); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("a token for another: %v", err)
	}
	unmodified := sts.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: aws.String(d.URL)})
	assume := func(ctx context.Context, token string) error {
		_, err := unmodified.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/deploy"), RoleSessionName: aws.String("x1"), WebIdentityToken: aws.String(token)})
		return err
	}
	if err := assume(t.Context(), token("nightly", "a secret of the workload", "https://broker.example")); err != nil {
		t.Errorf("the workload: %v", err)
	}
	if err := assume(t.Context(), token("other", "a secret of another", "https://broker.example")); code(err) != "AccessDenied" {
		t.Errorf("another workload of the issuer: %v", err)
	}
}
