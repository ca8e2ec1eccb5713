package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/daemon/daemontest"
)

const forSPIFFE = `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {principals: ["spiffe://acme.example/ns/prod/sa/deploy"]}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {automatic: true}
  expires: EXPIRES
`

func startSPIFFE(t *testing.T) (*daemontest.Daemon, *daemontest.TrustDomain) {
	t.Helper()
	return daemontest.StartSPIFFE(t, strings.ReplaceAll(forSPIFFE, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)))
}

// TestSPIFFE crosses by the certificate of a connection, by the token that it is exchanged for, and by JWT-SVIDs at both faces.
func TestSPIFFE(t *testing.T) {
	d, domain := startSPIFFE(t)
	ctx := t.Context()
	const id = "spiffe://acme.example/ns/prod/sa/deploy"
	with := func(id string) *client.Client {
		t.Helper()
		c := &client.Client{URL: d.URL}
		if err := c.ByCertificate(domain.Files(id)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	access := wire.Access{Ask: wire.Ask{Entry: "ci-deploy", Reason: "release 7"}}
	deploy := with(id)
	if who, err := deploy.Who(ctx); err != nil || who.Subject != id || len(who.Roles) != 0 {
		t.Fatalf("who it is: %+v, error %v", who, err)
	}
	got, err := deploy.Access(ctx, access)
	if err != nil || got.Credentials == nil || !strings.HasPrefix(got.Credentials.SecretAccessKey, daemontest.Canary) {
		t.Fatalf("by a certificate: %+v, error %v", got, err)
	}
	// The next certificate of the same workload is the same subject, with the same request and session.
	asked := len(d.Asked())
	if again, err := with(id).Access(ctx, access); err != nil || again.Request.ID != got.Request.ID || len(d.Asked()) != asked {
		t.Errorf("by the next certificate: %+v, error %v", again, err)
	}
	// Exchanged for a token of the API, which ends with the certificate: that is of ten minutes, the token of fifteen.
	token, err := deploy.Exchange(ctx, wire.Proof{})
	if err != nil || token.Subject != id || token.ExpiresIn > 600 {
		t.Fatalf("exchanged: %+v, error %v", token, err)
	}
	if who, err := (&client.Client{URL: d.URL, Token: client.Static(token.AccessToken)}).Who(ctx); err != nil || who.Subject != id {
		t.Errorf("by the token: %+v, error %v", who, err)
	}
	// Another workload of the domain is another subject; who has no certificate, or one of the web's form, is nobody.
	if _, err := with("spiffe://acme.example/ns/prod/sa/other").Access(ctx, access); !client.Refused(err) {
		t.Errorf("another workload: %v", err)
	}
	for what, id := range map[string]string{"another domain": "spiffe://other.example/x", "no SVID": "127.0.0.1"} {
		if _, err := with(id).Who(ctx); !errors.Is(err, client.ErrUnproven) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := (&client.Client{URL: d.URL}).Exchange(ctx, wire.Proof{}); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("no certificate: %v", err)
	}
	// A token that is wrong is not mended by a right certificate.
	wrong := with(id)
	wrong.Token = client.Static("dbt_x")
	if _, err := wrong.Who(ctx); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("a wrong token over a right certificate: %v", err)
	}

	// JWT-SVIDs: at the API, and by an unmodified client of STS.
	c := &client.Client{URL: d.URL}
	jwtSVID := domain.Token(id, d.URL)
	if by, err := c.Exchange(ctx, wire.Proof{Token: jwtSVID}); err != nil || by.Subject != id {
		t.Errorf("by a JWT-SVID: %+v, error %v", by, err)
	}
	if _, err := c.Exchange(ctx, wire.Proof{Token: jwtSVID}); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("by a JWT-SVID twice: %v", err)
	}
	unmodified := sts.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: aws.String(d.URL), HTTPClient: &http.Client{}})
	assume := func(token string) error {
		_, err := unmodified.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/deploy"), RoleSessionName: aws.String("x1"), WebIdentityToken: aws.String(token)})
		return err
	}
	if err := assume(domain.Token(id, d.URL)); err != nil {
		t.Errorf("STS by a JWT-SVID: %v", err)
	}
	if err := assume(domain.Token(id, "https://other.example")); code(err) != "InvalidIdentityToken" {
		t.Errorf("STS by a JWT-SVID for another: %v", err)
	}
	if len(d.Asked()) != asked {
		t.Errorf("AWS was asked %d times more", len(d.Asked())-asked)
	}

	// Locked, the workload is nobody at once: with its certificate, and with the token that it had.
	local := &client.Client{URL: d.URL, Token: client.Static(d.Token)}
	if _, err := local.Lock(ctx, wire.SetLock{Kind: "issuer", Value: "spiffe://acme.example", Reason: "its key was stolen"}); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy.Who(ctx); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("locked, by its certificate: %v", err)
	}
	if _, err := (&client.Client{URL: d.URL, Token: client.Static(token.AccessToken)}).Who(ctx); !errors.Is(err, client.ErrUnproven) {
		t.Errorf("locked, by its token: %v", err)
	}
}

// TestCertificateIsShown: nothing but the connection proves a certificate. What a client writes into a header proves nobody.
func TestCertificateIsShown(t *testing.T) {
	d, domain := startSPIFFE(t)
	certificate, _ := domain.Files("spiffe://acme.example/ns/prod/sa/deploy")
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/v1/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "Client-Cert"} {
		q.Header.Set(name, url.QueryEscape(string(text)))
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(a.Body); err != nil || a.StatusCode != http.StatusUnauthorized || !json.Valid(b.Bytes()) {
		t.Errorf("%d %s, error %v", a.StatusCode, &b, err)
	}
}
