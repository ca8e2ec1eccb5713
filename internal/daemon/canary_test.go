package daemon_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/awscaller"
	"drawbridge/internal/broker"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// TestCanaries lets every secret that a broker meets pass through it, by good calls and bad ones, and looks for each in everything that comes out of it or stays: answers of every face, pages, metrics, the log of the process, the
// records of the audit log, what receivers are told, and the bytes of the store (45). A secret is in the one answer that gives it out, and nowhere else.
func TestCanaries(t *testing.T) {
	p := daemontest.NewProvider(t)
	var mu sync.Mutex
	var told bytes.Buffer
	ear := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = r.Header.Write(&told)
		_, _ = io.Copy(&told, r.Body)
	}))
	defer ear.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	secrets := map[string]string{"AWS's secret key": daemontest.Canary + "secret", "AWS's session token": daemontest.Canary + "token", "the secret of the hook": "canary-of-the-hook-0123", "the secret of the client": "canary-of-the-client", "the address of a receiver": "/services/canary-of-the-address"}
	var path string
	d := daemontest.Start(t, strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), "required: 2", "required: 1").Replace(twoApprovers), func(c *daemon.Config) {
		c.People.Issuer, c.People.Client, c.People.Secret = p.URL, "drawbridge", daemon.SecretOf(secrets["the secret of the client"])
		c.URL = "http://" + c.Listen
		c.Issuer.Keys, c.AWS.Accounts = nil, []string{"111111111111"}
		c.Roles = map[broker.Role][]string{broker.Approver: {"release"}, broker.Responder: {"security"}}
		c.Notify = []daemon.NotifyConfig{{Name: "ear", URL: ear.URL, Secret: daemon.SecretOf(secrets["the secret of the hook"]), On: []string{"request.filed", "session.issued", "grant.revoked", "person.signed-in", "effect.failed"}},
			{Name: "gone", URL: gone.URL + secrets["the address of a receiver"], Secret: daemon.SecretOf(secrets["the secret of the hook"])}}
		path = strings.TrimPrefix(c.Store.Reveal(), "sqlite:")
	})
	var out bytes.Buffer // what came back, but for the answers that give a secret out
	call := func(method, to, token, kind, body string) string {
		t.Helper()
		q, err := http.NewRequest(method, d.URL+to, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
		if body != "" {
			q.Header.Set("Content-Type", kind)
		}
		a, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Header.Write(&out)
		out.Write(text)
		return string(text)
	}
	const form, json = "application/x-www-form-urlencoded", "application/json"
	ctx := t.Context()

	// Workloads: a token of an issuer, exchanged, used again, spoiled, at both faces.
	proof := d.Proof("4711")
	secrets["the signature of an identity token"] = proof[strings.LastIndexByte(proof, '.')+1:]
	got, err := (&client.Client{URL: d.URL}).Exchange(ctx, wire.Proof{Token: proof})
	if err != nil {
		t.Fatal(err)
	}
	secrets["a token of the API"] = got.AccessToken
	second := d.Proof("4711")
	secrets["the signature of another token"] = second[strings.LastIndexByte(second, '.')+1:]
	for _, token := range []string{proof, proof + "x", proof[:len(proof)-4], second[:40] + "x" + second[40:], second + "." + second} {
		call("POST", "/v1/token", "", json, `{"token": "`+token+`"}`)
		call("POST", "/", "", form, url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::222222222222:role/deploy"}, "RoleSessionName": {"abc"}, "WebIdentityToken": {token}}.Encode())
		call("GET", "/v1/whoami", token, "", "")
	}
	call("POST", "/", "", form, url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::222222222222:role/deploy"}, "RoleSessionName": {"abc"}, "WebIdentityToken": {second}, "Policy": {second}}.Encode())
	// AWS identities.
	api := &client.Client{URL: d.URL}
	challenge, err := api.Challenge(ctx)
	if err != nil {
		t.Fatal(err)
	}
	secrets["a nonce"] = challenge.Nonce
	signed, err := awscaller.Sign(ctx, aws.Credentials{AccessKeyID: "ASIAEXAMPLE123456789", SecretAccessKey: "canary-of-the-caller", SessionToken: "canary/of/the/session"}, "eu-west-1", d.URL, challenge.Nonce, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secrets["the caller's session token"], secrets["the caller's signature"], secrets["the caller's secret key"] = signed.Token, signed.Signature, "canary-of-the-caller"
	parts := wire.Proof{AWS: &wire.AWSProof{Region: signed.Region, Date: signed.Date, AccessKeyID: signed.AccessKeyID, Token: signed.Token, Signature: signed.Signature, Nonce: challenge.Nonce}}
	nightly, err := api.Exchange(ctx, parts)
	if err != nil {
		t.Fatal(err)
	}
	secrets["another token of the API"] = nightly.AccessToken
	if _, err := api.Exchange(ctx, parts); err == nil {
		t.Error("a nonce was taken twice")
	} else {
		out.WriteString(err.Error())
	}
	// People.
	p.Be("ann@example.com", "release", "security")
	// A new address hears of what happens from when it was seen first.
	heard := func(kind string) bool {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Contains(told.Bytes(), []byte(kind))
	}
	for !heard("person.signed-in") {
		newBrowser(t, d.URL).get("/")
		time.Sleep(50 * time.Millisecond)
	}
	ann := newBrowser(t, d.URL)
	ann.get("/")
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range ann.Jar.Cookies(u) {
		secrets["the cookie "+c.Name] = c.Value
	}
	line := ann.letIn()
	secrets["the token of a command line"] = line.AccessToken
	if status, text, _ := newBrowser(t, d.URL).get("/sign-in/callback?code=canary-of-the-code&state=canary-of-the-state&error=canary"); status != 403 {
		t.Errorf("%d %s", status, text)
	}
	secrets["a code"] = "canary-of-the-code"
	// The life of a request.
	w := &client.Client{URL: d.URL, Token: client.Static(got.AccessToken)}
	r, err := w.File(ctx, wire.Ask{Entry: "ci-deploy", Reason: "release 7"})
	if err != nil {
		t.Fatal(err)
	}
	if _, text, _ := ann.get("/requests/" + r.ID); true {
		hash := hashes.FindStringSubmatch(text)
		if hash == nil {
			t.Fatal(text)
		}
		_, text, _ = ann.post("/requests/"+r.ID+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}})
		out.WriteString(text)
	}
	keys, err := w.Credentials(ctx, r.ID, wire.Demand{})
	if err != nil || keys.SecretAccessKey != secrets["AWS's secret key"] || keys.SessionToken != secrets["AWS's session token"] {
		t.Fatalf("%+v, error %v", keys, err)
	}
	call("POST", "/v1/requests/"+r.ID+"/credentials", line.AccessToken, json, `{}`)
	call("POST", "/v1/requests/"+r.ID+"/credentials", got.AccessToken, json, `{"life": "1000h"}`)
	call("POST", "/v1/requests/"+r.ID+"/revocation", line.AccessToken, json, `{"reason": "incident"}`)
	_, text, _ := ann.get("/requests/" + r.ID)
	out.WriteString(text)
	_, text, _ = ann.get("/")
	out.WriteString(text)
	for _, to := range []string{"/metrics", "/healthz", "/readyz", "/checkpoint", "/v1/openapi.json", "/v1/whoami", "/v1/requests", "/v1/requests/" + r.ID, "/v1/locks", "/v1/audit?from=0&most=1000", "/nothing", "/sign-in", "/v1/registry"} {
		call("GET", to, line.AccessToken, "", "")
		call("GET", to, "", "", "")
	}
	// What is told is told within seconds; how long it takes says nothing.
	for !heard("grant.revoked") {
		time.Sleep(20 * time.Millisecond)
	}
	for !strings.Contains(d.Log(), "name=gone") {
		time.Sleep(20 * time.Millisecond)
	}
	places := map[string]string{"an answer": out.String(), "the log": d.Log()}
	mu.Lock()
	places["what receivers are told"] = told.String()
	mu.Unlock()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files of the store: %v, error %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		places["the store's "+filepath.Ext(name)] += string(text)
	}
	for place, text := range places {
		if len(text) < 200 {
			t.Errorf("%s has %d bytes: nothing was looked at", place, len(text))
		}
		for what, secret := range secrets {
			if secret == "" {
				t.Fatalf("%s is not known", what)
			}
			for how, form := range map[string]string{"": secret, ", escaped": url.QueryEscape(secret)} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s holds %s%s: …%.120q", place, what, how, text[max(0, i-60):])
				}
			}
		}
	}
}
